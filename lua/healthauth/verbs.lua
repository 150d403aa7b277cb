-- SPDX-License-Identifier: MIT
--- The verbs of a session (DESIGN 2.1). What a user holds is the session userdata itself; its method table gets these.
-- Every verb is the same for every provider; one that the provider has not got answers nil, err with kind "unsupported".
-- All of them raise, at the caller's line, for an unknown argument, a wrong Lua type, a clock that is none, and on a closed session.

local call = require "healthauth.lifecycle.call"
local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local fresh = require "healthauth.lifecycle.fresh"
local pending = require "healthauth.pending"
local perform = require "healthauth.perform"
local renew = require "healthauth.lifecycle.renew"
local saving = require "healthauth.lifecycle.saving"
local vault = require "healthauth.lifecycle.vault"

local inside = core.inside
local of = context.of

-- Names of arguments, for the verbs that look at them before the core does.
local OF_AUTHORIZE = { scope = true, redirect_uri = true, state_in_redirect = true }
local OF_REFRESH = { refresh_token = true, scope = true }
local OF_LOGOUT = { force = true }

---@class healthauth.Session
local Session = core.session_methods

-- A session over a store has its stored tokens before the first verb that needs them.
local function loaded(session, ctx)
  if not ctx.store or ctx.loaded or inside.state(session).has_token then return true end
  local found, err = vault.first_load(session, ctx)
  if found ~= nil then return true end
  vault.trouble(session, ctx, "load", err)
  return nil, err
end

-- New tokens of a login: they replace what is stored. When that fails they stay, are handed out, and the save is tried at every use.
local function keep(session, ctx)
  if not ctx.store then return end
  local ok, err = saving.commit(ctx, saving.overwrite, session, ctx, context.now(ctx))
  if ok then return end
  vault.trouble(session, ctx, "save", err)
end

--- The URL where a person logs in and consents, and what exchange needs afterwards (RFC 6749 4.1.1, RFC 7636).
---@param args? { scope?: string, redirect_uri?: string, state_in_redirect?: boolean }
---@return string|nil url
---@return healthauth.Pending|healthauth.Error pending  plain and serialisable, good for 600 s and one use; or the error
function Session:authorize_url(args)
  local ctx = of(self)
  local copy = context.arguments(2, "authorize_url", args, OF_AUTHORIZE)
  copy.now = context.now(ctx)
  if ctx.credentials then
    local values, err = context.credentials(self, ctx)
    if not values then
      err.operation = "authorize_url"
      return nil, err
    end
    copy.credentials = values
  end
  local ok, url, second = pcall(core.authorize_url, self, copy)
  if not ok then error(url, 2) end
  if not url then second.operation = "authorize_url" end
  return url, second
end

--- Changes a code, an access code or the client's credentials into tokens (RFC 6749 4.1.3, 4.4; Conneqt "access token"); they become the
--- session's and are saved. Raises for an argument that the provider does not name; what a value holds never raises.
---@param args? table  { callback, pending } | { code, redirect_uri, scope? } | { access_code } | nothing for client credentials
---@return healthauth.Tokens|nil
---@return healthauth.Error?
function Session:exchange(args)
  local ctx = of(self)
  local exchange, err = perform.begin(2, self, ctx, "exchange", args)
  local used = type(args) == "table" and rawget(args, "callback") ~= nil and rawget(args, "pending") or nil
  if type(used) ~= "table" then used = nil end
  if used and (exchange or err.kind == "denied") then
    local ok, spent_err = pending.spend(ctx, used, context.now(ctx))
    if not ok then
      if exchange then exchange:fail { kind = "state", code = "state_used", outcome = "not_sent" } end
      return nil, spent_err
    end
  end
  if not exchange then return nil, err end
  if ctx.store then vault.name(self, ctx) end -- so that the event has its key
  local tokens, failure, _, latency = perform.run(ctx, exchange)
  local differs = tokens and inside.state(self).scope_differs and { code = "scope_differs" } or nil
  events.ended(self, ctx, tokens and "issued" or "refused", "exchange", failure or differs, latency)
  if tokens then keep(self, ctx)
  elseif used and failure.outcome == "not_sent" then pending.unspend(ctx, used) end
  return tokens, failure
end

--- Gets new tokens with the refresh token (RFC 6749 6), the session's own or an explicit one. Sent once, whatever happens; a lost answer
--- is nil, err with outcome "unknown". Raises for an unknown argument.
---@param args? { refresh_token?: string, scope?: string }
---@return healthauth.Tokens|nil
---@return healthauth.Error?
function Session:refresh(args)
  local ctx = of(self)
  if not inside.has(self, "refresh") then return context.unsupported(self, "refresh") end
  args = args ~= nil and context.arguments(2, "refresh", args, OF_REFRESH) or nil
  local ok, load_err = loaded(self, ctx)
  if not ok then return nil, load_err end
  local result, err = renew.run(2, self, ctx, args, function() end, true, true)
  if result and type(result) ~= "table" then return self:tokens() end
  return result, err
end

--- A valid access token, refreshed or got anew (RFC 6749 6, 4.4) when needed; at most one refresh a call. Waits for another's refresh up
--- to max_wait seconds.
---@return string|nil token
---@return healthauth.Error?  no_token and refresh_outcome_unknown: a new login is needed
Session.access_token = fresh.access_token

--- Whether a token is valid (Conneqt "verify", RFC 7662): the given one, or without argument the session's own. No value raises.
---@param ... string  an explicit nil is token_missing, never the session's own
---@return boolean|nil valid  true, false (gone), or nil: could not tell
---@return healthauth.Error?
function Session:verify(...)
  local ctx = of(self)
  local args
  if select("#", ...) > 0 then
    local token = ...
    args = { token = token == nil and "" or token }
  else
    local ok, load_err = loaded(self, ctx)
    if not ok then return nil, load_err end
    if ctx.dirty and not ctx.committing then saving.save_again(self, ctx) end
  end
  local exchange, err = perform.begin(2, self, ctx, "verify", args)
  if not exchange then return nil, err end
  local valid, failure, _, latency = perform.run(ctx, exchange)
  events.ended(self, ctx, "verified", "verify", failure, latency, valid ~= nil and (valid and "valid" or "gone") or nil)
  return valid, failure
end

--- Whether the credentials work (Conneqt "test").
---@return true|nil
---@return healthauth.Error?  never false: why not, or why nobody can tell
function Session:check()
  local ctx = of(self)
  local exchange, err = perform.begin(2, self, ctx, "check")
  if not exchange then return nil, err end
  local ok, failure = perform.run(ctx, exchange)
  return ok, failure
end

--- Sends a request of the caller's with the bearer token; one refresh and one repeat when the token is refused as expired (RFC 6750 3.1).
--- Raises for a missing url, an unknown argument or a wrong type; an origin that may not have the token is nil, err.
---@param args { method?: string, url: string, headers?: table, body?: string, timeout?: number }  url whole or a path; timeout in seconds
---@return table|nil response  { status, headers, body }: every whole answer, 4xx and 5xx too
---@return healthauth.Error?
Session.call = call.call

-- A renewal that is under way brings nothing back, nor does a coroutine that reads the record while it is removed.
local function give_up(session, ctx)
  inside.forget(session)
  vault.taint(ctx, nil)
  ctx.epoch, ctx.denied = (ctx.epoch or 0) + 1, nil
end

local function forget(session, ctx)
  give_up(session, ctx)
  if not ctx.store then return true end
  local ok, err = vault.drop(session, ctx)
  if not ok then
    vault.trouble(session, ctx, "delete", err)
    return nil, err
  end
  give_up(session, ctx)
  return true
end

--- Gives the tokens up, at the provider where it has a way to (eHealth /auth/logout, RFC 7009), and forgets them. A refusal leaves them.
--- Raises for an unknown argument and a force that is no boolean.
---@param args? { force?: boolean }  force: forget in any case
---@return true|nil
---@return string|healthauth.Error|nil  "local" when only forgotten here
function Session:logout(args)
  local ctx = of(self)
  local force = context.arguments(2, "logout", args, OF_LOGOUT).force
  if force ~= nil and type(force) ~= "boolean" then error("logout: force: expected true or false", 2) end
  local ok, err
  local remote = inside.has(self, "logout")
  if remote then
    ok, err = loaded(self, ctx)
    local exchange
    if ok then exchange, err = perform.begin(2, self, ctx, "logout") end
    ok = nil
    if exchange then
      local _, latency
      ok, err, _, latency = perform.run(ctx, exchange)
      events.ended(self, ctx, ok and "logged_out" or "refused", "logout", err, latency)
    end
    if not ok and not force then return nil, err end
  end
  local dropped, drop_err = forget(self, ctx)
  if not dropped then return nil, drop_err end
  if ok then return true end
  return true, "local"
end

--- Adopts a set of tokens and saves it over what the store has; without argument loads it from the store. All or nothing. No value raises.
---@param ... healthauth.Tokens
---@return true|nil
---@return healthauth.Error?  token_malformed, no_token, or the store's
function Session:restore(...)
  local ctx = of(self)
  if select("#", ...) > 0 then
    local previous, unknown, login, n = inside.export(self), inside.state(self).unknown, ctx.login, ctx.n
    local dirty, set, epoch, version = ctx.dirty, ctx.set, ctx.epoch, ctx.version
    local ok, err = inside.adopt(self, (...))
    if not ok then return nil, err end
    if ctx.store then
      local saved, save_err = saving.commit(ctx, saving.overwrite, self, ctx, context.now(ctx))
      if not saved then -- all or nothing: the old set is back
        if ctx.epoch ~= epoch then previous, dirty = nil, nil end -- given up meanwhile
        if previous then inside.adopt(self, previous) else inside.forget(self) end
        inside.set_unknown(self, unknown)
        ctx.login, ctx.n = login, n
        ctx.set, ctx.dirty = set, ctx.version == version and dirty or nil -- else they were saved meanwhile
        return nil, save_err
      end
    end
    return true
  end
  if inside.state(self) and not ctx.store then
    return nil, core.error {
      kind = "argument", code = "no_token", action = "fix_request", outcome = "not_sent", provider = inside.state(self).provider,
      operation = "restore", message = "there is no store to restore from",
    }
  end
  local found, err = vault.first_load(self, ctx)
  if found then return true end
  if err then return nil, err end
  return nil, core.error {
    kind = "argument", code = "no_token", action = "reauthorize", outcome = "not_sent", provider = inside.state(self).provider,
    operation = "restore", message = "the store has no tokens for this key",
  }
end

return Session
