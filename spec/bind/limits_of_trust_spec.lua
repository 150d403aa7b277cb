-- SPDX-License-Identifier: MIT
-- Who gets a token, which texts of a stranger are shown, and what counts as the same: each with its nearest neighbour that does not.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local json, run = support.json, support.run

describe("a call's token", function()
  local function declared(options, origins)
    local all = { environment = "x", tokens = support.tokens(), clock = support.clock }
    for name, value in pairs(options or {}) do all[name] = value end
    return healthauth.session(healthauth.provider {
      name = "acme", environments = { x = "https://acme.example" }, call = { origins = origins },
      operations = {
        refresh = { method = "POST", path = "/t", body = "form", fields = { refresh_token = "$argument.refresh_token" }, success = { 200 },
          tokens = "oauth" },
      },
    }, all)
  end

  local NAMED = { "https://api.example:8443", "https://files.example" }
  local GOOD = { "https://acme.example/x", "/x", "https://api.example:8443/x", "https://files.example/x", "https://FILES.example:443/x" }
  local BAD = { "https://evil.example/x", "https://api.example/x", "https://api.example:8444/x", "https://files.example:8443/x",
    "http://files.example/x", "https://files.example.evil.example/x", "https://xfiles.example/x" }

  for where, session in pairs {
    ["the options name"] = function() return declared({ origins = NAMED }) end,
    ["the declaration names"] = function() return declared(nil, NAMED) end,
    ["both name"] = function() return declared({ origins = { NAMED[1] } }, { NAMED[2] }) end,
  } do
    it("goes to the origins that " .. where .. ", and to no other", function()
      for _, url in ipairs(GOOD) do
        local exchange = assert(support.begin(session(), "call", { method = "GET", url = url }))
        assert.equal("Bearer planted-access-token-1", (support.header(exchange:request(), "Authorization")))
      end
      for _, url in ipairs(BAD) do
        local exchange, err = support.begin(session(), "call", { method = "GET", url = url })
        assert.is_nil(exchange, url)
        assert.same({ "argument", "origin_refused" }, { err.kind, err.code })
        assert.matches("origin", err.message)
      end
    end)
  end
end)

describe("a failure that a transport tells", function()
  local function failed(failure)
    local session = support.open("pkb", { tokens = support.tokens() })
    local _, err = assert(support.begin(session, "refresh")):fail(failure)
    return err
  end

  it("shows no secret in its code or message", function()
    local session = support.open("ehealth", { client_secret = "planted_secret_1" })
    local exchange = assert(support.begin(session, "exchange", { code = "planted_code_1", redirect_uri = "https://client.example/cb" }))
    local _, err = exchange:fail { kind = "network", code = "planted_secret_1", message = "planted_code_1", outcome = "unknown" }
    assert.same({ "_secret_", "[secret]" }, { err.code, err.message })
  end)

  it("has the transport's own code, and says what to do about a call that would block", function()
    assert.equal("some_code", failed({ kind = "network", code = "some_code", outcome = "not_sent" }).code)
    assert.equal("fix_request", failed({ kind = "argument", code = "would_block", outcome = "not_sent" }).action)
    assert.equal("fix_request", failed({ kind = "network", code = "would_block", outcome = "not_sent" }).action)
    assert.equal("retry", failed({ kind = "network", code = "would_blocks", outcome = "not_sent" }).action)
  end)
end)

describe("a refused callback", function()
  it("has the provider's description as its message", function()
    local session = support.open "pkb"
    local _, pending = assert(session:authorize_url())
    local function refused(more)
      local callback = "error=access_denied&state=" .. pending.state .. more
      return select(2, support.begin(session, "exchange", { callback = callback, pending = pending }))
    end
    local err = refused "&error_description=The+person+said+no"
    assert.same({ "The person said no", "The person said no" }, { err.message, err.detail })
    err = refused ""
    assert.same({ "the provider did not authorize" }, { err.message, err.detail })
  end)
end)

describe("a pending", function()
  local function begun(changes)
    local session = support.open "pkb"
    local _, pending = assert(session:authorize_url { scope = "PATIENT" })
    for name, value in pairs(changes) do pending[name] = value end
    return support.begin(session, "exchange", { callback = "code=c&state=" .. core.percent_encode(pending.state), pending = pending })
  end

  it("has a state of 22 characters at least, and texts of any printable byte", function()
    assert.is_truthy(begun { state = ("s"):rep(22) })
    assert.is_truthy(begun { scope = "a b~c" })
    for _, changes in ipairs { { state = ("s"):rep(21) }, { scope = "a\31b" }, { scope = "a\127b" }, { scope = ("s"):rep(8193) } } do
      local exchange, err = begun(changes)
      assert.is_nil(exchange)
      assert.equal("pending_malformed", err.code)
    end
    assert.is_truthy(begun { scope = ("s"):rep(8192) })
  end)
end)

describe("tokens", function()
  it("may belong to a person of any name", function()
    local tokens = assert(run(support.open "ehealth", "exchange", { code = "c", redirect_uri = "https://client.example/cb" },
      json(201, { data = { value = "a", name = "Лікар Олена K. ~" } })))
    assert.equal("Лікар Олена K. ~", tokens.name)
  end)

  it("without a scope have the one that was asked for: nothing differs", function()
    for scope, differs in pairs { [""] = false, OTHER = true, PATIENT = false } do
      local session = support.open "pkb"
      local body = { access_token = "a", token_type = "bearer", scope = scope ~= "" and scope or nil }
      assert(run(session, "exchange", { code = "c", scope = "PATIENT" }, json(200, body)))
      assert.equal(differs, core.inside.state(session).scope_differs, scope)
    end
  end)

  it("say what is wrong with them: missing, or of a wrong type", function()
    local function message(body) return select(2, run(support.open "pkb", "exchange", { code = "c" }, json(200, body))).message end
    assert.matches("lacks", message { token_type = "bearer" })
    assert.matches("wrong", message { access_token = 5, token_type = "bearer" })
  end)
end)
