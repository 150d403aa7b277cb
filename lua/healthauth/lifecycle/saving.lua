-- SPDX-License-Identifier: MIT
--- Saving new tokens, each once: a login over whatever is stored, a renewed set behind any newer one, and both again where the store was in
-- trouble. Coroutines of one session may be in the middle of another step of it at every call of the store (ctx.set, ctx.committing).

local core = require "healthauth.core"
local record = require "healthauth.lifecycle.record"
local vault = require "healthauth.lifecycle.vault"

local inside = core.inside

local M = {}

local TRIES = 8 -- swaps lost in a row
-- What a login takes away, because it can neither be read nor swapped: a record with these codes (a server that came back with older data
-- is `store_stale` for as long as the older record stands there).
local REPLACED = { record_invalid = true, store_stale = true }

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

-- After a save that the store does not own up to: whether it was done all the same, its answer being lost. Then it must not be done again
-- later, when another may have spent these tokens and dropped the record.
local function stands(session, ctx, set)
  local found, version = vault.load(session, ctx)
  if not found or not found.tokens or ctx.set ~= set then return false end
  local ours = inside.export(session)
  if not ours or found.tokens.access_token ~= ours.access_token or found.tokens.refresh_token ~= ours.refresh_token then return false end
  ctx.version, ctx.dirty = version, nil
  return true
end

-- Saves over a record that the store itself cannot read or does not trust (sealed with a lost key, tampered with, older than one met
-- before): it is taken away first.
local function replace(session, ctx)
  local gone, err = vault.drop(session, ctx)
  if not gone then return nil, err end
  local saved
  saved, err = vault.swap(session, ctx, nil, nil)
  if saved then return true end
  return nil, err
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
  local set = vault.taint(ctx, "login") -- from its first moment: a coroutine that reads the store meanwhile adopts nothing from it
  if not again then date_login(ctx, nil, now) end
  for _ = 1, TRIES do
    local text, version, read_err = vault.read(session, ctx)
    if read_err then
      if REPLACED[read_err.code] then return replace(session, ctx) end
      return nil, read_err
    end
    local found = text and record.decode(session, ctx.key, text) or nil
    if over(session, ctx, set) then return true end
    if again and found and not vault.ours_is_newer(ctx, found) then return vault.adopt(session, ctx, found, version) end
    date_login(ctx, found, now)
    local saved
    saved, err = vault.swap(session, ctx, nil, text and version or nil)
    if saved then return true end
    if err.code ~= "conflict" then
      if stands(session, ctx, set) then return true end
      return nil, err
    end
  end
  return nil, err
end

--- Does what saves new tokens; coroutines that come meanwhile wait for its end (ctx.committing: since when). Passes its answer on.
---@param ctx table
---@param save function
---@param ... any  for save
---@return any, any
function M.commit(ctx, save, ...)
  local since = core.monotonic()
  ctx.committing = since
  local ok, first, second = pcall(save, ...)
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
  if since and core.monotonic() - since > vault.patience(session, ctx) + vault.lease_life(session, ctx) then ctx.committing = nil end
  return ctx.committing ~= nil
end

--- Saves a renewed set whose record was `expected`. A newer one in the store wins and becomes ours; a record that was dropped meanwhile
--- stays dropped. Where the store is in trouble the set stays in memory, dirty, and on_event hears of it.
---@param session userdata
---@param ctx table
---@param expected string|nil
function M.settle(session, ctx, expected)
  local set = ctx.set
  local saved, err = vault.swap(session, ctx, nil, expected)
  for _ = 1, TRIES do
    if saved or err.code ~= "conflict" then break end
    local found, version, load_err = vault.load(session, ctx)
    if load_err then
      err = load_err
      break
    end
    if over(session, ctx, set) then return end
    if not found then
      ctx.dirty = nil
      return
    end
    if found.tokens and not vault.ours_is_newer(ctx, found) then
      saved, err = vault.adopt(session, ctx, found, version)
      break
    end
    saved, err = vault.swap(session, ctx, nil, version)
  end
  if not saved then vault.trouble(session, ctx, "save", err) end
end

--- Tries again to save tokens that could not be saved: a renewal behind any newer set, a login over whatever is older than it.
---@param session userdata
---@param ctx table
---@return nil
function M.save_again(session, ctx)
  if ctx.dirty ~= "login" then return M.settle(session, ctx, ctx.version) end
  local saved, err = M.overwrite(session, ctx, ctx.login, true)
  if not saved then vault.trouble(session, ctx, "save", err) end
end

return M
