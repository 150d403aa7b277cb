-- SPDX-License-Identifier: MIT
-- The store suite over lua_shared_dict, inside a real nginx with four workers.

local check = require "spec.stores.check"
local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local process = require "spec.support.process"
local processes = require "spec.stores.processes"
local shared_dict = require "healthauth.stores.shared_dict"
local suite = require "spec.stores.suite"

local yes, equal = check.yes, check.equal

local HTTP = [[
  lua_shared_dict records 8m;
  lua_shared_dict tight 128k;
  init_by_lua_block {
    shared_dict = require "healthauth.stores.shared_dict"
    cases = require "spec.nginx.store_cases"
    at_init = shared_dict { name = "records" }
    at_init_saved = at_init:save("from init", "r")
    function harness()
      ngx.shared.records:flush_all()
      ngx.shared.records:flush_expired()
      local options = { name = "records" }
      return {
        store = shared_dict(options), other = shared_dict(options), new = shared_dict, options = options, ttl = 0.1, big = 1024 * 1024,
        pass = ngx.sleep,
      }
    end
    function raised(options)
      local ok, text = pcall(function() local s = shared_dict(options) return s end)
      return ok and "did not raise" or text
    end
  }
]]

local SERVER = [[
  location = /case { content_by_lua_block { cases.case(harness) } }
  location = /count { content_by_lua_block { cases.count(shared_dict { name = "records" }) } }
  location = /do { content_by_lua_block { cases.once(shared_dict { name = "records" }) } }
  location = /tight { content_by_lua_block { cases.once(shared_dict { name = "tight" }) } }
  location = /stopped { content_by_lua_block { cases.stopped(function() return shared_dict { name = "records" } end) } }
  location = /kept_busy { content_by_lua_block { cases.kept_busy(shared_dict { name = "records" }) } }
  location = /init { content_by_lua_block { ngx.print(type(at_init_saved)) } }
  location = /missing { content_by_lua_block { ngx.print(raised { name = "no such" }) } }
  location = /nameless { content_by_lua_block { ngx.print(raised {}) } }
]]

describe("the shared_dict store", function()
  local server

  setup(function() server = nginx.start { http = HTTP, server = SERVER, workers = 4 } end)
  teardown(function() server:stop() end)

  it("works in init_by_lua", function() equal("string", (server:text "/init")) end)

  describe("as every store", function()
    for n, case in ipairs(suite) do
      it(case[1], function()
        local body, status = server:text("/case?n=" .. n)
        equal("ok", body)
        equal(200, status)
      end)
    end
  end)

  it("loses no increment of 16 requests over the workers", function()
    equal(true, (server:text "/do?what=delete&key=c"):find("true") ~= nil)
    yes((server:text "/do?what=save&key=c&record=0"):find("-", 1, true), "version")
    local paths, workers, count = {}, {}, 0
    for i = 1, 16 do paths[i] = "/count?key=c&times=100" end
    for _, body in ipairs(server:together(paths)) do
      local pid = yes(body:match("^(%d+) %d+$"), body)
      if not workers[pid] then workers[pid], count = true, count + 1 end
    end
    yes(count >= 2, "more than one worker")
    equal("1600", (server:text "/do?what=load&key=c"))
  end)

  it("gives one lease to 32 requests that ask at once", function()
    for round = 1, 5 do
      local paths, leases = {}, 0
      for i = 1, 32 do paths[i] = "/do?what=acquire&key=lease" .. round .. "&ttl=30" end
      for _, body in ipairs(server:together(paths)) do
        if body:find("^lease") then leases = leases + 1 else equal("false", body) end
      end
      equal(1, leases)
    end
  end)

  it("gives a lease its whole life, also in a worker that was kept busy", function() equal("true", (server:text "/kept_busy")) end)

  it("loses no record to a worker that was stopped in the middle of a save or delete, and goes on when others have the lock", function()
    equal("ok", (server:text "/stopped"))
  end)

  it("frees the lease of a killed worker after its life", function()
    local seen = false
    for _, ttl in ipairs { 1, 5, 25 } do -- a longer one where the machine was too slow to see the first
      local path, asked = "/do?what=acquire&key=dead" .. ttl .. "&ttl=", core.monotonic()
      local pid = yes((server:text(path .. ttl)):match("^lease of (%d+)$"))
      local held = core.monotonic()
      os.execute("kill -9 " .. pid)
      seen = processes.outlive(ttl, asked, held, function()
        local answer = yes(server:text(path .. 30, "--retry", "5", "--retry-all-errors", "--retry-delay", "0"), "answer")
        if answer ~= "false" then yes(answer:find("^lease"), answer) end
        return answer ~= "false"
      end, core.monotonic)
      if seen then break end
    end
    yes(seen, "the lease was seen held")
  end)

  it("keeps records and leases over a reload", function()
    yes(server:text "/do?what=save&key=kept&record=still")
    yes((server:text "/do?what=acquire&key=kept&ttl=30"):find("^lease"))
    local before = {}
    for _, pid in ipairs(server:workers()) do before[pid] = true end
    server:signal "HUP"
    local pid
    for _ = 1, 1000 do
      pid = (server:text "/ping" or ""):match("%d+")
      if pid and not before[pid] then break end
      process.sleep(0.02)
    end
    yes(pid and not before[pid], "a new worker answers")
    equal("still", (server:text "/do?what=load&key=kept"))
    equal("false", (server:text "/do?what=acquire&key=kept&ttl=30"))
  end)

  it("says that it is full, loses nothing, and works when there is room", function()
    local count
    for i = 1, 200 do
      local answer = server:text("/tight?what=save&key=k" .. i .. "&size=3000")
      if answer:find("^error") then
        equal("error store_full", answer)
        count = i - 1
        break
      end
    end
    yes(count and count > 5, "records before it was full")
    equal("error store_full", (server:text "/tight?what=save&key=k1&size=20000"))
    for i = 1, count do equal(3000, #server:text("/tight?what=load&key=k" .. i)) end
    for i = 2, count do equal("true", (server:text("/tight?what=delete&key=k" .. i))) end
    yes((server:text "/tight?what=save&key=k1&size=20000"):find("-", 1, true))
    equal(20000, #server:text("/tight?what=load&key=k1"))
  end)

  it("raises for a zone that is not there, and says what to write", function()
    local text = server:text "/missing"
    yes(text:find("lua_shared_dict no such", 1, true), text)
    yes(text:find("^init_by_lua:%d+:") or text:find('"init_by_lua"', 1, true) or text:find("init_by_lua", 1, true), text)
    yes((server:text "/nameless"):find("option 'name' is required", 1, true))
  end)

  it("is unsupported outside nginx", function()
    local store, err = shared_dict { name = "records" }
    equal(nil, store)
    equal("unsupported", err.kind)
    equal("not_in_nginx", err.code)
  end)

  it("wrote nothing alarming to nginx's log", function()
    local alarms = {}
    for line in server:log():gmatch("[^\n]+") do
      if line:find("%[error%]") or line:find("%[crit%]") or line:find("%[emerg%]") then alarms[#alarms + 1] = line end
    end
    equal("", table.concat(alarms, "\n"))
  end)
end)
