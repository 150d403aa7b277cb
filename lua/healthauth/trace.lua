-- SPDX-License-Identifier: MIT
--- A trace for people: a transport around a transport that writes what was asked and what came back, every secret masked.
-- A line that cannot be written is dropped: a trace never changes what a program does.

local context = require "healthauth.context"
local core = require "healthauth.core"
local mask = require "healthauth.mask"

local BODY_SHOWN = 2000

---@class healthauth.trace
local Trace = {}
Trace.__index = Trace
Trace.__name = "healthauth.trace"

local function write(self, ...)
  local ok = pcall(self.file.write, self.file, ...)
  if ok and self.file.flush then pcall(self.file.flush, self.file) end
end

local function printable(text)
  return (text:gsub("[%z\1-\8\11-\31\127]", "?"))
end

local function message(lines, headers, body)
  for _, pair in ipairs(headers or {}) do lines[#lines + 1] = "    " .. printable(pair[1] .. ": " .. pair[2]):gsub("[\t\n]", " ") end
  if body and body ~= "" then
    if #body > BODY_SHOWN then body = body:sub(1, BODY_SHOWN) .. " ... (" .. #body .. " bytes)" end
    lines[#lines + 1] = "    "
    lines[#lines + 1] = "    " .. printable(body):gsub("\n", "\n    ")
  end
end

local function asked(lines, masker, request)
  local masked = masker:request(request)
  lines[#lines + 1] = "> " .. masked.method .. " " .. masked.url
  message(lines, masked.headers, masked.body)
end

local function answered(lines, masker, took, response, failure)
  if response then
    local answer = masker:response(response)
    lines[#lines + 1] = "< HTTP " .. tostring(answer.status) .. " (" .. took .. ")"
    message(lines, answer.headers, answer.body)
  elseif type(failure) == "table" then
    local why = tostring(failure.kind) .. " (" .. tostring(failure.code) .. "), " .. tostring(failure.outcome)
    lines[#lines + 1] = "< no answer: " .. printable(masker:text(why)) .. " (" .. took .. ")"
  end
end

-- Whatever a transport of the caller's hands over: what cannot be shown is said to be so, and goes on as it is.
local function try(show, lines, ...)
  if not pcall(show, lines, ...) then lines[#lines + 1] = "    (cannot be shown)" end
end

--- Sends through the inner transport and writes both sides.
---@param request table
---@return table|nil response
---@return table|nil failure
function Trace:perform(request)
  local inner = self.inner or context.transport {}
  local masker = mask.new()
  local lines = {}
  try(asked, lines, masker, request)
  local start = core.monotonic()
  local response, failure = inner:perform(request)
  local took = string.format("%.0f ms", (core.monotonic() - start) * 1000)
  try(answered, lines, masker, took, response, failure)
  write(self, table.concat(lines, "\n"), "\n\n")
  return response, failure
end

--- Waits as the inner transport does.
---@param seconds number
---@return any  what the inner one answers
function Trace:wait(seconds)
  local inner = self.inner or context.transport {}
  if inner.wait then return inner:wait(seconds) end
  core.sleep(seconds)
end

--- Closes the file that the trace opened, and the inner transport.
---@return true
function Trace:close()
  if self.opened then self.file:close() end
  self.opened = nil
  if self.inner and self.inner.close then self.inner:close() end
  return true
end

--- Makes the trace.
---@param level integer
---@param file string|table      a path, or an object with a method write
---@param transport? table
---@return healthauth.trace
local function new(level, file, transport)
  local opened
  if type(file) == "string" then
    local handle, why = io.open(file, "a")
    if not handle then error("trace: " .. why, level + 1) end
    file, opened = handle, true
  elseif (type(file) ~= "table" and type(file) ~= "userdata") or not file.write then
    error("trace: expected a path or an object with a method write", level + 1)
  end
  if transport ~= nil and type(transport) ~= "table" and type(transport) ~= "userdata" then error("trace: expected a transport",
    level + 1) end
  return setmetatable({ file = file, opened = opened, inner = transport }, Trace)
end

return { new = new }
