-- SPDX-License-Identifier: MIT
-- eHealth (Ukraine) emulated: mithril's token endpoint behind the Kong gateway. The refresh token is reusable and never in a
-- refresh answer; `expires_at` is absolute by this sandbox's clock.

local core = require "healthauth.core"
local envelope = require "healthauth.sandbox.ehealth_envelope"
local gateway = require "healthauth.sandbox.ehealth_gateway"
local login = require "healthauth.sandbox.ehealth_login"
local mint = require "healthauth.sandbox.mint"

local ehealth = {
  name = "ehealth",
  defaults = {
    code_lifetime = 300, access_lifetime = 30 * 86400, refresh_lifetime = 7 * 86400,
    require_api_key = false, require_psk = false, return_state = true,
  },
}

-- The members of `names` that are no text or blank.
local function blanks(token, names)
  local missing = {}
  for _, name in ipairs(names) do
    if type(token[name]) ~= "string" or not token[name]:find("%S") then missing[#missing + 1] = name end
  end
  return missing
end

local function issue(sandbox, request, source, details)
  local own, settings, now = sandbox.state.ehealth, sandbox.settings.ehealth, sandbox:now()
  local value = mint.opaque(sandbox.state)
  own.access[value] = { approval = source.approval, client = source.client, scope = details.scope, person = source.person,
    refresh = source.refresh or details.refresh_token, expires_at = now + settings.access_lifetime }
  details.client_id = source.client.client_id
  return envelope.data(sandbox, request, 201, {
    id = mint.uuid(sandbox.state), name = "access_token", value = value, expires_at = own.access[value].expires_at,
    user_id = mint.person_id(source.person), details = details,
  })
end

-- The client of the body, or a refusal: an unknown id and a wrong secret are told apart by nobody.
local function client_of(sandbox, request, token)
  local client = sandbox.clients.ehealth[token.client_id]
  if not client or not core.equal(client.client_secret, token.client_secret) then
    return nil, envelope.refuse(sandbox, request, 401, "invalid_client", "Invalid client id or secret.")
  elseif client.blocked then
    return nil, envelope.refuse(sandbox, request, 401, "invalid_client", "Client is blocked")
  end
  return client
end

local function exchange(sandbox, request, token)
  local function refuse(...) return envelope.refuse(sandbox, request, 401, ...) end
  if blanks(token, { "code" })[1] then return envelope.blank(sandbox, request, { "code" }) end
  local code = sandbox.state.ehealth.codes[token.code]
  if not code then return refuse("token_not_found", "Token not found.") end
  if code.used then return refuse("access_denied", "Token has already been used.") end
  if code.expires_at <= sandbox:now() then return refuse("token_expired", "Token expired.") end
  local missing = blanks(token, { "client_id", "client_secret", "redirect_uri" })
  if missing[1] then return envelope.blank(sandbox, request, missing) end
  local client, refusal = client_of(sandbox, request, token)
  if not client then return refusal end
  if code.client ~= client then return refuse("invalid_grant", "Token not found or expired.") end
  if not login.uri_matches(code.redirect_uri, token.redirect_uri) or not login.uri_matches(client.redirect_uri, token.redirect_uri) then
    return refuse("invalid_client", "The redirection URI provided does not match a pre-registered value.")
  end
  if code.approval.revoked then return refuse("access_denied", "Resource owner revoked access for the client.") end
  code.used = true
  local refresh = mint.opaque(sandbox.state)
  sandbox.state.ehealth.refresh[refresh] = { client = client, approval = code.approval, person = code.person,
    expires_at = sandbox:now() + sandbox.settings.ehealth.refresh_lifetime }
  return issue(sandbox, request, code, { grant_type = "authorization_code", scope = code.scope, refresh_token = refresh,
    redirect_uri = token.redirect_uri })
end

local function refresh(sandbox, request, token)
  local function refuse(...) return envelope.refuse(sandbox, request, 401, ...) end
  local missing = blanks(token, { "client_id", "client_secret", "refresh_token" })
  if missing[1] then return envelope.blank(sandbox, request, missing) end
  local client, refusal = client_of(sandbox, request, token)
  if not client then return refusal end
  local known = sandbox.state.ehealth.refresh[token.refresh_token]
  if not known then return refuse("token_not_found", "Token not found.") end
  if known.expires_at <= sandbox:now() then return refuse("token_expired", "Token expired.") end
  if known.client ~= client then return refuse("invalid_grant", "Token not found or expired.") end
  if known.approval.revoked then return refuse("access_denied", "Resource owner revoked access for the client.") end
  return issue(sandbox, request, { client = client, approval = known.approval, person = known.person, refresh = token.refresh_token },
    { grant_type = "refresh_token", scope = table.concat(known.approval.list, " ") })
end

local GRANTS = { authorization_code = exchange, refresh_token = refresh }

-- The wrapped `token` of the body; nil where the body is broken or not wrapped.
local function wrapped(request)
  local body = core.json_decode(request.body or "")
  return type(body) == "table" and type(body.token) == "table" and body.token or nil
end

local function tokens(sandbox, request)
  local token = wrapped(request)
  if not token then
    return envelope.refuse(sandbox, request, 400, "request_malformed",
      "Malformed request. Probably, you have sent corrupted JSON.", { { entry_type = "request", rules = { { rule = "json" } } } })
  end
  local refusal = gateway.key_rule(sandbox, request)
  if refusal then return refusal end
  if type(token.grant_type) ~= "string" then return envelope.rule(sandbox, request, "Request must include grant_type.") end
  local grant = GRANTS[token.grant_type]
  if not grant then return envelope.refuse(sandbox, request, 401, "invalid_grant", "Grant type not allowed.") end
  return grant(sandbox, request, token)
end

--- An empty state.
---@return table
function ehealth.state()
  return { codes = {}, access = {}, refresh = {}, approvals = {} }
end

--- Which operation a request is, for faults and counts.
---@param request table
---@return string
function ehealth.operation(request)
  if request.method == "POST" and request.path == "/oauth/tokens" then
    local token = wrapped(request)
    return token and token.grant_type == "refresh_token" and "refresh" or "exchange"
  elseif request.path == "/sign-in" then
    return "authorize"
  elseif request.path == "/auth/logout" then
    return "logout"
  end
  return "call"
end

--- Answers one request as eHealth does.
---@param sandbox table
---@param request table
---@return table response
function ehealth.answer(sandbox, request)
  if request.method == "GET" and request.path == "/sign-in" then return login.page(sandbox, request) end
  local refusal = gateway.psk_refused(sandbox, request) or envelope.unacceptable(sandbox, request)
  if refusal then return refusal end
  if request.method == "POST" and request.path == "/oauth/tokens" then return tokens(sandbox, request) end
  return gateway.answer(sandbox, request)
end

--- The person withdraws the approval behind a token: its access tokens die, a refresh is denied.
---@param sandbox table
---@param secret string an access or refresh token
---@return boolean known
function ehealth.revoke(sandbox, secret)
  local own = sandbox.state.ehealth
  local token = own.access[secret] or own.refresh[secret]
  if not token then return false end
  token.approval.revoked = true
  return true
end

--- Lets a token expire now.
---@param sandbox table
---@param secret string an access token, refresh token or code
---@return boolean known
function ehealth.expire(sandbox, secret)
  local own = sandbox.state.ehealth
  local token = own.access[secret] or own.refresh[secret] or own.codes[secret]
  if not token then return false end
  token.expires_at = sandbox:now()
  return true
end

return ehealth
