-- SPDX-License-Identifier: MIT
--- One renewal of a session's tokens, sent once: plain where there is no store, else under the store's lease and fence.
-- Before the POST leaves, "sent" is written by compare and swap; a failed swap means no POST. After the answer the new set is committed
-- before anybody is given the new token. A holder that slept past its lease loses the swap, so it can neither send nor overwrite.
-- A refresh token that may be spent (sent, no answer), or that the provider has refused for good, is not sent again by access_token().

local core = require "healthauth.core"
local events = require "healthauth.events"
local perform = require "healthauth.perform"
local record = require "healthauth.lifecycle.record"
local saving = require "healthauth.lifecycle.saving"
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
    local name = operation == "refresh" and "refreshed" or "issued"
    events.emit(session, ctx, name, { operation = operation, outcome = "answered", latency = latency })
  end
end

local function fingerprint(session, args)
  local raw = args and type(args.refresh_token) == "string" and core.sha256(args.refresh_token) or inside.fingerprint(session)
  return raw and core.hex(raw) or "none"
end

-- The provider has said that this refresh token is over. Anything else passes: the next try may go well.
local function is_final(operation, err)
  return operation == "refresh" and err.kind == "denied" and err.action == "reauthorize" and err.outcome == "answered"
end

local function given_up(session, operation)
  local _, err = fail(session, operation, "argument", "no_token", "the tokens were given up while they were renewed", "reauthorize")
  err.outcome = "answered"
  return nil, err
end

-- Sends, and sees what became of the session meanwhile: who gave its tokens up in between gets none back. The third result says that the
-- token may be spent now; where that was another than the session's own, the session knows nothing of it.
local function send(session, ctx, operation, exchange, mark)
  local epoch, own, doubted = ctx.epoch, fingerprint(session), inside.state(session).unknown
  inside.set_unknown(session, false)
  local tokens, failure, _, latency = perform.run(ctx, exchange)
  local lost = inside.state(session).unknown
  if not tokens then inside.set_unknown(session, doubted or (lost and mark == own)) end
  if tokens and ctx.epoch ~= epoch then
    inside.forget(session)
    tokens, failure = given_up(session, operation)
  end
  if tokens then ctx.denied = nil
  elseif not lost and is_final(operation, failure) then ctx.denied = { fingerprint = mark, err = failure } end
  return tokens, failure, lost, latency
end

-- Why the session's refresh token is not to be sent: nil, err; or true when it may be.
local function may_send(session, ctx, found)
  local journal = found and found.journal
  local state = inside.state(session)
  if state.client_credentials then return true end
  local mark = fingerprint(session)
  if ctx.denied and ctx.denied.fingerprint == mark then return nil, ctx.denied.err end
  local same = journal and journal.fingerprint == mark
  if same and journal.state == "refused" then return nil, record.refused(session, journal) end
  if not state.resend_safe then
    if same and journal.id ~= nil and journal.id == ctx.unposted then return true end
    if same then inside.set_unknown(session, true) end
    if same or state.unknown then return M.unknown(session) end
  end
  local gone = ctx.version and not (found and found.tokens) and ctx.dirty ~= "login"
  if gone then -- who gave it up wants it gone; and whether its token was used cannot be known
    return fail(session, "refresh", "argument", "no_token", "the stored tokens are gone: given up elsewhere, or lost", "reauthorize")
  end
  return true
end

-- Without a store: the session's own open exchange is the only lock that is needed.
local function plain(level, session, ctx, args, forced)
  local operation = operation_of(session)
  if not forced then
    local fine, why = may_send(session, ctx)
    if not fine then return nil, why end
  end
  local mark = fingerprint(session, args)
  local exchange, err = perform.begin(level + 1, session, ctx, operation, args)
  if not exchange then return nil, err end
  local tokens, failure, _, latency = send(session, ctx, operation, exchange, mark)
  report(session, ctx, operation, failure, latency)
  return tokens, failure
end

-- The answer came: commit it.
local function commit(session, ctx, sent)
  vault.taint(ctx, "refresh")
  ctx.n = (ctx.n or 0) + 1
  saving.commit(ctx, saving.settle, session, ctx, sent)
end

-- The POST had no effect: take "sent" back, or leave word that the refresh token is over. What an earlier one left in doubt stays so.
local function clear(session, ctx, operation, journal, failure, sent, doubt)
  local left = doubt
  if is_final(operation, failure) then left = record.refusal(journal.fingerprint, failure) end
  local cleared, why = vault.swap(session, ctx, left, sent)
  if cleared then return end
  ctx.unposted = journal.id
  if why.code == "conflict" then return end
  if not left then ctx.dirty = "refresh" end -- the next use tries again
  vault.trouble(session, ctx, "save", why)
end

-- Sends under the lease. Returns tokens | nil, err, or "again" when the swap was lost before anything was sent.
local function send_fenced(level, session, ctx, operation, args, version, doubt)
  local id = core.random(8)
  if not id then return fail(session, operation, "argument", "random_failed", "the system gives no random bytes", "retry") end
  local exchange, err = perform.begin(level + 1, session, ctx, operation, args)
  if not exchange then return nil, err end
  ctx.renewing = true
  local journal = { state = "sent", fingerprint = fingerprint(session, args), id = core.hex(id) }
  local sent, swap_err = vault.swap(session, ctx, journal, version)
  if not sent then
    exchange:fail { kind = "store", code = swap_err.code, outcome = "not_sent" }
    if swap_err.code == "conflict" then return "again" end
    ctx.unposted = journal.id -- should the swap have reached the store after all, we know that no POST followed
    return nil, swap_err
  end
  local epoch = ctx.epoch
  local tokens, failure, lost, latency = send(session, ctx, operation, exchange, journal.fingerprint)
  if tokens then
    commit(session, ctx, sent)
    tokens = session:tokens() -- a newer set may have won
    if not tokens then tokens, failure = given_up(session, operation) end
  elseif ctx.epoch == epoch and not lost then
    clear(session, ctx, operation, journal, failure, sent, doubt)
  end
  report(session, ctx, operation, failure, latency)
  return tokens, failure
end

-- Holding the lease. want() -> token when another has done the work already. "later": this session's own tokens are just being
-- changed or saved.
local function under_lease(level, session, ctx, args, want, forced)
  local found, version, err = vault.catch_up(session, ctx)
  if not forced and inside.state(session).changing then return "later" end -- a login that is under way
  if err then return nil, err end
  local token = not forced and want()
  if token then return token, nil, true end
  if saving.committing(session, ctx) then return "later" end -- "sent" must not stand in the store before they do
  local operation, state = operation_of(session)
  if state and not state.can_refresh and not (args and args.refresh_token) then
    return fail(session, operation, "argument", "no_token", "there is no token to refresh with", "reauthorize")
  end
  local fine, why = may_send(session, ctx, found)
  if not fine and not forced then return nil, why end
  return send_fenced(level + 1, session, ctx, operation, args, version, not fine and found and found.journal or nil)
end

-- Another holds the lease: wait a step, then see whether its record has what we want.
local function wait_for_other(session, ctx, waited, want, forced)
  local step = math.min(POLL_MAX, POLL + waited / 8)
  vault.pause(ctx, step)
  if forced then return step end
  local _, _, err = vault.catch_up(session, ctx)
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
  if not ctx.store then
    local tokens, plain_err = plain(level + 1, session, ctx, args, forced) -- no tail call: levels are counted
    return tokens, plain_err
  end
  local waited, rounds, patience, start = 0, 0, vault.patience(session, ctx), core.monotonic()
  while true do
    local lease, err = vault.acquire(session, ctx)
    if lease == nil then
      vault.trouble(session, ctx, "acquire", err)
      return nil, err
    end
    local result, failure, joined = "later", nil, nil -- another holds it
    if lease then
      local ok
      ok, result, failure, joined = pcall(under_lease, level + 2, session, ctx, args, want, forced)
      ctx.renewing = nil
      vault.release(ctx, lease)
      if not ok then error(result, 0) end
    end
    if result == "again" then
      rounds = rounds + 1
      if rounds == ROUNDS then return fail(session, "refresh", "store", "conflict", "the record changes under every try", "retry") end
    elseif result ~= "later" then
      return result, failure, joined
    else
      if not patient then return nil, nil, true end
      if waited >= patience then
        return fail(session, "refresh", "timeout", "lease_timeout", "another holds the lease of this session for too long", "retry")
      end
      local step, token, wait_err = wait_for_other(session, ctx, waited, want, forced)
      if token then return token, nil, true end
      if wait_err then vault.trouble(session, ctx, "load", wait_err) end
      waited = math.max(waited + step, core.monotonic() - start)
    end
  end
end

return M
