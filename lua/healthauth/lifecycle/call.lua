-- SPDX-License-Identifier: MIT
--- The verb call: a request of the caller's with a fresh bearer token; one renewal and one repeat when the token is refused as expired.

local core = require "healthauth.core"
local context = require "healthauth.context"
local events = require "healthauth.events"
local fresh = require "healthauth.lifecycle.fresh"
local perform = require "healthauth.perform"

local inside = core.inside

local M = {}

local function refreshable(session)
  local state = inside.state(session)
  return state.can_refresh or state.client_credentials
end

--- The verb (verbs.lua has its annotation).
---@param session userdata
---@param args table
---@return table|nil response
---@return table|nil err
function M.call(session, args)
  local ctx = context.of(session)
  if not inside.has(session, "call") then return context.unsupported(session, "call") end
  if type(args) ~= "table" then error("call: expected a table of arguments", 2) end
  -- Begun before a token is looked for: what is wrong with the arguments is told before a refresh leaves for nothing.
  local before = inside.valid(session, context.now(ctx, 2))
  local exchange, err = perform.begin(2, session, ctx, "call", args)
  if not exchange and err.code ~= "no_token" then return nil, err end
  local token, token_err, renewed = fresh.token(2, session, ctx)
  if not token then return nil, token_err end
  if token ~= before then exchange = nil end
  for attempt = renewed and 2 or 1, 2 do -- one renewal a call
    if not exchange then
      exchange, err = perform.begin(2, session, ctx, "call", args)
      if not exchange then return nil, err end
    end
    local response, failure, raw, latency = perform.run(ctx, exchange)
    exchange = nil
    events.ended(session, ctx, "called", "call", failure, latency)
    if response or not failure.token_refused or attempt == 2 then return response, failure end
    if not refreshable(session) then return raw end
    local other, renew_err = fresh.token(2, session, ctx, token)
    if not other then return nil, renew_err end
  end
end

return M
