-- SPDX-License-Identifier: MIT
--- Events: what happened to tokens, for an audit trail. No event ever holds a secret.
-- event = { name, time, provider, operation, key, latency, outcome, code }; key is a fingerprint of the store's key.

local core = require "healthauth.core"
local context = require "healthauth.context"

local M = { swallowed = 0 } -- how often an on_event function raised

--- The fingerprint of a session's key, nil where it has no store.
---@param ctx table
---@return string|nil
function M.key(ctx)
  return ctx.store_key and ctx.store_key:sub(1, 16)
end

--- Tells the session's on_event function, if it has one. What that function raises is swallowed and counted.
---@param session userdata
---@param ctx table
---@param name string       issued refreshed joined served_stale refused verified called logged_out store_trouble
---@param fields? table
function M.emit(session, ctx, name, fields)
  local on_event = ctx.on_event
  if not on_event then return end
  local event = fields or {}
  event.name = name
  local told, now = pcall(context.now, ctx)
  event.time = told and now or core.time()
  event.provider = core.inside.state(session).provider
  event.key = M.key(ctx)
  if not pcall(on_event, event) then M.swallowed = M.swallowed + 1 end
end

--- Tells how one exchange ended: as its error says, else "answered".
---@param session userdata
---@param ctx table
---@param name string
---@param operation string
---@param err? table
---@param latency number    seconds
---@param outcome? string   instead
function M.ended(session, ctx, name, operation, err, latency, outcome)
  M.emit(session, ctx, name, {
    operation = operation, latency = latency, code = err and err.code, outcome = outcome or (err and err.outcome) or "answered",
  })
end

local Writer = { __name = "healthauth.events.jsonl" }
Writer.__index = Writer

-- A line that cannot be written raises, so that emit counts it; a part of it may stand there, so the next one begins on a line of its own.
-- An object that answers nothing at all is taken at its word.
local function must(self, ok, why)
  if ok or not why then return end
  self.torn = true
  error("healthauth.events.jsonl: " .. tostring(why), 0)
end

function Writer:__call(event)
  local line = {}
  for k, v in next, event do
    if type(k) == "string" and (type(v) == "string" or type(v) == "number" or type(v) == "boolean") then line[k] = v end
  end
  must(self, self.file:write((self.torn and "\n" or "") .. core.json_encode(line) .. "\n"))
  self.torn = nil
  if self.file.flush then must(self, self.file:flush()) end
end

--- A function for on_event that appends each event as one line of JSON. A line that cannot be written counts in `events.swallowed`.
---@param file string|table  a path, or an object with a method write
---@return function
function M.jsonl(file)
  if type(file) == "string" then
    local opened, why = io.open(file, "a")
    if not opened then error("healthauth.events.jsonl: " .. why, 2) end
    file = opened
  elseif (type(file) ~= "table" and type(file) ~= "userdata") or not file.write then
    error("healthauth.events.jsonl: expected a path or an object with a method write", 2)
  end
  local writer = setmetatable({ file = file }, Writer)
  return function(event) writer(event) end
end

return M
