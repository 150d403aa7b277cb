-- SPDX-License-Identifier: MIT
-- Transport that answers from a cassette and never touches a network. A request that is not there is refused before it is sent
-- (`network` / `cassette_miss`), so a spec cannot pass by accident.

local cassette = require "healthauth.cassette"

local OPTIONS = { file = "string", exchanges = "table", order = "string", matches = "function" }

-- A programmer's mistake, told where the constructor was called.
local function wrong(what)
  error("bad argument #1 to 'replay' (" .. what .. ")", 3)
end

local Transport = {}
Transport.__index = Transport
Transport.__name = "healthauth.transports.replay"

-- Path and query-less: hosts and ports differ from run to run, a query may hold a state that does.
local function path_of(url)
  local path = url:gsub("^%a[%w+.-]*://[^/?#]*", ""):gsub("[?#].*$", "")
  return path == "" and "/" or path
end

local function same_place(request, recorded)
  return request.method == recorded.method and path_of(request.url) == path_of(recorded.url)
end

--- Makes the transport.
---@param options table file (a cassette) or exchanges (its list); order: "strict" (the default: one after the other) or "any"
---  (the first one not used yet that matches); matches(request, recorded) -> boolean instead of method and path
---@return table transport perform, remaining, close
local function new(options)
  if type(options) ~= "table" then wrong("table expected, got " .. type(options)) end
  for name, value in pairs(options) do
    if not OPTIONS[name] then wrong("unknown option '" .. tostring(name) .. "'") end
    if type(value) ~= OPTIONS[name] then wrong(name .. ": expected a " .. OPTIONS[name]) end
  end
  if (options.file == nil) == (options.exchanges == nil) then wrong("expected one of file and exchanges") end
  local order = options.order or "strict"
  if order ~= "strict" and order ~= "any" then wrong("order: expected strict or any") end
  local items, misfit = options.exchanges, nil -- luacheck: ignore 311
  if items then
    misfit = cassette.check(items)
    misfit = misfit and "exchanges: expected " .. misfit
  else
    items, misfit = cassette.read(options.file)
  end
  if misfit then wrong(misfit) end
  return setmetatable({ items = items, used = {}, next = 1, order = order, matches = options.matches or same_place }, Transport)
end

--- The index of the recorded exchange that answers a request.
---@param request healthauth.Request
---@return integer|nil
function Transport:find(request)
  if self.order == "strict" then
    local item = self.items[self.next]
    return item and self.matches(request, item.request) and self.next or nil
  end
  for index, item in ipairs(self.items) do
    if not self.used[index] and self.matches(request, item.request) then return index end
  end
  return nil
end

--- Answers one request from the cassette.
---@param request table
---@return table|nil response
---@return table|nil failure
function Transport:perform(request)
  if self.closed then error("the transport is closed", 2) end
  local index = self:find(request)
  if not index then
    return nil, { kind = "network", code = "cassette_miss", outcome = "not_sent",
      message = "the cassette holds no answer to " .. tostring(request.method) .. " " .. path_of(request.url) }
  end
  self.used[index] = true
  while self.used[self.next] do self.next = self.next + 1 end
  local item, copy = self.items[index], {}
  for name, value in pairs(item.response or item.failure) do copy[name] = value end
  if not item.response then return nil, copy end
  copy.headers, copy.body = copy.headers or {}, copy.body or ""
  return copy
end

--- How many recorded exchanges nobody has asked for yet.
---@return integer
function Transport:remaining()
  local count = 0
  for index in ipairs(self.items) do
    if not self.used[index] then count = count + 1 end
  end
  return count
end

--- Ends the replay; a closed transport performs no more.
---@return boolean
function Transport:close()
  self.closed = true
  return true
end

return setmetatable({ new = new }, { __call = function(_, options) return new(options) end })
