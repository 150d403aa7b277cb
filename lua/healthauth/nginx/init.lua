-- SPDX-License-Identifier: MIT
--- healthauth inside nginx: handlers for access_by_lua and content_by_lua. Each part is loaded when it is first named and usable alone.
-- A handler that is made in init_by_lua is checked there and gives a function for the requests; one called in a request runs at once.

local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local KNOWN = { dict = { "string", "required" } }
local LEAST = 64 * 1024
local MODULE_LEAST = 10015 -- receiveany

local M = {
  --- Yours: what init_by_lua puts here, requests find. Saves a global.
  app = {},
}

local PARTS = {
  guard = "guard", bearer = "bearer", login = "login", callback = "callback", logout = "logout", worker_thread = "worker_thread",
}

--- In init_by_lua: checks nginx and the zone, and switches metrics and status page on.
---@param given { dict: string }
---@return boolean
function M.init(given)
  local self = options.read("init", given, KNOWN)
  if not ngx.config or ngx.config.ngx_lua_version < MODULE_LEAST then
    options.refuse("init", "nginx's Lua module 0.10.15 or newer is needed", 2)
  end
  metrics.dict = options.dict("init", self.dict, LEAST)
  return true
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
