-- SPDX-License-Identifier: MIT
-- Transport that carries requests to the emulated providers in process: no network, no waiting. It owns one sandbox.
-- A host that the sandbox does not play is refused; nothing ever leaves the process.

local sandbox = require "healthauth.sandbox"

local FORWARDED = { "access_code", "tethered_token", "consent", "revoke", "expire", "advance", "fault", "count", "replays", "now" }
local LOST = {
  answer = { code = "connection_lost", message = "the connection closed before an answer came", outcome = "unknown" },
  request = { code = "connection_lost", message = "the connection closed before an answer came", outcome = "unknown" },
  connection = { code = "connect_failed", message = "connection refused", outcome = "not_sent" },
}

local function fail(kind, code, message, outcome)
  return nil, { kind = kind, code = code, message = message, outcome = outcome }
end

-- What a fault does to an answer on its way, seen from the client's end.
local function travel(request, response, effect)
  if effect.lost then
    local loss = LOST[effect.lost]
    return fail("network", loss.code, loss.message, loss.outcome)
  end
  local late = effect.delay or effect.slow
  if late and request.timeout and late >= request.timeout then
    return fail("timeout", "timeout", "no whole answer within the time allowed", "unknown")
  elseif effect.truncate and effect.truncate < #response.body then
    return fail("network", "body_truncated", "the answer's body ended early", "unknown")
  end
  return response
end

local Transport = {}
Transport.__index = Transport
Transport.__name = "healthauth.transports.sandbox"

for _, name in ipairs(FORWARDED) do
  Transport[name] = function(self, ...) return self.sandbox[name](self.sandbox, ...) end
end

--- Makes the transport. Options are those of healthauth.sandbox.new, or `sandbox` to share one that exists.
---@param options? table
---@return table transport perform, close; and the sandbox's own
---  access_code, tethered_token, consent, revoke, expire, advance, fault, count, replays
local function new(options)
  options = options or {}
  if type(options) ~= "table" then error("bad argument #1 to 'sandbox' (table expected, got " .. type(options) .. ")", 2) end
  local box = options.sandbox
  if box and next(options, next(options)) then error("bad argument #1 to 'sandbox' (no further option goes with sandbox)", 2) end
  if not box then
    local ok, made = pcall(sandbox.new, options)
    if not ok then error("bad argument #1 to 'sandbox' (" .. made:gsub("^[^:]*:%d+: ", "") .. ")", 2) end
    box = made
  end
  local self = { sandbox = box }
  self.credentials = self.sandbox.credentials
  return setmetatable(self, Transport)
end

--- Answers one request (the transport contract).
---@param request table
---@return table|nil response
---@return table|nil failure
function Transport:perform(request)
  if self.closed then error("the transport is closed", 2) end
  if not self.sandbox:plays(request.url) then
    return fail("network", "connect_failed", "the sandbox plays no provider at this address", "not_sent")
  end
  local response, effect = self.sandbox:answer(request)
  if effect then
    local failure
    response, failure = travel(request, response, effect)
    if not response then return nil, failure end
  end
  local limit = request.limits and request.limits.body
  if limit and #response.body > limit then return fail("too_large", "body_too_large", "the answer is longer than allowed", "answered") end
  return response
end

--- Forbids further requests; the sandbox and its state stay.
---@return boolean
function Transport:close()
  self.closed = true
  return true
end

-- Callable, so that `healthauth.transports.sandbox {}` and `.new {}` mean the same.
return setmetatable({ new = new }, { __call = function(_, options) return new(options) end })
