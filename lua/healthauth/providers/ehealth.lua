-- SPDX-License-Identifier: MIT
--- eHealth (Ukraine): code flow with JSON bodies inside `token`, answers inside `data`, an expiry on the server's clock.
-- Its refresh token is reusable and absent from refresh answers. Some error types say too little: there the message decides.

local function token(fields)
  return {
    method = "POST",
    path = "/oauth/tokens",
    body = "json",
    wrap = "token",
    fields = fields,
    success = { 200, 201 },
    tokens = {
      access_token = "data.value",
      refresh_token = "data.details.refresh_token",
      expires_at = "data.expires_at",
      scope = "data.details.scope",
      name = "data.name",
    },
  }
end

local exchange = token {
  grant_type = "authorization_code",
  client_id = "$option.client_id",
  client_secret = "$option.client_secret",
  code = "$argument.code",
  redirect_uri = "$argument.redirect_uri",
  scope = "$argument.scope?",
}
exchange.resend = "never"

local refresh = token {
  grant_type = "refresh_token",
  client_id = "$option.client_id",
  client_secret = "$option.client_secret",
  refresh_token = "$argument.refresh_token",
}
refresh.resend = "safe" -- each success mints one more access token, and nothing is spent
refresh.rotation = "keep"
refresh.life = 7 * 86400 -- by default shorter than the access token's 30 days

return {
  name = "ehealth",
  environments = {
    demo = "https://api-demo.ehealth.gov.ua",
    preprod = "https://api-preprod.ehealth.gov.ua",
    production = "https://api.ehealth.gov.ua",
  },
  options = {
    client_id = { required = true },
    client_secret = { required = true, secret = true },
    api_key = { secret = true }, -- the MIS's own secret; client_secret is the legal entity's
    psk = { secret = true },
    redirect_uri = {},
    scope = {},
  },
  headers = { ["API-key"] = "$option.api_key?", ["X-Custom-PSK"] = "$option.psk?" },
  authorize = {
    path = "/sign-in", -- on some environments a host of its own: endpoints.authorize
    pkce = false,
    query = {
      response_type = "code",
      client_id = "$option.client_id",
      redirect_uri = "$argument.redirect_uri",
      scope = "$argument.scope?",
      state = "$pending.state",
    },
  },
  operations = {
    exchange = exchange,
    refresh = refresh,
    logout = {
      method = "POST",
      path = "/auth/logout",
      auth = "bearer",
      success = { 200, 201, 202, 203, 204, 205, 206 },
      spent = { "token_not_found", "token_expired" },
    },
  },
  call = {
    expired = {
      -- a wrong API-key, a blocked client and an expired token all look like this at the gateway: one refresh, one repeat, never a loop
      { status = 401, dialect = "ehealth", when = "access_denied", message = "Invalid access token" },
      { status = 401, dialect = "ehealth", when = "token_expired" },
      { status = 401, challenge = "invalid_token" },
    },
  },
  errors = {
    { dialect = "ehealth", when = "invalid_client", message = "The redirection URI*", code = "redirect_uri_mismatch",
      action = "fix_request" },
    { dialect = "ehealth", when = "invalid_client", message = "Client is blocked*", action = "give_up" },
    { dialect = "ehealth", when = "invalid_client", message = "Authentication failed*", action = "give_up" },
    { dialect = "ehealth", when = "invalid_client", action = "fix_credentials" },
    { operation = "logout", status = 401, dialect = "ehealth", when = "invalid_grant", message = "Token not found*",
      code = "token_not_found" },
    { operation = "logout", status = 401, dialect = "ehealth", when = "invalid_grant", message = "Token expired*", code = "token_expired" },
    { dialect = "ehealth", when = "invalid_grant", message = "Grant type not allowed*", code = "grant_type_not_allowed",
      action = "fix_request" },
    { dialect = "ehealth", when = "invalid_grant", action = "reauthorize" },
    { dialect = "ehealth", when = "token_not_found", action = "reauthorize" },
    { dialect = "ehealth", when = "token_expired", action = "reauthorize" },
    { dialect = "ehealth", when = "token_invalid", action = "reauthorize" },
    { dialect = "ehealth", when = "token_invalid_type", action = "reauthorize" },
    { dialect = "ehealth", when = "password_expired", action = "reauthorize" },
    { dialect = "ehealth", when = "jwt_invalid", action = "reauthorize" },
    { dialect = "ehealth", when = "jwt_expired", action = "reauthorize" },
    { dialect = "ehealth", when = "jwt_aud_invalid", action = "reauthorize" },
    { dialect = "ehealth", when = "user_blocked", action = "give_up" },
    { dialect = "ehealth", when = "invalid_user", action = "give_up" },
    { dialect = "ehealth", when = "access_denied", message = "Token has already been used*", action = "reauthorize" },
    { dialect = "ehealth", when = "access_denied", message = "Resource owner revoked*", action = "reauthorize" },
    { dialect = "ehealth", when = "access_denied", message = "You reached login attempts limit*", code = "login_attempts_limit",
      action = "wait" },
    { dialect = "ehealth", when = "access_denied", message = "Client is blocked*", action = "give_up" },
    { dialect = "ehealth", when = "access_denied", message = "Client is not allowed*", action = "give_up" },
    { dialect = "ehealth", when = "access_denied", message = "Invalid token type*", action = "reauthorize" },
    { dialect = "ehealth", when = "access_denied", message = "Invalid api key*", code = "api_key_rejected", action = "fix_credentials" },
    { dialect = "ehealth", when = "access_denied", message = "Api key is not set*", code = "api_key_rejected", action = "fix_credentials" },
    { dialect = "ehealth", when = "access_denied", message = "API-KEY header*", code = "api_key_rejected", action = "fix_credentials" },
    { dialect = "ehealth", when = "access_denied", message = "Authorization header*", action = "fix_request" },
    { dialect = "ehealth", when = "access_denied", message = "Abac rule was not found*", action = "give_up" },
    { dialect = "ehealth", when = "request_malformed", message = "API-KEY header*", code = "api_key_rejected", action = "fix_credentials" },
    { dialect = "ehealth", when = "otp_invalid", action = "step_up" },
    { dialect = "ehealth", when = "otp_expired", action = "step_up" },
    { dialect = "ehealth", when = "otp_reached_max_attempts", action = "give_up" }, -- three wrong ones block the person
    { dialect = "ehealth", when = "otp_timeout", action = "wait" },
    { dialect = "ehealth", when = "request_conflict", action = "step_up" },
    { dialect = "ehealth", status = 403, when = "forbidden", action = "give_up" }, -- a 404 of that type is a 404
    { dialect = "ehealth", when = "tax_id_invalid", action = "give_up" },
    { dialect = "ehealth", status = 503, action = "wait" },
  },
}
