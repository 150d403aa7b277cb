-- SPDX-License-Identifier: MIT
-- PKB's /apiAuthorize.action: a bad request is an HTML page without a redirect; else the person allows or denies.

local core = require "healthauth.core"
local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

local SCOPES = { PATIENT = true, CLINICIAN = true, TEAMCOORD = true }

local login = {}

local function error_page(text)
  return http.page(400, "Patients Know Best", "<h2>Error</h2><p>" .. http.escape(text) .. "</p>")
end

-- The registered address, with further parameters behind it where the client likes.
local function uri_allowed(registered, given)
  if given == registered then return true end
  local joint = registered:find("?", 1, true) and "&" or "?"
  return given:sub(1, #registered + 1) == registered .. joint
end

--- The consent page, or the browser sent back: GET /apiAuthorize.action.
---@param sandbox table
---@param request table
---@return table response
function login.page(sandbox, request)
  local query = core.form_decode(request.query)
  local client = query and sandbox.clients.pkb[query.client_id or ""]
  if not client then return error_page("Unknown client") end
  if query.response_type ~= "code" then return error_page("response_type must be code") end
  if query.redirect_uri and not uri_allowed(client.redirect_uri, query.redirect_uri) then
    return error_page("redirect_uri is not registered")
  end
  if query.scope and not SCOPES[query.scope] then return error_page("Unknown scope") end
  local address, scope = query.redirect_uri or client.redirect_uri, query.scope or "PATIENT"
  local state = query.state and { "state", query.state }
  if query.decision == "deny" then
    -- What PKB does here was never found in its papers; the page that nobody returns from is the other guess.
    if sandbox.settings.pkb.deny == "page" then return error_page("You denied access.") end
    return http.redirect(http.with_query(address, { { "error", "access_denied" }, state }))
  elseif query.decision ~= "allow" then
    return http.consent_page("Patients Know Best", client.client_id .. " asks to act for you as " .. scope .. ".", request.query)
  end
  local code = mint.token(sandbox.state)
  sandbox.state.pkb.codes[code] = {
    client_id = client.client_id, redirect_uri = query.redirect_uri, registered = client.redirect_uri, scope = scope,
    person = query.person or sandbox.settings.person, expires_at = sandbox:now() + sandbox.settings.pkb.code_lifetime,
  }
  return http.redirect(http.with_query(address, { { "code", code }, state }))
end

return login
