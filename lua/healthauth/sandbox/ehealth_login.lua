-- SPDX-License-Identifier: MIT
-- eHealth's /sign-in page: the person decides, the browser goes back with a code. Errors are HTML pages that nobody returns from.

local core = require "healthauth.core"
local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

local login = {}

local function error_page(text)
  return http.page(422, "eHealth", "<p>" .. http.escape(text) .. "</p>")
end

--- Whether a redirect_uri is the registered one or that with more path or query behind it.
---@param registered string
---@param given any
---@return boolean
function login.uri_matches(registered, given)
  registered = registered:gsub("/$", "")
  if type(given) ~= "string" or given:sub(1, #registered) ~= registered then return false end
  local rest = given:sub(#registered + 1, #registered + 1)
  return rest == "" or rest == "/" or rest == "?"
end

-- The Location builder takes the query apart and writes it anew: `code` comes first, the rest in order of names.
local function location(uri, first, state_value)
  local base, query = uri:match("^([^?]*)%??(.*)$")
  local list, names, kept = {}, {}, core.form_decode(query) or {}
  for _, pair in ipairs(first) do list[#list + 1] = pair end
  for name in pairs(kept) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do list[#list + 1] = { name, kept[name] } end
  if state_value then list[#list + 1] = { "state", state_value } end
  return base .. "?" .. core.form_encode(list)
end

-- What the person has allowed this client so far, made wider: a refresh answers with the whole approval's scope.
local function approve(sandbox, client, person, scope)
  local own = sandbox.state.ehealth
  local key = client.client_id .. "\0" .. person
  local approval = own.approvals[key]
  if not approval or approval.revoked then
    approval = { scopes = {}, list = {}, person = person, revoked = false }
    own.approvals[key] = approval
  end
  for word in scope:gmatch("%S+") do
    if not approval.scopes[word] then
      approval.scopes[word] = true
      approval.list[#approval.list + 1] = word
    end
  end
  return approval
end

--- The sign-in page, or the browser sent back: GET /sign-in.
---@param sandbox table
---@param request table
---@return table response
function login.page(sandbox, request)
  local query = core.form_decode(request.query)
  if not query then return error_page("The address is not well formed.") end
  local client = sandbox.clients.ehealth[query.client_id or ""]
  if not client then return error_page("Invalid client id.") end
  if client.blocked then return error_page("Client is blocked") end
  if not login.uri_matches(client.redirect_uri, query.redirect_uri) then
    return error_page("The redirection URI provided does not match a pre-registered value.")
  end
  if query.response_type and query.response_type ~= "code" then return error_page("response_type must be code.") end
  if not query.scope or not query.scope:find("%S") then return error_page("Requested scope is empty.") end
  local state_value = sandbox.settings.ehealth.return_state and query.state or nil
  if query.decision == "deny" then
    return http.redirect(location(query.redirect_uri,
      { { "error", "access_denied" }, { "error_description", "The resource owner denied the request." } }, state_value))
  elseif query.decision ~= "allow" then
    return http.consent_page("eHealth", "The client " .. client.client_id .. " asks for: " .. query.scope, request.query)
  end
  local code, person = mint.opaque(sandbox.state), query.person or sandbox.settings.person
  sandbox.state.ehealth.codes[code] = {
    client = client, redirect_uri = query.redirect_uri, scope = query.scope, person = person,
    approval = approve(sandbox, client, person, query.scope), expires_at = sandbox:now() + sandbox.settings.ehealth.code_lifetime,
  }
  return http.redirect(location(query.redirect_uri, { { "code", code } }, state_value))
end

return login
