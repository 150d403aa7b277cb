-- SPDX-License-Identifier: MIT
--- Patients Know Best, user clients: code flow without client secret; refresh tokens work once and rotate.
-- A refresh token that is used twice kills the patient's whole session, so a refresh is never sent again by itself.

return {
  name = "pkb",
  environments = { sandbox = "https://sandbox.patientsknowbest.com" },
  options = { client_id = { required = true }, redirect_uri = {}, scope = {} },
  scope = "ignore_case", -- PATIENT is asked for, "patient" may come back
  authorize = {
    path = "/apiAuthorize.action",
    pkce = false, -- not documented there
    query = {
      response_type = "code",
      client_id = "$option.client_id",
      redirect_uri = "$argument.redirect_uri?",
      scope = "$argument.scope?",
      state = "$pending.state",
    },
  },
  operations = {
    exchange = {
      method = "POST",
      path = "/apiToken.action",
      body = "form",
      fields = {
        grant_type = "authorization_code",
        client_id = "$option.client_id",
        code = "$argument.code",
        redirect_uri = "$argument.redirect_uri?",
      },
      success = { 200 },
      tokens = "oauth",
      resend = "never",
    },
    refresh = {
      method = "POST",
      path = "/apiToken.action",
      body = "form",
      fields = {
        grant_type = "refresh_token",
        client_id = "$option.client_id",
        refresh_token = "$argument.refresh_token",
        scope = "$argument.scope?",
      },
      success = { 200 },
      tokens = "oauth",
      resend = "never",
      rotation = "replace", -- an answer without refresh_token: the old one is spent all the same
      repeat_scope = { "SITE" }, -- a Tethered Token's client says it every time; a person's scope is not asked for again
    },
  },
  call = {
    expired = {
      { dialect = "operation_outcome", when = "acc_token_expired" },
      { status = 401, challenge = "invalid_token" },
    },
  },
  errors = {
    { dialect = "operation_outcome", when = "acc_token_expired", action = "reauthorize" },
    { dialect = "operation_outcome", when = "api_session_expired", action = "reauthorize" },
    { dialect = "operation_outcome", when = "api_session_invalid", action = "reauthorize" },
    { dialect = "operation_outcome", when = "bad_authentication", action = "fix_credentials" },
    { dialect = "operation_outcome", when = "user_type_not_perm", action = "give_up" },
    { dialect = "operation_outcome", when = "access_frozen_outward", action = "give_up" },
    { dialect = "operation_outcome", when = "access_frozen_inward", action = "give_up" },
    { dialect = "operation_outcome", when = "no_association", action = "give_up" },
    { dialect = "operation_outcome", when = "no_consent", action = "give_up" },
    { dialect = "operation_outcome", when = "no_decrypt_key", action = "give_up" },
    { dialect = "operation_outcome", when = "sharing_disabled", action = "give_up" },
  },
}
