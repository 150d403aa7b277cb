-- SPDX-License-Identifier: MIT
--- access_token(): a valid token, renewed when needed, or the reason why not. Decides when to renew; renew.lua does it.
-- One flight at a time in a process: coroutines that come meanwhile wait for its end, or take the old token while that is valid.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local renew = require "healthauth.lifecycle.renew"
local saving = require "healthauth.lifecycle.saving"
local vault = require "healthauth.lifecycle.vault"

local inside = core.inside
local ready, valid = inside.ready, inside.valid

local M = {}

-- Drawn once a process, at its first use (after a fork): workers that share a provider do not all refresh in the same second.
local jitter
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

local function draw()
  local random = core.random(1)
  jitter = random and random:byte() / 256
  return jitter or 0
end

-- A token that needs no renewal and is not the one that a server just refused.
local function good(session, ctx, refused)
  if ctx.committing then return nil end -- nobody is given what is not saved yet
  local token = ready(session, context.now(ctx), ctx.margin, jitter or draw())
  if token and token ~= refused then return token end
end

local function usable(session, ctx, refused)
  if ctx.committing then return nil end
  local token = valid(session, context.now(ctx))
  if token and token ~= refused then return token end
end

-- The first use of a session over a store: what is stored becomes ours. The second result says that the store was asked.
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
  return true, true
end

-- Whether another coroutine renews or saves the tokens. One that was given up in the middle (a request that its server dropped, a thread
-- that was killed) never says so: what lasts longer than waiting and sending may is over, and an exchange that nobody holds any more ends.
local function under_way(session, ctx)
  local since = ctx.flight and ctx.flight.since or ctx.committing
  if since and core.monotonic() - since > vault.patience(session, ctx) + vault.lease_life(session, ctx) then
    ctx.flight, ctx.committing = nil, nil
    collectgarbage()
  end
  return ctx.flight ~= nil or ctx.committing ~= nil or inside.state(session).changing
end

-- Waits for a flight of another coroutine, up to the moment where its tokens are saved. true when it ended; false when we cannot or may
-- not wait longer.
local function wait_for_flight(session, ctx)
  local waited, patience = 0, vault.patience(session, ctx)
  while under_way(session, ctx) do
    if waited >= patience or not context.wait(ctx, STEP) then return false end
    waited = waited + STEP
  end
  return true
end

-- What may be handed out after a wait, in which another coroutine may have begun to save newer tokens.
local function settled(session, ctx, refused)
  if ctx.committing then wait_for_flight(session, ctx) end
  return usable(session, ctx, refused)
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

local function joined_event(session, ctx, start)
  events.emit(session, ctx, "joined", { operation = "refresh", outcome = "answered", latency = core.monotonic() - start })
end

local function fly(level, session, ctx, refused, patient)
  local flight = { since = core.monotonic() }
  ctx.flight = flight
  local ok, result, err, joined = pcall(renew.run, level + 1, session, ctx, nil, function() return good(session, ctx, refused) end, false,
    patient)
  if ctx.flight == flight then ctx.flight = nil end
  flight.err = err
  ctx.landed = err and flight or nil
  if not ok then error(result, 0) end
  if err then
    note_failure(ctx, err, context.now(ctx))
    return nil, err
  end
  if result == nil then return nil end -- another holds the lease, and we need not wait
  ctx.failures, ctx.not_before = nil, nil
  if joined then joined_event(session, ctx, flight.since) end
  local token = settled(session, ctx)
  if token then return token, nil, true end
  return expired_on_arrival(session)
end

local function stale(session, ctx, token, err)
  events.emit(session, ctx, "served_stale", { operation = "access_token", code = err and err.code, outcome = err and err.outcome })
  return token
end

-- Another coroutine's flight is over: its token, or its reason. Neither when there was none for us.
local function after_flight(session, ctx, refused, before, start)
  local token = good(session, ctx, refused) or usable(session, ctx, refused)
  if token then
    joined_event(session, ctx, start)
    return token
  end
  local landed = ctx.landed
  if landed and landed ~= before then return nil, landed.err end
end

-- Nothing here to renew with: perhaps another process has logged in, or has a newer set.
local function look_again(session, ctx, refused)
  local _, _, err = vault.catch_up(session, ctx)
  if err and err.code == "exchange_open" then -- by a login that is under way
    if not wait_for_flight(session, ctx) then return busy(session) end
  elseif err then
    vault.trouble(session, ctx, "load", err)
    return nil, err
  end
  return settled(session, ctx, refused)
end

--- A token that is valid now: token | nil, err. At most one renewal. The third result says that it was renewed just now.
---@param level integer
---@param session userdata
---@param ctx table
---@param refused? string  a token that a server has just refused: another one is wanted
---@return string|nil, table|nil, boolean|nil
function M.token(level, session, ctx, refused)
  local ok, asked = load_first(session, ctx)
  if not ok and asked.code == "exchange_open" then -- by a login that is under way
    if not wait_for_flight(session, ctx) then return busy(session) end
    ok, asked = load_first(session, ctx)
  end
  if not ok then return nil, asked end
  if ctx.committing and not wait_for_flight(session, ctx) then return busy(session) end
  if ctx.dirty then saving.save_again(session, ctx) end
  local token = good(session, ctx, refused)
  if token then return token end
  local old = usable(session, ctx, refused)
  if under_way(session, ctx) then
    if old then return old end
    local before, start = ctx.landed, core.monotonic()
    if not wait_for_flight(session, ctx) then return busy(session) end
    local joined, err = after_flight(session, ctx, refused, before, start)
    if joined or err then return joined, err, true end
  end
  local state = inside.state(session)
  if not state.can_refresh and not state.client_credentials then
    if old then return old end
    if not ctx.store or asked then return no_token(session) end
    local found, err = look_again(session, ctx, refused)
    if found or err then return found, err end
    if not inside.state(session).can_refresh then return no_token(session) end
  end
  if old and ctx.not_before and context.now(ctx) < ctx.not_before then return old end
  local fresh, err, renewed = fly(level + 1, session, ctx, refused, old == nil)
  if fresh then return fresh, nil, renewed end
  old = settled(session, ctx, refused)
  if old and err then return stale(session, ctx, old, err) end
  if old or err then return old, err end
  fresh, err, renewed = fly(level + 1, session, ctx, refused, true) -- another renews it, and the old one has died meanwhile: wait after all
  return fresh, err, renewed
end

--- The hot path: one C call when nothing has to be done.
---@param session userdata
---@return string|nil, table|nil
function M.access_token(session)
  local ctx = context.of(session)
  if not ctx.dirty and not ctx.committing then
    local token = ready(session, context.now(ctx), ctx.margin, jitter or draw())
    if token then return token end
  end
  local token, err = M.token(2, session, ctx)
  return token, err
end

return M
