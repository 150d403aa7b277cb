-- SPDX-License-Identifier: MIT
-- Every public name of the contract is there and is what it says. Programs outside this repository are written against these.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

describe("healthauth", function()
  it("has its version", function()
    assert.matches("^%d+%.%d+%.%d+", healthauth._VERSION)
    assert.equal(core.version, healthauth._VERSION)
  end)

  for _, name in ipairs { "is_error", "provider", "session", "sessions", "conneqt", "ehealth", "pkb", "pkb_system", "trace" } do
    it("has the function " .. name, function() assert.equal("function", type(healthauth[name])) end)
  end

  for family, names in pairs {
    transports = { "curl", "replay", "record", "sandbox", "cosocket" }, stores = { "memory", "sqlite", "redis", "shared_dict", "sealed" },
  } do
    for _, name in ipairs(names) do
      it(("has the constructor %s.%s"):format(family, name), function()
        local constructor = healthauth[family][name]
        local meta = getmetatable(constructor)
        assert.is_truthy(type(constructor) == "function" or type(meta) == "table" and meta.__call)
      end)
    end
    it("has no other member in " .. family, function()
      for _, name in ipairs { "nothing", "", "common.x", "../x", "a/b", "%s" } do assert.is_nil(healthauth[family][name]) end
      assert.is_nil(healthauth[family][5])
    end)
  end

  it("has the sandbox and its credentials", function()
    for _, name in ipairs(support.PROVIDERS) do assert.equal("table", type(healthauth.sandbox.credentials[name])) end
    assert.equal("function", type(healthauth.sandbox.new))
    local transport = healthauth.transports.sandbox {}
    for _, name in ipairs { "perform", "close", "access_code", "consent" } do assert.equal("function", type(transport[name])) end
  end)

  it("has events.jsonl and no further name by chance", function()
    assert.equal("function", type(healthauth.events.jsonl))
    for _, name in ipairs { "verbs", "context", "perform", "pending", "mask", "lifecycle",
      "nothing" } do assert.is_nil(healthauth[name]) end
  end)

  it("sets no global", function()
    local before = {}
    for name in pairs(_G) do before[name] = true end
    for name in pairs(package.loaded) do
      if name:match "^healthauth" and not name:match "%.core$" then package.loaded[name] = nil end
    end
    require "healthauth"
    require "healthauth.sessions"
    require "healthauth.trace"
    for name in pairs(_G) do assert.is_truthy(before[name], name) end
  end)
end)

describe("a session", function()
  local VERBS = { "authorize_url", "exchange", "refresh", "access_token", "verify", "check", "call", "logout", "tokens", "restore",
    "close", "begin" }

  it("has the same verbs for every provider", function()
    for _, name in ipairs(support.PROVIDERS) do
      local session = support.open(name)
      for _, verb in ipairs(VERBS) do assert.equal("function", type(session[verb]), verb) end
      assert.is_nil(session.nothing)
    end
  end)

  it("has no method that is not in the contract", function()
    local known = {}
    for _, verb in ipairs(VERBS) do known[verb] = true end
    for name in pairs(core.session_methods) do assert.is_truthy(known[name], name) end
  end)

  it("answers for a verb that the provider has not got with unsupported, and sends nothing", function()
    local missing = {
      conneqt = { "authorize_url", "refresh", "call" }, ehealth = { "verify", "check" }, pkb = { "verify", "check" },
      pkb_system = { "authorize_url", "refresh", "verify", "check" },
    }
    for name, verbs in pairs(missing) do
      local transport = support.script()
      local session = support.open(name, { tokens = { access_token = "x" }, transport = transport })
      for _, verb in ipairs(verbs) do
        local result, err = session[verb](session)
        assert.is_nil(result)
        assert.same({ "unsupported", "operation_unsupported", "fix_request", "not_sent" }, support.brief(err))
        assert.same({ name, verb }, { err.provider, err.operation })
      end
      assert.equal(0, #transport.sent)
    end
  end)

  it("takes every option of the contract", function()
    local store = healthauth.stores.memory {}
    local options = support.options("pkb", {
      endpoints = { exchange = "/e", refresh = "https://a.example/r", authorize = "/a" }, tokens = support.tokens(),
      transport = support.script(),
      store = store, key = "sam", timeout = 15, connect_timeout = 5, limits = { body = 1048576, headers = 65536, depth = 32 },
      tls = { ca_file = "/a", ca_path = "/b", cert_file = "/c", key_file = "/d", key_password = "e", min_version = "1.2" },
      proxy = "http://user:password@proxy.example:3128", user_agent = "clinic/1", headers = { ["X-A"] = "b" },
      origins = { "https://a.example" },
      issuer = "https://pkb.example", pkce = true, margin = 60, lease = 20, max_wait = 20, on_event = function() end, scope = "PATIENT",
    })
    assert.is_true(assert(healthauth.pkb(options)):close())
  end)
end)

describe("healthauth.core", function()
  it("has what the Lua layer is written against", function()
    for _, name in ipairs {
      "error", "is_error", "sha256", "hmac_sha256", "random", "hex", "base64url", "base64url_decode", "base64", "seal", "unseal",
      "json_decode",
      "json_encode", "form_encode", "form_decode", "percent_encode", "percent_decode", "url", "time", "monotonic", "equal", "clean",
      "provider",
      "session", "authorize_url",
    } do
      assert.equal("function", type(core[name]), name)
    end
  end)
end)
