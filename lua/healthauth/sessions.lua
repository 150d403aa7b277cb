-- SPDX-License-Identifier: MIT
--- Many sessions of one provider over one store, told apart by the caller's key (a person, a clinic).
-- Opening one is cheap: nothing is asked of store or provider before its first use. A session is never shared by two keys.

local context = require "healthauth.context"
local core = require "healthauth.core"
local pending = require "healthauth.pending"
local record = require "healthauth.lifecycle.record"
local opening = require "healthauth.opening"
local vault = require "healthauth.lifecycle.vault"

local KNOWN = { provider = true, store = true, options = true }
local KEY_MAX = 256

---@class healthauth.Sessions
local Sessions = {}
Sessions.__index = Sessions
Sessions.__name = "healthauth.sessions"

function Sessions:__tostring()
  return "healthauth.sessions (" .. self.provider:name() .. ")"
end

local function live(self)
  if self.closed then error("the sessions are closed", 3) end
end

local function check_key(key)
  if type(key) ~= "string" or #key == 0 or #key > KEY_MAX then error("key: expected a text of 1 to 256 bytes", 3) end
end

-- A plain table of the same members: what the caller's does later, or its metatable, has no say.
local function copied(options)
  local out = {}
  for k, v in next, options do out[k] = v end
  return out
end

-- A session's options with another key.
local function options_for(self, key)
  local options = copied(self.options)
  options.store, options.key = self.store, key
  return options
end

--- The session of a key; its tokens come from the store at its first use.
---@param key string  1 to 256 bytes
---@return healthauth.Session
function Sessions:open(key)
  live(self)
  check_key(key)
  local session, err = opening.session(2, self.provider, options_for(self, key))
  return session, err
end

-- Whose records these are: the identity of any session of ours, { provider, base_url, client_id }; raises an error of ours.
local function identity(self)
  local session = self:open "healthauth"
  local named, err = vault.name(session, context.of(session))
  local whose = named and { core.inside.identity(session) }
  session:close()
  return whose or error(err, 0)
end

-- A record of ours that stands where its key belongs: elsewhere no session would take it, and no drop remove it.
local function ours(whose, store_key, found)
  return found and found.provider == whose[1] and found.base_url == whose[2] and found.client_id == whose[3] and
    store_key == record.address(whose[1], whose[2], whose[3], found.key)
end

-- The error of a store that answered or raised one.
local function trouble(err)
  if core.is_error(err) then return err end
  return core.error {
    kind = "store", code = "store_raised", action = "retry", outcome = "not_sent", message = "the store raised an error",
  }
end

--- What is stored, without any secret; marks of spent logins that have expired are removed on the way.
---@return { key: string, expires_at: integer?, scope: string? }[]|nil
---@return healthauth.Error?
function Sessions:list()
  live(self)
  local out, now = {}, context.now(self.options)
  local ok, err = pcall(function()
    local whose = identity(self)
    for store_key, text, list_err in self.store:list() do
      if store_key == false then error(list_err, 0) end
      local expired, mark = pending.expired(store_key, text, now)
      if expired then
        self.store:delete(store_key)
      elseif text and not mark then -- no text: a record that the store cannot read
        local found = record.peek(text)
        if ours(whose, store_key, found) then
          out[#out + 1] = { key = found.key, expires_at = found.expires_at, scope = found.scope }
        end
      end
    end
  end)
  if not ok then return nil, trouble(err) end
  table.sort(out, function(a, b) return a.key < b.key end)
  return out
end

--- Forgets the tokens of a key in the store; the provider is not told (logout does that).
---@param key string
---@return true|nil
---@return healthauth.Error?
function Sessions:drop(key)
  live(self)
  check_key(key)
  local session = opening.session(2, self.provider, options_for(self, key))
  local ok, err = vault.drop(session, context.of(session))
  session:close()
  return ok, err
end

--- Ends the use of this object; sessions opened through it and the store live on.
---@return true
function Sessions:close()
  self.closed = true
  return true
end

--- Makes it. Raises for unknown or wrong options.
---@param level integer
---@param options healthauth.SessionsOptions
---@return healthauth.Sessions
local function new(level, options)
  if type(options) ~= "table" then error("sessions: expected a table of options", level + 1) end
  for name in next, options do
    if not KNOWN[name] then error("sessions: unknown option '" .. context.shown(name) .. "'", level + 1) end
  end
  options = copied(options)
  local provider = options.provider
  if type(provider) == "string" then
    provider = opening.provider(provider)
    if not provider then error("sessions: unknown provider", level + 1) end
  elseif type(provider) ~= "userdata" then
    error("sessions: provider: expected a name or what healthauth.provider made", level + 1)
  end
  if type(options.store) ~= "table" and type(options.store) ~= "userdata" then
    error("sessions: store: expected a store (where its constructor answered nil, err: assert it)", level + 1)
  end
  if options.options ~= nil and type(options.options) ~= "table" then error("sessions: options: expected a table", level + 1) end
  local session_options = copied(options.options or {})
  for _, name in ipairs { "store", "key", "tokens" } do
    if session_options[name] ~= nil then error("sessions: options." .. name .. " does not go here", level + 1) end
  end
  local self = setmetatable({ provider = provider, store = options.store, options = session_options }, Sessions)
  opening.session(level + 1, provider, options_for(self, "healthauth")):close() -- wrong options are told now, not at the first login
  return self
end

return { new = new }
