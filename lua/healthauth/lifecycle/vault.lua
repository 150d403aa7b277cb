-- SPDX-License-Identifier: MIT
--- The store as one session sees it: load, adopt, compare and swap of its record. Nothing here talks to a provider.
-- ctx.version is the version of the stored record that our tokens stand for, ctx.login and ctx.n their age (record.lua); ctx.dirty
-- ("login", "refresh") says that ours are newer than what is stored and could not be saved.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local record = require "healthauth.lifecycle.record"

local inside = core.inside

local M = {}

local TRIES = 8 -- swaps lost in a row
-- What a login takes away, because it can neither be read nor swapped: a record with these codes (a server that came back with older data
-- is `store_stale` for as long as the older record stands there).
local REPLACED = { record_invalid = true, store_stale = true }

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

--- The stored record: { tokens, journal }, version | nil when there is none | nil, nil, err.
---@param session userdata
---@param ctx table
---@return table|nil, string|nil, table|nil
function M.load(session, ctx)
  local text, version = ask(session, ctx, "load")
  if text == nil then
    if version then return nil, nil, dress(session, version) end
    return nil
  end
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

-- Tokens that could not be saved are kept against an older stored set.
local function ours_is_newer(ctx, found)
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
  if found and found.tokens and version ~= ctx.version and not ours_is_newer(ctx, found) then
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
  if ours_is_newer(ctx, found) then return true end
  return M.adopt(session, ctx, found, version)
end

-- A login is newer than whatever is stored, also when another machine's clock is ahead.
local function date_login(ctx, found, now)
  ctx.login, ctx.n = now, 0
  if found and found.login >= now then ctx.login, ctx.n = found.login, found.n + 1 end
end

-- Whether a save of this set has nothing to do any more: it is saved, there are newer tokens or none in its place, or a renewal is between
-- its begin and its answer, which saves it before it sends.
local function over(session, ctx, set)
  return ctx.set ~= set or not ctx.dirty or ctx.renewing and inside.state(session).changing
end

--- Saves the session's tokens over whatever is stored (a new login, a restored set): true | nil, err.
---@param session userdata
---@param ctx table
---@param now number
---@param again? boolean   they could not be saved before: a login that has become newer wins
---@return true|nil, table|nil
function M.overwrite(session, ctx, now, again)
  local err
  ctx.loaded = true
  local set = M.taint(ctx, "login") -- from its first moment: a coroutine that reads the store meanwhile does not adopt what stands there
  if not again then date_login(ctx, nil, now) end
  for _ = 1, TRIES do
    local text, version = ask(session, ctx, "load")
    if text == nil and version then -- an error
      if REPLACED[version.code] then return M.replace(session, ctx) end
      return nil, dress(session, version)
    end
    local found = text and record.decode(session, ctx.key, text) or nil
    if over(session, ctx, set) then return true end
    if again and found and not ours_is_newer(ctx, found) then return M.adopt(session, ctx, found, version) end
    date_login(ctx, found, now)
    local saved
    saved, err = M.swap(session, ctx, nil, text and version or nil)
    if saved then return true end
    if err.code ~= "conflict" then return nil, err end
  end
  return nil, err
end

--- Does what saves new tokens; coroutines that come meanwhile wait for its end (ctx.committing: since when). Passes its answer on.
---@param ctx table
---@param saving function
---@param ... any  for saving
---@return any, any
function M.commit(ctx, saving, ...)
  local since = core.monotonic()
  ctx.committing = since
  local ok, first, second = pcall(saving, ...)
  if ctx.committing == since then ctx.committing = nil end
  if not ok then error(first, 0) end
  return first, second
end

--- Whether another coroutine saves this session's tokens. One that was given up in the middle never says that it is over.
---@param session userdata
---@param ctx table
---@return boolean
function M.committing(session, ctx)
  local since = ctx.committing
  if since and core.monotonic() - since > M.patience(session, ctx) + M.lease_life(session, ctx) then ctx.committing = nil end
  return ctx.committing ~= nil
end

--- Saves over a record that the store itself cannot read or does not trust (sealed with a lost key, tampered with, older than one met
--- before): it is taken away first.
---@param session userdata
---@param ctx table
---@return true|nil, table|nil
function M.replace(session, ctx)
  local gone, err = ask(session, ctx, "delete")
  if gone == nil then return nil, dress(session, err) end
  local saved
  saved, err = M.swap(session, ctx, nil, nil)
  if saved then return true end
  return nil, err
end

--- Saves a renewed set whose record was `expected`. A newer one in the store wins and becomes ours; a record that was dropped meanwhile
--- stays dropped. Where the store is in trouble the set stays in memory, dirty, and on_event hears of it.
---@param session userdata
---@param ctx table
---@param expected string|nil
function M.settle(session, ctx, expected)
  local set = ctx.set
  local saved, err = M.swap(session, ctx, nil, expected)
  for _ = 1, TRIES do
    if saved or err.code ~= "conflict" then break end
    local found, version, load_err = M.load(session, ctx)
    if load_err then
      err = load_err
      break
    end
    if over(session, ctx, set) then return end
    if not found then
      ctx.dirty = nil
      return
    end
    if found.tokens and not ours_is_newer(ctx, found) then
      saved, err = M.adopt(session, ctx, found, version)
      break
    end
    saved, err = M.swap(session, ctx, nil, version)
  end
  if not saved then M.trouble(session, ctx, "save", err) end
end

--- Tries again to save tokens that could not be saved: a renewal behind any newer set, a login over whatever is older than it.
---@param session userdata
---@param ctx table
---@return nil
function M.save_again(session, ctx)
  if ctx.dirty ~= "login" then return M.settle(session, ctx, ctx.version) end
  local saved, err = M.overwrite(session, ctx, ctx.login, true)
  if not saved then M.trouble(session, ctx, "save", err) end
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
