-- SPDX-License-Identifier: MIT
-- Patients Know Best, system clients: client credentials with HTTP Basic on a host of their own.

local core = require "healthauth.core"
local support = require "spec.support.scripted"

local NOW = support.NOW
local json, run = support.json, support.run

describe("pkb_system", function()
  it("gets a token with HTTP Basic, id and secret form-encoded first", function()
    local session = support.open("pkb_system", { client_id = "a:b", client_secret = "s+e/c:100%=", scope = "x-all" })
    local sent = assert(support.begin(session, "exchange")):request()
    assert.same({ "POST", "https://pkb.example/api/oauth/token" }, { sent.method, sent.url })
    assert.same({ grant_type = "client_credentials", scope = "x-all" }, core.form_decode(sent.body))
    assert.equal("Basic " .. core.base64 "a%3Ab:s%2Be%2Fc%3A100%25%3D", (support.header(sent, "Authorization")))
    assert.same({ "accept", "authorization", "content-type", "user-agent", "x-request-id" }, support.header_names(sent))
  end)

  it("has a sandbox of its own", function()
    local session = support.open("pkb_system", { base_url = false, environment = "sandbox" })
    assert.equal("https://oauth2.sandbox.patientsknowbest.com/api/oauth/token", assert(support.begin(session, "exchange")):request().url)
  end)

  it("takes no code, and a scope by argument", function()
    local session = support.open "pkb_system"
    assert.matches("unknown argument 'code'", support.raised_here(function() session:exchange { code = "c" } end))
    assert.equal("grant_type=client_credentials&scope=y", assert(support.begin(session, "exchange", { scope = "y" })):request().body)
    assert.equal("grant_type=client_credentials", assert(support.begin(support.open "pkb_system", "exchange")):request().body)
  end)

  it("keeps what the server says beside the token", function()
    local tokens = assert(run(support.open "pkb_system", "exchange", {}, json(200,
      '{"access_token":"abcdef","token_type":"bearer","expires_in":3599,"scope":"4e4a-all","client_name":"A clinic","jti":"24eb"}')))
    assert.same({
      access_token = "abcdef", token_type = "bearer", expires_at = NOW + 3599, scope = "4e4a-all",
      extra = { client_name = "A clinic", jti = "24eb" },
    }, tokens)
  end)

  it("says that the credentials are wrong", function()
    local _, err = run(support.open "pkb_system", "exchange", {}, json(401, {
      error = "unauthorized", error_description = "Full authentication is required to access this resource",
    }))
    assert.same({ "denied", "unauthorized", "fix_credentials", "answered" }, support.brief(err))
  end)

  it("has its access_token exchange anew, also after a lost answer: nothing is spent", function()
    local good = json(200, { access_token = "fresh", token_type = "bearer", expires_in = 600 })
    local transport = support.script({ failure = { kind = "timeout", code = "timeout", outcome = "unknown" } }, good)
    local session = support.open("pkb_system", { transport = transport })
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "timeout", "timeout", "retry", "unknown" }, support.brief(err))
    assert.equal("fresh", session:access_token())
  end)

  it("gets a new token for a call that was refused for its age", function()
    local expired = json(401, "")
    expired.headers = { { "WWW-Authenticate", 'Bearer error="invalid_token"' } }
    local good = json(200, { access_token = "fresh", token_type = "bearer", expires_in = 600 })
    local transport = support.script(expired, good, json(200, {}))
    local session = support.open("pkb_system", { tokens = { access_token = "old" }, transport = transport })
    assert.equal(200, assert(session:call { url = "/fhir/Patient" }).status)
    assert.equal("Bearer fresh", (support.header(transport.sent[3], "Authorization")))
  end)

  it("has no refresh and no login page", function()
    local session = support.open "pkb_system"
    for _, verb in ipairs { "refresh", "authorize_url", "verify", "check" } do
      local result, err = session[verb](session, verb == "verify" and "some-token" or nil)
      assert.is_nil(result)
      assert.same({ "unsupported", "pkb_system", verb }, { err.kind, err.provider, err.operation })
    end
  end)
end)
