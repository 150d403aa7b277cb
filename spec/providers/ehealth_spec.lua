-- SPDX-License-Identifier: MIT
-- eHealth (Ukraine): what is sent, the reusable refresh token, types that say too little, the gateway's one 401 for everything.

local core = require "healthauth.core"
local support = require "spec.support.scripted"

local NOW = support.NOW
local json, plain, run = support.json, support.plain, support.run

local CODE = { code = "c0de", redirect_uri = "https://client.example/cb", scope = "a:read b:read" }

local function request(operation, args, changes)
  local all = { tokens = support.tokens() }
  for k, v in pairs(changes or {}) do all[k] = v end
  return assert(support.begin(support.open("ehealth", all), operation, args)):request()
end

local function refused(operation, status, error_object)
  local session = support.open("ehealth", { tokens = support.tokens() })
  return select(2, run(session, operation, operation == "exchange" and CODE or {}, json(status, { meta = { code = status },
    error = error_object })))
end

describe("ehealth", function()
  it("exchanges a code by a JSON POST wrapped in token", function()
    local sent = request("exchange", CODE)
    assert.same({ "POST", "https://ehealth.example/oauth/tokens" }, { sent.method, sent.url })
    assert.same({ token = {
      grant_type = "authorization_code", client_id = "client-1", client_secret = "planted-client-secret-1", code = "c0de",
      redirect_uri = "https://client.example/cb", scope = "a:read b:read",
    } }, core.json_decode(sent.body))
    assert.same({ "accept", "api-key", "content-type", "user-agent", "x-custom-psk", "x-request-id" }, support.header_names(sent))
    assert.same({ "planted-api-key-1", "planted-psk-1", "application/json", "application/json" }, {
      (support.header(sent, "API-key")), (support.header(sent, "X-Custom-PSK")), (support.header(sent, "Content-Type")),
      (support.header(sent, "Accept")),
    })
  end)

  it("refreshes the same way, with the session's token or an explicit one", function()
    for _, case in ipairs { { nil, "planted-refresh-token-1" }, { { refresh_token = "another" }, "another" } } do
      local sent = request("refresh", case[1])
      assert.same({ "POST", "https://ehealth.example/oauth/tokens" }, { sent.method, sent.url })
      assert.same({ token = {
        grant_type = "refresh_token", client_id = "client-1", client_secret = "planted-client-secret-1", refresh_token = case[2],
      } }, core.json_decode(sent.body))
    end
  end)

  it("sends API-key and X-Custom-PSK only when they are configured", function()
    local sent = request("refresh", nil, { api_key = false, psk = false })
    assert.same({ "accept", "content-type", "user-agent", "x-request-id" }, support.header_names(sent))
  end)

  it("logs out with the bearer token and an empty POST", function()
    local sent = request "logout"
    assert.same({ "POST", "https://ehealth.example/auth/logout" }, { sent.method, sent.url })
    assert.is_nil(sent.body)
    assert.equal("Bearer planted-access-token-1", (support.header(sent, "Authorization")))
    assert.equal("planted-psk-1", (support.header(sent, "X-Custom-PSK")))
  end)

  it("calls with the bearer token, API-key and X-Custom-PSK", function()
    local sent = request("call", { method = "GET", url = "/api/employees" })
    assert.same({ "GET", "https://ehealth.example/api/employees" }, { sent.method, sent.url })
    assert.same({ "Bearer planted-access-token-1", "planted-api-key-1", "planted-psk-1" }, {
      (support.header(sent, "Authorization")), (support.header(sent, "API-key")), (support.header(sent, "X-Custom-PSK")),
    })
  end)

  it("sends people to /sign-in, without PKCE", function()
    local session = support.open("ehealth", { base_url = false, environment = "preprod" })
    local url, pending = session:authorize_url { scope = "a:read b:read" }
    assert.matches("^https://api%-preprod%.ehealth%.gov%.ua/sign%-in%?", url)
    assert.same({
      client_id = "client-1", redirect_uri = "https://client.example/cb", response_type = "code", scope = "a:read b:read",
      state = pending.state,
    }, core.form_decode(url:match "%?(.*)$"))
    assert.is_nil(pending.code_verifier)
  end)

  it("has three environments", function()
    for name, host in pairs { demo = "api-demo.ehealth.gov.ua", preprod = "api-preprod.ehealth.gov.ua",
      production = "api.ehealth.gov.ua" } do
      local session = support.open("ehealth", { base_url = false, environment = name })
      assert.equal("https://" .. host .. "/oauth/tokens", assert(support.begin(session, "refresh", { refresh_token = "r" })):request().url)
    end
  end)

  it("accepts any name of a token and exposes it", function()
    local session = support.open("ehealth", { tokens = support.tokens() })
    local tokens = assert(run(session, "refresh", {}, json(201, { data = { value = "a", name = "change_password_token" } })))
    assert.equal("change_password_token", tokens.name)
  end)

  it("lets the message decide where a type says too little", function()
    for _, case in ipairs {
      { "refresh", 401, "invalid_client", "Invalid client id or secret.", "invalid_client", "fix_credentials" },
      { "exchange", 401, "invalid_client", "The redirection URI provided does not match a pre-registered value.", "redirect_uri_mismatch",
        "fix_request" },
      { "refresh", 401, "invalid_client", "Client is blocked", "invalid_client", "give_up" },
      { "refresh", 401, "token_not_found", "Token not found.", "token_not_found", "reauthorize" },
      { "refresh", 401, "token_expired", "Token expired.", "token_expired", "reauthorize" },
      { "refresh", 401, "TOKEN_EXPIRED", "Token expired.", "token_expired", "reauthorize" },
      { "refresh", 401, "invalid_grant", "Token not found or expired.", "invalid_grant", "reauthorize" },
      { "exchange", 401, "invalid_grant", "Grant type not allowed.", "grant_type_not_allowed", "fix_request" },
      { "exchange", 401, "access_denied", "Token has already been used.", "access_denied", "reauthorize" },
      { "refresh", 401, "access_denied", "Resource owner revoked access for the client.", "access_denied", "reauthorize" },
      { "refresh", 401, "access_denied", "You reached login attempts limit. Try again later", "login_attempts_limit", "wait" },
      { "refresh", 401, "access_denied", "Invalid api key", "api_key_rejected", "fix_credentials" },
      { "refresh", 422, "request_malformed", "API-KEY header required.", "api_key_rejected", "fix_credentials" },
      { "refresh", 422, "request_malformed", "Request must include grant_type.", "request_malformed", "fix_request" },
      { "refresh", 401, "user_blocked", "User blocked.", "user_blocked", "give_up" },
      { "refresh", 401, "otp_reached_max_attempts", "Reached max OTP verify attempts", "otp_reached_max_attempts", "give_up" },
      { "refresh", 429, "otp_timeout", "Sending OTP timeout. Try later.", "otp_timeout", "wait" },
      { "refresh", 503, "internal_error", "SMS not sent. Try later", "internal_error", "wait" },
    } do
      local err = refused(case[1], case[2], { type = case[3], message = case[4] })
      assert.same({ "denied", case[5], case[6], "ehealth", case[4] }, { err.kind, err.code, err.action, err.dialect, err.detail }, case[4])
    end
  end)

  it("leaves out the invalid list that says only that something was no JSON", function()
    local err = refused("refresh", 422, {
      type = "request_malformed", message = "Request must include grant_type.", invalid = { { entry_type = "request",
        rules = { { rule = "json" } } } },
    })
    assert.is_nil(err.invalid)
    err = refused("refresh", 422, { type = "validation_failed", invalid = {
      { entry = "$.refresh_token", entry_type = "json_data_property", rules = { { rule = "required", params = {},
        description = "can't be blank" } } },
    } })
    assert.same({ { name = "$.refresh_token", reason = "can't be blank", rule = "required" } }, err.invalid)
  end)

  it("refreshes once and repeats once when the gateway refuses the token, never more, and keeps the refresh token", function()
    local no = json(401, { error = { type = "access_denied", message = "Invalid access token" } })
    local fresh = json(201, { data = { value = "fresh-access", expires_at = NOW + 100 } })
    local transport = support.script(no, fresh, json(200, {}))
    local session = support.open("ehealth", { tokens = support.tokens(), transport = transport })
    assert.equal(200, assert(session:call { url = "/api/x" }).status)
    assert.equal("Bearer fresh-access", (support.header(transport.sent[3], "Authorization")))
    transport = support.script(no, fresh, no)
    session = support.open("ehealth", { tokens = support.tokens(), transport = transport })
    local response, err = session:call { url = "/api/x" }
    assert.is_nil(response)
    assert.same({ "denied", "access_denied", 401 }, { err.kind, err.code, err.status })
    assert.equal(3, #transport.sent)
    assert.equal("planted-refresh-token-1", session:tokens().refresh_token)
  end)

  it("does not refresh for a wrong key, a missing right or a full quota", function()
    for _, answer in ipairs {
      json(401, { error = { type = "access_denied", message = "Invalid api key" } }), json(403, { error = { type = "forbidden" } }),
      plain(429, "API rate limit exceeded"), plain(401),
    } do
      local transport = support.script(answer)
      local session = support.open("ehealth", { tokens = support.tokens(), transport = transport })
      assert.equal(answer.status, assert(session:call { url = "/api/x" }).status)
      assert.equal(1, #transport.sent)
    end
  end)

  it("renews while the refresh token, which dies first, still lives", function()
    local now = NOW
    local body = { data = { value = "second", expires_at = NOW + 60 * 86400 } }
    local transport = support.script(json(201, body))
    local session = support.open("ehealth", { clock = function() return now end, transport = transport })
    assert.is_truthy(run(session, "exchange", CODE, json(201, {
      data = { value = "first", expires_at = NOW + 30 * 86400, details = { refresh_token = "r" } },
    })))
    now = NOW + 3 * 86400
    assert.equal("first", session:access_token())
    now = NOW + 6.5 * 86400
    assert.equal("second", session:access_token())
    assert.equal(1, #transport.sent)
  end)
end)
