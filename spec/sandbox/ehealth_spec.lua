-- SPDX-License-Identifier: MIT
local core = require "healthauth.core"
local support = require "spec.sandbox.support"

local BASE = "https://api-preprod.ehealth.gov.ua"
local TOKENS = BASE .. "/oauth/tokens"
local ID = "req-0123456789-abcdefgh"

describe("the eHealth sandbox", function()
  local box, own
  before_each(function()
    box = support.sandbox()
    own = box.credentials.ehealth
  end)

  local function sign_in(more)
    local query = { client_id = own.client_id, redirect_uri = own.redirect_uri, scope = own.scope, response_type = "code", state = "S1" }
    for name, value in pairs(more or {}) do query[name] = value or nil end
    return BASE .. "/sign-in?" .. core.form_encode(query)
  end

  local function code(more)
    return support.callback(assert(box:consent(sign_in(more), "allow"))).code
  end

  local function post(token, headers)
    return support.json(box, TOKENS, { token = token }, headers)
  end

  local function exchange(more)
    local token = { grant_type = "authorization_code", client_id = own.client_id, client_secret = own.client_secret,
      redirect_uri = own.redirect_uri, scope = own.scope }
    for name, value in pairs(more or {}) do token[name] = value or nil end
    token.code = token.code or code()
    return post(token)
  end

  local function refresh(refresh_token, more)
    local token = { grant_type = "refresh_token", client_id = own.client_id, client_secret = own.client_secret,
      refresh_token = refresh_token }
    for name, value in pairs(more or {}) do token[name] = value or nil end
    return post(token)
  end

  local function refused(answer, status, kind, message)
    assert.equal(status, answer.status)
    local document = support.decoded(answer)
    assert.equal(status, document.meta.code)
    assert.equal(kind, document.error.type)
    if message then assert.equal(message, document.error.message) end
    return document.error
  end

  describe("sign-in", function()
    it("shows a page with two links and sends the browser back with code and state", function()
      local page = support.get(box, sign_in())
      assert.equal(200, page.status)
      assert.matches("^text/html", support.header(page, "Content-Type"))
      local query, base = support.callback(assert(box:consent(sign_in(), "allow")))
      assert.equal(own.redirect_uri, base)
      assert.equal("S1", query.state)
      assert.equal(32, #query.code)
    end)

    it("writes the redirect_uri's own query anew, code first", function()
      local location = assert(box:consent(sign_in { redirect_uri = own.redirect_uri .. "?z=1&a=2" }, "allow"))
      assert.matches("%?code=[^&]+&a=2&z=1&state=S1$", location)
    end)

    it("drops the state where the sandbox plays the server of 2019", function()
      box = support.sandbox { ehealth = { return_state = false } }
      assert.is_nil(support.callback(assert(box:consent(sign_in(), "allow"))).state)
    end)

    it("sends a denial back as an error with the state", function()
      local query = support.callback(assert(box:consent(sign_in(), "deny")))
      assert.equal("access_denied", query.error)
      assert.equal("S1", query.state)
    end)

    it("shows a page that nobody returns from when the address is wrong", function()
      for _, wrong in ipairs { { client_id = "x" }, { redirect_uri = "https://evil.example/cb" }, { scope = false },
        { response_type = "token" }, { redirect_uri = own.redirect_uri .. "evil" } } do
        local answer, why = box:consent(sign_in(wrong), "allow")
        assert.is_nil(answer)
        assert.matches("status 422", why)
      end
    end)
  end)

  describe("code exchange", function()
    it("answers 201 in the envelope, with an absolute expiry and a refresh token", function()
      local answer = exchange()
      assert.equal(201, answer.status)
      local document = support.decoded(answer)
      assert.equal(201, document.meta.code)
      assert.equal("object", document.meta.type)
      assert.equal("access_token", document.data.name)
      assert.equal(support.NOW + 30 * 86400, document.data.expires_at)
      assert.equal(32, #document.data.value)
      assert.equal(32, #document.data.details.refresh_token)
      assert.equal(own.scope, document.data.details.scope)
      assert.equal(own.redirect_uri, document.data.details.redirect_uri)
      assert.equal("authorization_code", document.data.details.grant_type)
    end)

    it("tells apart an unknown, an expired and a used code", function()
      refused(exchange { code = "unknown" }, 401, "token_not_found", "Token not found.")
      local first = code()
      assert.equal(201, exchange({ code = first }).status)
      refused(exchange { code = first }, 401, "access_denied", "Token has already been used.")
      local second = code()
      box:advance(300)
      refused(exchange { code = second }, 401, "token_expired", "Token expired.")
    end)

    it("refuses a wrong secret, another client's code and another redirect_uri", function()
      refused(exchange { client_secret = "wrong" }, 401, "invalid_client", "Invalid client id or secret.")
      local other = box.specimens.ehealth.other
      refused(exchange { client_id = other.client_id, client_secret = other.client_secret, redirect_uri = other.redirect_uri },
        401, "invalid_grant", "Token not found or expired.")
      refused(exchange { redirect_uri = "https://evil.example/cb" }, 401, "invalid_client",
        "The redirection URI provided does not match a pre-registered value.")
    end)

    it("names what is blank", function()
      local wrong = refused(exchange { code = " " }, 422, "validation_failed")
      assert.equal("$.code", wrong.invalid[1].entry)
    end)
  end)

  describe("refresh", function()
    local granted
    before_each(function() granted = support.decoded(exchange()).data end)

    it("may be repeated, sends no refresh token and leaves the old access token alive", function()
      for _ = 1, 3 do
        local answer = refresh(granted.details.refresh_token)
        assert.equal(201, answer.status)
        local data = support.decoded(answer).data
        assert.is_nil(data.details.refresh_token)
        assert.not_equal(granted.value, data.value)
        assert.equal(200, support.get(box, BASE .. "/api/employees", { Authorization = "Bearer " .. data.value }).status)
      end
      assert.equal(200, support.get(box, BASE .. "/api/employees", { Authorization = "Bearer " .. granted.value }).status)
      assert.equal(3, box:count("refresh"))
    end)

    it("answers with the scope of the whole approval, wider than the token's", function()
      exchange { code = code { scope = "employee:write" } }
      assert.equal("legal_entity:read employee:read employee:write",
        support.decoded(refresh(granted.details.refresh_token)).data.details.scope)
    end)

    it("names every blank member as $.name", function()
      local wrong = refused(refresh(nil, { client_secret = "" }), 422, "validation_failed")
      assert.same({ "$.client_secret", "$.refresh_token" }, { wrong.invalid[1].entry, wrong.invalid[2].entry })
      assert.equal("required", wrong.invalid[1].rules[1].rule)
    end)

    it("writes an empty list as a list", function()
      assert.matches('"params":%[%]', refresh(nil).body)
    end)

    it("walks the table of refusals", function()
      refused(refresh("unknown"), 401, "token_not_found", "Token not found.")
      refused(refresh(granted.details.refresh_token, { client_secret = "wrong" }), 401, "invalid_client", "Invalid client id or secret.")
      refused(refresh(granted.details.refresh_token, { client_id = "wrong" }), 401, "invalid_client", "Invalid client id or secret.")
      local blocked = box.specimens.ehealth.blocked
      refused(refresh(granted.details.refresh_token, { client_id = blocked.client_id, client_secret = blocked.client_secret }),
        401, "invalid_client", "Client is blocked")
      local other = box.specimens.ehealth.other
      refused(refresh(granted.details.refresh_token, { client_id = other.client_id, client_secret = other.client_secret }),
        401, "invalid_grant", "Token not found or expired.")
      box:revoke(granted.value)
      refused(refresh(granted.details.refresh_token), 401, "access_denied", "Resource owner revoked access for the client.")
    end)

    it("expires before the access token does", function()
      box:advance(7 * 86400)
      refused(refresh(granted.details.refresh_token), 401, "token_expired", "Token expired.")
      assert.equal(200, support.get(box, BASE .. "/api/employees", { Authorization = "Bearer " .. granted.value }).status)
    end)
  end)

  describe("the request itself", function()
    it("must be JSON, accept JSON and be wrapped", function()
      local wrong = refused(support.form(box, TOKENS, { grant_type = "refresh_token" }), 415, "content_type_invalid")
      assert.equal("Content-Type", wrong.invalid[1].entry)
      wrong = refused(post({}, { Accept = "text/html" }), 406, "content_type_invalid")
      assert.equal("Accept", wrong.invalid[1].entry)
      for _, body in ipairs { "{", '{"grant_type":"refresh_token"}', '{"token":1}', "" } do
        refused(support.json(box, TOKENS, body), 400, "request_malformed",
          "Malformed request. Probably, you have sent corrupted JSON.")
      end
    end)

    it("must name a grant type of this endpoint", function()
      local wrong = refused(post { client_id = "x" }, 422, "request_malformed", "Request must include grant_type.")
      assert.equal("json", wrong.invalid[1].rules[1].rule)
      refused(post { grant_type = "password" }, 401, "invalid_grant", "Grant type not allowed.")
    end)

    it("has its id echoed when that is 20 to 200 bytes long, else gets one", function()
      local answer = post({}, { ["x-request-id"] = ID })
      assert.equal(ID, support.header(answer, "X-Request-ID"))
      assert.equal(ID, support.decoded(answer).meta.request_id)
      for _, id in ipairs { "short", ("x"):rep(201) } do
        assert.not_equal(id, support.decoded(post({}, { ["X-Request-ID"] = id })).meta.request_id)
      end
    end)

    it("may carry a wrong API-key or pre-shared key, and is refused", function()
      refused(post({ grant_type = "refresh_token" }, { ["API-key"] = "wrong" }), 422, "request_malformed", "API-KEY header is invalid.")
      assert.equal(403, post({}, { ["X-Custom-PSK"] = "wrong" }).status)
    end)

    it("must carry both where the sandbox requires them", function()
      box = support.sandbox { ehealth = { require_api_key = true, require_psk = true } }
      assert.equal(403, post({}).status)
      refused(post({}, { ["X-Custom-PSK"] = own.psk }), 422, "request_malformed", "API-KEY header required.")
      refused(post({}, { ["X-Custom-PSK"] = own.psk, ["API-key"] = own.api_key }), 422, "request_malformed",
        "Request must include grant_type.")
    end)
  end)

  describe("the gateway", function()
    local token
    before_each(function() token = support.decoded(exchange()).data.value end)

    local function call(method, path, value, headers)
      local list = { { "Authorization", value } }
      for name, text in pairs(headers or {}) do list[#list + 1] = { name, text } end
      return box:answer { method = method, url = BASE .. path, headers = list }
    end

    it("lets a token through to what its scope allows", function()
      assert.equal(200, call("GET", "/api/employees", "Bearer " .. token).status)
      assert.equal("sam@example.com", support.decoded(call("GET", "/oauth/user", "Bearer " .. token)).data.email)
      local wrong = refused(call("POST", "/api/employees", "Bearer " .. token), 403, "forbidden")
      assert.matches("Missing allowances: employee:write$", wrong.message)
    end)

    it("says the same of an unknown, an expired and a revoked token, and of a wrong API-key", function()
      refused(call("GET", "/api/employees", "Bearer unknown"), 401, "access_denied", "Invalid access token")
      refused(call("GET", "/api/employees", "Bearer " .. token, { ["API-key"] = "wrong" }), 401, "access_denied", "Invalid access token")
      box:expire(token)
      refused(call("GET", "/api/employees", "Bearer " .. token), 401, "access_denied", "Invalid access token")
      local second = support.decoded(exchange()).data.value
      box:revoke(second)
      refused(call("GET", "/api/employees", "Bearer " .. second), 401, "access_denied", "Invalid access token")
    end)

    it("wants exactly `Bearer `", function()
      for _, value in ipairs { "bearer " .. token, token, "Basic " .. token } do
        refused(call("GET", "/api/employees", value), 401, "access_denied",
          "Authorization header is not set or doesn't contain Bearer token")
      end
    end)

    it("logs out: the access token and its refresh token die", function()
      local data = support.decoded(exchange()).data
      local answer = call("POST", "/auth/logout", "Bearer " .. data.value)
      assert.equal(200, answer.status)
      assert.same({}, support.decoded(answer).data)
      refused(refresh(data.details.refresh_token), 401, "token_expired")
      refused(call("POST", "/auth/logout", "Bearer " .. data.value), 401, "token_expired", "Token expired.")
      refused(call("POST", "/auth/logout", "Bearer unknown"), 401, "token_not_found", "Token not found.")
      refused(call("POST", "/auth/logout", "Bearer " .. token, { ["API-key"] = "wrong" }), 401, "access_denied", "Invalid access token")
    end)

    it("answers 404 with a type and no message elsewhere", function()
      assert.is_nil(refused(call("GET", "/oauth/token", "Bearer " .. token), 404, "not_found").message)
    end)
  end)
end)
