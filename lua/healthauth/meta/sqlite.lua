---@meta healthauth.sqlite
-- SPDX-License-Identifier: MIT
-- luacheck: ignore 241
-- For editors (LuaLS): the C module of the SQLite store. Programs use healthauth.stores.sqlite. Never loaded at run time.
-- Trouble is nil, code, message with a code of docs/errors.md.

---@class healthauth.sqlite
local sqlite = {}

---@class healthauth.sqlite.File: userdata
local File = {}

--- Names the file; it is opened and made by the first call.
---@param path string
---@param busy_ms integer     how long to wait for another's write
---@param max_pages? integer  for specs: a small disk
---@return healthauth.sqlite.File|nil
---@return string? code
---@return string? message
function sqlite.open(path, busy_ms, max_pages) end

--- The record of a key and its version; false when there is none.
---@param key string
---@return string|false|nil record
---@return string? version_or_code
---@return string? message
function File:load(key) end

--- Compare and swap. id makes the new version unlike every other.
---@param key string
---@param record string
---@param expected? string
---@param id string
---@return string|nil version
---@return string? code
---@return string? message
function File:save(key, record, expected, id) end

--- Removes a record.
---@param key string
---@return true|nil
---@return string? code
---@return string? message
function File:delete(key) end

--- Takes a lease: its fence, or false while another holds it.
---@param key string
---@param id string
---@param now_ms integer
---@param ttl_ms integer
---@return number|false|nil fence
---@return string? code
---@return string? message
function File:acquire(key, id, now_ms, ttl_ms) end

--- Gives a lease back; false when it was no longer ours.
---@param key string
---@param id string
---@param now_ms integer
---@return boolean|nil
---@return string? code
---@return string? message
function File:release(key, id, now_ms) end

--- The first key behind this one and its record; false at the end.
---@param key? string
---@return string|false|nil key
---@return string? record_or_code
---@return string? message
function File:next(key) end

--- Closes the file. May be repeated.
---@return true
function File:close() end

return sqlite
