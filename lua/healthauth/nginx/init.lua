-- SPDX-License-Identifier: MIT
--- healthauth inside nginx: handlers for access_by_lua and content_by_lua. Each part is loaded when it is first named and usable alone.
-- A handler that is made in init_by_lua is checked there and gives a function for the requests; one called in a request runs at once.

local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local setup = require "healthauth.nginx.setup"

local KNOWN = { dict = { "string", "required" } }
local MODULE_LEAST = 10015 -- receiveany

--- What `require "healthauth.nginx"` gives.
---@class healthauth.nginx
---@field app table  yours: what init_by_lua puts here, requests find
---@field guard fun(session: healthauth.Session, options?: healthauth.nginx.GuardOptions): any
---@field bearer fun(subject: healthauth.Session|healthauth.Sessions, options?: healthauth.nginx.BearerOptions): any
---@field login fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
---@field callback fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
---@field logout fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
---@field worker_thread fun(options: { pool: string }): healthauth.Transport
local M = {
  --- Yours: what init_by_lua puts here, requests find. Saves a global.
  app = {},
}

local PARTS = {
  guard = "guard", bearer = "bearer", login = "login", callback = "callback", logout = "logout", worker_thread = "worker_thread",
}

--- In init_by_lua: checks nginx and the zone, and switches metrics and status page on.
---@param given { dict: string }  a zone of 64 KiB or more, for the counters
---@return boolean
function M.init(given)
  local self = options.read("init", given, KNOWN, 2)
  if not ngx.config or ngx.config.ngx_lua_version < MODULE_LEAST then
    options.refuse("init", "nginx's Lua module 0.10.15 or newer is needed", 2)
  end
  local phase = ngx.get_phase()
  if phase ~= "init" then options.refuse("init", "call it in init_by_lua: in the phase " .. phase .. " one worker alone would know", 2) end
  metrics.dict = setup.zone("init", self.dict, "counters", 2)
  return true
end

--- In init_by_lua, where assert would: the value, or the end of the start with the error's text. For an error that is no text nginx itself
--- writes "unknown error".
---@param value any
---@param err any
---@return any value
function M.must(value, err)
  if value == nil then error(tostring(err), 2) end
  return value
end

--- In init_worker_by_lua: tries stores and providers of all handlers once, and writes what fails into the error log.
---@return boolean  whether this worker tries
function M.probe()
  local tries = require("healthauth.nginx.probe").probe()
  return tries
end

--- Content handler: the counters for Prometheus.
---@return any  nothing of use
function M.metrics()
  return require("healthauth.nginx.status").metrics()
end

--- Content handler: the status page. Show it to the owner only.
---@return any  nothing of use
function M.status()
  return require("healthauth.nginx.status").status()
end

return setmetatable(M, {
  __index = function(self, name)
    local part = PARTS[name]
    if not part then return nil end
    local found = require("healthauth.nginx." .. part)
    rawset(self, name, found)
    return found
  end,
})
