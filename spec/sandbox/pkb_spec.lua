-- SPDX-License-Identifier: MIT
local core = require "healthauth.core"
local support = require "spec.sandbox.support"

local BASE = "https://sandbox.patientsknowbest.com"
local TOKEN = BASE .. "/apiToken.action"

describe("the PKB sandbox", function()
  local box, own
  before_each(function()
    box = support.sandbox()
    own = box.credentials.pkb
  end)

  local function authorize(more)
    local query = { response_type = "code", client_id = own.client_id, redirect_uri = own.redirect_uri, scope = "PATIENT", state = "S1" }
    for name, value in pairs(more or {}) do query[name] = value or nil end
    return BASE .. "/apiAuthorize.action?" .. core.form_encode(query)
  end

  local function exchange(more)
    local form = { grant_type = "authorization_code", client_id = own.client_id, redirect_uri = own.redirect_uri }
    for name, value in pairs(more or {}) do form[name] = value or nil end
    form.code = form.code or support.callback(assert(box:consent(authorize(), "allow"))).code
    return support.form(box, TOKEN, form)
  end

  local function refresh(token, more)
    local form = { grant_type = "refresh_token", client_id = own.client_id, refresh_token = token }
    for name, value in pairs(more or {}) do form[name] = value or nil end
    return support.form(box, TOKEN, form)
  end

  local function patient(token)
    return support.get(box, BASE .. "/fhir/Patient/1", { Authorization = "Bearer " .. token })
  end

  local function refused(answer, status, code)
    assert.equal(status, answer.status)
    assert.equal(code, support.decoded(answer).error)
  end

  local function outcome(answer, status, code)
    assert.equal(status, answer.status)
    local document = support.decoded(answer)
    assert.equal("OperationOutcome", document.resourceType)
    assert.equal(code, document.issue[1].details.coding[1].code)
    return document.issue[1]
  end

  describe("authorize page", function()
    it("sends the person back with code and state, or with the denial", function()
      local query, base = support.callback(assert(box:consent(authorize(), "allow")))
      assert.equal(own.redirect_uri, base)
      assert.equal("S1", query.state)
      assert.equal(22, #query.code)
      query = support.callback(assert(box:consent(authorize(), "deny")))
      assert.same({ error = "access_denied", state = "S1" }, query)
    end)

    it("may leave a denied person on its page", function()
      box = support.sandbox { pkb = { deny = "page" } }
      assert.is_nil((box:consent(authorize(), "deny")))
    end)

    it("takes further parameters on the registered redirect_uri, and no other address", function()
      assert.matches("cb%?clinic=7&code=", assert(box:consent(authorize { redirect_uri = own.redirect_uri .. "?clinic=7" }, "allow")))
      for _, uri in ipairs { own.redirect_uri .. "x", own.redirect_uri .. "/x", "https://evil.example/cb" } do
        assert.is_nil((box:consent(authorize { redirect_uri = uri }, "allow")), uri)
      end
    end)

    it("shows an HTML page without redirect for a bad request", function()
      for _, wrong in ipairs { { client_id = "x" }, { response_type = " code" }, { scope = "ADMIN" } } do
        local answer = support.get(box, authorize(wrong))
        assert.equal(400, answer.status)
        assert.matches("^text/html", support.header(answer, "Content-Type"))
        assert.is_nil(support.header(answer, "Location"))
      end
    end)

    it("escapes what it shows", function()
      local page = support.get(box, authorize { state = '"><script>' })
      assert.is_nil(page.body:find("<script>", 1, true))
    end)
  end)

  describe("code exchange", function()
    it("answers as RFC 6749 says, the scope in lower case", function()
      local answer = exchange()
      assert.equal(200, answer.status)
      assert.equal("application/json;charset=UTF-8", support.header(answer, "Content-Type"))
      assert.equal("no-store", support.header(answer, "Cache-Control"))
      local tokens = support.decoded(answer)
      assert.equal("Bearer", tokens.token_type)
      assert.equal(600, tokens.expires_in)
      assert.equal("patient", tokens.scope)
      assert.equal(22, #tokens.refresh_token)
    end)

    it("binds a code to its client and redirect_uri, once and for five minutes", function()
      refused(exchange { code = "unknown" }, 400, "invalid_grant")
      refused(exchange { client_id = box.specimens.pkb.other.client_id }, 400, "invalid_grant")
      refused(exchange { redirect_uri = own.redirect_uri .. "?x=1" }, 400, "invalid_grant")
      refused(exchange { redirect_uri = false }, 400, "invalid_grant")
      local code = support.callback(assert(box:consent(authorize(), "allow"))).code
      assert.equal(200, exchange({ code = code }).status)
      refused(exchange { code = code }, 400, "invalid_grant")
      code = support.callback(assert(box:consent(authorize(), "allow"))).code
      box:advance(300)
      refused(exchange { code = code }, 400, "invalid_grant")
    end)

    it("does not need a redirect_uri that was not given before", function()
      local code = support.callback(assert(box:consent(authorize { redirect_uri = false }, "allow"))).code
      assert.equal(200, exchange({ code = code, redirect_uri = false }).status)
    end)

    it("refuses bad forms as RFC 6749 5.2 words it", function()
      refused(support.form(box, TOKEN, { grant_type = "authorization_code" }), 400, "invalid_request")
      refused(support.form(box, TOKEN, { grant_type = "authorization_code", client_id = "x" }), 401, "invalid_client")
      refused(support.form(box, TOKEN, { grant_type = "password", client_id = own.client_id }), 400, "unsupported_grant_type")
      refused(support.form(box, TOKEN, { { "grant_type", "a" }, { "grant_type", "b" }, { "client_id", own.client_id } }),
        400, "invalid_request")
      refused(support.json(box, TOKEN, { grant_type = "authorization_code" }), 400, "invalid_request")
    end)
  end)

  describe("refresh", function()
    local first
    before_each(function() first = support.decoded(exchange()) end)

    it("rotates: a new pair, the scope in capitals", function()
      local answer = refresh(first.refresh_token)
      assert.equal(200, answer.status)
      local second = support.decoded(answer)
      assert.not_equal(first.access_token, second.access_token)
      assert.not_equal(first.refresh_token, second.refresh_token)
      assert.equal("PATIENT", second.scope)
      assert.equal(200, patient(second.access_token).status)
      assert.equal(0, box:replays())
    end)

    it("kills the whole session when a refresh token comes twice", function()
      local second = support.decoded(refresh(first.refresh_token))
      refused(refresh(first.refresh_token), 400, "invalid_grant")
      assert.equal(1, box:replays())
      refused(refresh(second.refresh_token), 400, "invalid_grant")
      for _, token in ipairs { first.access_token, second.access_token } do
        assert.equal("security", outcome(patient(token), 401, "API_SESSION_INVALID").code)
      end
      assert.equal(3, box:count("pkb.refresh"))
    end)

    it("kills only that person's session", function()
      local other = support.decoded(exchange())
      refresh(first.refresh_token)
      refresh(first.refresh_token)
      assert.equal(200, patient(other.access_token).status)
    end)

    it("leaves the refresh token out when the access token outlives the session", function()
      box = support.sandbox { pkb = { session_lifetime = 900 } }
      first = support.decoded(exchange())
      box:advance(400)
      local last = support.decoded(refresh(first.refresh_token))
      assert.is_nil(last.refresh_token)
      box:advance(500)
      outcome(patient(last.access_token), 401, "API_SESSION_EXPIRED")
    end)

    it("refuses another client, another scope and a session that ended", function()
      refused(refresh(first.refresh_token, { client_id = box.specimens.pkb.other.client_id }), 400, "invalid_grant")
      refused(refresh(first.refresh_token, { scope = "CLINICIAN" }), 400, "invalid_scope")
      assert.equal(200, refresh(first.refresh_token, { scope = "patient" }).status)
      box:advance(8 * 3600)
      refused(refresh(support.decoded(exchange()).refresh_token, { scope = "CLINICIAN" }), 400, "invalid_scope")
    end)
  end)

  describe("FHIR and REST", function()
    local token
    before_each(function() token = support.decoded(exchange()).access_token end)

    it("answer a valid bearer", function()
      local answer = patient(token)
      assert.equal("application/fhir+json;charset=UTF-8", support.header(answer, "Content-Type"))
      assert.equal("Patient", support.decoded(answer).resourceType)
      local rest = support.decoded(support.get(box, BASE .. "/api/me", { Authorization = "Bearer " .. token }))
      assert.equal("sam", rest.person)
    end)

    it("answer an expired, a revoked, an unknown and a missing bearer with their own codes", function()
      outcome(patient("unknown"), 401, "BAD_AUTHENTICATION")
      outcome(support.get(box, BASE .. "/fhir/Patient/1"), 401, "BAD_AUTHENTICATION")
      box:advance(600)
      assert.equal("expired", outcome(patient(token), 401, "ACC_TOKEN_EXPIRED").code)
      box:revoke(token)
      outcome(patient(token), 401, "API_SESSION_INVALID")
    end)

    it("refuse the wrong type of user", function()
      local answer = support.get(box, BASE .. "/api/teamcoord/list", { Authorization = "Bearer " .. token })
      local issue = outcome(answer, 403, "USER_TYPE_NOT_PERM")
      assert.equal("User type PATIENT can't execute API call requiring scope TEAMCOORD", issue.details.text)
    end)

    it("know which person a token belongs to", function()
      local code = support.callback(assert(box:consent(authorize(), "allow", "kim"))).code
      local other = support.decoded(exchange { code = code }).access_token
      assert.equal("kim", support.decoded(support.get(box, BASE .. "/api/me", { Authorization = "Bearer " .. other })).person)
    end)
  end)
end)

describe("the PKB system sandbox", function()
  local HOST = "https://oauth2.sandbox.patientsknowbest.com"
  local box, own
  before_each(function()
    box = support.sandbox()
    own = box.credentials.pkb_system
  end)

  local function form(text)
    return (core.percent_encode(text):gsub("%%20", "+"))
  end

  local function exchange(fields, id, secret)
    local pair = form(id or own.client_id) .. ":" .. form(secret or own.client_secret)
    return support.form(box, HOST .. "/api/oauth/token", fields or { grant_type = "client_credentials" },
      { Authorization = "Basic " .. core.base64(pair) })
  end

  it("answers client credentials with a token and never a refresh token", function()
    local answer = exchange()
    assert.equal(200, answer.status)
    local tokens = support.decoded(answer)
    assert.equal("bearer", tokens.token_type)
    assert.equal(3599, tokens.expires_in)
    assert.is_nil(tokens.refresh_token)
    assert.matches("%-all$", tokens.scope)
    assert.equal("string", type(tokens.jti))
    local call = support.get(box, HOST .. "/fhir/Patient/1", { Authorization = "Bearer " .. tokens.access_token })
    assert.equal(200, call.status)
    assert.equal(403, support.get(box, HOST .. "/api/me", { Authorization = "Bearer " .. tokens.access_token }).status)
    box:expire(tokens.access_token)
    assert.equal(401, support.get(box, HOST .. "/fhir/Patient/1", { Authorization = "Bearer " .. tokens.access_token }).status)
  end)

  it("refuses wrong, missing and unencoded credentials with its own word", function()
    local raw = support.form(box, HOST .. "/api/oauth/token", { grant_type = "client_credentials" },
      { Authorization = "Basic " .. core.base64(own.client_id .. ":" .. own.client_secret) })
    local none = support.form(box, HOST .. "/api/oauth/token", { grant_type = "client_credentials" })
    for _, answer in ipairs { exchange(nil, nil, "wrong"), exchange(nil, "wrong"), none, raw } do
      assert.equal(401, answer.status)
      assert.same({ error = "unauthorized", error_description = "Full authentication is required to access this resource" },
        support.decoded(answer))
    end
  end)

  it("refuses other grants", function()
    assert.equal("unsupported_grant_type", support.decoded(exchange { grant_type = "password" }).error)
    assert.equal("invalid_request", support.decoded(exchange { scope = "x" }).error)
  end)
end)
