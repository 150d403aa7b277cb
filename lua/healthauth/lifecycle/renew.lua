-- SPDX-License-Identifier: MIT
--- One renewal of a session's tokens, sent once: plain where there is no store, else under the store's lease and fence.
-- Before the POST leaves, "sent" is written by compare and swap; a failed swap means no POST. After the answer the new set is committed
-- before anybody is given the new token. A holder that slept past its lease loses the swap, so it can neither send nor overwrite.

local core = require "healthauth.core"
local events = require "healthauth.events"
local perform = require "healthauth.perform"
local vault = require "healthauth.lifecycle.vault"

local inside = core.inside

local M = {}

local ROUNDS = 8            -- lost swaps in a row before we say so
local POLL, POLL_MAX = 0.02, 0.2 -- seconds between looks at another's refresh

local function fail(session, operation, kind, code, message, action)
  return nil, core.error {
    kind = kind, code = code, message = message, action = action, outcome = "not_sent",
    provider = inside.state(session).provider, operation = operation,
  }
end

--- The error for a refresh that left and of whose end nobody knows.
---@param session userdata
---@return nil, table
function M.unknown(session)
  local _, err = fail(session, "refresh", "argument", "refresh_outcome_unknown",
    "an earlier refresh left and its answer was lost; the refresh token may be spent", "reauthorize")
  err.outcome = "unknown"
  return nil, err
end

local function operation_of(session)
  local state = inside.state(session)
  if state.client_credentials then return "exchange" end
  return "refresh", state
end

local function report(session, ctx, operation, err, latency)
  if err then
    events.emit(session, ctx, "refused", { operation = operation, code = err.code, outcome = err.outcome, latency = latency })
  else
    events.emit(session, ctx, operation == "refresh" and "refreshed" or "issued", { operation = operation, outcome = "answered", latency = latency })
  end
end

-- Without a store: the session's own open exchange is the only lock that is needed.
local function plain(level, session, ctx, operation, args)
  local exchange, err = perform.begin(level + 1, session, ctx, operation, args)
  if not exchange then return nil, err end
  local tokens, failure, _, latency = perform.run(ctx, exchange)
  report(session, ctx, operation, failure, latency)
  return tokens, failure
end

local function fingerprint(session, args)
  local raw = args and type(args.refresh_token) == "string" and core.sha256(args.refresh_token) or inside.fingerprint(session)
  return raw and core.hex(raw) or "none"
end

-- The answer came: commit it. When another changed the record meanwhile, theirs is the newer one.
local function commit(session, ctx, sent)
  local saved, err = vault.swap(session, ctx, nil, sent)
  if saved then return end
  if err.code == "conflict" then
    local found, version = vault.load(session, ctx)
    if found and found.tokens and not found.journal then vault.adopt(session, ctx, found, version) end
    return
  end
  ctx.dirty, ctx.version = "refresh", sent
  vault.trouble(session, ctx, "save", err)
end

-- Sends under the lease. Returns tokens | nil, err, or "again" when the swap was lost before anything was sent.
local function send_fenced(level, session, ctx, operation, args, version)
  local exchange, err = perform.begin(level + 1, session, ctx, operation, args)
  if not exchange then return nil, err end
  local id = core.hex(core.random(8))
  local journal = { state = "sent", fingerprint = fingerprint(session, args), id = id }
  local sent, swap_err = vault.swap(session, ctx, journal, version)
  if not sent then
    exchange:fail { kind = "store", code = swap_err.code, outcome = "not_sent" }
    if swap_err.code == "conflict" then return "again" end
    ctx.unposted = id -- should the swap have reached the store after all, we know that no POST followed
    return nil, swap_err
  end
  local tokens, failure, _, latency = perform.run(ctx, exchange)
  report(session, ctx, operation, failure, latency)
  if tokens then
    commit(session, ctx, sent)
  elseif failure.outcome == "not_sent" or not inside.state(session).unknown then
    local cleared, why = vault.swap(session, ctx, nil, sent)
    if not cleared then
      ctx.unposted = id
      if why.code ~= "conflict" then vault.trouble(session, ctx, "save", why) end
    end
  end
  return tokens, failure
end

local function spent_by_another(session, ctx, found)
  local journal = found and found.journal
  if not journal or inside.state(session).resend_safe or inside.state(session).client_credentials then return false end
  if journal.id ~= nil and journal.id == ctx.unposted then return false end
  return journal.fingerprint == fingerprint(session)
end

-- What the store says, made ours where it is newer: found, version | nil, nil, err.
local function catch_up(session, ctx)
  local found, version, err = vault.load(session, ctx)
  if err then return nil, nil, err end
  if found and found.tokens and version ~= ctx.version then
    local ok, adopt_err = vault.adopt(session, ctx, found, version)
    if not ok then return nil, nil, adopt_err end
  end
  return found, version
end

-- Holding the lease. want() -> token when another has done the work already.
local function under_lease(level, session, ctx, args, want, forced)
  local found, version, err = catch_up(session, ctx)
  if err then return nil, err end
  local token = not forced and want()
  if token then return token, nil, true end
  local operation, state = operation_of(session)
  if state and not state.can_refresh and not (args and args.refresh_token) then
    return fail(session, operation, "argument", "no_token", "there is no token to refresh with", "reauthorize")
  end
  if not forced and spent_by_another(session, ctx, found) then
    inside.set_unknown(session, true)
    return M.unknown(session)
  end
  return send_fenced(level + 1, session, ctx, operation, args, version)
end

-- Another holds the lease: wait until its record has what we want, or the lease is free. true = look again.
local function wait_for_other(session, ctx, waited, want, forced)
  local step = math.min(POLL_MAX, POLL + waited / 8)
  vault.pause(ctx, step)
  if forced then return step end
  local _, _, err = catch_up(session, ctx)
  if err then return step, nil, err end
  return step, want()
end

--- Renews the session's tokens: tokens or token | nil, err. The third result is true when another had done it (joined).
---@param level integer
---@param session userdata
---@param ctx table
---@param args table|nil      of an explicit refresh
---@param want fun(): string|nil  a token that makes a renewal needless
---@param forced boolean      an explicit refresh: send in any case
---@param patient boolean     wait for another holder of the lease
---@return any, table|nil, boolean|nil
function M.run(level, session, ctx, args, want, forced, patient)
  if not ctx.store then return plain(level + 1, session, ctx, (operation_of(session)), args) end
  local waited, rounds, patience = 0, 0, vault.patience(session, ctx)
  while true do
    local lease, err = vault.acquire(session, ctx)
    if lease == nil then
      vault.trouble(session, ctx, "acquire", err)
      return nil, err
    end
    if lease then
      local ok, result, failure, joined = pcall(under_lease, level + 2, session, ctx, args, want, forced)
      vault.release(ctx, lease)
      if not ok then error(result, 0) end
      if result ~= "again" then return result, failure, joined end
      rounds = rounds + 1
      if rounds == ROUNDS then return fail(session, "refresh", "store", "conflict", "the record changes under every try", "retry") end
    else
      if not patient then return nil, nil, true end
      if waited >= patience then
        return fail(session, "refresh", "timeout", "lease_timeout", "another holds the lease of this session for too long", "retry")
      end
      local step, token, wait_err = wait_for_other(session, ctx, waited, want, forced)
      if token then return token, nil, true end
      if wait_err then vault.trouble(session, ctx, "load", wait_err) end
      waited = waited + step
    end
  end
end

return M
