---@meta healthauth.hiredis
-- SPDX-License-Identifier: MIT
-- luacheck: ignore 241
-- For editors (LuaLS): the C module of the Redis store outside nginx. Programs use healthauth.stores.redis. Never loaded at run time.
-- Trouble is nil, "unsent" | "lost" | "reply", message.

---@class healthauth.hiredis
local hiredis = {}

---@class healthauth.hiredis.Connection: userdata
local Connection = {}

--- A connection that is not connected yet.
---@return healthauth.hiredis.Connection
function hiredis.new() end

--- Connects over TCP.
---@param host string
---@param port integer
---@param milliseconds number
---@return true|nil
---@return string? trouble
---@return string? message
function Connection:connect(host, port, milliseconds) end

--- Connects over a unix socket.
---@param path string
---@param milliseconds number
---@return true|nil
---@return string? trouble
---@return string? message
function Connection:connect_unix(path, milliseconds) end

--- Sends one command and reads its reply: text, number, false for nil, or a list of these.
---@param milliseconds number
---@param ... string
---@return string|number|boolean|table|nil reply
---@return string? trouble
---@return string? message
function Connection:command(milliseconds, ...) end

--- Whether it may be used again.
---@return boolean
function Connection:alive() end

--- Ends it. May be repeated.
---@return true
function Connection:close() end

return hiredis
