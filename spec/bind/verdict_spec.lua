-- SPDX-License-Identifier: MIT
-- Verdicts at their edges: which statuses leave a refresh token in doubt, which refuse a call's token, and what a verdict leaves behind.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local json, plain, run = support.json, support.plain, support.run

local function unknown(session) return core.inside.state(session).unknown end

describe("a refresh token that works once", function()
  it("may be spent after any 2xx that is no set of tokens and after 5xx, not after a refusal", function()
    for status, doubt in pairs {
      [200] = true, [204] = true, [299] = true, [300] = false, [302] = false, [400] = false, [401] = false, [429] = false, [499] = false,
        [408] = true, [409] = false, [425] = true, [426] = false,
      [500] = true, [502] = true, [503] = false, [504] = true, [599] = true,
    } do
      local session = support.open("pkb", { tokens = support.tokens() })
      local tokens, err = run(session, "refresh", nil, plain(status, "no"))
      assert.is_nil(tokens)
      assert.equal("answered", err.outcome)
      assert.equal(doubt, unknown(session), status)
    end
  end)

  it("is never in doubt where it may be sent again, or where another operation failed", function()
    local ehealth = support.open("ehealth", { tokens = support.tokens() })
    run(ehealth, "refresh", nil, plain(500))
    assert.is_false(unknown(ehealth))
    local pkb = support.open("pkb", { tokens = support.tokens() })
    run(pkb, "exchange", { code = "c" }, plain(500))
    run(pkb, "call", { method = "GET", url = "/x" }, plain(500))
    for operation, args in pairs { exchange = { code = "c" }, call = { method = "GET", url = "/x" } } do
      assert(support.begin(pkb, operation, args)):fail { kind = "network", code = "connection_lost", outcome = "unknown" }
    end
    assert.is_false(unknown(pkb))
  end)

  it("is out of doubt when another set is restored", function()
    local session = support.open("pkb", { tokens = support.tokens() })
    run(session, "refresh", nil, plain(500))
    assert.is_true(session:restore(support.tokens { refresh_token = "another" }))
    assert.is_false(unknown(session))
  end)

  it("is out of doubt after a good answer, and after a logout", function()
    for operation, response in pairs {
      refresh = json(200, { access_token = "a", token_type = "bearer" }), exchange = json(200, { access_token = "a",
        token_type = "bearer" }),
    } do
      local session = support.open("pkb", { tokens = support.tokens() })
      run(session, "refresh", nil, plain(500))
      assert.is_true(unknown(session))
      assert.is_truthy(run(session, operation, operation == "exchange" and { code = "c" } or nil, response))
      assert.is_false(unknown(session))
    end
  end)

  it("is out of doubt when the tokens are revoked", function()
    local session = healthauth.session(healthauth.provider {
      name = "acme", environments = { x = "https://acme.example" },
      operations = {
        refresh = { method = "POST", path = "/t", body = "form", fields = { refresh_token = "$argument.refresh_token" }, success = { 200 },
          tokens = "oauth", resend = "never" },
        logout = { method = "POST", path = "/revoke", body = "form", fields = { token = "$argument.token" }, success = { 200 } },
      },
    }, { environment = "x", tokens = support.tokens(), clock = support.clock })
    run(session, "refresh", nil, plain(500))
    assert.is_true(unknown(session))
    assert.is_true((run(session, "logout", nil, plain(200))))
    assert.is_false(unknown(session))
    assert.is_false(core.inside.state(session).has_token)
  end)
end)

describe("a response", function()
  it("of 200 that says no shows no secret in its document", function()
    for operation, args in pairs { verify = { token = "planted-verify-token-1" }, check = {}, exchange = { access_code = "C0DE" } } do
      local session = support.open "conneqt"
      local document = { error = "x", error_description = "planted-api-key-1", access_token = "short", more = { "planted-api-key-1" } }
      local result, err = run(session, operation, args, json(200, document))
      assert.is_nil(result)
      assert.same({ "denied", "x" }, { err.kind, err.code })
      assert.same({ error = "x", error_description = "[secret]", access_token = "[secret]", more = { "[secret]" } }, err.document)
    end
  end)
end)

describe("a rule of refusals", function()
  it("is about its own dialect", function()
    local provider = healthauth.provider {
      name = "acme", environments = { x = "https://acme.example" },
      operations = {
        exchange = { method = "POST", path = "/t", body = "form", fields = { code = "$argument.code" }, success = { 200 },
          tokens = "oauth" },
      },
      errors = { { dialect = "oauth", when = "trouble", action = "give_up" } },
    }
    for action, response in pairs {
      give_up = json(400, { error = "trouble" }), fix_request = json(400, { meta = {}, error = { type = "trouble" } }),
      fix_credentials = json(401, { type = "https://x.example/trouble" }),
    } do
      local session = healthauth.session(provider, { environment = "x", clock = support.clock })
      local _, err = run(session, "exchange", { code = "c" }, response)
      assert.same({ "denied", "trouble", action }, { err.kind, err.code, err.action })
    end
  end)
end)

describe("begin", function()
  it("needs no arguments where the operation has none", function()
    for name, operation in pairs { conneqt = "check", pkb = "refresh", pkb_system = "exchange", ehealth = "logout" } do
      local session = support.open(name, { tokens = support.tokens() })
      assert.is_truthy(session:begin(operation))
    end
  end)

  it("is refused while a changing exchange is open, also when a finished one is collected meanwhile", function()
    local session = support.open("ehealth", { tokens = support.tokens() })
    for _, ended in ipairs { "finish", "fail" } do
      local first = assert(support.begin(session, "refresh"))
      if ended == "finish" then first:finish(plain(500))
      else first:fail { kind = "network", code = "connect_failed", outcome = "not_sent" } end
      local second = assert(support.begin(session, "refresh"))
      first = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      local third, err = support.begin(session, "refresh")
      assert.is_nil(third)
      assert.equal("exchange_open", err.code)
      second:finish(plain(500))
    end
  end)
end)

describe("a call", function()
  local function declared(rule)
    return healthauth.session(healthauth.provider {
      name = "acme", environments = { x = "https://acme.example" },
      operations = {
        refresh = { method = "POST", path = "/t", body = "form", fields = { refresh_token = "$argument.refresh_token" }, success = { 200 },
          tokens = "oauth" },
      },
      call = { expired = { rule } },
    }, { environment = "x", tokens = support.tokens(), clock = support.clock })
  end

  local function call(session, response)
    local result, err = run(session, "call", { method = "GET", url = "/x" }, response)
    return result and "response" or err.token_refused and "refused" or "failed", err
  end

  it("has its token refused by a 4xx alone, whatever the rule says", function()
    local session = declared { dialect = "oauth", when = "invalid_token" }
    for status, wanted in pairs {
      [200] = "response", [201] = "response", [302] = "response", [399] = "response", [400] = "refused", [401] = "refused",
      [403] = "refused", [499] = "refused", [500] = "response", [503] = "response",
    } do
      assert.equal(wanted, (call(session, json(status, { error = "invalid_token" }))), status)
      assert.equal("response", (call(session, json(status, { error = "other" }))), status)
    end
  end)

  it("refused by its status alone is told by what a challenge says, if there is one", function()
    local session = declared { status = 401 }
    local refused, err = call(session, plain(401))
    assert.equal("refused", refused)
    assert.same({ "http", "http_401", "fix_credentials" }, { err.kind, err.code, err.action })
    for word, action in pairs { invalid_token = "reauthorize", insufficient_scope = "give_up", something = "fix_credentials",
      server_error = "fix_credentials" } do
      local response = plain(401)
      response.headers[#response.headers + 1] = { "WWW-Authenticate", 'Bearer error="' .. word .. '"' }
      refused, err = call(session, response)
      assert.equal("refused", refused)
      assert.same({ "denied", word, action }, { err.kind, err.code, err.action })
    end
    assert.equal("response", (call(session, plain(403))))
  end)
end)
