-- SPDX-License-Identifier: MIT
-- Conneqt (Quicksilva IM1 toolbar) emulated: access codes that work once, tokens that live until they are revoked.

local core = require "healthauth.core"
local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

local TOKEN_PATH = "/api/v1/messages/instant/access/token"
-- The colon is missing in both published examples.
local VALIDATION_ERROR = "https//qxlva.com/im1toolbar/documentation/api/v1/validation-error"

local conneqt = { name = "conneqt", defaults = {} }

local function problem(status, document)
  document.status = status
  return http.json(status, document, "application/problem+json")
end

local function invalid(state, name, reason)
  return problem(400, {
    type = VALIDATION_ERROR, title = "Request Validation Error", instance = "urn:uuid:" .. mint.uuid(state),
    invalidParameters = { { name = name, reason = reason } },
  })
end

-- nil where the key may pass
local function refused_key(sandbox, request)
  local key = http.header(request, "ApiKey")
  if key == sandbox.specimens.conneqt.forbidden_api_key then
    return problem(403, { type = "about:blank", title = "Forbidden", detail = "Unauthorized Client System" })
  elseif not key or not core.equal(key, sandbox.credentials.conneqt.api_key) then
    local id = core.hex(core.sha256(mint.uuid(sandbox.state)))
    return problem(401, {
      type = "https://tools.ietf.org/html/rfc7235#section-3.1", title = "Unauthorized",
      traceId = "00-" .. id:sub(1, 32) .. "-" .. id:sub(33, 48) .. "-00",
    })
  end
  return nil
end

local function exchange(sandbox, request)
  local own = sandbox.state.conneqt
  if http.media_type(request) ~= "application/json" then
    return problem(415, { type = "https://tools.ietf.org/html/rfc7231#section-6.5.13", title = "Unsupported Media Type" })
  end
  local body = core.json_decode(request.body or "")
  local code = type(body) == "table" and body.accessCode
  if type(code) ~= "string" or code == "" then return invalid(sandbox.state, "accessCode", "Access code must be provided") end
  if own.codes[code] ~= "fresh" then return invalid(sandbox.state, "accessCode", "Unknown Access Code") end
  own.codes[code] = "spent"
  local token = mint.uuid(sandbox.state)
  own.tokens[token] = "valid"
  return http.json(200, { token = token })
end

local function verify(sandbox, request)
  local token = http.header(request, "Conneqt-Instant-Access-Token")
  if not token or token == "" then return invalid(sandbox.state, "AccessToken", "Access token must be provided") end
  return http.empty(sandbox.state.conneqt.tokens[token] == "valid" and 200 or 410)
end

local ROUTES = {
  ["POST " .. TOKEN_PATH] = { "exchange", exchange },
  ["GET " .. TOKEN_PATH .. "/verify"] = { "verify", verify },
  ["GET /api/v1/test"] = { "check", function() return http.empty(200) end },
  ["POST /api/v1/test"] = { "check", function() return http.empty(200) end },
}
local ALLOWED = { [TOKEN_PATH] = "POST", [TOKEN_PATH .. "/verify"] = "GET", ["/api/v1/test"] = "GET, POST" }

--- An empty state.
---@return table
function conneqt.state()
  return { codes = {}, tokens = {} }
end

--- The name of the operation that a request asks for.
---@param request table
---@return string
function conneqt.operation(request)
  local route = ROUTES[request.method .. " " .. request.path]
  return route and route[1] or "other"
end

--- Answers one request as Conneqt does.
---@param sandbox table
---@param request table
---@return table response
function conneqt.answer(sandbox, request)
  local route = ROUTES[request.method .. " " .. request.path]
  if not route then
    local allowed = ALLOWED[request.path]
    return allowed and http.empty(405, { { "Allow", allowed } }) or http.empty(404)
  end
  return refused_key(sandbox, request) or route[2](sandbox, request)
end

--- Mints an access code as the practitioner's toolbar does.
---@param sandbox table
---@return string
function conneqt.access_code(sandbox)
  local code = mint.code(sandbox.state)
  sandbox.state.conneqt.codes[code] = "fresh"
  return code
end

--- Revokes a token (verify: 410) or spends a code; false where it is not one of ours.
---@param sandbox table
---@param secret string
---@return boolean
function conneqt.revoke(sandbox, secret)
  local own = sandbox.state.conneqt
  if own.tokens[secret] then own.tokens[secret] = "gone" return true end
  if own.codes[secret] then own.codes[secret] = "spent" return true end
  return false
end

conneqt.expire = conneqt.revoke

return conneqt
