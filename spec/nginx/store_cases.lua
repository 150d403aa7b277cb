-- SPDX-License-Identifier: MIT
-- Runs inside nginx: the store suite, and small jobs on a store that a spec asks for. Each handler answers in plain text.
-- open() -> harness for the suite (see spec/stores/suite.lua) over an empty store.

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

return M
