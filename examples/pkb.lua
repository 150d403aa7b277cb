-- SPDX-License-Identifier: MIT
-- Patients Know Best, user client: consent in the browser, code exchange, a FHIR call, a refresh that rotates.
--   HEALTHAUTH_PKB_URL=https://sandbox.patientsknowbest.com HEALTHAUTH_PKB_CLIENT_ID=... HEALTHAUTH_PKB_REDIRECT_URI=...
--   lua5.4 examples/pkb.lua
-- May be set as well: HEALTHAUTH_PKB_SCOPE (PATIENT), HEALTHAUTH_PKB_CALL (a path to call; default /fhir/Patient/1), HEALTHAUTH_CA_FILE.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local healthauth = require "healthauth"
local support = require "support"

local pkb = healthauth.pkb {
  base_url = support.need "HEALTHAUTH_PKB_URL",
  client_id = support.need "HEALTHAUTH_PKB_CLIENT_ID",
  redirect_uri = support.need "HEALTHAUTH_PKB_REDIRECT_URI",
  tls = support.tls(),
  transport = support.transport(),
}
local target = support.may "HEALTHAUTH_PKB_CALL" or "/fhir/Patient/1"

support.title "Patients Know Best"

support.step "Send the person to the consent page"
local url, pending = pkb:authorize_url { scope = support.may "HEALTHAUTH_PKB_SCOPE" or "PATIENT" }
support.must(url, pending)
local callback = support.ask_person(url)

support.step "Exchange the code for tokens"
local tokens = support.must(pkb:exchange { callback = callback, pending = pending })
support.good(support.describe(tokens))

support.step "Read a record"
local response = support.must(pkb:call { method = "GET", url = target })
support.good("status " .. response.status)
support.expect(response.status == 200, "status 200")

support.step "Refresh: both tokens are new, the old refresh token is spent"
local fresh = support.must(pkb:refresh())
support.good(support.describe(fresh))
support.expect(fresh.refresh_token ~= tokens.refresh_token, "another refresh token")

support.step "An access token for whoever asks: still fresh, so nothing is sent"
local token = support.must(pkb:access_token())
support.good "the same one, from memory"
support.expect(token == fresh.access_token, "the token of the refresh")

pkb:close()
support.done()
