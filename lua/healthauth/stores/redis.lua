-- SPDX-License-Identifier: MIT
-- A store in a Redis server: for several machines. Inside nginx it speaks over cosockets, elsewhere through libhiredis; both by a driver.
-- A command that may have been applied when its connection died is an error (store_unavailable) and never sent again, unless it only reads.
-- Keys: <prefix>record:<key> (hash v, r), <prefix>lease:<key>, <prefix>counter.

-- luacheck: read_globals ngx

local common = require "healthauth.stores.common"
local scripts = require "healthauth.stores.redis_scripts"

local KNOWN = {
  host = { "string" }, port = { "number" }, socket = { "string" },
  username = { "string" }, password = { "any" }, database = { "number" },
  prefix = { "string" }, tls = { "boolean" }, timeout = { "number" },
}
local WHO = "healthauth.stores.redis"
local NO_CLIENT = "neither resty.redis nor nginx.redis is there: install lua-nginx-redis (Debian) or lua-resty-redis"
local NO_HIREDIS = "healthauth.hiredis cannot be loaded: it is the rock healthauth-redis, and make builds it where libhiredis is"
local PREFIX = "healthauth:"
local TIMEOUT = 5
local SCAN_COUNT = "200"
local MAX_SEEN = 10000
local PASSWORDS = { ["nil"] = true, string = true, ["function"] = true }

-- The first of these words in an error says what it is. Scripts put their own text around it on some versions.
local WORDS = {
  { "OOM", "store_full" }, { "READONLY", "store_read_only" }, { "NOREPLICAS", "store_unavailable" },
  { "WRONGTYPE", "record_invalid" }, { "NOAUTH", "store_denied" }, { "WRONGPASS", "store_denied" }, { "NOPERM", "store_denied" },
  { "MISCONF", "store_unavailable" }, { "LOADING", "store_unavailable" }, { "BUSY", "store_unavailable" },
}

local methods = {}
local Redis = common.class("redis", methods)

local function is_whole(value, low, high)
  return value >= low and value <= high and value == math.floor(value)
end

-- What is wrong with the options, as a sentence.
local function complaint(o)
  if o.socket and (o.host or o.port) then return "either option 'socket' or 'host' and 'port', not both" end
  if o.socket == "" or o.host == "" then return "option 'host' or 'socket' is empty" end
  if o.port and not is_whole(o.port, 1, 65535) then return "option 'port' must be between 1 and 65535" end
  if o.database and not is_whole(o.database, 0, 65535) then return "option 'database' must be a whole number from 0" end
  if o.timeout and not (o.timeout >= 0.01 and o.timeout <= 600) then return "option 'timeout' must be between 0.01 and 600" end
  if o.prefix and #o.prefix > 64 then return "option 'prefix' may have 64 bytes" end
  local kind = type(o.password)
  if not PASSWORDS[kind] then return "option 'password' must be a string or a function, got " .. kind end
  if o.username and not o.password then return "option 'username' needs 'password'" end
end

-- The driver of this place, or nil where its module cannot be loaded. What is no matter of loading (memory) raises on.
local function choose()
  if type(ngx) == "table" and ngx.socket and ngx.socket.tcp then return require "healthauth.stores.redis_driver_resty" end
  local ok, driver = pcall(require, "healthauth.stores.redis_driver_hiredis")
  if ok then return driver end
  if not tostring(driver):find("module 'healthauth%.[%w_.]*hiredis'") then error(driver, 0) end
end

--- Makes the store; the server is reached by the first call.
--- Options: host and port, or socket; username, password (text or a function that returns it), database, prefix, tls,
--- timeout (seconds a command, default 5).
---@param options? table
---@return healthauth.Store|nil store, table|nil err
local function new(options)
  local o = common.options(WHO, options, KNOWN)
  local wrong = complaint(o)
  if wrong then error(WHO .. ": " .. wrong, 2) end
  if not o.socket then o.host, o.port = o.host or "127.0.0.1", o.port or 6379 end
  o.database, o.timeout = o.database or 0, o.timeout or TIMEOUT
  local password = o.password
  o.password = nil
  o.secret = type(password) == "function" and password or function() return password end
  local driver = choose()
  if not driver then return common.unsupported("no_redis_client", NO_HIREDIS) end
  if o.tls and not driver.has_tls() then return common.unsupported("tls_unsupported", "this Redis client cannot do TLS") end
  local connection = driver.new(o)
  if not connection then return common.unsupported("no_redis_client", NO_CLIENT) end
  -- sha: server's names of our scripts; seen: number of the newest version met per key; high: highest number met
  return setmetatable({ driver = connection, prefix = o.prefix or PREFIX, sha = {}, seen = {}, seen_count = 0, high = 0 }, Redis)
end

-- nil and the store error for a driver's answer; without kind it was a reply of a shape that no Redis gives.
-- The server's own text may quote arguments, so only its first word is shown.
local function trouble(kind, text)
  if not kind then return common.fail("store_unavailable", "the server does not answer as Redis does") end
  text = tostring(text)
  if kind == "denied" then return common.fail("store_denied", "redis refused user, password or database") end
  if kind ~= "reply" then return common.fail("store_unavailable", "redis " .. kind .. ": " .. text) end
  for _, word in ipairs(WORDS) do
    if text:find("%f[%u]" .. word[1] .. "%f[^%u]") then return common.fail(word[2], "redis answered " .. word[1]) end
  end
  return common.fail("store_unavailable", "redis answered " .. (text:match("^%u+") or "an error"))
end

-- A command that changes nothing: may be sent twice.
local function read(self, ...)
  local reply, kind, text = self.driver:command(...)
  if kind == "lost" then reply, kind, text = self.driver:command(...) end
  return reply, kind, text
end

local function script(self, name, ...)
  local sha, driver = self.sha[name], self.driver
  if not sha then
    local kind, text
    sha, kind, text = read(self, "SCRIPT", "LOAD", scripts[name])
    if not sha and kind ~= "reply" then return nil, kind, text end
    if sha and not (type(sha) == "string" and sha:find("^%x+$")) then return nil end
    self.sha[name] = sha
  end
  if sha then
    local reply, kind, text = driver:command("EVALSHA", sha, ...)
    if kind ~= "reply" or not tostring(text):find("NOSCRIPT", 1, true) then return reply, kind, text end
  end
  return driver:command("EVAL", scripts[name], ...)
end

local function number_of(version)
  local digits = type(version) == "string" and #version <= 64 and version:match("^(%d+)%-%x+$")
  return digits and tonumber(digits)
end

local function saw(self, key, number)
  if number > self.high then self.high = number end
  if not self.seen[key] then
    if self.seen_count >= MAX_SEEN then self.seen, self.seen_count = {}, 0 end
    self.seen_count = self.seen_count + 1
  end
  self.seen[key] = math.max(number, self.seen[key] or 0)
end

local function forget(self, key)
  if self.seen[key] then self.seen[key], self.seen_count = nil, self.seen_count - 1 end
end

local function fetch(self, key)
  local reply, kind, text = read(self, "HMGET", self.prefix .. "record:" .. key, "v", "r")
  if type(reply) ~= "table" or #reply ~= 2 then return trouble(kind, text) end
  local version, record = reply[1], reply[2]
  if not version and not record then return nil end
  local number = number_of(version)
  if not number or type(record) ~= "string" or #record > common.MAX_RECORD then
    return common.fail("record_invalid", "a record that this store did not write")
  end
  return record, version, number
end

--- The record of a key and its version, or nil, or nil and an error.
--- An older version than one met before (a replica, a failed-over server) is store_stale.
---@param key string
---@return string|nil record, string|table|nil version_or_err
function methods:load(key)
  common.enter(self, key)
  local met = self.seen[key] or 0 -- before we ask: inside nginx another request may save while our answer is on its way
  local record, version, number = fetch(self, key)
  if not record then return nil, version end
  if number < met then
    script(self, "lift", "1", self.prefix .. "counter", string.format("%.0f", self.high)) -- so that the next save is the newest again
    return common.fail("store_stale", "the server answered an older record than before")
  end
  saw(self, key, number)
  return record, version
end

--- Compare and swap: stores record if the key's version is still the expected one (nil: the key must not exist).
---@param key string
---@param record string
---@param expected_version? string
---@return string|nil version, table|nil err
function methods:save(key, record, expected_version)
  if not common.enter_save(self, key, record, expected_version) then return common.too_large(record) end
  if expected_version == "" then return common.fail("conflict", "the record was changed by another") end -- no version is empty
  local id, err = common.id()
  if not id then return nil, err end
  local version, kind, text = script(self, "save", "2", self.prefix .. "record:" .. key, self.prefix .. "counter",
    expected_version or "", record, id, string.format("%.0f", self.high))
  if version == false then return common.fail("conflict", "the record was changed by another") end
  local number = number_of(version)
  if not number then return trouble(kind, text) end
  saw(self, key, number)
  return version
end

--- Takes the lease of a key, or answers false while another holds it. Never waits for the holder.
---@param key string
---@param ttl_seconds number
---@return healthauth.Lease|false|nil, table|nil err
function methods:acquire(key, ttl_seconds)
  common.enter_acquire(self, key, ttl_seconds)
  local id, err = common.id(16)
  if not id then return nil, err end
  local fence, kind, text = script(self, "acquire", "2", self.prefix .. "lease:" .. key, self.prefix .. "counter",
    id, string.format("%.0f", math.ceil(ttl_seconds * 1000)), string.format("%.0f", self.high))
  if fence == false then return false end
  local number = type(fence) == "string" and #fence <= 16 and fence:find("^%d+$") and tonumber(fence)
  if not number then return trouble(kind, text) end
  self.high = math.max(self.high, number)
  return common.lease(key, id, number)
end

--- Gives a lease back; false when it is no longer ours.
---@param lease healthauth.Lease
---@return boolean|nil, table|nil err
function methods:release(lease)
  if not common.enter_release(self, lease) then return false end
  local released, kind, text = script(self, "release", "1", self.prefix .. "lease:" .. lease.key, lease.id)
  if type(released) ~= "number" then return trouble(kind, text) end
  return released == 1
end

--- Removes a record; true also when there was none.
---@param key string
---@return true|nil, table|nil err
function methods:delete(key)
  common.enter(self, key)
  local deleted, kind, text = self.driver:command("DEL", self.prefix .. "record:" .. key)
  if type(deleted) ~= "number" then return trouble(kind, text) end
  forget(self, key)
  return true
end

-- The next keys of a SCAN into keys; the cursor to go on with, or nil and an error.
local function scan(self, cursor, keys, met)
  local pattern = self.prefix:gsub("[%*%?%[%]\\^]", "\\%0") .. "record:*"
  local reply, kind, text = read(self, "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
  if type(reply) ~= "table" or type(reply[1]) ~= "string" or type(reply[2]) ~= "table" then return trouble(kind, text) end
  for _, name in ipairs(reply[2]) do
    if type(name) ~= "string" then return trouble() end
    if not met[name] then -- SCAN may answer a key twice
      met[name] = true
      keys[#keys + 1] = name:sub(#self.prefix + #"record:" + 1)
    end
  end
  return reply[1]
end

--- Iterates over key, record. What cannot be read is key, nil, err; trouble with the server is one last round: false, nil, err.
---@return fun(): string|false|nil, string|nil, table|nil
function methods:list()
  common.enter_list(self)
  local cursor, keys, met, at = "0", {}, {}, 0
  local started, over = false, false
  return function()
    while not over do
      while at < #keys do
        at = at + 1
        local record, err = fetch(self, keys[at])
        if record then return keys[at], record end
        if err and err.code == "record_invalid" then return keys[at], nil, err end
        if err then
          over = true
          return false, nil, err
        end
      end
      if started and cursor == "0" then break end
      keys, at, started = {}, 0, true
      local err
      cursor, err = scan(self, cursor, keys, met)
      if not cursor then
        over = true
        return false, nil, err
      end
    end
    over = true
  end
end

--- Closes the connection. May be repeated.
---@return true
function methods:close()
  self.closed = true
  self.driver:close()
  return true
end

return new
