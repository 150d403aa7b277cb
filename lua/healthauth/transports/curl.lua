-- SPDX-License-Identifier: MIT
-- The blocking transport, through libcurl. Loading this file loads no libcurl: the first request does (an nginx worker that never sends
-- through it never has it). A transport belongs to one Lua state; after a fork the C side makes itself a new handle.

-- luacheck: read_globals ngx

local M = {}

---@class healthauth.transports.curl
---@field perform fun(self, request: table): table|nil, table|nil
---@field close fun(self)

local Transport = { __name = "healthauth.transports.curl" }
Transport.__index = Transport

local shared

-- Inside nginx a call that waits stops every request of the worker. Only while it starts, or in a thread of its own, does nobody wait.
local HARMLESS = { init = true, init_worker = true, exit_worker = true }

local function would_block()
  if type(ngx) ~= "table" or type(ngx.get_phase) ~= "function" or not ngx.socket then return false end
  local ok, phase = pcall(ngx.get_phase)
  return ok and not HARMLESS[phase]
end

-- The C side, or nil and why its module cannot be loaded. What is no matter of loading (memory) raises on.
local function inner(self)
  local handle = self.handle
  if handle then return handle end
  local ok, module = pcall(require, "healthauth.curl")
  if not ok then
    local reason = tostring(module)
    if not reason:find("module 'healthauth.curl'", 1, true) then error(module, 0) end
    if reason:find("' not found:", 1, true) then return nil, "healthauth.curl is not installed; make builds it where libcurl is" end
    return nil, "healthauth.curl cannot be loaded: " .. reason:match "[^\n]*$"
  end
  self.handle = module.new()
  return self.handle
end

--- Sends one request and waits for its answer, at most request.timeout seconds.
---@param request table  {method, url, headers, body, timeout, connect_timeout, limits, tls, proxy}
---@return table|nil response  {status, headers, body [, close_delimited = true]}
---@return table|nil failure   {kind, code, message, outcome}
function Transport:perform(request)
  if self.closed then
    return nil, { kind = "network", code = "connect_failed", message = "the transport is closed", outcome = "not_sent" }
  end
  if would_block() then
    return nil, {
      kind = "argument", code = "would_block", outcome = "not_sent",
      message = "libcurl would block this nginx worker; use the cosocket transport or healthauth.nginx.worker_thread",
    }
  end
  local handle, why = inner(self)
  if not handle then return nil, { kind = "unsupported", code = "no_curl", message = why, outcome = "not_sent" } end
  return handle:perform(request)
end

--- Gives the connections back. May be repeated; a closed transport performs no more.
---@return boolean
function Transport:close()
  self.closed = true
  local handle = self.handle
  self.handle = nil
  if handle then handle:close() end
  return true
end

function Transport:__tostring()
  return Transport.__name .. (self.closed and " (closed)" or "")
end

Transport.__close = Transport.close

--- Makes a transport with connections of its own.
---@param options? table  no option is known yet; an unknown one raises
---@return healthauth.transports.curl
function M.new(options)
  if options ~= nil then
    if type(options) ~= "table" then error("bad argument #1 to 'curl' (table expected, got " .. type(options) .. ")", 2) end
    local name = next(options)
    if name ~= nil then error("bad argument #1 to 'curl' (unknown option '" .. tostring(name) .. "')", 2) end
  end
  return setmetatable({}, Transport)
end

--- The transport that sessions without one of their own share.
---@return healthauth.transports.curl
function M.shared()
  if not shared or shared.closed then shared = M.new() end
  return shared
end

return setmetatable(M, { __call = function(_, options) return M.new(options) end })
