-- SPDX-License-Identifier: MIT
--- Patients Know Best, system clients: client credentials with HTTP Basic on a host of their own; never a refresh token.

return {
  name = "pkb_system",
  environments = { sandbox = "https://oauth2.sandbox.patientsknowbest.com" },
  options = { client_id = { required = true }, client_secret = { required = true, secret = true }, scope = {} },
  operations = {
    exchange = {
      method = "POST",
      path = "/api/oauth/token",
      auth = "basic",
      body = "form",
      grant = "client_credentials",
      fields = { grant_type = "client_credentials", scope = "$argument.scope?" },
      success = { 200 },
      tokens = "oauth",
      resend = "safe", -- another answer is just one more token
    },
  },
  call = {
    expired = {
      { dialect = "operation_outcome", when = "acc_token_expired" },
      { status = 401, challenge = "invalid_token" },
    },
  },
  errors = { { dialect = "oauth", when = "unauthorized", action = "fix_credentials" } },
}
