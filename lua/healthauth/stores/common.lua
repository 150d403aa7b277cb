-- SPDX-License-Identifier: MIT
-- What all stores share: argument checks that raise at the caller's line, store errors, and the shape of versions and leases.
-- A store keeps byte strings under keys. Its world (disk, server, memory) answers nil, err; a programmer's mistake raises.

local core = require "healthauth.core"

local MAX_KEY = 256
local MAX_ID = 64
local MAX_RECORD = 1024 * 1024
local MAX_TTL = 86400

---@class healthauth.Lease
---@field key string
---@field id string    unguessable; proves that the lease is ours
---@field fence number grows with every lease of the store

---@class healthauth.Store
---@field load fun(self, key: string): string|nil, any
---@field save fun(self, key: string, record: string, expected_version: string|nil): string|nil, table|nil
---@field acquire fun(self, key: string, ttl_seconds: number): healthauth.Lease|false|nil, table|nil
---@field release fun(self, lease: healthauth.Lease): boolean|nil, table|nil
---@field delete fun(self, key: string): boolean|nil, table|nil
---@field list fun(self): fun(): string|false|nil, string|nil, table|nil
---@field close fun(self): boolean

local ACTIONS = {
  conflict = "retry",
  store_full = "wait",
  store_unavailable = "retry",
  store_stale = "retry",
  store_read_only = "fix_request",
  store_corrupt = "give_up",
  store_insecure = "fix_request",
  store_denied = "fix_credentials",
  record_invalid = "reauthorize",
  record_too_large = "give_up",
  random_failed = "retry",
  key_unavailable = "fix_credentials",
}

local M = { MAX_KEY = MAX_KEY, MAX_RECORD = MAX_RECORD, MAX_TTL = MAX_TTL }

--- A store error.
---@param code string one of the store codes of docs/errors.md
---@param message string says what happened; never a record
---@return table err
function M.error(code, message)
  return core.error { kind = "store", code = code, message = message, action = ACTIONS[code] }
end

--- nil and a store error, to be returned at once.
---@param code string
---@param message string
---@return nil, table err
function M.fail(code, message)
  return nil, M.error(code, message)
end

--- nil and an error of kind "unsupported".
---@param code string
---@param message string
---@return nil, table err
function M.unsupported(code, message)
  return nil, core.error { kind = "unsupported", code = code, message = message, action = "fix_request", outcome = "not_sent" }
end

--- Checks a constructor's options against { name = { type, "required"? } }; raises at the line that called the constructor.
---@param who string the constructor's name, for the message
---@param options any
---@param known table<string, string[]>
---@return table options a copy
function M.options(who, options, known)
  if options == nil then options = {} end
  if type(options) ~= "table" then error(who .. ": options must be a table, got " .. type(options), 3) end
  local copy = {}
  for name, value in pairs(options) do
    local want = known[name]
    if not want then error(who .. ": unknown option '" .. tostring(name) .. "'", 3) end
    if want[1] ~= "any" and type(value) ~= want[1] then
      error(who .. ": option '" .. name .. "' must be a " .. want[1] .. ", got " .. type(value), 3)
    end
    copy[name] = value
  end
  for name, want in pairs(known) do
    if want[2] and copy[name] == nil then error(who .. ": option '" .. name .. "' is required", 3) end
  end
  return copy
end

local function wrong_key(store, key)
  if store.closed then return tostring(store) .. " is closed" end
  if type(key) ~= "string" then return "key must be a string, got " .. type(key) end
  if #key == 0 or #key > MAX_KEY then return "key must have 1 to " .. MAX_KEY .. " bytes" end
end

--- Raises at the caller of the calling method: closed store, or a key that cannot be one.
---@param store table
---@param key any
function M.enter(store, key)
  local wrong = wrong_key(store, key)
  if wrong then error(wrong, 3) end
end

--- Raises for what save cannot mean; answers whether the record is small enough.
---@param store table
---@param key any
---@param record any
---@param expected any
---@return boolean fits
function M.enter_save(store, key, record, expected)
  local wrong = wrong_key(store, key)
  if wrong then error(wrong, 3) end
  if type(record) ~= "string" then error("record must be a string, got " .. type(record), 3) end
  if expected ~= nil and type(expected) ~= "string" then error("expected_version must be a string or nil, got " .. type(expected), 3) end
  return #record <= MAX_RECORD
end

--- Raises for a key or time to live that acquire cannot take.
---@param store table
---@param key any
---@param ttl any
function M.enter_acquire(store, key, ttl)
  local wrong = wrong_key(store, key)
  if wrong then error(wrong, 3) end
  if type(ttl) ~= "number" then error("ttl_seconds must be a number, got " .. type(ttl), 3) end
  if not (ttl >= 0.001 and ttl <= MAX_TTL) then error("ttl_seconds must be between 0.001 and " .. MAX_TTL, 3) end
end

--- Raises for what is no lease; false for one that no store can have given.
---@param store table
---@param lease any
---@return boolean possible
function M.enter_release(store, lease)
  if store.closed then error(tostring(store) .. " is closed", 3) end
  local right = type(lease) == "table" and type(lease.key) == "string" and type(lease.id) == "string"
  if not right then error("lease expected, got " .. type(lease), 3) end
  return #lease.id >= 1 and #lease.id <= MAX_ID and #lease.key >= 1 and #lease.key <= MAX_KEY
end

--- Raises when the store is closed.
---@param store table
function M.enter_list(store)
  if store.closed then error(tostring(store) .. " is closed", 3) end
end

--- nil and the error of a record that is over the maximum.
---@param record string
---@return nil, table err
function M.too_large(record)
  return M.fail("record_too_large", "a record may have " .. MAX_RECORD .. " bytes, this one has " .. #record)
end

--- An unguessable id of a lease or version: 16 hexadecimal digits or more.
---@param bytes? number
---@return string|nil, table|nil err
function M.id(bytes)
  local random = core.random(bytes or 8)
  if not random then return M.fail("random_failed", "the system gives no random bytes") end
  return core.hex(random)
end

--- A version: grows by its number, and never repeats because of its id.
---@param number number
---@param id string
---@return string
function M.version(number, id)
  return string.format("%.0f-%s", number, id)
end

local Lease = { __name = "healthauth.lease" }

function Lease.__tostring(lease)
  return string.format("healthauth.lease %.0f", lease.fence)
end

--- A lease as acquire returns it.
---@param key string
---@param id string
---@param fence number
---@return healthauth.Lease
function M.lease(key, id, fence)
  return setmetatable({ key = key, id = id, fence = fence }, Lease)
end

--- The metatable of a store class.
---@param name string
---@param methods table
---@return table
function M.class(name, methods)
  local text = "healthauth.stores." .. name
  return { __index = methods, __name = text, __tostring = function() return text end }
end

return M
