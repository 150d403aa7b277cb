-- SPDX-License-Identifier: MIT
-- Runs hostile cases through a transport and says what differs from what is expected. Knows no particular transport.

local memory = require "spec.hostile.memory"
local process = require "spec.support.process"
local script = require "spec.hostile.script"

local Run = {}
Run.__index = Run

local PATIENCE = 2 -- seconds above a case's own timeout before it counts as hanging

local root = process.capture("pwd")

--- Starts the server.
---@param cases table
local function start(cases)
  local self = setmetatable({ folder = process.folder(), names = {} }, Run)
  local made = process.run { root .. "/spec/support/make_ca.sh", self.folder }
  assert(made == 0, "the certificates could not be made")
  process.write(self.folder .. "/scripts", script.text(cases))
  self.server = process.start { "python3", root .. "/spec/hostile/server.py", self.folder .. "/scripts", self.folder }
  return self
end

function Run:stop()
  self.server:stop()
  process.remove(self.folder)
end

function Run:url(listener, path, scheme)
  return ("%s://localhost:%s%s"):format(scheme or (listener:find("^http$") and "http") or "https", self.server.ports[listener], path)
end

--- What request.tls is for a case: "$certificates" names the folder of the test authority, which is trusted where nothing else is said.
function Run:tls(tls)
  local out = {}
  for name, value in pairs(tls or { ca_file = "$certificates/ca.pem" }) do
    out[name] = value:gsub("%$certificates", (self.folder:gsub("%%", "%%%%")))
  end
  return out
end

--- The request of a case on a listener.
function Run:request(case, listener)
  return {
    method = case.method or "GET", url = self:url(listener, "/case/" .. case.name, case.scheme), body = case.body,
    headers = case.headers or { { "Accept", "application/json" } },
    timeout = case.timeout or 5, connect_timeout = case.connect_timeout or 5,
    limits = case.limits or { body = 1024 * 1024, headers = 64 * 1024, depth = 32 }, tls = self:tls(case.tls), proxy = case.proxy,
  }
end

--- An ordinary request through the same transport.
function Run:get(transport, path, listener)
  local response, failure = transport:perform {
    method = "GET", url = self:url(listener or "http", path), headers = {}, timeout = 5, connect_timeout = 5,
    tls = self:tls(), limits = { body = 1024 * 1024, headers = 65536 },
  }
  return response, failure
end

local function number(self, transport, what, name)
  local response = self:get(transport, "/" .. what .. "/" .. name)
  return response and tonumber(response.body)
end

--- How many requests a case has seen.
function Run:count(transport, name) return number(self, transport, "count", name) end

-- Waits until the server has done all steps of a case once more than before: what it had to say or close is then on its way here.
local function settle(self, transport, name, before)
  for _ = 1, 200 do
    if number(self, transport, "played", name) > before then break end
    process.sleep(0.02)
  end
  process.sleep(0.01)
end

local function show(response, failure)
  if response then
    return ("status %s, %d bytes%s"):format(response.status, #response.body, response.close_delimited and ", until close" or "")
  end
  return ("%s / %s / %s: %s"):format(failure.kind, failure.code, failure.outcome, failure.message)
end

local function is_failure(expect, failure)
  return failure.kind == expect.kind and failure.code == expect.code and failure.outcome == expect.outcome
end

local function differs(case, response, failure)
  local expect = case.expect
  if expect.status then
    if not response then return "failed: " .. show(nil, failure) end
    if response.status ~= expect.status then return "status " .. tostring(response.status) end
    if response.body ~= expect.body then return ("body of %d bytes"):format(#response.body) end
    if (response.close_delimited or false) ~= (expect.close_delimited or false) then return "close_delimited is wrong" end
    return nil
  end
  if response then return "passed: " .. show(response) end
  local found = false
  for _, wanted in ipairs(expect.any or { expect }) do found = found or is_failure(wanted, failure) end
  if not found then return show(nil, failure) end
  if type(failure.message) ~= "string" or failure.message == "" then return "no message" end
  return nil
end

--- How often the server may have seen a case: once for each request; a GET may be sent again on a new connection.
local function most(case)
  if case.count then return case.count end
  return (case.prime or 0) + ((case.method or "GET") == "GET" and 2 or 1)
end

-- Whether a case may have gone wrong for want of a processor alone: it was late, or its handshake was.
local function late(wrong)
  return wrong and (wrong:find "^took " or wrong:find("connect_timeout", 1, true)) ~= nil
end

--- Plays a case, and again where it may have been late: what hangs, hangs again.
---@param play fun(...): string|nil
function Run.patiently(play, ...)
  local wrong
  for _ = 1, 3 do
    wrong = play(...)
    if not late(wrong) then break end
  end
  return wrong
end

local function play(self, case, listener, transport, control, clock, meter)
  local before = self:count(control, case.name)
  local played = number(self, control, "played", case.name)
  for turn = 1, case.prime or 0 do
    local primed, why = transport:perform(self:request(case, listener))
    if not primed or primed.status ~= 200 then return "the first request already fails: " .. show(primed, why) end
    if case.settle then settle(self, control, case.name, played + turn - 1) end
  end
  local request = self:request(case, listener)
  local started, growth = clock(), meter and meter()
  local response, failure = transport:perform(request)
  local took, grown = clock() - started, growth and growth()
  local wrong = differs(case, response, failure) or memory.too_much(grown, case)
  local allowed = failure and failure.code == "connect_timeout" and math.min(request.timeout, request.connect_timeout) or request.timeout
  if took > allowed + PATIENCE then return ("took %.1f s"):format(took) end
  if wrong then return wrong end
  if response and took >= request.timeout then return "an answer, but nothing ended the waiting before the timeout" end
  if case.settle then settle(self, control, case.name, played + (case.prime or 0)) end
  -- The same transport goes on: what the case left behind must not become the next answer.
  local origin = self.server.ports[listener] and (listener == "https" or listener == "http") and listener or "http"
  local good, why = self:get(transport, "/good", origin)
  if not good or good.status ~= 200 or good.body ~= "{}" then return "the next good request fails: " .. show(good, why) end
  local after = self:count(control, case.name)
  if not before or not after then return "the server does not count" end
  if after - before > most(case) then return ("seen %d times, at most %d allowed"):format(after - before, most(case)) end
  if case.expect.status and after == before then return "an answer, but no request was seen" end
  return nil
end

--- Runs one case on one listener; nil, or what is wrong. meter: measures memory (spec/hostile/memory.lua), or nil.
---@return string|nil
function Run:case(...)
  return Run.patiently(play, self, ...)
end

--- The listeners that a case runs on.
function Run.listeners(case)
  if case.on then return { case.on } end
  return { "http", "https" }
end

return { start = start }
