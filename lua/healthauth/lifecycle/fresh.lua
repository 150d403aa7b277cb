-- SPDX-License-Identifier: MIT
--- access_token(): a valid token, renewed when needed, or the reason why not. Decides when to renew; renew.lua does it.
-- One flight at a time in a process: coroutines that come meanwhile wait for its end, or take the old token while that is valid.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local renew = require "healthauth.lifecycle.renew"
local vault = require "healthauth.lifecycle.vault"

local inside = core.inside
local ready, valid = inside.ready, inside.valid

local M = {}

-- Drawn once a process: machines that share a provider do not all refresh in the same second.
local JITTER = core.random(1):byte() / 256
local FIRST_PAUSE, LAST_PAUSE = 1, 30 -- seconds between early refreshes that fail again and again
local STEP = 0.02

local function no_token(session)
  return nil, core.error {
    kind = "argument", code = "no_token", action = "reauthorize", outcome = "not_sent", provider = inside.state(session).provider,
    operation = "access_token", message = "there is no valid token, and none to refresh it with",
  }
end

local function expired_on_arrival(session)
  return nil, core.error {
    kind = "protocol", code = "expired_on_arrival", action = "give_up", outcome = "answered", provider = inside.state(session).provider,
    operation = "access_token", message = "the provider gave a token that has expired already",
  }
end

-- A token that needs no renewal and is not the one that a server just refused.
local function good(session, ctx, refused)
  local token = ready(session, context.now(ctx), ctx.margin, JITTER)
  if token and token ~= refused then return token end
end

local function usable(session, ctx, refused)
  local token = valid(session, context.now(ctx))
  if token and token ~= refused then return token end
end

-- The first use of a session over a store: what is stored becomes ours.
local function load_first(session, ctx)
  if not ctx.store or ctx.loaded then return true end
  if inside.state(session).has_token then
    ctx.loaded = true -- tokens given as an option: the store is asked when they need renewal
    return true
  end
  local found, err = vault.first_load(session, ctx)
  if found == nil then
    vault.trouble(session, ctx, "load", err)
    return nil, err
  end
  return true
end

-- Waits for a flight of another coroutine. true when it ended; false when we cannot or may not wait longer.
local function wait_for_flight(session, ctx)
  local waited, patience = 0, vault.patience(session, ctx)
  while ctx.flight or inside.state(session).changing do
    if waited >= patience or not context.wait(ctx, STEP) then return false end
    waited = waited + STEP
  end
  return true
end

local function busy(session)
  return nil, core.error {
    kind = "timeout", code = "lease_timeout", action = "retry", outcome = "not_sent", provider = inside.state(session).provider,
    operation = "access_token", message = "another refresh of this session does not end",
  }
end

-- How soon an early refresh may be tried again: at once after the first failure, then slower; never before Retry-After.
local function note_failure(ctx, err, now)
  local failures = (ctx.failures or 0) + 1
  local pause = failures > 1 and math.min(LAST_PAUSE, FIRST_PAUSE * 2 ^ math.min(failures - 2, 6)) or 0
  ctx.failures = failures
  ctx.not_before = now + math.max(pause, err.retry_after or 0)
end

local function fly(level, session, ctx, refused, patient)
  local flight = {}
  ctx.flight = flight
  local ok, result, err, joined = pcall(renew.run, level + 1, session, ctx, nil, function() return good(session, ctx, refused) end, false, patient)
  flight.done, flight.err = true, err
  ctx.flight, ctx.landed = nil, flight
  if not ok then error(result, 0) end
  if err then
    note_failure(ctx, err, context.now(ctx))
    return nil, err
  end
  if result == nil then return nil end -- another holds the lease, and we need not wait
  ctx.failures, ctx.not_before = nil, nil
  if joined then events.emit(session, ctx, "joined", { operation = "refresh" }) end
  local token = usable(session, ctx, refused)
  if token then return token end
  return expired_on_arrival(session)
end

local function stale(session, ctx, token, err)
  events.emit(session, ctx, "served_stale", { operation = "access_token", code = err and err.code, outcome = err and err.outcome })
  return token
end

local function after_flight(session, ctx, refused)
  local landed = ctx.landed
  local token = good(session, ctx, refused) or usable(session, ctx, refused)
  if token then
    events.emit(session, ctx, "joined", { operation = "refresh" })
    return token
  end
  if landed and landed.err then return nil, landed.err end
end

--- A token that is valid now: token | nil, err. At most one renewal.
---@param level integer
---@param session userdata
---@param ctx table
---@param refused? string  a token that a server has just refused: another one is wanted
---@return string|nil, table|nil
function M.token(level, session, ctx, refused)
  local ok, load_err = load_first(session, ctx)
  if not ok then return nil, load_err end
  if ctx.dirty then vault.save_again(session, ctx) end
  local token = good(session, ctx, refused)
  if token then return token end
  local old = usable(session, ctx, refused)
  if ctx.flight or inside.state(session).changing then
    if old then return old end
    if not wait_for_flight(session, ctx) then return busy(session) end
    local joined, err = after_flight(session, ctx, refused)
    if joined or err then return joined, err end
  end
  local state = inside.state(session)
  if not state.can_refresh and not state.client_credentials then
    if old then return old end
    return no_token(session)
  end
  if old and ctx.not_before and context.now(ctx) < ctx.not_before then return old end
  if state.unknown and not state.resend_safe and not state.client_credentials and not ctx.store then
    if old then return stale(session, ctx, old) end
    return renew.unknown(session)
  end
  local fresh, err = fly(level + 1, session, ctx, refused, old == nil)
  if fresh then return fresh end
  old = usable(session, ctx, refused)
  if old and err then return stale(session, ctx, old, err) end
  return old, err
end

--- The hot path: one C call when nothing has to be done.
---@param session userdata
---@return string|nil, table|nil
function M.access_token(session)
  local ctx = context.of(session)
  if not ctx.dirty then
    local token = ready(session, context.now(ctx), ctx.margin, JITTER)
    if token then return token end
  end
  return M.token(2, session, ctx)
end

return M
