-- SPDX-License-Identifier: MIT
-- One input: a byte that chooses the session, the callback, and after a byte 0xFF members that replace those of the pending: name=value
-- lines. "$" in the callback stands for the right state.

local core = require "healthauth.core"
local check_error = require "test.fuzz.error_rules"

local NOW = 1700000000
local STATE = "state-0123456789-0123456789"
local VERIFIER = "verifier-secret-0123456789-0123456789-0123456"

local function open(name, options)
  options.base_url = "https://api.example.org"
  return core.session(core.provider(require("healthauth.providers." .. name)), options)
end
local SESSIONS = {
  open("pkb", { client_id = "id", redirect_uri = "https://app.example/cb" }),
  open("ehealth", { client_id = "id", client_secret = "client-secret-0123", redirect_uri = "https://app.example/cb",
    issuer = "https://i.example" }),
  open("pkb", { client_id = "id", pkce = true }),
}
local NAMES = { "pkb", "ehealth", "pkb" }

local function pending_of(name, changes)
  local pending = {
    version = 1, provider = name, state = STATE, redirect_uri = "https://app.example/cb", scope = "s", code_verifier = VERIFIER,
    created_at = NOW, expires_at = NOW + 600,
  }
  for key, value in (changes or ""):gmatch "([^=\n]+)=([^\n]*)" do
    if value == "nil" then pending[key] = nil
    elseif value == "{}" then pending[key] = {}
    else pending[key] = tonumber(value) or value end
  end
  return pending
end

return function(input)
  if #input < 1 then return end
  local which = input:byte(1) % #SESSIONS + 1
  local callback, changes = input:sub(2):match "^(.-)\255(.*)$"
  callback = (callback or input:sub(2)):gsub("%$", STATE)
  local pending = pending_of(NAMES[which], changes)
  local exchange, err = SESSIONS[which]:begin("exchange", { callback = callback, pending = pending, now = NOW + 5 })
  if not exchange then
    check_error(err, { VERIFIER, which == 2 and "client-secret-0123" or nil })
    assert(err.kind == "argument" or err.kind == "state" or err.kind == "denied", "kind of a callback's error")
    assert(err.kind == "denied" or err.outcome == "not_sent", "outcome")
    if err.kind == "denied" then assert(callback:find("state", 1, true), "a denial without state") end
    return
  end
  -- Another reader must find the same state and code in it.
  local query = callback:gsub("#.*$", ""):gsub("^[^?]*%?", "")
  local form = assert(core.form_decode(query), "another reader cannot read the callback")
  assert(form.state == pending.state and #pending.state >= 22, "the state is not the right one")
  assert(form.code and form.code:find "^[\33-\126]+$" and not form.error, "code")
  assert(pending.expires_at > NOW + 5 and pending.provider == NAMES[which] and pending.version == 1, "pending")
  if which == 2 and form.iss then assert(form.iss == "https://i.example", "issuer") end
  local request = exchange:request()
  assert(request.method == "POST" and request.url:find("https://api.example.org/", 1, true) == 1, "request")
  if which ~= 2 then
    local sent = assert(core.form_decode(request.body))
    assert(sent.code == form.code and sent.grant_type == "authorization_code", "what is sent")
    assert(sent.redirect_uri == pending.redirect_uri or (which == 1 and pending.redirect_uri == nil), "redirect_uri")
  end
  exchange:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
end
