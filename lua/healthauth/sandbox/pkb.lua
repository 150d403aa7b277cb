-- SPDX-License-Identifier: MIT
-- Patients Know Best, user client, emulated: refresh tokens are single use and rotate; one that comes a second time
-- kills the whole session, and the person must consent again.

local core = require "healthauth.core"
local fhir = require "healthauth.sandbox.fhir"
local http = require "healthauth.sandbox.http"
local login = require "healthauth.sandbox.pkb_login"
local mint = require "healthauth.sandbox.mint"

local JSON = "application/json;charset=UTF-8"
local TETHERED_LIFETIME = 365 * 86400
local NO_STORE = { { "Cache-Control", "no-store" }, { "Pragma", "no-cache" } }

local pkb = {
  name = "pkb",
  defaults = { code_lifetime = 300, access_lifetime = 600, session_lifetime = 8 * 3600, deny = "redirect" },
}

local function refuse(code, description, status)
  return http.json(status or 400, { error = code, error_description = description }, JSON, NO_STORE)
end

-- A new pair for a session. The refresh token is left out when the access token outlives the session.
local function issue(sandbox, session, scope)
  local own, now = sandbox.state.pkb, sandbox:now()
  local access = mint.token(sandbox.state)
  local expires_at = now + sandbox.settings.pkb.access_lifetime
  own.access[access] = { session = session, expires_at = expires_at }
  local refresh
  if expires_at < session.ends_at then
    refresh = mint.token(sandbox.state)
    own.refresh[refresh] = { session = session, spent = false }
  end
  return http.json(200, { access_token = access, token_type = "Bearer", expires_in = sandbox.settings.pkb.access_lifetime,
    refresh_token = refresh, scope = scope }, JSON, NO_STORE)
end

local function exchange(sandbox, form)
  local code = form.code and sandbox.state.pkb.codes[form.code]
  if not form.code then return refuse("invalid_request", "code is missing") end
  if not code or code.used or code.expires_at <= sandbox:now() or code.client_id ~= form.client_id then
    return refuse("invalid_grant", "Invalid authorization code")
  end
  if code.redirect_uri and form.redirect_uri ~= code.redirect_uri
      or not code.redirect_uri and form.redirect_uri and form.redirect_uri ~= code.registered then
    return refuse("invalid_grant", "redirect_uri does not match")
  end
  code.used = true
  local session = { client_id = code.client_id, scope = code.scope, person = code.person, invalid = false,
    ends_at = sandbox:now() + sandbox.settings.pkb.session_lifetime }
  return issue(sandbox, session, code.scope:lower()) -- the published example answers PATIENT with "patient"
end

local function refresh(sandbox, form)
  if not form.refresh_token then return refuse("invalid_request", "refresh_token is missing") end
  local token = sandbox.state.pkb.refresh[form.refresh_token]
  if token and token.spent then
    sandbox.state.replays = sandbox.state.replays + 1
    token.session.invalid = true
  end
  if not token or token.spent or token.session.invalid or token.session.ends_at <= sandbox:now()
      or token.session.client_id ~= form.client_id then
    return refuse("invalid_grant", "Invalid refresh token")
  end
  if token.session.scope == "SITE" and not form.scope then return refuse("invalid_scope", "scope is missing") end
  if form.scope and form.scope:upper() ~= token.session.scope then return refuse("invalid_scope", "Scope does not match the session") end
  token.spent = true
  return issue(sandbox, token.session, token.session.scope)
end

local GRANTS = { authorization_code = exchange, refresh_token = refresh }

local function tokens(sandbox, request)
  if http.media_type(request) ~= "application/x-www-form-urlencoded" then
    return refuse("invalid_request", "Content-Type must be application/x-www-form-urlencoded")
  end
  local form = core.form_decode(request.body or "")
  if not form or not form.grant_type or not form.client_id then return refuse("invalid_request") end
  if not sandbox.clients.pkb[form.client_id] then return refuse("invalid_client", "Unknown client", 401) end
  local grant = GRANTS[form.grant_type]
  if not grant then return refuse("unsupported_grant_type") end
  return grant(sandbox, form)
end

--- The first refresh token of a Tethered-Token system client, as a Team Coordinator sees it and hands it over: it has no login.
---@param sandbox table
---@return string
function pkb.tethered_token(sandbox)
  local secret = mint.token(sandbox.state)
  sandbox.state.pkb.refresh[secret] = { spent = false, session = {
    client_id = sandbox.credentials.pkb.client_id, scope = "SITE", invalid = false, ends_at = sandbox:now() + TETHERED_LIFETIME,
  } }
  return secret
end

--- An empty state.
---@return table
function pkb.state()
  return { codes = {}, access = {}, refresh = {} }
end

--- Which operation a request is, for faults and counts.
---@param request table
---@return string
function pkb.operation(request)
  if request.path == "/apiAuthorize.action" then
    return "authorize"
  elseif request.path == "/apiToken.action" then
    local form = core.form_decode(request.body or "")
    return form and form.grant_type == "refresh_token" and "refresh" or "exchange"
  end
  return "call"
end

--- Answers one request as PKB does.
---@param sandbox table
---@param request table
---@return table response
function pkb.answer(sandbox, request)
  if request.path == "/apiAuthorize.action" and request.method == "GET" then return login.page(sandbox, request) end
  if request.path == "/apiToken.action" and request.method == "POST" then return tokens(sandbox, request) end
  if fhir.serves(request.path) then return fhir.answer(sandbox, request) end
  return http.page(404, "Patients Know Best", "<h2>Error</h2><p>No such page.</p>")
end

--- The person withdraws consent: the whole session is invalid.
---@param sandbox table
---@param secret string an access or refresh token
---@return boolean known
function pkb.revoke(sandbox, secret)
  local token = sandbox.state.pkb.access[secret] or sandbox.state.pkb.refresh[secret]
  if not token then return false end
  token.session.invalid = true
  return true
end

--- Ends an access token or a code; for a refresh token the whole session ends (API_SESSION_EXPIRED).
---@param sandbox table
---@param secret string
---@return boolean known
function pkb.expire(sandbox, secret)
  local own = sandbox.state.pkb
  local token = own.access[secret] or own.codes[secret]
  if token then token.expires_at = sandbox:now() return true end
  if own.refresh[secret] then own.refresh[secret].session.ends_at = sandbox:now() return true end
  return false
end

return pkb
