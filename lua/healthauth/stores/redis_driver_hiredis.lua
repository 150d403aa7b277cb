-- SPDX-License-Identifier: MIT
-- Redis commands over libhiredis, for plain Lua: one connection, made when needed and again when it is gone. Blocks.
-- command(word, ...) -> reply (string, number, false for nil, list) | nil, kind, text
--   kind "reply": the server's error; "connect": not reached; "denied": user, password or database refused;
--   "unsent": certainly not applied; "lost": may have been applied.

local hiredis = require "healthauth.hiredis"

local Driver = { __name = "healthauth.redis_driver" }
Driver.__index = Driver

--- Whether this client can do TLS.
local function has_tls()
  return false
end

--- A driver for checked options (redis.lua); connects at the first command.
---@param options table
---@return table driver
local function new(options)
  return setmetatable({ options = options, connection = hiredis.new(), ms = math.max(1, math.floor(options.timeout * 1000)) }, Driver)
end

local function introduce(self, ...)
  local reply, kind, text = self.connection:command(self.ms, ...)
  if reply ~= nil then return true end
  self.connection:close()
  return nil, kind == "reply" and "denied" or "connect", text
end

local function connect(self)
  local connection, options = self.connection, self.options
  if connection:alive() then return true end
  local ok, kind, text
  if options.socket then
    ok, kind, text = connection:connect_unix(options.socket, self.ms)
  else
    ok, kind, text = connection:connect(options.host, options.port, self.ms)
  end
  if not ok then return nil, kind and "connect", text end
  local password = options.secret()
  if password then
    if options.username then
      ok, kind, text = introduce(self, "AUTH", options.username, password)
    else
      ok, kind, text = introduce(self, "AUTH", password)
    end
    if not ok then return nil, kind, text end
  end
  if options.database ~= 0 then
    ok, kind, text = introduce(self, "SELECT", string.format("%d", options.database))
    if not ok then return nil, kind, text end
  end
  return true
end

--- Sends one command; a connection that turns out dead before the command has left is made anew once.
---@param ... string
---@return any reply, string|nil kind, string|nil text
function Driver:command(...)
  local reply, kind, text
  for _ = 1, 2 do
    local ok
    ok, kind, text = connect(self)
    if not ok then return nil, kind, text end
    reply, kind, text = self.connection:command(self.ms, ...)
    if kind ~= "unsent" then return reply, kind, text end
  end
  return nil, kind, text
end

--- Closes the connection.
---@return true
function Driver:close()
  return self.connection:close()
end

return { new = new, has_tls = has_tls }
