-- SPDX-License-Identifier: MIT
--- The store as one session sees it: load, adopt, compare and swap of its record. Nothing here talks to a provider.
-- ctx.version is the version of the stored record that our tokens stand for; ctx.dirty says that ours are newer and could not be saved.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local record = require "healthauth.lifecycle.record"

local inside = core.inside

local M = {}

local OVERWRITE_TRIES = 8

--- Names the record of a session that has a store; once.
---@param session userdata
---@param ctx table
function M.prepare(session, ctx)
  if ctx.store and not ctx.store_key then
    ctx.store_key = record.store_key(session, ctx.key)
    ctx.fingerprint = ctx.store_key:sub(1, 16)
  end
end

-- A store that raises is a store in trouble, not the end of the caller.
local function ask(ctx, method, ...)
  local store = ctx.store
  local ok, first, second = pcall(store[method], store, ...)
  if ok then return first, second end
  return nil, core.error {
    kind = "store", code = "store_raised", action = "retry", outcome = "not_sent", message = "the store raised an error",
  }
end

local function dress(session, err)
  if err and not err.provider then err.provider = inside.state(session).provider end
  return err
end

--- Tells on_event of a store that fails.
---@param session userdata
---@param ctx table
---@param operation string
---@param err table
function M.trouble(session, ctx, operation, err)
  events.emit(session, ctx, "store_trouble", { operation = operation, code = err.code, outcome = err.outcome })
end

--- The stored record: { tokens, journal }, version | nil when there is none | nil, nil, err.
---@param session userdata
---@param ctx table
---@return table|nil, string|nil, table|nil
function M.load(session, ctx)
  local text, version = ask(ctx, "load", ctx.store_key)
  if text == nil then
    if core.is_error(version) then return nil, nil, dress(session, version) end
    return nil
  end
  local found, err = record.decode(session, ctx.key, text)
  if not found then return nil, nil, dress(session, err) end
  return found, version
end

--- Compare and swap of the record: version | nil, err (`store` / `conflict` when another was faster).
---@param session userdata
---@param ctx table
---@param journal table|nil
---@param expected string|nil
---@return string|nil, table|nil
function M.swap(session, ctx, journal, expected)
  local version, err = ask(ctx, "save", ctx.store_key, record.encode(session, ctx.key, inside.export(session), journal), expected)
  if version == nil then return nil, dress(session, err) end
  ctx.version, ctx.dirty = version, journal ~= nil and ctx.dirty or nil
  return version
end

--- Makes the stored tokens the session's: true, or nil, err.
---@param session userdata
---@param ctx table
---@param found table
---@param version string
---@return true|nil, table|nil
function M.adopt(session, ctx, found, version)
  ctx.loaded = true
  if found.tokens then
    local ok = inside.adopt(session, found.tokens)
    if not ok then
      return nil, core.error {
        kind = "store", code = "record_invalid", action = "give_up", outcome = "not_sent", provider = inside.state(session).provider,
        message = "the stored record holds no usable tokens",
      }
    end
  end
  ctx.version, ctx.dirty = version, nil
  return true
end

--- Loads the record of a session that has no tokens of its own yet: true when it has some now, false when there is none, nil, err.
---@param session userdata
---@param ctx table
---@return boolean|nil, table|nil
function M.first_load(session, ctx)
  local found, version, err = M.load(session, ctx)
  if err then return nil, err end
  ctx.loaded = true
  if not found or not found.tokens then
    ctx.version = version
    return false
  end
  return M.adopt(session, ctx, found, version)
end

--- Saves the session's tokens over whatever is stored (a new login, a restored set): true | nil, err.
---@param session userdata
---@param ctx table
---@return true|nil, table|nil
function M.overwrite(session, ctx)
  local err
  for _ = 1, OVERWRITE_TRIES do
    local text, version = ask(ctx, "load", ctx.store_key)
    if text == nil and core.is_error(version) then return nil, dress(session, version) end
    local saved
    saved, err = M.swap(session, ctx, nil, text and version or nil)
    if saved then
      ctx.loaded = true
      return true
    end
    if err.code ~= "conflict" then return nil, err end
  end
  return nil, err
end

--- Tries again to save tokens that could not be saved. A newer record in the store wins.
---@param session userdata
---@param ctx table
function M.save_again(session, ctx)
  local saved, err = M.swap(session, ctx, nil, ctx.version)
  if saved then return end
  if err.code ~= "conflict" then return M.trouble(session, ctx, "save", err) end
  local found, version, load_err = M.load(session, ctx)
  if found and found.tokens and not found.journal then
    M.adopt(session, ctx, found, version)
  elseif not load_err and ctx.dirty == "login" then
    M.overwrite(session, ctx)
  end
end

--- Removes the record.
---@param session userdata
---@param ctx table
---@return true|nil, table|nil
function M.drop(session, ctx)
  local ok, err = ask(ctx, "delete", ctx.store_key)
  ctx.version, ctx.dirty, ctx.loaded = nil, nil, true
  if ok == nil then return nil, dress(session, err) end
  return true
end

--- The lease of the record: lease | false while another holds it | nil, err.
---@param session userdata
---@param ctx table
---@return any, table|nil
function M.acquire(session, ctx)
  local lease, err = ask(ctx, "acquire", ctx.store_key, ctx.lease or inside.timeout(session) + 5)
  if lease == nil then return nil, dress(session, err) end
  return lease
end

--- Gives the lease back; a store in trouble lets it expire.
---@param ctx table
---@param lease any
function M.release(ctx, lease)
  ask(ctx, "release", lease)
end

--- Seconds to wait for another's refresh.
---@param session userdata
---@param ctx table
---@return number
function M.patience(session, ctx)
  return ctx.max_wait or ctx.lease or inside.timeout(session) + 5
end

--- One step of waiting, through the transport where it can; else the process sleeps.
---@param ctx table
---@param seconds number
function M.pause(ctx, seconds)
  if not context.wait(ctx, seconds) then core.sleep(seconds) end
end

return M
