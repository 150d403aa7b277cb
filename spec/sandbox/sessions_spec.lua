-- SPDX-License-Identifier: MIT
-- Whole sessions against the sandbox in process, the way a developer without access to a provider uses it.

local healthauth = require "healthauth"

local function with(options, credentials)
  for name, value in pairs(credentials) do
    if options[name] == nil then options[name] = value end
  end
  return options
end

describe("a session over the sandbox transport", function()
  local transport
  before_each(function() transport = healthauth.transports.sandbox { seed = "spec" } end)

  local function open(name, environment)
    return healthauth[name](with({ environment = environment, transport = transport }, healthauth.sandbox.credentials[name]))
  end

  local function login(session, person)
    local url, pending = session:authorize_url {}
    assert(session:exchange { callback = assert(transport:consent(url, "allow", person)), pending = pending })
    return session
  end

  it("gets, verifies and loses a Conneqt token", function()
    local session = open("conneqt", "integration")
    assert.is_true(session:check())
    local code = transport:access_code()
    local tokens = assert(session:exchange { access_code = code })
    assert.is_true(session:verify(tokens.access_token))
    local again, err = session:exchange { access_code = code }
    assert.is_nil(again)
    assert.same({ "denied", "code_rejected", "reauthorize" }, { err.kind, err.code, err.action })
    transport:revoke(tokens.access_token)
    assert.is_false(session:verify(tokens.access_token))
  end)

  it("logs in to eHealth in every environment, refreshes and logs out", function()
    for _, environment in ipairs { "demo", "preprod", "production" } do
      local session = login(open("ehealth", environment))
      local before = session:tokens()
      local after = assert(session:refresh())
      assert.not_equal(before.access_token, after.access_token)
      assert.equal(before.refresh_token, after.refresh_token)
      assert.equal(200, assert(session:call { method = "GET", url = "/api/employees" }).status)
      assert.is_true((session:logout()))
      assert.is_nil(session:tokens())
    end
  end)

  it("logs in to PKB, and a call refreshes an expired token by itself", function()
    local session = login(open("pkb", "sandbox"))
    transport:expire(session:tokens().access_token)
    assert.equal(200, assert(session:call { method = "GET", url = "/fhir/Patient/1" }).status)
    assert.equal(1, transport:count("pkb.refresh"))
    assert.equal(0, transport:replays())
  end)

  it("tells a denial, and that a lost PKB refresh must not be sent again", function()
    local session = open("pkb", "sandbox")
    local url, pending = session:authorize_url { scope = "PATIENT" }
    local tokens, err = session:exchange { callback = assert(transport:consent(url, "deny")), pending = pending }
    assert.is_nil(tokens)
    assert.same({ "denied", "access_denied" }, { err.kind, err.code })
    login(session)
    transport:fault { kind = "lost_answer", operation = "refresh" }
    tokens, err = session:refresh()
    assert.is_nil(tokens)
    assert.same({ "network", "unknown", "reauthorize" }, { err.kind, err.outcome, err.action })
  end)

  it("serves the system client", function()
    local session = open("pkb_system", "sandbox")
    assert.is_nil(assert(session:exchange()).refresh_token)
    assert.equal(200, assert(session:call { method = "GET", url = "/fhir/Patient/1" }).status)
  end)

  it("tells two people apart", function()
    local sam, kim = login(open("pkb", "sandbox"), "sam"), login(open("pkb", "sandbox"), "kim")
    assert.matches('"person":"sam"', assert(sam:call { method = "GET", url = "/api/me" }).body)
    assert.matches('"person":"kim"', assert(kim:call { method = "GET", url = "/api/me" }).body)
  end)
end)
