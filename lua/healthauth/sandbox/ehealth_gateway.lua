-- SPDX-License-Identifier: MIT
-- The Kong gateway of eHealth: pre-shared key, API-key, bearer and scope, then a few resources to call. And /auth/logout.

local core = require "healthauth.core"
local envelope = require "healthauth.sandbox.ehealth_envelope"
local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

-- method and path -> the allowance that the token's scope must hold
local ALLOWANCES = {
  ["GET /api/employees"] = "employee:read",
  ["POST /api/employees"] = "employee:write",
  ["GET /api/legal_entities"] = "legal_entity:read",
}

local gateway = {}

-- missing and required, or there and wrong
local function wrong_header(request, name, expected, required)
  local given = http.header(request, name)
  if given == nil then return required and "missing" or nil end
  return not core.equal(given, expected) and "wrong" or nil
end

--- The pre-shared key is looked at before anything else. Its refusal is not documented: Kong's own shape is a guess.
---@param sandbox table
---@param request table
---@return table|nil response
function gateway.psk_refused(sandbox, request)
  if wrong_header(request, "X-Custom-PSK", sandbox.credentials.ehealth.psk, sandbox.settings.ehealth.require_psk) then
    return http.json(403, { message = "Invalid X-Custom-PSK" })
  end
  return nil
end

--- What the token endpoint says of a missing or wrong API-key: 422, the misleading template.
---@param sandbox table
---@param request table
---@return table|nil response
function gateway.key_rule(sandbox, request)
  local fault = wrong_header(request, "API-key", sandbox.credentials.ehealth.api_key, sandbox.settings.ehealth.require_api_key)
  if not fault then return nil end
  return envelope.rule(sandbox, request, fault == "missing" and "API-KEY header required." or "API-KEY header is invalid.")
end

-- A wrong API-key and a dead token look the same: the plugin maps every failed verify to one sentence.
local function invalid_token(sandbox, request)
  return envelope.refuse(sandbox, request, 401, "access_denied", "Invalid access token")
end

local function key_is_wrong(sandbox, request)
  return wrong_header(request, "API-key", sandbox.credentials.ehealth.api_key, sandbox.settings.ehealth.require_api_key)
end

local function logout(sandbox, request, token)
  if key_is_wrong(sandbox, request) then return invalid_token(sandbox, request) end
  if not token then return envelope.refuse(sandbox, request, 401, "token_not_found", "Token not found.") end
  if token.expires_at <= sandbox:now() then return envelope.refuse(sandbox, request, 401, "token_expired", "Token expired.") end
  token.expires_at = sandbox:now()
  local refresh = token.refresh and sandbox.state.ehealth.refresh[token.refresh]
  if refresh then refresh.expires_at = sandbox:now() end
  return envelope.data(sandbox, request, 200, {})
end

local function resource(sandbox, request, token)
  if request.path == "/oauth/user" then
    return envelope.data(sandbox, request, 200,
      { id = mint.person_id(token.person), email = token.person .. "@example.com", is_blocked = false })
  end
  local allowance = ALLOWANCES[request.method .. " " .. request.path]
  local scope = " " .. token.scope .. " "
  if allowance and not scope:find(" " .. allowance .. " ", 1, true) then
    return envelope.refuse(sandbox, request, 403, "forbidden",
      "Your scope does not allow to access this resource. Missing allowances: " .. allowance)
  elseif not request.path:find("^/api/") then
    return envelope.refuse(sandbox, request, 404, "not_found")
  end
  return envelope.data(sandbox, request, 200, { path = request.path, person = token.person, user_id = mint.person_id(token.person),
    scope = token.scope })
end

--- Every request that is neither /sign-in nor /oauth/tokens.
---@param sandbox table
---@param request table
---@return table response
function gateway.answer(sandbox, request)
  local path = request.path
  if path ~= "/auth/logout" and path ~= "/oauth/user" and not path:find("^/api/") then
    return envelope.refuse(sandbox, request, 404, "not_found")
  end
  local value = http.bearer(request)
  if not value then
    return envelope.refuse(sandbox, request, 401, "access_denied", "Authorization header is not set or doesn't contain Bearer token")
  end
  local token = sandbox.state.ehealth.access[value]
  if path == "/auth/logout" then
    if request.method ~= "POST" then return envelope.refuse(sandbox, request, 404, "not_found") end
    return logout(sandbox, request, token)
  end
  local alive = token and token.expires_at > sandbox:now() and not token.approval.revoked and not token.client.blocked
  if not alive or key_is_wrong(sandbox, request) then return invalid_token(sandbox, request) end
  return resource(sandbox, request, token)
end

return gateway
