-- SPDX-License-Identifier: MIT
--- One exchange over a transport: begin, send, judge. The only place that waits for a server.

local core = require "healthauth.core"
local context = require "healthauth.context"

local M = {}

local core_begin -- the C method, taken before the verbs replace nothing of it
local UNSENT = { kind = "network", code = "transport_failed", outcome = "not_sent" }
local LOST = { kind = "network", code = "out_of_memory", outcome = "unknown" }
local RESERVED = { now = true, credentials = true }

local function copy(args)
  local out = {}
  for k, v in next, args do out[k] = v end
  return out
end

--- Begins an exchange; a programmer's mistake raises at the caller's position.
---@param level integer   as error counts it, seen from the caller of this function
---@param session userdata
---@param ctx table
---@param operation string
---@param args? table
---@return userdata|nil exchange
---@return table|nil err
function M.begin(level, session, ctx, operation, args)
  if args ~= nil and type(args) ~= "table" then error(operation .. ": expected a table of arguments", level + 1) end
  args = copy(args or {})
  for name in next, RESERVED do
    if args[name] ~= nil then error(operation .. ": unknown argument '" .. name .. "'", level + 1) end
  end
  if ctx.credentials then
    local values, err = context.credentials(session, ctx)
    if not values then
      err.operation = operation
      return nil, err
    end
    args.credentials = values
  end
  args.now = context.now(ctx, level + 1)
  core_begin = core_begin or core.session_methods.begin
  local ok, exchange, err = pcall(core_begin, session, operation, args)
  if not ok then error(exchange, level + 1) end
  return exchange, err
end

local function carry(transport, request)
  return transport:perform(request)
end

local function send(transport, request)
  local ok, response, failure = pcall(carry, transport, request)
  if not ok then
    return nil, { kind = "network", code = "transport_raised", message = "the transport raised an error", outcome = "unknown" }
  elseif response then
    return response
  elseif type(failure) == "table" then
    return nil, failure
  end
  return nil, {
    kind = "network", code = "transport_failed", message = "the transport gave neither answer nor failure", outcome = "unknown",
  }
end

-- The answer may hold the only copy of a new token: where memory ends while it is judged, once more after a collection. An exchange
-- that cannot be judged does not stay open.
local function judge(exchange, method, value)
  local ok, result, err = pcall(exchange[method], exchange, value)
  if ok then return result, err end
  if method == "finish" then
    collectgarbage()
    ok, result, err = pcall(exchange.finish, exchange, value)
    if ok then return result, err end
    pcall(exchange.fail, exchange, LOST)
  end
  error(result, 0)
end

--- Sends what an exchange asks for and judges the end.
---@param ctx table
---@param exchange userdata
---@return any result
---@return table|nil err
---@return table|nil response  the raw answer, where there was one
---@return number latency      seconds
function M.run(ctx, exchange)
  local found, transport = pcall(context.transport, ctx)
  if not found then -- the default transport cannot be loaded: the exchange must not stay open
    pcall(exchange.fail, exchange, UNSENT)
    error(transport, 0)
  end
  local start = core.monotonic()
  local ready, request = pcall(exchange.request, exchange)
  if not ready then
    pcall(exchange.fail, exchange, UNSENT)
    error(request, 0)
  end
  local response, failure = send(transport, request)
  local latency = core.monotonic() - start
  local result, err
  if response then result, err = judge(exchange, "finish", response)
  else result, err = judge(exchange, "fail", failure) end
  return result, err, response, latency
end

return M
