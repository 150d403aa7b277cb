-- SPDX-License-Identifier: MIT
-- What is said where a module of ours is not installed, or its library is not: never "attempt to call a nil value", never "it raised".

local healthauth = require "healthauth"
local process = require "spec.support.process"

describe("a module that is not there", function()
  local folder, path, cpath, hidden
  setup(function() folder = process.folder() end)
  teardown(function() process.remove(folder) end)

  -- As in a place that has the core alone.
  before_each(function()
    path, cpath, hidden = package.path, package.cpath, {}
    for name, module in pairs(package.loaded) do
      if name:find "^healthauth%.curl" or name:find "^healthauth%.sqlite" or name:find "hiredis" or name == "healthauth.stores.sqlite" then
        hidden[name] = module
        package.loaded[name] = nil
      end
    end
    hidden["healthauth.stores.sqlite"] = hidden["healthauth.stores.sqlite"] or rawget(healthauth.stores, "sqlite")
    rawset(healthauth.stores, "sqlite", nil)
    package.cpath = folder .. "/?.so"
  end)

  after_each(function()
    package.path, package.cpath = path, cpath
    for name, module in pairs(hidden) do package.loaded[name] = module end
    os.remove(folder .. "/healthauth/curl.so")
    os.remove(folder .. "/healthauth/hiredis.so")
  end)

  -- A file that no loader can load, as when the library behind it is missing.
  local function break_module(name)
    process.capture("mkdir -p " .. folder .. "/healthauth")
    process.write(folder .. "/healthauth/" .. name .. ".so", "this is no module")
  end

  for _, case in ipairs { { "missing", function() end, "is not installed" }, { "unusable", break_module, "cannot be loaded: " } } do
    it("(" .. case[1] .. ") is named by the request that needs libcurl, and nothing counts as sent", function()
      case[2] "curl"
      local transport = healthauth.transports.curl {}
      local session = assert(healthauth.pkb { environment = "sandbox", client_id = "me", transport = transport,
        tokens = { access_token = "abc", expires_at = 1, refresh_token = "once" } })
      for _ = 1, 2 do
        local token, err = session:access_token()
        assert.is_nil(token)
        assert.same({ "unsupported", "no_curl", "not_sent", "fix_request" }, { err.kind, err.code, err.outcome, err.action })
        assert.is_truthy(err.message:find("healthauth.curl " .. case[3], 1, true), err.message)
      end
      assert.equal("once", session:tokens().refresh_token)
    end)

    it("(" .. case[1] .. ") makes the Redis store say what to install", function()
      case[2] "hiredis"
      local store, err = healthauth.stores.redis { host = "127.0.0.1" }
      assert.is_nil(store)
      assert.same({ "unsupported", "no_redis_client", "not_sent", "fix_request" }, { err.kind, err.code, err.outcome, err.action })
      assert.is_truthy(err.message:find("healthauth-redis", 1, true), err.message)
    end)
  end

  it("is told apart from a name that nothing has", function()
    for _, lua_files in ipairs { path, folder .. "/?.lua" } do -- without the module; without the whole rock
      package.path = lua_files
      local fine, message = pcall(function() return healthauth.stores.sqlite { path = "never" } end)
      assert.is_false(fine)
      assert.is_truthy(message:find("healthauth.stores.sqlite is not installed: it is the rock healthauth-sqlite", 1, true), message)
      assert.is_truthy(message:find "absent_spec")
      assert.is_nil(healthauth.stores.sqllite)
      assert.is_nil(healthauth.transports.crul)
    end
  end)
end)
