-- SPDX-License-Identifier: MIT
-- Wraps any store so that its records are sealed at rest: AES-256-GCM, bound to their key and to the id of the sealing key.
-- A record that is cut, changed, moved under another key, or sealed with a key that we have not got is store / record_invalid.
-- Rotation: the record says its key's id; what is saved from now on uses the current id, older ids are still read.
-- It does not hide which keys exist, and cannot tell an old copy of a record from the newest: that is the store's version.

local common = require "healthauth.stores.common"
local core = require "healthauth.core"

local WHO = "healthauth.stores.sealed"
local KNOWN = { store = { "any", "required" }, id = { "string" }, key = { "function" }, key_file = { "string" }, key_files = { "table" } }
local MAGIC = "HAS1"
local MAX_ID = 64
local KEY_BYTES = 32
local MAX_KEY_FILE = 256
local OVERHEAD = #MAGIC + 1 + MAX_ID + 28

local methods = {}
local Sealed = common.class("sealed", methods)

local BASE64 = {}
do
  local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for i = 1, 64 do BASE64[letters:sub(i, i)] = i - 1 end
end

local function from_hex(text)
  if #text ~= 2 * KEY_BYTES or text:find("%X") then return nil end
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function from_base64(text)
  local body = text:match("^([%w+/_-]+)=?$")
  if not body or #body ~= 43 then return nil end
  body = body:gsub("-", "+"):gsub("_", "/")
  local out, bits, value = {}, 0, 0
  for letter in body:gmatch(".") do
    value, bits = value * 64 + BASE64[letter], bits + 6
    if bits >= 8 then
      bits = bits - 8
      local unit = 2 ^ bits
      local byte = math.floor(value / unit)
      out[#out + 1] = string.char(byte)
      value = value - byte * unit
    end
  end
  if value ~= 0 then return nil end
  return table.concat(out)
end

-- The 32 bytes of a key file: raw, or hexadecimal or base64 text with white space around it.
local function parse(content)
  if #content == KEY_BYTES then return content end
  local text = content:match("^%s*(%S+)%s*$")
  if not text then return nil end
  return from_hex(text) or from_base64(text)
end

local function file_keys(files)
  local kept = {}
  return function(id)
    if kept[id] then return kept[id] end
    local path = files[id]
    if not path then return nil end
    local content, why = core.read_private(path, MAX_KEY_FILE)
    if not content then error("key file: " .. tostring(why), 0) end
    kept[id] = parse(content) or error("key file: not 32 bytes, raw or as hexadecimal or base64 text", 0)
    return kept[id]
  end
end

local function is_id(id)
  return type(id) == "string" and #id >= 1 and #id <= MAX_ID and not id:find("[^%w._-]")
end

--- Wraps a store. Exactly one of: key_file (path; private to this user), key_files ({ id = path }), key (function(id) -> 32 bytes or nil).
--- id: the current key's id (default "1"; required with key_files).
---@param options { store: healthauth.Store, id?: string, key?: function, key_file?: string, key_files?: table<string, string> }
---@return healthauth.Store
local function new(options)
  options = common.options(WHO, options, KNOWN)
  local given = (options.key and 1 or 0) + (options.key_file and 1 or 0) + (options.key_files and 1 or 0)
  if given ~= 1 then error(WHO .. ": exactly one of options 'key', 'key_file' and 'key_files' is required", 2) end
  if type(options.store) ~= "table" or type(options.store.save) ~= "function" then error(WHO .. ": option 'store' must be a store", 2) end
  if options.key_files and not options.id then error(WHO .. ": option 'id' is required with 'key_files'", 2) end
  local id = options.id or "1"
  if not is_id(id) then error(WHO .. ": option 'id' must be 1 to " .. MAX_ID .. " letters, digits, '.', '_' or '-'", 2) end
  for name, path in pairs(options.key_files or {}) do
    if not is_id(name) or type(path) ~= "string" then error(WHO .. ": option 'key_files' must be { id = path }", 2) end
  end
  if options.key_files and not options.key_files[id] then error(WHO .. ": option 'key_files' has no '" .. id .. "'", 2) end
  local find = options.key or file_keys(options.key_files or { [id] = options.key_file })
  return setmetatable({ store = options.store, id = id, find = find, from_file = options.key == nil }, Sealed)
end

-- The 32 bytes of a key, or nil and an error: an id that nobody knows has the code given, trouble in getting it is key_unavailable.
local function key_of(self, id, unknown)
  local called, key = pcall(self.find, id)
  if not called then return common.fail("key_unavailable", self.from_file and key or "the key function failed") end
  if key == nil then return common.fail(unknown, "no key with the id " .. id) end
  if type(key) ~= "string" or #key ~= KEY_BYTES then return common.fail("key_unavailable", "the key function gave no 32 bytes") end
  return key
end

local function unseal(self, key, sealed)
  local size = sealed:sub(1, #MAGIC) == MAGIC and sealed:byte(#MAGIC + 1) or 0
  local head = sealed:sub(1, #MAGIC + 1 + size)
  local id = head:sub(#MAGIC + 2)
  if #id ~= size or not is_id(id) then return common.fail("record_invalid", "the record is not sealed") end
  local secret, err = key_of(self, id, "record_invalid")
  if not secret then return nil, err end
  local record = core.unseal(secret, sealed:sub(#head + 1), head .. key)
  if not record then return common.fail("record_invalid", "the record was changed, or sealed for another key") end
  return record
end

--- The record of a key and its version, or nil, or nil and an error.
---@param key string
---@return string|nil record, string|table|nil version_or_err
function methods:load(key)
  common.enter(self, key)
  local sealed, version = self.store:load(key)
  if not sealed then return nil, version end
  local record, err = unseal(self, key, sealed)
  if not record then return nil, err end
  return record, version
end

--- Seals the record with the current key, then compare and swap.
---@param key string
---@param record string
---@param expected_version? string
---@return string|nil version, table|nil err
function methods:save(key, record, expected_version)
  if not common.enter_save(self, key, record, expected_version) or #record > common.MAX_RECORD - OVERHEAD then
    return common.too_large(record)
  end
  local secret, err = key_of(self, self.id, "key_unavailable")
  if not secret then return nil, err end
  local head = MAGIC .. string.char(#self.id) .. self.id
  local sealed = core.seal(secret, record, head .. key)
  if not sealed then return common.fail("random_failed", "the system gives no random bytes") end
  return self.store:save(key, head .. sealed, expected_version)
end

--- See the wrapped store.
---@param key string
---@param ttl_seconds number
---@return healthauth.Lease|false|nil, table|nil err
function methods:acquire(key, ttl_seconds)
  common.enter_acquire(self, key, ttl_seconds)
  return self.store:acquire(key, ttl_seconds)
end

--- See the wrapped store.
---@param lease healthauth.Lease
---@return boolean|nil, table|nil err
function methods:release(lease)
  if not common.enter_release(self, lease) then return false end
  return self.store:release(lease)
end

--- See the wrapped store. Needs no key, so what cannot be read can be removed.
---@param key string
---@return true|nil, table|nil err
function methods:delete(key)
  common.enter(self, key)
  return self.store:delete(key)
end

--- Iterates over key, record; one that cannot be unsealed is key, nil, err.
---@return fun(): string|false|nil, string|nil, table|nil
function methods:list()
  common.enter_list(self)
  local following = self.store:list()
  return function()
    local key, sealed, err = following()
    if not key or not sealed then return key, nil, err end
    local record
    record, err = unseal(self, key, sealed)
    return key, record, err
  end
end

--- Closes the wrapped store too. May be repeated.
---@return true
function methods:close()
  self.closed = true
  if self.store.close then self.store:close() end
  return true
end

return new
