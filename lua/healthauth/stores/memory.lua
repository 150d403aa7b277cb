-- SPDX-License-Identifier: MIT
-- A store in this Lua state's memory: for one process, for scripts that need no tomorrow, and for specs.
-- Leases are kept by an injectable clock; nothing is ever written anywhere.

local common = require "healthauth.stores.common"
local core = require "healthauth.core"

local KNOWN = { clock = { "function" } }

local methods = {}
local Memory = common.class("memory", methods)

--- Opens an empty store. Option: clock (function -> seconds, default the monotonic clock).
---@param options? { clock?: fun(): number }
---@return healthauth.Store|nil, table|nil err
local function new(options)
  options = common.options("healthauth.stores.memory", options, KNOWN)
  local id, err = common.id()
  if not id then return nil, err end
  return setmetatable({
    clock = options.clock or core.monotonic,
    id = id, -- versions of two stores are never alike
    counter = 0,
    records = {},
    leases = {},
  }, Memory)
end

local function count(self)
  self.counter = self.counter + 1
  return self.counter
end

--- The record of a key and its version, or nil.
---@param key string
---@return string|nil record, string|nil version
function methods:load(key)
  common.enter(self, key)
  local row = self.records[key]
  if not row then return nil end
  return row.record, row.version
end

--- Compare and swap: stores record if the key's version is still the expected one (nil: the key must not exist).
---@param key string
---@param record string
---@param expected_version? string
---@return string|nil version, table|nil err
function methods:save(key, record, expected_version)
  if not common.enter_save(self, key, record, expected_version) then return common.too_large(record) end
  local row = self.records[key]
  if (row and row.version) ~= expected_version then return common.fail("conflict", "the record was changed by another") end
  local version = common.version(count(self), self.id)
  self.records[key] = { record = record, version = version }
  return version
end

--- Takes the lease of a key, or answers false while another holds it. Never waits.
---@param key string
---@param ttl_seconds number
---@return healthauth.Lease|false|nil, table|nil err
function methods:acquire(key, ttl_seconds)
  common.enter_acquire(self, key, ttl_seconds)
  local now = self.clock()
  local held = self.leases[key]
  if held and now >= held.since and now < held.until_ then return false end
  local id, err = common.id(16)
  if not id then return nil, err end
  local lease = common.lease(key, id, count(self))
  self.leases[key] = { id = lease.id, since = now, until_ = now + ttl_seconds }
  return lease
end

--- Gives a lease back; false when it is no longer ours.
---@param lease healthauth.Lease
---@return boolean
function methods:release(lease)
  if not common.enter_release(self, lease) then return false end
  local held = self.leases[lease.key]
  if not held or held.id ~= lease.id then return false end
  self.leases[lease.key] = nil
  local now = self.clock()
  return now >= held.since and now < held.until_
end

--- Removes a record; true also when there was none.
---@param key string
---@return true
function methods:delete(key)
  common.enter(self, key)
  self.records[key] = nil
  return true
end

--- Iterates over key, record; what is saved or deleted meanwhile may or may not be seen.
---@return fun(): string|nil, string|nil
function methods:list()
  common.enter_list(self)
  local keys, at = {}, 0
  for key in pairs(self.records) do keys[#keys + 1] = key end
  return function()
    while at < #keys do
      at = at + 1
      local row = self.records[keys[at]]
      if row then return keys[at], row.record end
    end
  end
end

--- Forgets everything. May be repeated.
---@return true
function methods:close()
  self.closed, self.records, self.leases = true, {}, {}
  return true
end

return new
