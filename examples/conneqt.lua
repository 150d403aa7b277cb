-- SPDX-License-Identifier: MIT
-- Conneqt: an access code from the practitioner's toolbar becomes a token; the token is verified.
--   HEALTHAUTH_CONNEQT_URL=https://int.conneqt.health HEALTHAUTH_CONNEQT_API_KEY=... lua5.4 examples/conneqt.lua
-- The code is taken from HEALTHAUTH_CONNEQT_ACCESS_CODE or asked for. HEALTHAUTH_CA_FILE names a CA of your own.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local healthauth = require "healthauth"
local support = require "support"

local conneqt = healthauth.conneqt {
  base_url = support.need "HEALTHAUTH_CONNEQT_URL",
  api_key = support.need "HEALTHAUTH_CONNEQT_API_KEY",
  tls = support.tls(),
  transport = support.transport(),
}

support.title "Conneqt"

support.step "Does our API key work?"
support.must(conneqt:check())
support.good "yes"

local code = support.may "HEALTHAUTH_CONNEQT_ACCESS_CODE"
if not code then
  io.write "  The access code that the toolbar shows: "
  code = io.read "*l"
end

support.step "Exchange the access code for a token"
local tokens = support.must(conneqt:exchange { access_code = code })
support.good(support.describe(tokens))

support.step "Is the token good?"
local valid = support.must(conneqt:verify(tokens.access_token))
support.good(valid and "yes" or "no: it is gone, ask for a new access code")

conneqt:close()
support.expect(valid, "a valid token")
support.done()
