-- SPDX-License-Identifier: MIT
--- Conneqt (Quicksilva IM1 toolbar): an access code, typed in by a practitioner, becomes an instant-messaging token without expiry.
-- Verify is the only truth about it: 200 = valid, 410 = gone, anything else = could not tell.

return {
  name = "conneqt",
  environments = { integration = "https://int.conneqt.health" },
  options = { api_key = { required = true, secret = true } },
  headers = { ["ApiKey"] = "$option.api_key" },
  operations = {
    exchange = {
      method = "POST",
      path = "/api/v1/messages/instant/access/token",
      body = "json",
      grant = "code",
      fields = { accessCode = "$argument.access_code" },
      success = { 200 },
      tokens = { access_token = "token" },
      resend = "never", -- a code works once
    },
    verify = {
      method = "GET",
      -- the published definition lacks /verify, its sample has it: endpoints.verify overrides
      path = "/api/v1/messages/instant/access/token/verify",
      headers = { ["Conneqt-Instant-Access-Token"] = "$argument.token", ["Content-Type"] = "application/json" },
      success = { 200 },
      gone = { 410 },
    },
    check = { method = "GET", path = "/api/v1/test", success = { 200 } },
  },
  errors = {
    { operation = "exchange", status = 400, dialect = "problem", invalid = "accessCode", code = "code_rejected", action = "reauthorize" },
  },
}
