-- SPDX-License-Identifier: MIT
-- PKB's other token host: client credentials with HTTP Basic, as Spring Security OAuth answers. Never a refresh token.

local core = require "healthauth.core"
local fhir = require "healthauth.sandbox.fhir"
local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

local JSON = "application/json;charset=UTF-8"
local NO_STORE = { { "Cache-Control", "no-store" }, { "Pragma", "no-cache" } }

local pkb_system = { name = "pkb_system", defaults = { access_lifetime = 3599 } }

-- id and secret of `Authorization: Basic`, each form-encoded before they were joined (RFC 6749 2.3.1); nil where there is none.
local function basic(request)
  local value = http.header(request, "Authorization")
  local coded = value and value:match("^[Bb][Aa][Ss][Ii][Cc] ([%w+/]+=*)$")
  if not coded then return nil end
  local plain = core.base64url_decode((coded:gsub("=", ""):gsub("+", "-"):gsub("/", "_")))
  local id, secret = (plain or ""):match("^([^:]*):(.*)$")
  if not id then return nil end
  return core.percent_decode(id, true), core.percent_decode(secret, true)
end

local function refuse(status, code, description)
  return http.json(status, { error = code, error_description = description }, JSON, NO_STORE)
end

local function tokens(sandbox, request)
  local id, secret = basic(request)
  local own = sandbox.credentials.pkb_system
  if not id or not secret or not core.equal(id, own.client_id) or not core.equal(secret, own.client_secret) then
    return refuse(401, "unauthorized", "Full authentication is required to access this resource")
  end
  local form = http.media_type(request) == "application/x-www-form-urlencoded" and core.form_decode(request.body or "")
  if not form or not form.grant_type then return refuse(400, "invalid_request", "Missing grant type") end
  if form.grant_type ~= "client_credentials" then return refuse(400, "unsupported_grant_type", "Unsupported grant type") end
  local access = mint.token(sandbox.state)
  local lifetime = sandbox.settings.pkb_system.access_lifetime
  sandbox.state.pkb_system.access[access] = { expires_at = sandbox:now() + lifetime }
  return http.json(200, {
    access_token = access, token_type = "bearer", expires_in = lifetime, scope = mint.person_id(own.client_id) .. "-all",
    client_name = "Sandbox system client", jti = mint.uuid(sandbox.state),
  }, JSON, NO_STORE)
end

--- An empty state.
---@return table
function pkb_system.state()
  return { access = {} }
end

--- Which operation a request is, for faults and counts.
---@param request table
---@return string
function pkb_system.operation(request)
  return request.path == "/api/oauth/token" and "exchange" or "call"
end

--- Answers one request as the client-credentials host does.
---@param sandbox table
---@param request table
---@return table response
function pkb_system.answer(sandbox, request)
  if request.path == "/api/oauth/token" and request.method == "POST" then return tokens(sandbox, request) end
  if fhir.serves(request.path) then return fhir.answer(sandbox, request) end
  return http.json(404, { error = "not_found" }, JSON)
end

--- Takes a token back.
---@param sandbox table
---@param secret string
---@return boolean known
function pkb_system.revoke(sandbox, secret)
  local own = sandbox.state.pkb_system.access
  if not own[secret] then return false end
  own[secret] = nil
  return true
end

--- Lets a token expire now.
---@param sandbox table
---@param secret string
---@return boolean known
function pkb_system.expire(sandbox, secret)
  local token = sandbox.state.pkb_system.access[secret]
  if not token then return false end
  token.expires_at = sandbox:now()
  return true
end

return pkb_system
