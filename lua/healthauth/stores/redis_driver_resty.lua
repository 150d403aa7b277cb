-- SPDX-License-Identifier: MIT
-- Redis commands inside nginx, over resty.redis (OpenResty) or nginx.redis (Debian), whichever is there. Never blocks a worker.
-- The same command() as redis_driver_hiredis. Connections come from the worker's cosocket pool; one pool per server, user and database.

-- luacheck: read_globals ngx

local core = require "healthauth.core"

local IDLE_MS = 60000
local POOL_SIZE = 32

local Driver = { __name = "healthauth.redis_driver" }
Driver.__index = Driver

local function client()
  for _, name in ipairs { "resty.redis", "nginx.redis" } do
    local ok, module = pcall(require, name)
    if ok and type(module) == "table" then return module end
  end
end

--- Whether this client can do TLS: resty.redis from 0.28 on.
local function has_tls()
  local module = client()
  local major, minor = tostring(module and module._VERSION):match("^(%d+)%.(%d+)")
  return major ~= nil and (tonumber(major) > 0 or tonumber(minor) >= 28)
end

--- A driver for checked options (redis.lua), or nil where no client is installed.
---@param options table
---@return table|nil driver
local function new(options)
  local module = client()
  if not module then return nil end
  local self = setmetatable({ options = options, client = module, ms = math.max(1, math.floor(options.timeout * 1000)) }, Driver)
  self.address = options.socket and "unix:" .. options.socket or options.host
  return self
end

-- Who authenticated on a connection is part of its pool's name, so that no other user or database ever gets it.
local function pool_of(self, password)
  local options = self.options
  local where = { self.address, options.port or "", options.tls and "tls" or "", options.database }
  local who = table.concat(where, "\0") .. "\0" .. (options.username or "") .. "\0" .. (password or "")
  return "healthauth:" .. core.hex(core.sha256(who))
end

local function connect(self)
  local options = self.options
  local made, red, why = pcall(self.client.new, self.client)
  if not made then return nil, "connect", "no cosocket in this phase" end
  if not red then return nil, "connect", why end
  red:set_timeout(self.ms)
  local password = options.secret()
  local settings = { pool = pool_of(self, password), pool_size = POOL_SIZE }
  if options.tls then settings.ssl, settings.ssl_verify, settings.server_name = true, true, options.host end
  local ok
  if options.socket then ok, why = red:connect(self.address, settings) else ok, why = red:connect(self.address, options.port, settings) end
  if not ok then return nil, "connect", why end
  if (red:get_reused_times() or 0) > 0 then return red end
  local reply = true
  if password then
    if options.username then reply, why = red:auth(options.username, password) else reply, why = red:auth(password) end
  end
  if reply and options.database ~= 0 then reply, why = red:select(string.format("%d", options.database)) end
  if reply then return red end
  red:close()
  return nil, reply == false and "denied" or "connect", why
end

local function plain(value)
  if value == ngx.null then return false end
  if type(value) ~= "table" then return value end
  local list = {}
  for i = 1, #value do
    local item = value[i]
    if type(item) == "table" and item[1] == false then list[i] = false else list[i] = plain(item) end
  end
  return list
end

--- Sends one command.
---@param word string
---@param ... string
---@return any reply, string|nil kind, string|nil text
function Driver:command(word, ...)
  local red, kind, why = connect(self)
  if not red then return nil, kind, why end
  local reply, text = red[word:lower()](red, ...)
  if reply == nil then
    red:close()
    return nil, "lost", text
  end
  red:set_keepalive(IDLE_MS, POOL_SIZE)
  if reply == false then return nil, "reply", text end
  return plain(reply)
end

--- Nothing to close: idle connections belong to the worker's pool.
---@return true
function Driver.close()
  return true
end

return { new = new, has_tls = has_tls }
