-- SPDX-License-Identifier: MIT
-- Patients Know Best, system client: client credentials with HTTP Basic, no person, never a refresh token.
--   HEALTHAUTH_PKB_SYSTEM_URL=https://oauth2.sandbox.patientsknowbest.com HEALTHAUTH_PKB_SYSTEM_CLIENT_ID=...
--   HEALTHAUTH_PKB_SYSTEM_CLIENT_SECRET=... lua5.4 examples/pkb_system.lua
-- May be set as well: HEALTHAUTH_PKB_SYSTEM_CALL (a path to call), HEALTHAUTH_CA_FILE.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local healthauth = require "healthauth"
local support = require "support"

local system = healthauth.pkb_system {
  base_url = support.need "HEALTHAUTH_PKB_SYSTEM_URL",
  client_id = support.need "HEALTHAUTH_PKB_SYSTEM_CLIENT_ID",
  client_secret = support.need "HEALTHAUTH_PKB_SYSTEM_CLIENT_SECRET",
  tls = support.tls(),
  transport = support.transport(),
}

support.title "Patients Know Best, system client"

support.step "Get a token with the client's own credentials"
local tokens = support.must(system:exchange())
support.good(support.describe(tokens))
support.expect(tokens.refresh_token == nil, "no refresh token")

local target = support.may "HEALTHAUTH_PKB_SYSTEM_CALL"
if target then
  support.step "Use it"
  local response = support.must(system:call { method = "GET", url = target })
  support.good("status " .. response.status)
  support.expect(response.status == 200, "status 200")
end

system:close()
support.done()
