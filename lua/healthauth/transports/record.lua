-- SPDX-License-Identifier: MIT
-- Transport that passes requests on to another one and writes both sides to a cassette, every secret masked.
-- The file is whole after every request. What cannot be written raises no error in the middle of a flow: `transport.problem` says it,
-- and close() answers it.

local cassette = require "healthauth.cassette"
local mask = require "healthauth.mask"

local OPTIONS = { transport = "table", file = "string", secrets = "table" }

-- A programmer's mistake, told where the constructor was called.
local function wrong(what)
  error("bad argument #1 to 'record' (" .. what .. ")", 3)
end

local Transport = {}
Transport.__index = Transport
Transport.__name = "healthauth.transports.record"

--- Makes the transport.
---@param options table transport (the one that does the work), file (path of the cassette, written anew),
---  secrets? (further header, member or field names whose values are secret)
---@return table transport perform, close, wait where the inner one has it
local function new(options)
  if type(options) ~= "table" then wrong("table expected, got " .. type(options)) end
  for name, value in pairs(options) do
    if not OPTIONS[name] then wrong("unknown option '" .. tostring(name) .. "'") end
    if type(value) ~= OPTIONS[name] and not (name == "transport" and type(value) == "userdata") then
      wrong(name .. ": expected a " .. OPTIONS[name])
    end
  end
  if not options.transport or not options.file then wrong("transport and file are needed") end
  local self = setmetatable({ inner = options.transport, file = options.file, items = {},
    masker = mask.new { names = options.secrets } }, Transport)
  local inner = options.transport
  if inner.wait then self.wait = function(_, seconds) return inner:wait(seconds) end end
  return self
end

--- Performs a request through the inner transport and notes both sides.
---@param request table
---@return table|nil response
---@return table|nil failure
function Transport:perform(request)
  local response, failure = self.inner:perform(request)
  local item = { request = self.masker:request(request) }
  if response then
    item.response = self.masker:response(response)
  else
    item.failure = {}
    for name, value in pairs(failure or { kind = "network" }) do item.failure[name] = self.masker:text(tostring(value)) end
  end
  self.items[#self.items + 1] = item
  local ok, problem = cassette.write(self.file, self.items)
  if not ok then self.problem = problem end
  return response, failure
end

--- Closes the inner transport.
---@return boolean|nil ok
---@return string|nil problem why the cassette could not be written
function Transport:close()
  if self.inner.close then self.inner:close() end
  if self.problem then return nil, self.problem end
  return true
end

return setmetatable({ new = new }, { __call = function(_, options) return new(options) end })
