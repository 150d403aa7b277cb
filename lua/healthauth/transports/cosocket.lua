-- SPDX-License-Identifier: MIT
--- The transport inside nginx: one strict HTTP/1.1 exchange over a cosocket, judged by ring 0 (src/base/http1). It never blocks a worker.
-- What has effects leaves at most once; GET and HEAD may take a new connection when a kept one turned out dead. nginx itself drops kept
-- connections on which the server closed or spoke.

local connect = require "healthauth.transports.cosocket.connect"
local core = require "healthauth.core"
local wire = require "healthauth.transports.cosocket.request"

local PHASES = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true, ssl_cert = true, ssl_session_fetch = true,
  ssl_client_hello = true, preread = true,
}
local SLICE = 16 * 1024
local DUPLEX = 64 * 1024 -- a larger body is sent while the answer is awaited: a server may refuse it early
local AT_ONCE = 4 * 1024 -- the kernel takes so little as a whole or not at all
local IDLE_MS, POOL_SIZE = 20000, 32
local KNOWN = { idle = true, pool_size = true }

---@class healthauth.transports.cosocket
---@field perform fun(self, request: table): table|nil, table|nil
---@field wait fun(self, seconds: number)
---@field close fun(self): boolean
local Transport = { __name = "healthauth.transports.cosocket" }
Transport.__index = Transport

local shared

local function fail(kind, code, message, outcome)
  return nil, { kind = kind, code = code, message = message, outcome = outcome or "unknown" }
end

local function send_all(sock, bytes, deadline)
  for at = 1, #bytes, SLICE do
    if not connect.set_time(sock, deadline) then return nil, "timeout" end
    local ok, why = sock:send(#bytes > SLICE and bytes:sub(at, at + SLICE - 1) or bytes)
    if not ok then return nil, why end
  end
  return true
end

-- The socket's end without a whole answer.
local function lost(reader, why)
  if why == "timeout" then return fail("timeout", "timeout", "no whole answer within the time allowed") end
  if reader:headed() then return fail("network", "body_truncated", "the connection ended inside the response") end
  return fail("network", "connection_lost", "the connection ended before any answer came")
end

-- Reads until the answer is whole: true, the last piece's length | nil, failure.
local function receive(sock, reader, deadline)
  while true do
    if not connect.set_time(sock, deadline) then return lost(reader, "timeout") end
    local bytes, why = sock:receiveany(SLICE)
    local status, code, kind, message
    if bytes then
      status, code, kind, message = reader:feed(bytes)
    elseif why == "closed" and reader:headed() then
      status, code, kind, message = reader:eof()
    else
      return lost(reader, why)
    end
    if status == "done" then return true, bytes and #bytes end
    if not status then return fail(kind, code, message) end
  end
end

-- Request out, answer in: true, whether all of the request has left, the last piece's length | nil, failure.
local function talk(sock, asked, reader, deadline, closing, reused)
  local bytes = asked.head .. (closing and "Connection: close\r\n\r\n" or "\r\n")
  if #asked.body <= DUPLEX then
    local sent, why = send_all(sock, bytes .. asked.body, deadline)
    if not sent and why == "timeout" then return lost(reader, why) end
    if not sent and reused and #bytes + #asked.body <= AT_ONCE then
      return fail("network", "connection_lost", "the kept connection had died before anything was sent", "not_sent")
    end
    local ok, last = receive(sock, reader, deadline) -- a server that refuses to read on may have answered
    if not ok then return nil, last end
    return true, sent, last
  end
  local sent, why = send_all(sock, bytes, deadline)
  if not sent then return lost(reader, why) end
  local all_sent = false
  local sender = ngx.thread.spawn(function() all_sent = send_all(sock, asked.body, deadline) == true end)
  local ok, last = receive(sock, reader, deadline)
  local whole = all_sent
  if not whole then ngx.thread.kill(sender) end
  if not ok then return nil, last end
  return true, whole, last
end

-- nginx reads TLS in pieces of its buffer (lua_socket_buffer_size). Behind a full one more of the same record may wait inside OpenSSL,
-- where the pool does not see it, and would be the next answer: such a connection is not used again.
local function keep(self, sock, asked, reader, whole, last)
  local full = asked.url.scheme == "https" and last and last % 1024 == 0
  if not whole or full or not reader:reusable() or not sock:setkeepalive(self.idle_ms, self.pool_size) then sock:close() end
end

-- One try. The third result is true when the request may be tried on a new connection: it has no effects, or nothing of it was sent.
local function once(self, asked, fresh, deadline)
  local sock, reused = connect.open(asked, fresh, math.min(deadline, core.monotonic() + asked.connect_timeout))
  if not sock then return nil, reused end
  local reader = core.http1_reader { method = asked.method, body_limit = asked.body_limit, header_limit = asked.header_limit }
  local done, ok, second, last = pcall(talk, sock, asked, reader, deadline, fresh, reused)
  if not done then -- nothing of ours raises; the worker is going down, or memory is
    sock:close()
    reader:close()
    return fail("network", "transport_raised", "the transport raised an error")
  end
  if not ok then
    local again = reused == true and not reader:started() and second.code == "connection_lost"
      and (asked.reads or second.outcome == "not_sent")
    sock:close()
    reader:close()
    return nil, second, again
  end
  local response = reader:response()
  if response.close_delimited and response.body == "" and asked.url.scheme == "https" then
    sock:close()
    reader:close()
    return fail("network", "body_truncated", "nothing but the connection's end framed the body, and nginx cannot tell a cut TLS connection")
  end
  if fresh then sock:close() else keep(self, sock, asked, reader, second, last) end
  reader:close()
  return response
end

--- Sends one request and waits for its answer, at most request.timeout seconds; other requests of the worker go on meanwhile.
---@param request table  {method, url, headers, body, timeout, connect_timeout, limits, tls, proxy}
---@return table|nil response  {status, headers, body [, close_delimited = true]}
---@return table|nil failure   {kind, code, message, outcome}
function Transport:perform(request)
  if self.closed then return fail("network", "connect_failed", "the transport is closed", "not_sent") end
  local phase = ngx.get_phase()
  if not PHASES[phase] then
    return fail("argument", "phase_unsupported", "nginx has no sockets in the phase " .. phase
      .. "; use rewrite, access or content, or a timer (ngx.timer.at)", "not_sent")
  end
  local read, asked = pcall(wire.read, request)
  if not read then error(asked, 2) end
  local deadline = core.monotonic() + asked.timeout
  -- Without a body a dead connection could not be told from one that lost the request: such a request takes a new one.
  local fresh = not asked.reads and asked.body == ""
  local response, failure, again = once(self, asked, fresh, deadline)
  if again then response, failure = once(self, asked, true, deadline) end
  return response, failure
end

--- Makes the connection that a request would use, and drops it: nothing is sent.
---@param request table
---@return true|nil
---@return table|nil failure
function Transport:reach(request) -- luacheck: ignore 212
  local asked = wire.read(request)
  local sock, failure = connect.open(asked, true, core.monotonic() + asked.connect_timeout)
  if not sock then return nil, failure end
  sock:close()
  return true
end

--- Waits without stopping the worker. Where the phase cannot wait, returns at once.
---@param seconds number
function Transport:wait(seconds) -- luacheck: ignore 212
  if PHASES[ngx.get_phase()] then ngx.sleep(seconds) end
end

--- Performs no more; kept connections end by themselves. May be repeated.
---@return boolean
function Transport:close()
  self.closed = true
  return true
end

function Transport:__tostring()
  return Transport.__name .. (self.closed and " (closed)" or "")
end

local function option(options, name, otherwise)
  local value = options[name]
  if value == nil then return otherwise end
  if type(value) ~= "number" or not (value > 0 and value < 1e6) then error("cosocket: " .. name .. ": expected a number above 0", 3) end
  return value
end

--- Makes the transport. Only inside nginx.
---@param options? { idle?: number, pool_size?: number }  seconds that a connection is kept, connections kept by one worker and origin
---@return healthauth.transports.cosocket
local function new(options)
  if options == nil then options = {} end
  if type(options) ~= "table" then error("bad argument #1 to 'cosocket' (table expected, got " .. type(options) .. ")", 2) end
  for name in next, options do
    if not KNOWN[name] then error("bad argument #1 to 'cosocket' (unknown option '" .. tostring(name) .. "')", 2) end
  end
  if type(ngx) ~= "table" or not ngx.socket then error("healthauth.transports.cosocket works only inside nginx", 2) end
  return setmetatable({
    idle_ms = math.ceil(option(options, "idle", IDLE_MS / 1000) * 1000), pool_size = math.ceil(option(options, "pool_size", POOL_SIZE)),
  }, Transport)
end

return setmetatable({
  new = new,
  --- Why a session with these options can never send through this transport (nil: the shared one); nil when nothing speaks against it.
  ---@param transport table|nil
  ---@param tls table|nil
  ---@param proxy string|nil
  ---@return string|nil
  objection = function(transport, tls, proxy)
    if transport ~= nil and (type(transport) ~= "table" or getmetatable(transport) ~= Transport) then return nil end
    local ok, why = pcall(function()
      wire.tls(tls)
      wire.proxy(proxy)
    end)
    return not ok and why or nil
  end,
  --- The transport that sessions without one of their own share inside nginx.
  ---@return healthauth.transports.cosocket
  shared = function()
    if not shared or shared.closed then shared = new() end
    return shared
  end,
}, { __call = function(_, options) return new(options) end })
