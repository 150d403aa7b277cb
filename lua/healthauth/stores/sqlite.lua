-- SPDX-License-Identifier: MIT
-- A store in one SQLite file: for scripts and for several processes of one machine.
-- The file is made with mode 0600; one that is a link, somebody else's or readable by others is refused (store_insecure).
-- Leases are kept by the system's clock, which all processes of the machine share.

local common = require "healthauth.stores.common"
local core = require "healthauth.core"
local sqlite = require "healthauth.sqlite"

local KNOWN = {
  path = { "string", "required" },
  busy_timeout = { "number" },
  clock = { "function" },
  max_pages = { "number" }, -- specs only: a small disk
}
local BUSY_TIMEOUT = 5

local methods = {}
local Sqlite = common.class("sqlite", methods)

--- Opens the store; the file itself is opened (and made) by the first call.
--- Options: path; busy_timeout (seconds to wait for another process's write, default 5).
---@param options { path: string, busy_timeout?: number, clock?: fun(): number }
---@return healthauth.Store|nil store, table|nil err
local function new(options)
  options = common.options("healthauth.stores.sqlite", options, KNOWN)
  if options.path == "" or options.path:find("\0", 1, true) then error("healthauth.stores.sqlite: option 'path' is not a path", 2) end
  local busy = options.busy_timeout or BUSY_TIMEOUT
  if not (busy >= 0 and busy <= 600) then error("healthauth.stores.sqlite: option 'busy_timeout' must be between 0 and 600", 2) end
  local file, code, message = sqlite.open(options.path, math.floor(busy * 1000), options.max_pages)
  if not file then return common.fail(code, message) end
  return setmetatable({ file = file, clock = options.clock or core.time }, Sqlite)
end

local function now(self)
  return math.floor(self.clock() * 1000)
end

--- The record of a key and its version, or nil, or nil and an error.
---@param key string
---@return string|nil record, string|table|nil version_or_err
function methods:load(key)
  common.enter(self, key)
  local record, version, message = self.file:load(key)
  if record then return record, version end
  if record == false then return nil end
  return common.fail(version, message)
end

--- Compare and swap: stores record if the key's version is still the expected one (nil: the key must not exist).
---@param key string
---@param record string
---@param expected_version? string
---@return string|nil version, table|nil err
function methods:save(key, record, expected_version)
  if not common.enter_save(self, key, record, expected_version) then return common.too_large(record) end
  local id, err = common.id()
  if not id then return nil, err end
  local version, code, message = self.file:save(key, record, expected_version, id)
  if version then return version end
  return common.fail(code, message)
end

--- Takes the lease of a key, or answers false while another holds it. Never waits for the holder.
---@param key string
---@param ttl_seconds number
---@return healthauth.Lease|false|nil, table|nil err
function methods:acquire(key, ttl_seconds)
  common.enter_acquire(self, key, ttl_seconds)
  local id, err = common.id(16)
  if not id then return nil, err end
  local fence, code, message = self.file:acquire(key, id, now(self), math.ceil(ttl_seconds * 1000))
  if fence then return common.lease(key, id, fence) end
  if fence == false then return false end
  return common.fail(code, message)
end

--- Gives a lease back; false when it is no longer ours.
---@param lease healthauth.Lease
---@return boolean|nil, table|nil err
function methods:release(lease)
  if not common.enter_release(self, lease) then return false end
  local released, code, message = self.file:release(lease.key, lease.id, now(self))
  if released ~= nil then return released end
  return common.fail(code, message)
end

--- Removes a record; true also when there was none.
---@param key string
---@return true|nil, table|nil err
function methods:delete(key)
  common.enter(self, key)
  local deleted, code, message = self.file:delete(key)
  if deleted then return true end
  return common.fail(code, message)
end

--- Iterates over key, record in byte order of the keys. Trouble is one last round: false, nil, err.
---@return fun(): string|false|nil, string|nil, table|nil
function methods:list()
  common.enter_list(self)
  local file, last, over = self.file, nil, false
  return function()
    if over then return nil end
    local key, record, message = file:next(last)
    if key then
      last = key
      return key, record
    end
    over = true
    if key == nil then return false, common.fail(record, message) end
  end
end

--- Closes the file. May be repeated.
---@return true
function methods:close()
  self.closed = true
  return self.file:close()
end

return new
