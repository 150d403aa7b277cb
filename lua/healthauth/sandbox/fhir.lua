-- SPDX-License-Identifier: MIT
-- PKB's FHIR and Custom REST endpoints: a bearer, an OperationOutcome where it does not serve, and little resources.

local http = require "healthauth.sandbox.http"

local SYSTEM = "http://fhir.patientsknowbest.com/codesystem/response-code"
local FHIR_JSON = "application/fhir+json;charset=UTF-8"
-- code -> status, severity, issue code, display
local CODES = {
  ACC_TOKEN_EXPIRED = { 401, "error", "expired", "Access token expired" },
  API_SESSION_EXPIRED = { 401, "fatal", "security", "API session expired" },
  API_SESSION_INVALID = { 401, "fatal", "security", "API session invalid" },
  BAD_AUTHENTICATION = { 401, "fatal", "security", "Bad authentication" },
  USER_TYPE_NOT_PERM = { 403, "error", "forbidden", "User type not permitted" },
}

local fhir = {}

local function outcome(code, text)
  local status, severity, issue, display = CODES[code][1], CODES[code][2], CODES[code][3], CODES[code][4]
  return http.json(status, { resourceType = "OperationOutcome", issue = { {
    severity = severity, code = issue, details = { coding = { { system = SYSTEM, code = code, display = display } }, text = text },
  } } }, FHIR_JSON)
end

-- The access token behind a request, or why it does not serve.
local function authenticate(sandbox, request)
  local value = http.bearer(request)
  local token = value and (sandbox.state.pkb.access[value] or sandbox.state.pkb_system.access[value])
  if not token then return nil, outcome("BAD_AUTHENTICATION") end
  local session, now = token.session, sandbox:now()
  if session and session.invalid then return nil, outcome("API_SESSION_INVALID") end
  if session and session.ends_at <= now then return nil, outcome("API_SESSION_EXPIRED") end
  if token.expires_at <= now then return nil, outcome("ACC_TOKEN_EXPIRED") end
  return token
end

--- Whether a path belongs to these endpoints.
---@param path string
---@return boolean
function fhir.serves(path)
  return path:find("^/fhir/") ~= nil or path:find("^/api/") ~= nil
end

--- Answers a request to /fhir/... and /api/... by its bearer.
---@param sandbox table
---@param request table
---@return table response
function fhir.answer(sandbox, request)
  local token, refusal = authenticate(sandbox, request)
  if not token then return refusal end
  local scope, path = token.session and token.session.scope or "SYSTEM", request.path
  local needed = path:match("^/api/(%a+)/")
  needed = needed and needed:upper() or scope
  if scope == "SYSTEM" and path:find("^/api/") or (needed == "TEAMCOORD" or needed == "CLINICIAN") and needed ~= scope then
    return outcome("USER_TYPE_NOT_PERM", "User type " .. scope .. " can't execute API call requiring scope " .. needed)
  end
  local kind, id = path:match("^/fhir/(%u%a*)/?([%w.-]*)$")
  if not kind then
    return http.json(200, { path = path, person = token.session and token.session.person, scope = scope }, "application/json;charset=UTF-8")
  elseif id == "" then
    return http.json(200, { resourceType = "Bundle", type = "searchset", total = 0 }, FHIR_JSON)
  end
  local name = kind == "Patient" and { { family = "Sandbox", given = { "Sam" } } } or nil
  return http.json(200, { resourceType = kind, id = id, name = name }, FHIR_JSON)
end

return fhir
