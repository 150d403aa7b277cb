-- SPDX-License-Identifier: MIT
--- A session's record in a store: JSON text with its version, whose it is, its tokens, their age and its journal.
-- What comes out of a store is untrusted input: a record that is torn, foreign or of another version is an error, never somebody's session.
-- The age tells which of two sets is the newer one whatever the order in which they were saved: `login` is when the person logged in (or a
-- set was restored), `n` counts the renewals since.
-- The journal is { state = "sent", fingerprint, id }: a refresh with that refresh token left, nobody knows its end; or
-- { state = "refused", fingerprint, code, ... }: the provider has said that this refresh token is over.

local core = require "healthauth.core"

local M = {}

local VERSION = 1
local FIELDS = { v = "number", provider = "string", base_url = "string", client_id = "string", key = "string" }
local AGE_MAX = 99999999999
local DEPTH = 208 -- what the deepest answer needs, with the record around it
local REFUSED = { code = true, dialect = true, status = true, message = true, request_id = true }

local function whose(session, key)
  local provider, base_url, client_id = core.inside.identity(session)
  return { v = VERSION, provider = provider, base_url = base_url, client_id = client_id, key = core.base64url(key) }
end

local function part(text)
  return #text .. ":" .. text
end

--- The store's key of whose session it is: a hash, so that no store shows who it is about.
---@param provider string
---@param base_url string
---@param client_id string
---@param key string  the caller's
---@return string
function M.address(provider, base_url, client_id, key)
  return core.hex(core.sha256("healthauth record " .. part(provider) .. part(base_url) .. part(client_id) .. part(key)))
end

--- The store's key of a session.
---@param session userdata
---@param key string  the caller's
---@return string
function M.store_key(session, key)
  local provider, base_url, client_id = core.inside.identity(session)
  return M.address(provider, base_url, client_id, key)
end

--- The text of a record.
---@param session userdata
---@param key string
---@param tokens table|nil    as inside.export gives it
---@param journal table|nil
---@param login number|nil
---@param n number|nil
---@return string
function M.encode(session, key, tokens, journal, login, n)
  local out = whose(session, key)
  if tokens then
    local copy = {}
    for k, v in next, tokens do copy[k] = v end
    if type(copy.extra) == "table" and next(copy.extra) == nil then copy.extra = nil end -- an empty table has no shape in JSON
    out.tokens = copy
  end
  out.journal, out.login, out.n = journal, login, n
  return core.json_encode(out)
end

local function invalid(why)
  return nil, core.error {
    kind = "store", code = "record_invalid", action = "give_up", outcome = "not_sent", message = "the stored record " .. why,
  }
end

local function age(value)
  if value == nil then return 0 end
  return type(value) == "number" and value >= 0 and value <= AGE_MAX and value or nil
end

local function journal_fine(journal)
  if journal == nil then return true end
  if type(journal) ~= "table" or type(journal.fingerprint) ~= "string" then return false end
  if journal.state == "sent" then return true end
  return journal.state == "refused" and type(journal.code) == "string" and journal.code:match "^[%l%d_]+$" ~= nil and #journal.code <= 128
end

--- Reads a record: { tokens, journal, login, n }, or nil, err.
---@param session userdata
---@param key string
---@param text any
---@return table|nil
---@return table|nil err
function M.decode(session, key, text)
  if type(text) ~= "string" then return invalid "is no text" end
  local found = core.json_decode(text, { depth = DEPTH })
  if type(found) ~= "table" then return invalid "is not whole" end
  for name, kind in next, FIELDS do
    if type(found[name]) ~= kind then return invalid "has another shape" end
  end
  if found.v ~= VERSION then return invalid "has another version" end
  local own = whose(session, key)
  for name in next, FIELDS do
    if found[name] ~= own[name] then return invalid "belongs to another session" end
  end
  local login, n = age(found.login), age(found.n)
  if found.tokens ~= nil and type(found.tokens) ~= "table" or not journal_fine(found.journal) or not login or not n then
    return invalid "has another shape"
  end
  return { tokens = found.tokens, journal = found.journal, login = login, n = n }
end

--- The journal of a final refusal, for whoever comes next.
---@param fingerprint string
---@param err table
---@return table
function M.refusal(fingerprint, err)
  local out = { state = "refused", fingerprint = fingerprint }
  for name in next, REFUSED do out[name] = err[name] end
  return out
end

--- The error that such a journal stands for.
---@param session userdata
---@param journal table
---@return table err
function M.refused(session, journal)
  local function text(name)
    return type(journal[name]) == "string" and core.clean(journal[name]) or nil
  end
  return core.error {
    kind = "denied", code = journal.code, dialect = text "dialect", message = text "message", request_id = text "request_id",
    status = type(journal.status) == "number" and journal.status or nil, action = "reauthorize", outcome = "answered",
    provider = core.inside.state(session).provider, operation = "refresh",
  }
end

--- What a list may show of a record: the caller's key, expiry and scope; nil for what is no session's record.
---@param text any
---@return table|nil
function M.peek(text)
  local found = type(text) == "string" and core.json_decode(text, { depth = DEPTH })
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
