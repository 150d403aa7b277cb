-- SPDX-License-Identifier: MIT
-- Patients Know Best, user clients: a public client, rotating single-use refresh tokens, scopes without case.

local core = require "healthauth.core"
local support = require "spec.support.scripted"

local NOW = support.NOW
local json, plain, run = support.json, support.plain, support.run

local function request(operation, args, changes)
  local all = { tokens = support.tokens() }
  for k, v in pairs(changes or {}) do all[k] = v end
  return assert(support.begin(support.open("pkb", all), operation, args)):request()
end

describe("pkb", function()
  it("exchanges a code by a form without a client secret", function()
    local sent = request("exchange", { code = "c0de", redirect_uri = "https://client.example/cb?a=1" })
    assert.same({ "POST", "https://pkb.example/apiToken.action" }, { sent.method, sent.url })
    assert.same({ grant_type = "authorization_code", client_id = "client-1", code = "c0de",
      redirect_uri = "https://client.example/cb?a=1" },
      core.form_decode(sent.body))
    assert.same({ "accept", "content-type", "user-agent", "x-request-id" }, support.header_names(sent))
    assert.equal("application/x-www-form-urlencoded", (support.header(sent, "Content-Type")))
  end)

  it("leaves redirect_uri out of both requests when there is none", function()
    local session = support.open("pkb", { redirect_uri = false })
    local url, pending = session:authorize_url()
    assert.is_nil(url:find("redirect_uri", 1, true))
    local exchange = assert(support.begin(session, "exchange", { callback = "code=c&state=" .. pending.state, pending = pending }))
    assert.is_nil(core.form_decode(exchange:request().body).redirect_uri)
  end)

  it("refreshes by a form, with a scope when one is given", function()
    assert.same({ grant_type = "refresh_token", client_id = "client-1", refresh_token = "planted-refresh-token-1" },
      core.form_decode(request("refresh").body))
    assert.same({ grant_type = "refresh_token", client_id = "client-1", refresh_token = "handed-over", scope = "SITE" },
      core.form_decode(request("refresh", { refresh_token = "handed-over", scope = "SITE" }).body))
  end)

  it("says SITE with every refresh of a Tethered Token's client, a person's scope never", function()
    for scope, said in pairs { SITE = "SITE", site = "site", PATIENT = false, CLINICIAN = false } do
      for _, value in ipairs { scope, function() return scope end } do
        local transport = support.script(support.json(200, { access_token = "a", token_type = "Bearer", refresh_token = "b" }))
        local session = support.open("pkb", { scope = value, tokens = support.tokens(), transport = transport })
        assert.is_truthy(session:refresh())
        assert.equal(said or nil, core.form_decode(transport.sent[1].body).scope)
      end
    end
  end)

  it("sends people to /apiAuthorize.action of the sandbox", function()
    local url = support.open("pkb", { base_url = false, environment = "sandbox" }):authorize_url { scope = "PATIENT" }
    assert.matches("^https://sandbox%.patientsknowbest%.com/apiAuthorize%.action%?", url)
  end)

  it("reports the scope as it came, and tells a different one only when more than its case differs", function()
    for _, case in ipairs { { "patient" }, { "PATIENT" }, { "Patient" }, { "CLINICIAN", "scope_differs" } } do
      local events = {}
      local session = support.open("pkb", {
        transport = support.script(json(200, { access_token = "a", token_type = "bearer", scope = case[1] })),
        on_event = function(event) events[#events + 1] = event end,
      })
      local _, pending = session:authorize_url { scope = "PATIENT" }
      local tokens = assert(session:exchange { callback = "code=c&state=" .. pending.state, pending = pending })
      assert.equal(case[1], tokens.scope)
      assert.equal(case[2], events[1].code)
    end
  end)

  it("never sends a refresh token twice by itself, whatever happens", function()
    for _, answer in ipairs {
      plain(500), plain(502), plain(200, "<html>", "text/html"), json(200, "{"), { failure = { kind = "timeout", code = "timeout",
        outcome = "unknown" } },
      function() error "transport" end, plain(204),
    } do
      local transport = support.script(answer)
      local session = support.open("pkb", { tokens = support.tokens { expires_at = NOW - 1 }, transport = transport })
      for _ = 1, 3 do
        local token, err = session:access_token()
        assert.is_nil(token)
        assert.equal("reauthorize", err.action)
      end
      assert.equal(1, #transport.sent)
    end
  end)

  it("may send it again when it never left, or when PKB said that it was too busy", function()
    local good = json(200, { access_token = "fresh", token_type = "bearer" })
    for _, answer in ipairs { plain(503), plain(429), { failure = { kind = "network", code = "connect_failed", outcome = "not_sent" } } } do
      local transport = support.script(answer, good)
      local session = support.open("pkb", { tokens = support.tokens { expires_at = NOW - 1 }, transport = transport })
      assert.is_nil((session:access_token()))
      assert.equal("fresh", session:access_token())
    end
  end)

  it("has no way to give a token up: logout forgets here, and says so", function()
    local transport = support.script()
    local session = support.open("pkb", { tokens = support.tokens(), transport = transport })
    assert.same({ true, "local" }, { session:logout() })
    assert.is_nil(session:tokens())
    assert.equal(0, #transport.sent)
  end)

  it("tells FHIR's reasons for a refusal", function()
    for code, action in pairs {
      ACC_TOKEN_EXPIRED = "reauthorize", API_SESSION_EXPIRED = "reauthorize", API_SESSION_INVALID = "reauthorize",
      BAD_AUTHENTICATION = "fix_credentials",
      USER_TYPE_NOT_PERM = "give_up", ACCESS_FROZEN_OUTWARD = "give_up", ACCESS_FROZEN_INWARD = "give_up", NO_ASSOCIATION = "give_up",
      NO_CONSENT = "give_up", NO_DECRYPT_KEY = "give_up", SHARING_DISABLED = "give_up",
    } do
      local outcome = { resourceType = "OperationOutcome", issue = { { details = { coding = { { code = code } } } } } }
      local _, err = run(support.open("pkb", { tokens = support.tokens() }), "refresh", {}, json(403, outcome))
      assert.same({ "denied", code:lower(), action }, { err.kind, err.code, err.action })
    end
  end)

  it("refreshes for a call only when the token has expired", function()
    local function outcome(code)
      return json(401, { resourceType = "OperationOutcome", issue = { { details = { coding = { { code = code } } } } } })
    end
    local good = json(200, { access_token = "fresh", token_type = "bearer" })
    local transport = support.script(outcome "ACC_TOKEN_EXPIRED", good, plain(200))
    local session = support.open("pkb", { tokens = support.tokens(), transport = transport })
    assert.equal(200, assert(session:call { url = "/fhir/Patient" }).status)
    for _, code in ipairs { "API_SESSION_EXPIRED", "BAD_AUTHENTICATION", "NO_CONSENT" } do
      transport = support.script(outcome(code))
      session = support.open("pkb", { tokens = support.tokens(), transport = transport })
      assert.equal(401, assert(session:call { url = "/fhir/Patient" }).status)
      assert.equal(1, #transport.sent)
    end
  end)
end)
