-- SPDX-License-Identifier: MIT
-- The second half of the demo: what is refused, and what a program learns of it. Runs against the served sandbox alone: it orders
-- faults, revokes and expires by /control/ (HEALTHAUTH_SANDBOX_CONTROL), and lets the person consent by itself.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/../examples/?.lua;" .. package.path
local browser = require "healthauth.sandbox.browser"
local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local healthauth = require "healthauth"
local support = require "support"

local CONTROL = support.need "HEALTHAUTH_SANDBOX_CONTROL"
local quiet = curl.new()

local function send(method, url, body, headers)
  return support.must(quiet:perform { method = method, url = url, headers = headers or { { "Content-Type", "application/json" } },
    body = body, timeout = 15, connect_timeout = 5, limits = { body = 65536, headers = 65536, depth = 32 }, tls = support.tls() })
end

-- Plays the operator.
local function control(word, fields)
  local response = send("POST", CONTROL .. "/" .. word, core.json_encode(fields or {}))
  return assert(core.json_decode(response.body))
end

-- Plays the person.
local function consent(url, decision)
  return assert(browser.consent(url, decision, function(request) return send("GET", request.url, nil, request.headers) end))
end

local function session(name, options)
  local upper = name:upper()
  options.base_url = support.need("HEALTHAUTH_" .. upper .. "_URL")
  options.tls = options.tls or support.tls()
  options.transport = support.transport()
  return healthauth[name](options)
end

local function conneqt()
  return session("conneqt", { api_key = support.need "HEALTHAUTH_CONNEQT_API_KEY" })
end

local function pkb()
  return session("pkb", { client_id = support.need "HEALTHAUTH_PKB_CLIENT_ID", redirect_uri = support.need "HEALTHAUTH_PKB_REDIRECT_URI" })
end

local function ehealth(secret)
  return session("ehealth", { client_id = support.need "HEALTHAUTH_EHEALTH_CLIENT_ID",
    client_secret = secret or support.need "HEALTHAUTH_EHEALTH_CLIENT_SECRET",
    redirect_uri = support.need "HEALTHAUTH_EHEALTH_REDIRECT_URI", scope = support.need "HEALTHAUTH_EHEALTH_SCOPE",
    api_key = support.need "HEALTHAUTH_EHEALTH_API_KEY", psk = support.need "HEALTHAUTH_EHEALTH_PSK" })
end

local function logged_in(made)
  local url, pending = made:authorize_url {}
  support.must(url, pending)
  support.must(made:exchange { callback = consent(url, "allow"), pending = pending })
  return made
end

-- A refusal is shown, and must be what is expected of it.
local function refused(value, err, expected)
  support.expect(value == nil and healthauth.is_error(err), "a refusal")
  if not healthauth.is_error(err) then return end
  support.refused(err)
  for name, wanted in pairs(expected) do
    support.expect(err[name] == wanted, name .. " " .. tostring(wanted) .. ", not " .. tostring(err[name]))
  end
end

local function refuse(expected, value, err)
  refused(value, err, expected)
end

support.title "What is refused, and what a program learns of it"

support.step "Conneqt: an access code works once"
local made = conneqt()
local code = control("access_code").access_code
local tokens = support.must(made:exchange { access_code = code })
refuse({ kind = "denied", code = "code_rejected", action = "reauthorize", outcome = "answered" }, made:exchange { access_code = code })

support.step "Conneqt: the practitioner revokes the token. Verify says false: gone is not the same as could-not-tell"
control("revoke", { token = tokens.access_token })
local valid = support.must(made:verify(tokens.access_token))
support.expect(valid == false, "false")
support.good("verify: " .. tostring(valid))

support.step "Conneqt: the server cannot tell. That is no false, and the token is kept"
control("fault", { kind = "unavailable", provider = "conneqt", retry_after = 30 })
refuse({ kind = "http", status = 503, action = "wait", retry_after = 30 }, made:verify(tokens.access_token))
made:close()

support.step "eHealth: a wrong client secret"
made = ehealth "not-the-secret"
refuse({ kind = "denied", code = "invalid_client", action = "fix_credentials" }, made:refresh { refresh_token = "any-refresh-token" })
made:close()

support.step "eHealth: too many requests. Kong says it in plain text, without Retry-After"
made = logged_in(ehealth())
control("fault", { kind = "rate_limit", provider = "ehealth", operation = "refresh" })
refuse({ kind = "http", status = 429, action = "wait" }, made:refresh())
support.note "The session is as it was; a while later:"
support.good(support.describe(support.must(made:refresh())))

support.step "eHealth: the person withdraws the approval"
control("revoke", { token = made:tokens().access_token })
refuse({ kind = "denied", action = "reauthorize" }, made:refresh())
made:close()

support.step "PKB: the person denies"
made = pkb()
local url, pending = made:authorize_url { scope = "PATIENT" }
refuse({ kind = "denied", code = "access_denied", dialect = "oauth" }, made:exchange { callback = consent(url, "deny"), pending = pending })

support.step "PKB: a callback with somebody else's state is not sent to the server at all"
url, pending = made:authorize_url { scope = "PATIENT" }
local foreign = consent(url, "allow"):gsub("state=[^&]*", "state=" .. ("A"):rep(43))
refuse({ kind = "state", code = "state_mismatch", outcome = "not_sent" }, made:exchange { callback = foreign, pending = pending })
made:close()

support.step "PKB: two copies of one session. The second refresh sends a spent token, and PKB ends the whole session"
made = logged_in(pkb())
local copy = pkb()
support.must(copy:restore(made:tokens()))
support.note "The first copy refreshes:"
support.good(support.describe(support.must(made:refresh())))
support.note "The second does not know of it:"
refuse({ kind = "denied", code = "invalid_grant", action = "reauthorize" }, copy:refresh())
support.note "Now the first, which did nothing wrong, is out as well:"
local response = support.must(made:call { method = "GET", url = "/fhir/Patient/1" })
support.expect(response.status == 401 and response.body:find "API_SESSION_INVALID" ~= nil, "API_SESSION_INVALID")
support.good "API_SESSION_INVALID: the person must consent again. A shared store with one refresh in flight prevents this."
copy:close()
made:close()

support.step "PKB: an expired access token. call() refreshes once, repeats once, and the caller sees nothing of it"
made = logged_in(pkb())
control("expire", { token = made:tokens().access_token })
response = support.must(made:call { method = "GET", url = "/fhir/Patient/1" })
support.expect(response.status == 200, "status 200")
support.good("status " .. response.status)

support.step "PKB: the answer to a refresh is lost on its way. Nobody knows whether the token is spent, so it is not sent again"
control("fault", { kind = "lost_answer", provider = "pkb", operation = "refresh" })
refuse({ kind = "network", outcome = "unknown", action = "reauthorize" }, made:refresh())
made:close()

support.step "TLS: a server whose certificate nobody we trust has signed"
made = session("conneqt", { api_key = support.need "HEALTHAUTH_CONNEQT_API_KEY", tls = {} })
refuse({ kind = "tls", outcome = "not_sent" }, made:check())
made:close()

quiet:close()
support.done()
