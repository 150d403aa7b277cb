-- SPDX-License-Identifier: MIT
-- eHealth (Ukraine): login in the browser, code exchange, a call through the gateway, refresh, logout.
--   HEALTHAUTH_EHEALTH_URL=https://api-preprod.ehealth.gov.ua HEALTHAUTH_EHEALTH_CLIENT_ID=... HEALTHAUTH_EHEALTH_CLIENT_SECRET=...
--   HEALTHAUTH_EHEALTH_REDIRECT_URI=... HEALTHAUTH_EHEALTH_SCOPE="..." lua5.4 examples/ehealth.lua
-- May be set as well: HEALTHAUTH_EHEALTH_API_KEY, HEALTHAUTH_EHEALTH_PSK, HEALTHAUTH_EHEALTH_LOGIN_URL (where the login page is on
-- another host), HEALTHAUTH_EHEALTH_CALL (a path to call; default /oauth/user), HEALTHAUTH_CA_FILE.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local healthauth = require "healthauth"
local support = require "support"

local login = support.may "HEALTHAUTH_EHEALTH_LOGIN_URL"
local ehealth = healthauth.ehealth {
  base_url = support.need "HEALTHAUTH_EHEALTH_URL",
  client_id = support.need "HEALTHAUTH_EHEALTH_CLIENT_ID",
  client_secret = support.need "HEALTHAUTH_EHEALTH_CLIENT_SECRET",
  redirect_uri = support.need "HEALTHAUTH_EHEALTH_REDIRECT_URI",
  scope = support.need "HEALTHAUTH_EHEALTH_SCOPE",
  api_key = support.may "HEALTHAUTH_EHEALTH_API_KEY",
  psk = support.may "HEALTHAUTH_EHEALTH_PSK",
  endpoints = login and { authorize = login } or nil,
  tls = support.tls(),
  transport = support.transport(),
}

support.title "eHealth"

support.step "Send the person to the login page"
local url, pending = ehealth:authorize_url {}
support.must(url, pending)
local callback = support.ask_person(url)

support.step "Exchange the code for tokens"
local tokens = support.must(ehealth:exchange { callback = callback, pending = pending })
support.good(support.describe(tokens))

support.step "Call the API through the gateway"
local response = support.must(ehealth:call { method = "GET", url = support.may "HEALTHAUTH_EHEALTH_CALL" or "/oauth/user" })
support.good("status " .. response.status)
support.expect(response.status == 200, "status 200")

support.step "Refresh: a new access token; the refresh token is reusable and stays"
local fresh = support.must(ehealth:refresh())
support.good(support.describe(fresh))
support.expect(fresh.access_token ~= tokens.access_token, "another access token")
support.expect(fresh.refresh_token == tokens.refresh_token, "the same refresh token")

support.step "Log out: access and refresh token end at the server and here"
support.must(ehealth:logout())
support.good "logged out"
support.expect(ehealth:tokens() == nil, "no tokens left")

ehealth:close()
support.done()
