-- SPDX-License-Identifier: MIT
--- A session's record in a store: JSON text with its version, whose it is, its tokens and its journal.
-- What comes out of a store is untrusted input: a record that is torn, foreign or of another version is an error, never somebody's session.

local core = require "healthauth.core"

local M = {}

local VERSION = 1
local FIELDS = { v = "number", provider = "string", base_url = "string", client_id = "string", key = "string" }

local function whose(session, key)
  local provider, base_url, client_id = core.inside.identity(session)
  return { v = VERSION, provider = provider, base_url = base_url, client_id = client_id, key = core.base64url(key) }
end

local function part(text)
  return #text .. ":" .. text
end

--- The store's key of a session: a hash, so that no store shows who it is about.
---@param session userdata
---@param key string  the caller's
---@return string
function M.store_key(session, key)
  local provider, base_url, client_id = core.inside.identity(session)
  return core.hex(core.sha256("healthauth record " .. part(provider) .. part(base_url) .. part(client_id) .. part(key)))
end

--- The text of a record.
---@param session userdata
---@param key string
---@param tokens table|nil    as inside.export gives it
---@param journal table|nil   { state = "sent", fingerprint, at }
---@return string
function M.encode(session, key, tokens, journal)
  local out = whose(session, key)
  if tokens then
    local copy = {}
    for k, v in next, tokens do copy[k] = v end
    if type(copy.extra) == "table" and next(copy.extra) == nil then copy.extra = nil end -- an empty table has no shape in JSON
    out.tokens = copy
  end
  out.journal = journal
  return core.json_encode(out)
end

local function invalid(why)
  return nil, core.error {
    kind = "store", code = "record_invalid", action = "give_up", outcome = "not_sent", message = "the stored record " .. why,
  }
end

--- Reads a record: { tokens, journal }, or nil, err.
---@param session userdata
---@param key string
---@param text any
---@return table|nil
---@return table|nil err
function M.decode(session, key, text)
  if type(text) ~= "string" then return invalid "is no text" end
  local found = core.json_decode(text, { depth = 64 })
  if type(found) ~= "table" then return invalid "is not whole" end
  for name, kind in next, FIELDS do
    if type(found[name]) ~= kind then return invalid "has another shape" end
  end
  if found.v ~= VERSION then return invalid "has another version" end
  local own = whose(session, key)
  for name in next, FIELDS do
    if found[name] ~= own[name] then return invalid "belongs to another session" end
  end
  if found.tokens ~= nil and type(found.tokens) ~= "table" then return invalid "has another shape" end
  local journal = found.journal
  if journal ~= nil and (type(journal) ~= "table" or journal.state ~= "sent" or type(journal.fingerprint) ~= "string") then
    return invalid "has another shape"
  end
  return { tokens = found.tokens, journal = journal }
end

--- What a list may show of a record: the caller's key, expiry and scope; nil for what is no session's record.
---@param text string
---@return table|nil
function M.peek(text)
  local found = core.json_decode(text, { depth = 64 })
  if type(found) ~= "table" or found.v ~= VERSION or type(found.key) ~= "string" or type(found.provider) ~= "string" then return nil end
  local key = core.base64url_decode(found.key)
  if not key then return nil end
  local tokens = type(found.tokens) == "table" and found.tokens or {}
  return {
    key = key, provider = found.provider, base_url = found.base_url, client_id = found.client_id,
    expires_at = type(tokens.expires_at) == "number" and tokens.expires_at or nil,
    scope = type(tokens.scope) == "string" and tokens.scope or nil,
  }
end

--- The mark of a spent pending.
---@param expires_at number
---@return string
function M.spent(expires_at)
  return core.json_encode { v = VERSION, spent_until = expires_at }
end

return M
