-- SPDX-License-Identifier: MIT
-- The eHealth envelope (eview): success and refusal bodies in the shape of mithril and of the gateway before it.

local http = require "healthauth.sandbox.http"
local mint = require "healthauth.sandbox.mint"

local MANIFEST = "http://docs.apimanifest.apiary.io/#introduction/interacting-with-api/"

local envelope = {}

-- Plug.RequestId: the client's own where it is 20 to 200 bytes long, else one of ours.
local function request_id(sandbox, request)
  local given = http.header(request, "X-Request-ID")
  if given and #given >= 20 and #given <= 200 then return given end
  return mint.uuid(sandbox.state) .. "#" .. string.format("%d", sandbox.state.minted)
end

local function enveloped(sandbox, request, status, member, value)
  local id = request_id(sandbox, request)
  local idempotency = http.header(request, "X-Idempotency-Key")
  local headers = { { "X-Request-ID", id } }
  if idempotency then headers[2] = { "X-Idempotency-Key", idempotency } end
  local url = (request.origin ~= "" and request.origin or "http://api.ehealth.gov.ua") .. request.path
  return http.json(status, {
    meta = { url = url, type = "object", code = status, request_id = id, idempotency_key = idempotency }, [member] = value,
  }, nil, headers)
end

--- A successful answer inside its envelope.
---@param sandbox table
---@param request table
---@param status integer
---@param data table
---@return table response
function envelope.data(sandbox, request, status, data)
  return enveloped(sandbox, request, status, "data", data)
end

--- A refusal inside its envelope.
---@param sandbox table
---@param request table
---@param status integer
---@param kind string the error's type
---@param message? string
---@param invalid? table
---@return table response
function envelope.refuse(sandbox, request, status, kind, message, invalid)
  return enveloped(sandbox, request, status, "error", { type = kind, message = message, invalid = invalid })
end

--- 422 for the members that are missing or blank, one entry each.
---@param sandbox table
---@param request table
---@param names string[]
---@return table response
function envelope.blank(sandbox, request, names)
  local invalid = {}
  for index, name in ipairs(names) do
    invalid[index] = { entry = "$." .. name, entry_type = "json_data_property",
      rules = { { rule = "required", params = http.EMPTY_LIST, description = "can't be blank" } } }
  end
  return envelope.refuse(sandbox, request, 422, "validation_failed",
    "Validation failed. You can find validators description at our API Manifest: " .. MANIFEST .. "errors.", invalid)
end

--- 422 of a business rule: rendered with the template of broken JSON, so `invalid` misleads.
---@param sandbox table
---@param request table
---@param message string
---@return table response
function envelope.rule(sandbox, request, message)
  return envelope.refuse(sandbox, request, 422, "request_malformed", message, { { entry_type = "request", rules = { { rule = "json" } } } })
end

--- 406, 415 or nil: what is refused before the body is looked at.
---@param sandbox table
---@param request table
---@return table|nil response
function envelope.unacceptable(sandbox, request)
  local accept = http.header(request, "Accept")
  if accept and not accept:find("json", 1, true) and not accept:find("*/*", 1, true) and not accept:find("application/*", 1, true) then
    return envelope.refuse(sandbox, request, 406, "content_type_invalid", "Accept header is missing or invalid. Try to set 'Accept: "
      .. "application/json' header: " .. MANIFEST .. "content-type.", { { entry_type = "header", entry = "Accept" } })
  end
  local media = http.media_type(request)
  if media and media ~= "application/json" and request.method ~= "GET" then
    return envelope.refuse(sandbox, request, 415, "content_type_invalid", "Invalid Content-Type header. Try to set 'Content-Type: "
      .. "application/json' header: " .. MANIFEST .. "content-type.", { { entry_type = "header", entry = "Content-Type" } })
  end
  return nil
end

return envelope
