-- SPDX-License-Identifier: MIT
-- A store in one of nginx's lua_shared_dict zones: for all workers of one nginx; it survives a reload and ends with the master.
-- Give it a zone of its own: others' set() may evict entries of a full zone, ours never do.
--
-- nginx's safe_set removes an old value of another size before it looks for room, so a full zone would lose a record. Therefore a record
-- lies in one of two slots and a pointer of fixed size says in which: the new record goes into the free slot, then the pointer is
-- overwritten in place (which needs no memory). What the pointer names is always whole.

local common = require "healthauth.stores.common"
local core = require "healthauth.core"

local KNOWN = { name = { "string", "required" } }
local WHO = "healthauth.stores.shared_dict"
local LOCK_TTL = 1 -- a worker killed inside a swap delays others by this
local BUSY_TRIES = 200 -- a swap takes microseconds; then sleep where the phase can
local SLEEP = 0.002
local VERSION_SIZE = 33
local COUNTER = "ha:counter"
local SLEEPING = { rewrite = true, access = true, content = true, timer = true, ssl_cert = true, ssl_session_fetch = true }

local methods = {}
local SharedDict = common.class("shared_dict", methods)

--- Opens the store over the zone of that name; a zone that is not there raises and says what to write into nginx.conf.
---@param options { name: string }
---@return healthauth.Store|nil store, table|nil err
local function new(options)
  options = common.options(WHO, options, KNOWN)
  if type(ngx) ~= "table" or not ngx.shared then return common.unsupported("not_in_nginx", WHO .. " works only inside nginx") end
  local dict = ngx.shared[options.name]
  if not dict then error(WHO .. ": no such zone; write 'lua_shared_dict " .. options.name .. " 10m;' into the http block", 2) end
  return setmetatable({ dict = dict, name = options.name }, SharedDict)
end

local function full(why)
  if type(why) == "table" then return nil, why end
  if why == "no memory" then return common.fail("store_full", "the shared dictionary is full; make lua_shared_dict larger") end
  return common.fail("store_unavailable", "shared dictionary: " .. tostring(why))
end

-- Grows by one; starts at the clock's milliseconds, so it goes on growing should the zone ever lose it.
local function count(self)
  local number = self.dict:incr(COUNTER, 1)
  if number then return number end
  local added, why = self.dict:safe_add(COUNTER, math.floor(core.time() * 1000))
  if not added and why ~= "exists" then return nil, why end
  return self.dict:incr(COUNTER, 1)
end

-- The short lock of a key; id proves whose it is. wait: whether others' microseconds may be slept away.
-- nginx counts lives from the time that a worker has cached: in one that was kept busy, lock and lease would be over before their time.
local function lock(self, key, wait)
  local name = "ha:k:" .. key
  local id, err = common.id()
  if not id then return nil, err end
  ngx.update_time()
  local deadline, tries = core.monotonic() + 2 * LOCK_TTL, 0
  local can_sleep = wait and SLEEPING[ngx.get_phase()]
  while true do
    local added, why = self.dict:safe_add(name, id, LOCK_TTL)
    if added then return id end
    if why ~= "exists" then return nil, why end
    tries = tries + 1
    if tries > BUSY_TRIES then
      if not can_sleep or core.monotonic() > deadline then return nil, "busy" end
      ngx.sleep(SLEEP)
    end
  end
end

-- Whether the lock is still ours. Asked before each step that another's swap could suffer from: a worker that was stopped in the middle and
-- goes on finds that others have worked meanwhile.
local function ours(self, key, id)
  return self.dict:get("ha:k:" .. key) == id
end

local function unlock(self, key, id)
  if ours(self, key, id) then self.dict:delete("ha:k:" .. key) end
end

local function split(pointer)
  return pointer:sub(1, 1), pointer:sub(2)
end

--- The record of a key and its version, or nil, or nil and an error.
---@param key string
---@return string|nil record, string|table|nil version_or_err
function methods:load(key)
  common.enter(self, key)
  for _ = 1, 100 do -- a swap between the two reads shows as another version in the slot
    local pointer = self.dict:get("ha:p:" .. key)
    if pointer == nil then return nil end
    if type(pointer) ~= "string" or #pointer ~= VERSION_SIZE + 1 then
      return common.fail("record_invalid", "a record that this store did not write")
    end
    local slot, version = split(pointer)
    local value = self.dict:get("ha:" .. slot .. ":" .. key)
    if type(value) == "string" and value:sub(1, VERSION_SIZE) == version then return value:sub(VERSION_SIZE + 1), version end
  end
  return common.fail("record_invalid", "the record of this key was evicted or overwritten by other users of the zone")
end

-- Under the lock that `mine` proves. -> version | nil, why
local function swap(self, key, record, expected, mine)
  local dict = self.dict
  local pointer = dict:get("ha:p:" .. key)
  local slot, current = nil, nil
  if pointer ~= nil then slot, current = split(tostring(pointer)) end
  if current ~= expected then return nil, "conflict" end
  local number, why = count(self)
  if not number then return nil, why end
  local id, err = common.id()
  if not id then return nil, err end
  local version = string.format("%016.0f-%s", number, id)
  local free = slot == "0" and "1" or "0"
  local name = "ha:" .. free .. ":" .. key
  if not ours(self, key, mine) then return nil, "busy" end
  dict:delete(name)
  local ok
  ok, why = dict:safe_add(name, version .. record)
  if not ok then return nil, why end
  if not ours(self, key, mine) then return nil, "busy" end
  if slot then
    ok, why = dict:safe_set("ha:p:" .. key, free .. version) -- same size: in place
  else
    ok, why = dict:safe_add("ha:p:" .. key, free .. version)
  end
  if not ok then
    dict:delete(name)
    return nil, why
  end
  if slot and ours(self, key, mine) then dict:delete("ha:" .. slot .. ":" .. key) end
  return version
end

--- Compare and swap: stores record if the key's version is still the expected one (nil: the key must not exist).
---@param key string
---@param record string
---@param expected_version? string
---@return string|nil version, table|nil err
function methods:save(key, record, expected_version)
  if not common.enter_save(self, key, record, expected_version) then return common.too_large(record) end
  local id, why = lock(self, key, true)
  if not id then return full(why) end
  local version
  version, why = swap(self, key, record, expected_version, id)
  unlock(self, key, id)
  if version then return version end
  if why == "conflict" then return common.fail("conflict", "the record was changed by another") end
  return full(why)
end

--- Takes the lease of a key, or answers false while another holds it. Never waits.
---@param key string
---@param ttl_seconds number
---@return healthauth.Lease|false|nil, table|nil err
function methods:acquire(key, ttl_seconds)
  common.enter_acquire(self, key, ttl_seconds)
  local mine, why = lock(self, key, false)
  if not mine then
    if why == "busy" then return false end
    return full(why)
  end
  local name, id, added, fence = "ha:l:" .. key, nil, nil, nil -- luacheck: ignore 311
  id, why = common.id(16)
  if id then added, why = self.dict:safe_add(name, id, ttl_seconds) end
  if added then fence, why = count(self) end
  if added and not fence then self.dict:delete(name) end
  unlock(self, key, mine)
  if fence then return common.lease(key, id, fence) end
  if why == "exists" then return false end
  return full(why)
end

--- Gives a lease back; false when it is no longer ours.
---@param lease healthauth.Lease
---@return boolean|nil, table|nil err
function methods:release(lease)
  if not common.enter_release(self, lease) then return false end
  local mine, why = lock(self, lease.key, true)
  if not mine then return full(why) end
  local name = "ha:l:" .. lease.key
  local held = self.dict:get(name) == lease.id
  if held then self.dict:delete(name) end
  unlock(self, lease.key, mine)
  return held
end

--- Removes a record; true also when there was none.
---@param key string
---@return true|nil, table|nil err
function methods:delete(key)
  common.enter(self, key)
  local id, why = lock(self, key, true)
  if not id then return full(why) end
  if not ours(self, key, id) then return full "busy" end
  self.dict:delete("ha:p:" .. key)
  for slot = 0, 1 do
    if ours(self, key, id) then self.dict:delete("ha:" .. slot .. ":" .. key) end
  end
  unlock(self, key, id)
  return true
end

--- Iterates over key, record. What cannot be read is key, nil, err. Looks at every name of the zone at once: not for a request's path.
---@return fun(): string|nil, string|nil, table|nil
function methods:list()
  common.enter_list(self)
  local names, at = self.dict:get_keys(0), 0
  return function()
    while at < #names do
      at = at + 1
      local key = names[at]:match("^ha:p:(.+)$")
      if key then
        local record, err = self:load(key)
        if record then return key, record end
        if err then return key, nil, err end
      end
    end
  end
end

--- Ends this handle; the zone stays. May be repeated.
---@return true
function methods:close()
  self.closed = true
  return true
end

return new
