-- SPDX-License-Identifier: MIT
-- Runs inside nginx: the store suite, and small jobs on a store that a spec asks for. Each handler answers in plain text.
-- open() -> harness for the suite (see spec/stores/suite.lua) over an empty store.

local core = require "healthauth.core"
local suite = require "spec.stores.suite"

local M = {}

--- /case?n=1: runs one case of the suite; says "ok" or what was wrong.
function M.case(open)
  local case = suite[tonumber(ngx.var.arg_n)]
  local ok, why = pcall(case[2], open())
  ngx.print(ok and "ok" or tostring(why))
end

--- /count?key=k&times=100: adds by compare and swap; says the worker's pid and the number of conflicts.
function M.count(store)
  local key, conflicts = ngx.var.arg_key, 0
  for _ = 1, tonumber(ngx.var.arg_times) do
    while true do
      local record, version = store:load(key)
      if not record then return ngx.print("lost: ", tostring(version)) end
      local saved, err = store:save(key, tostring(tonumber(record) + 1), version)
      if saved then break end
      if err.code ~= "conflict" then return ngx.print("failed: ", tostring(err)) end
      conflicts = conflicts + 1
    end
    ngx.sleep(0)
  end
  ngx.print(ngx.worker.pid(), " ", conflicts)
end

--- /do?what=load&key=k [&record=r] [&ttl=1]: one operation; says what it answered. save swaps over what is there.
function M.once(store)
  local what, key, arg = ngx.var.arg_what, ngx.var.arg_key, ngx.req.get_uri_args(0)
  local value, err
  if what == "save" then
    local record = arg.record or ("x"):rep(tonumber(arg.size))
    local _, version = store:load(key)
    value, err = store:save(key, record, version)
  elseif what == "acquire" then
    value, err = store:acquire(key, tonumber(arg.ttl))
    value = value and "lease of " .. ngx.worker.pid() or value
  else
    value, err = store[what](store, key)
  end
  if value == nil and type(err) == "table" then return ngx.print("error ", err.code) end
  ngx.print(tostring(value))
end

-- A zone as a worker sees it that is stopped after its nth step (a look at the lock is none) for longer than its lock lives.
local function stopped_zone(dict, n, meanwhile)
  local steps = 0
  return setmetatable({}, { __index = function(_, method)
    return function(_, name, ...)
      local a, b, c = dict[method](dict, name, ...)
      if not (method == "get" and name:find("^ha:k:")) then steps = steps + 1 end
      if steps == n then
        steps = steps + 1
        meanwhile()
      end
      return a, b, c
    end
  end })
end

--- /stopped: a worker is stopped at every step of a save or delete, another swaps the record, and the first goes on. Says what went wrong.
function M.stopped(new)
  local late, other, wrong = new(), new(), {}
  local dict = other.dict
  for _, verb in ipairs { "save", "delete" } do
    for n = 1, 16 do
      local key = verb .. n
      local version, reached, swapped, err = assert(other:save(key, "first")), false, nil, nil
      late.dict = stopped_zone(dict, n, function()
        reached = true
        dict:delete("ha:k:" .. key)
        swapped, err = other:save(key, "other", version)
      end)
      local done, why
      if verb == "save" then done, why = late:save(key, "late", version) else done, why = late:delete(key) end
      local record, load_err = other:load(key)
      local fine
      if not reached then fine = done
      elseif verb == "save" then fine = not done == not not swapped and record == (done and "late" or "other")
      else fine = load_err == nil or type(load_err) == "string" and record == "other" end
      if not fine then
        wrong[#wrong + 1] = ("%s, step %d: %s %s, %s %s, %s %s"):format(verb, n, tostring(done), tostring(why), tostring(swapped),
          tostring(err), tostring(record), tostring(load_err))
      end
    end
  end
  ngx.print(#wrong == 0 and "ok" or table.concat(wrong, "\n"))
end

--- /kept_busy: a worker that nginx's clock has left behind takes a lease; says whether it still holds it.
function M.kept_busy(store)
  local held
  for _ = 1, 10 do -- again where the machine was too slow to tell
    local from = core.monotonic()
    ngx.update_time()
    while core.monotonic() - from < 0.4 do end -- luacheck: ignore 542
    local began = core.monotonic()
    local lease = store:acquire("kept busy", 0.3)
    ngx.update_time()
    held = lease and store:acquire("kept busy", 0.3) == false and store:release(lease)
    if held or core.monotonic() - began < 0.3 then break end
  end
  ngx.print(tostring(held))
end

return M
