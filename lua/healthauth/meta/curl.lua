---@meta healthauth.curl
-- SPDX-License-Identifier: MIT
-- luacheck: ignore 241
-- For editors (LuaLS): the C module of the libcurl transport. Programs use healthauth.transports.curl. Never loaded at run time.

---@class healthauth.curl
local curl = {}

---@class healthauth.curl.Handle: userdata
local Handle = {}

--- A transport with connections of its own; makes a new one by itself after a fork.
---@return healthauth.curl.Handle
function curl.new() end

--- Sends one request and waits for its answer, at most request.timeout seconds. Raises for a request of wrong types.
---@param request healthauth.Request
---@return healthauth.Response|nil
---@return healthauth.Failure?
function Handle:perform(request) end

--- Ends its connections. May be repeated.
function Handle:close() end

return curl
