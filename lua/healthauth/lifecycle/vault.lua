-- SPDX-License-Identifier: MIT
--- The store as one session sees it: load, adopt, compare and swap of its record, and its lease. Nothing here talks to a provider.
-- What is done to save new tokens is in saving.lua.
-- ctx.version is the version of the stored record that our tokens stand for, ctx.login and ctx.n their age (record.lua); ctx.dirty
-- ("login", "refresh") says that ours are newer than what is stored and could not be saved.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local record = require "healthauth.lifecycle.record"

local inside = core.inside

local M = {}

local TRIES = 8 -- reads in a row that the session's other coroutines outran

--- Names the record of a session that has a store, once: true | nil, err. Where a function says the client_id it is asked now.
---@param session userdata
---@param ctx table
---@return true|nil, table|nil
function M.name(session, ctx)
  if ctx.store_key then return true end
  local ok, err = context.name_client(session, ctx)
  if ok then ctx.store_key = record.store_key(session, ctx.key) end
  return ok, err
end

--- A new session: no function of the caller's is called before the record is needed.
---@param session userdata
---@param ctx table
function M.prepare(session, ctx)
  if ctx.store and not (ctx.credentials and ctx.credentials.client_id) then M.name(session, ctx) end
end

-- A store that raises, or says no without an error of ours, is a store in trouble, not the end of the caller.
local function ask(session, ctx, method, ...)
  local named, name_err = M.name(session, ctx)
  if not named then return nil, name_err end
  local store = ctx.store
  local ok, first, second = pcall(store[method], store, ctx.store_key, ...)
  if ok and (first ~= nil or core.is_error(second) or (method == "load" and second == nil)) then return first, second end
  return nil, core.error {
    kind = "store", code = "store_raised", action = "retry", outcome = "not_sent",
    message = ok and "the store failed without an error" or "the store raised an error",
  }
end

local function dress(session, err)
  if err and not err.provider then err.provider = inside.state(session).provider end
  return err
end

--- Tells on_event of a store that fails. A record that is not adopted because a login is under way is no failure of the store.
---@param session userdata
---@param ctx table
---@param operation string
---@param err table
function M.trouble(session, ctx, operation, err)
  if err.code == "exchange_open" then return end
  events.emit(session, ctx, "store_trouble", { operation = operation, code = err.code, outcome = err.outcome })
end

--- The stored record as it stands there: text, version | nil when there is none | nil, nil, err.
---@param session userdata
---@param ctx table
---@return string|nil, string|nil, table|nil
function M.read(session, ctx)
  local text, version = ask(session, ctx, "load")
  if text == nil and version then return nil, nil, dress(session, version) end
  return text, version
end

--- The stored record: { tokens, journal }, version | nil when there is none | nil, nil, err.
---@param session userdata
---@param ctx table
---@return table|nil, string|nil, table|nil
function M.load(session, ctx)
  local text, version, read_err = M.read(session, ctx)
  if not text then return nil, nil, read_err end
  local found, err = record.decode(session, ctx.key, text)
  if not found then return nil, nil, dress(session, err) end
  return found, version
end

--- Notes that the session has new tokens that are not saved yet.
---@param ctx table
---@param why string|nil "login" or "refresh"; nil: it has none any more
---@return integer set  which tokens it has, counted
function M.taint(ctx, why)
  ctx.dirty, ctx.set = why, (ctx.set or 0) + 1
  return ctx.set
end

--- Compare and swap of the record, after it was looked at: version | nil, err (`store` / `conflict` when another was faster). What is
--- saved is no longer dirty, unless newer tokens came while it was saved.
---@param session userdata
---@param ctx table
---@param journal table|nil
---@param expected string|nil
---@return string|nil, table|nil
function M.swap(session, ctx, journal, expected)
  local text = record.encode(session, ctx.key, inside.export(session), journal, ctx.login, ctx.n)
  local set = ctx.set
  local version, err = ask(session, ctx, "save", text, expected)
  if version == nil then return nil, dress(session, err) end
  ctx.version = version
  if ctx.set == set then ctx.dirty = nil end
  return version
end

--- Makes the stored tokens the session's: true, or nil, err.
---@param session userdata
---@param ctx table
---@param found table
---@param version string
---@return true|nil, table|nil
function M.adopt(session, ctx, found, version)
  if found.tokens then
    local ok, err = inside.adopt(session, found.tokens)
    if not ok then
      if err.code == "exchange_open" then return nil, err end
      return nil, core.error {
        kind = "store", code = "record_invalid", action = "give_up", outcome = "not_sent", provider = inside.state(session).provider,
        message = "the stored record holds no usable tokens",
      }
    end
  end
  ctx.loaded, ctx.version, ctx.dirty, ctx.login, ctx.n = true, version, nil, found.login, found.n
  return true
end

--- Whether tokens that could not be saved are kept against a stored set.
---@param ctx table
---@param found table
---@return boolean
function M.ours_is_newer(ctx, found)
  if not ctx.dirty then return false end
  if ctx.dirty == "login" and ctx.committing then return true end -- dated before it is saved
  local login = ctx.login or 0
  if login ~= found.login then return login > found.login end
  return (ctx.n or 0) > found.n
end

-- The stored record as it is after whatever this session's other coroutines saved or dropped while it was read.
local function latest(session, ctx)
  local found, version, err
  for _ = 1, TRIES do
    local before, epoch = ctx.version, ctx.epoch
    found, version, err = M.load(session, ctx)
    if ctx.version == before and ctx.epoch == epoch then break end
  end
  return found, version, err
end

--- What the store says, made ours where it is newer: found, version | nil when there is none | nil, nil, err.
---@param session userdata
---@param ctx table
---@return table|nil, string|nil, table|nil
function M.catch_up(session, ctx)
  local found, version, err = latest(session, ctx)
  if err then return nil, nil, err end
  if found and found.tokens and version ~= ctx.version and not M.ours_is_newer(ctx, found) then
    local ok, adopt_err = M.adopt(session, ctx, found, version)
    if not ok then return nil, nil, adopt_err end
  end
  ctx.loaded = true
  return found, version
end

--- Loads the record: true when the session has tokens now, false when there is none, nil, err. Tokens of ours that could not be saved yet
-- and are newer than the stored ones stay.
---@param session userdata
---@param ctx table
---@return boolean|nil, table|nil
function M.first_load(session, ctx)
  local found, version, err = latest(session, ctx)
  if err then return nil, err end
  ctx.loaded = true
  if not found or not found.tokens then return false end
  if M.ours_is_newer(ctx, found) then return true end
  return M.adopt(session, ctx, found, version)
end

--- Removes the record.
---@param session userdata
---@param ctx table
---@return true|nil, table|nil
function M.drop(session, ctx)
  ctx.version, ctx.loaded = nil, true
  local ok, err = ask(session, ctx, "delete")
  if ok == nil then return nil, dress(session, err) end
  ctx.version = nil
  return true
end

--- Seconds that a lease lives: longer than its holder's request may take.
---@param session userdata
---@param ctx table
---@return number
function M.lease_life(session, ctx)
  return ctx.lease or inside.timeout(session) + 5
end

--- The lease of the record: lease | false while another holds it | nil, err.
---@param session userdata
---@param ctx table
---@return any, table|nil
function M.acquire(session, ctx)
  local lease, err = ask(session, ctx, "acquire", M.lease_life(session, ctx))
  if lease == nil then return nil, dress(session, err) end
  return lease
end

--- Gives the lease back; a store in trouble lets it expire.
---@param ctx table
---@param lease any
function M.release(ctx, lease)
  pcall(ctx.store.release, ctx.store, lease)
end

--- Seconds to wait for another's refresh.
---@param session userdata
---@param ctx table
---@return number
function M.patience(session, ctx)
  return ctx.max_wait or M.lease_life(session, ctx)
end

--- One step of waiting, through the transport where it can; else the process sleeps.
---@param ctx table
---@param seconds number
function M.pause(ctx, seconds)
  if not context.wait(ctx, seconds) then core.sleep(seconds) end
end

return M
