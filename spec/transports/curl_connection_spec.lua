-- SPDX-License-Identifier: MIT
-- The curl transport's connections and its objects: what is used again, what is not, what closing means.

local curl = require "healthauth.transports.curl"
local process = require "spec.support.process"
local run = require "spec.hostile.run"
local script = require "spec.hostile.script"

local cases = { script.case("plain", { script.GOOD, { "keep" } }, { status = 200, body = "{}" }) }

describe("the curl transport's", function()
  local hostile, transport

  setup(function()
    hostile = run.start(cases)
    transport = curl {}
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if transport then transport:close() end
  end)

  local function request(changes)
    local out = hostile:request(cases[1], "http")
    for name, value in pairs(changes or {}) do out[name] = value end
    return out
  end

  describe("connections", function()
    local function link(t, listener)
      return assert(hostile:get(t, "/link", listener)).body
    end

    for _, listener in ipairs { "http", "https" } do
      it("are used again on " .. listener, function()
        local first = link(transport, listener)
        for _ = 1, 5 do assert.are.equal(first, link(transport, listener)) end
        assert(transport:perform(request { url = hostile:url(listener, "/good"), method = "POST", body = "a=b", tls = hostile:tls() }))
        assert.are.equal(first, link(transport, listener))
      end)
    end

    it("are new for a request with effects that has no body", function()
      local first = link(transport)
      local other = assert(transport:perform(request { url = hostile:url("http", "/link"), method = "POST" })).body
      assert.are_not.equal(first, other)
    end)

    it("live on when another origin cannot be reached", function()
      local first = link(transport)
      local response, failure = transport:perform(request { url = hostile:url("refused", "/", "http") })
      assert.is_nil(response)
      assert.are.equal("not_sent", failure.outcome)
      assert.are.equal(first, link(transport))
    end)

    it("are not shared by transports", function()
      local second = curl {}
      assert.are_not.equal(link(transport), link(second))
      second:close()
    end)

    it("are not used for requests with another identity", function()
      local function with(tls) return assert(transport:perform(request { url = hostile:url("https", "/link"), tls = tls })).body end
      local plain = hostile:tls()
      local first = with(plain)
      assert.are.equal(first, with(plain))
      for _, changes in ipairs {
        { cert_file = hostile.folder .. "/client.pem", key_file = hostile.folder .. "/client.key" },
        { cert_file = hostile.folder .. "/client.pem", key_file = hostile.folder .. "/client_locked.key", key_password = "key-password" },
        { min_version = "1.3" }, { ca_path = hostile.folder .. "/ca_path" },
      } do
        local tls = hostile:tls()
        for name, value in pairs(changes) do tls[name] = value end
        local next_one = with(tls)
        assert.are_not.equal(first, next_one)
        first = next_one
      end
    end)

    it("end with close, which may be repeated", function()
      local mine = curl {}
      assert.are.equal(200, assert(hostile:get(mine, "/good")).status)
      assert.is_true(mine:close())
      assert.is_true(mine:close())
      local response, failure = hostile:get(mine, "/good")
      assert.is_nil(response)
      assert.are.same({ "network", "connect_failed", "not_sent" }, { failure.kind, failure.code, failure.outcome })
      assert.matches("closed", tostring(mine))
    end)
  end)

  describe("handle", function()
    local module = require "healthauth.curl"

    it("says what it is, and that it is closed", function()
      local handle = module.new {}
      assert.are.equal("healthauth.curl", tostring(handle))
      handle:close()
      handle:close()
      assert.are.equal("healthauth.curl (closed)", tostring(handle))
      local good, why = pcall(handle.perform, handle, request())
      assert.is_false(good)
      assert.matches("closed", why)
    end)

    it("takes no options and no foreign self", function()
      assert.is_false(pcall(module.new, { timeout = 5 }))
      assert.is_false(pcall(module.new, 5))
      local handle = module.new()
      for _, self in ipairs { {}, 5, "x", io.stdout, print } do
        assert.is_false(pcall(handle.perform, self, request()))
        assert.is_false(pcall(handle.close, self))
      end
      assert.is_false(pcall(handle.perform, handle))
      assert.is_false(pcall(handle.perform, handle, "GET"))
      handle:close()
    end)

    it("hides its metatable", function()
      assert.are.equal("healthauth.curl", getmetatable(module.new()))
    end)

    it("closed by a finaliser while the request is read sends nothing", function()
      local handle = module.new()
      local changes = request()
      local before = hostile:count(transport, "plain")
      local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 100000000)
      collectgarbage("stop")
      local function close() handle:close() end
      if _VERSION == "Lua 5.1" then
        getmetatable(rawget(_G, "newproxy")(true)).__gc = close
      else
        setmetatable({}, { __gc = close })
      end
      collectgarbage("restart") -- the next allocation collects: the one that perform makes first
      local good, why = pcall(handle.perform, handle, changes)
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", step)
      assert.is_false(good)
      assert.matches("closed", why)
      assert.are.equal(before, hostile:count(transport, "plain"))
    end)
  end)

  describe("constructor", function()
    it("refuses an unknown option by name", function()
      local good, why = pcall(curl, { tiemout = 5 })
      assert.is_false(good)
      assert.matches("unknown option 'tiemout'", why, 1, true)
      assert.is_false(pcall(curl, "x"))
    end)

    it("gives one shared transport until that is closed", function()
      local first = curl.shared()
      assert.are.equal(first, curl.shared())
      first:close()
      assert.are_not.equal(first, curl.shared())
    end)

    it("loads libcurl with the first request only", function()
      local child = [[
        local curl = require "healthauth.transports.curl"
        local transport = curl {}
        local function mapped()
          local file = assert(io.open("/proc/self/maps"))
          local text = file:read("*a")
          file:close()
          return text:find("libcurl", 1, true) ~= nil
        end
        io.write(tostring(mapped()), " ")
        transport:perform { method = "GET", url = "http://localhost:1/", timeout = 1 }
        io.write(tostring(mapped()))
      ]]
      local status, out = process.run { process.runtime, "-e", child }
      assert.are.equal(0, status)
      assert.are.equal("false true", out)
    end)
  end)
end)
