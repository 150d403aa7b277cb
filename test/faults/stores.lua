-- SPDX-License-Identifier: MIT
-- Faults under stores: SQLite's file, sealed records with their key file, a Redis server; by themselves, and under a session's lifecycle.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local judge = require "test.faults.judge"
local lifecycle = require "spec.lifecycle.support"
local process = require "spec.support.process"
local redis_server = require "spec.support.redis_server"

local M = {}

local OLD, NEW = "planted-marker-record-old", "planted-marker-record-new"
local LEASE = 0.05 -- seconds; one that a fault left behind is soon over
-- Nobody else uses the store, and it is whole: these would be lies.
local LIES = { conflict = true, store_corrupt = true, record_invalid = true, store_denied = true, store_stale = true }

local folder, redis, number = nil, nil, 0

function M.start(path)
  folder = path
  redis = redis_server.start { port = true }
  process.write(folder .. "/seal.key", ("k"):rep(32))
  assert(process.run { "chmod", "600", folder .. "/seal.key" } == 0)
end

function M.stop()
  if redis then redis:stop() end
end

-- ---- kinds of stores: each opens the same data twice, once for the fault and once to look what became of it ----

local function sqlite(path) return assert(healthauth.stores.sqlite { path = path, busy_timeout = 0.02 }) end

local KINDS = {
  {
    name = "sqlite", place = function() return folder .. "/" .. number .. ".db" end, open = sqlite,
    remove = function(path)
      for _, ending in ipairs { "", "-wal", "-shm" } do os.remove(path .. ending) end
    end,
  },
  {
    name = "sealed sqlite", place = function() return folder .. "/" .. number .. ".db" end,
    open = function(path) return healthauth.stores.sealed { store = sqlite(path), key_file = folder .. "/seal.key" } end,
    remove = function(path)
      for _, ending in ipairs { "", "-wal", "-shm" } do os.remove(path .. ending) end
    end,
  },
  {
    name = "redis over a unix socket", place = function() return number .. ":" end, doubtful = true,
    open = function(prefix) return assert(healthauth.stores.redis { socket = redis.socket, prefix = prefix, timeout = 5 }) end,
  },
  {
    name = "redis over tcp", place = function() return number .. ":" end, doubtful = true,
    open = function(prefix)
      return assert(healthauth.stores.redis { host = "127.0.0.1", port = redis.port, prefix = prefix, timeout = 5 })
    end,
  },
}

local function new_place(kind)
  number = number + 1
  return kind.place()
end

-- What lies under the key, by a store of its own.
local function look(state, key)
  local store = state.kind.open(state.place)
  local record, version = store:load(key or "key")
  store:close()
  if record == nil and version then error("the store is unusable afterwards: " .. tostring(version)) end
  return record, version
end

local function refused(err, fault)
  local wrong = judge.err(err)
  if wrong then return wrong end
  if err.code == "random_failed" and fault and fault.call == "random" then return nil end
  if err.kind ~= "store" then return "kind " .. err.kind .. ": " .. tostring(err) end
  -- SQLite calls a disk that cannot be read a damaged file.
  if err.code == "store_corrupt" and fault and fault.call == "pread" and fault.how:find "EIO" then return nil end
  if LIES[err.code] then return "a lie: " .. tostring(err) end
end

-- ---- the operations of a store ----

local function list(store)
  local found = {}
  for key, record, err in store:list() do
    if not key or err then return nil, err end
    found[#found + 1] = key .. "=" .. record
  end
  table.sort(found)
  return table.concat(found, " ")
end

-- name, act, good(state, value), what may lie under "key" after an error (default: the old record), next call, and for a new file only.
local OPERATIONS = {
  { "load", function(s)
    local record, version = s.store:load "key"
    if record == nil and version == nil then return "nothing" end
    return record, version
  end, function(s, value, second) return value == s.record and second == s.version end },
  { "save", function(s) return s.store:save("key", NEW, s.version) end,
    function(s, value)
      local record, version = look(s)
      return record == NEW and version == value
    end, changes = true },
  { "acquire", function(s) return s.store:acquire("key", LEASE) end,
    function(_, value) return type(value) == "table" and value.fence > 0 end },
  { "release", function(s) return s.store:release(s.lease) end, function(_, value) return value == true end, leased = true },
  { "delete", function(s) return s.store:delete "key" end, function(s, value) return value == true and look(s) == nil end, changes = true },
  { "list", function(s) return list(s.store) end, function(_, value) return value == "key=" .. OLD .. " other=" .. OLD end },
}

-- After all of it the store works: a save, and a lease (one that the fault left behind is over in a moment).
local function works(state)
  local record, version = look(state)
  local saved, err = state.store:save("key", "third", record and version or nil)
  if not saved then return "the next save: " .. tostring(err) end
  if state.store:load "key" ~= "third" or look(state) ~= "third" then return "the next save did not arrive" end
  for _ = 1, 200 do
    local lease = state.store:acquire("key", LEASE)
    if lease then return state.store:release(lease) == nil and "the next release" or nil end
    if lease == nil then return "the next lease" end
    core.sleep(0.005)
  end
  return "the lease is never free again"
end

local function raw(kind, row, how)
  return {
    name = ("%s: %s%s"):format(kind.name, row[1], how and ", " .. how or ""),
    open = function()
      local state = { kind = kind, place = new_place(kind) }
      state.store = kind.open(state.place)
      if how ~= "new" then
        state.version = assert(state.store:save("key", OLD))
        state.record = OLD
        assert(state.store:save("other", OLD))
        if row.leased then state.lease = assert(state.store:acquire("key", 60)) end
      end
      if how == "cold" then
        state.store:close()
        state.store = kind.open(state.place)
      end
      return state
    end,
    act = row[2],
    judge = function(state, value, err, fault)
      if state.record == nil and row[1] == "load" then value = value == "nothing" and value or nil end
      if value ~= nil then
        local fine = how == "new" and row[1] == "load" or row[3](state, value, err)
        return not fine and "a wrong success: " .. judge.shown(value) or nil
      end
      local wrong = refused(err, fault)
      if wrong then return wrong end
      local record = look(state)
      if record ~= state.record and not (row.changes and kind.doubtful) then return "the record changed: " .. tostring(record) end
    end,
    again = function(state)
      if row.leased then state.store:release(state.lease) end
      return works(state)
    end,
    close = function(state)
      state.store:close()
      if kind.remove then kind.remove(state.place) end
    end,
  }
end

-- ---- a session over a store ----

local function open_session(state)
  return assert(healthauth.pkb {
    base_url = "https://pkb.example", client_id = "client", redirect_uri = "https://app.example.org/cb", transport = state.provider,
    clock = function() return state.clock.now end, store = state.store, key = "patient-1", lease = LEASE, max_wait = 1,
    on_event = function(e) state.events[#state.events + 1] = e end, tokens = state.tokens,
  })
end

-- The token that another process would use now.
local function elsewhere(state)
  local other = { kind = state.kind, place = state.place, provider = state.provider, clock = state.clock, events = {} }
  other.store = state.kind.open(state.place)
  local session = open_session(other)
  local token, err = session:access_token()
  session:close()
  other.store:close()
  return token, err
end

local function token_of(value) return type(value) == "table" and value.access_token or value end

-- name, act, how many seconds the stored token is good for, good(state, value), how many requests a good end takes.
local VERBS = {
  { "access_token, renewed", -5, function(s) return s.session:access_token() end, "access-1", 1 },
  { "access_token, loaded", 600, function(s) return s.session:access_token() end, "access-0", 0, fresh = true },
  { "refresh", 600, function(s) return s.session:refresh() end, "access-1", 1 },
  { "exchange", nil, function(s) return s.session:exchange { code = "planted-code", redirect_uri = "https://app.example.org/cb" } end,
    "access-1", 1 },
  { "restore", 600, function(s)
    local ok, err = s.session:restore { access_token = "restored-0", refresh_token = "restored-refresh" }
    return ok and "restored-0", err
  end, "restored-0", 0 },
  { "logout", 600, function(s)
    local ok, err = s.session:logout()
    return ok and "gone" or nil, err
  end, "gone", 0 },
}

local function verb(kind, row)
  return {
    name = ("%s: session, %s"):format(kind.name, row[1]),
    open = function()
      local state = { kind = kind, place = new_place(kind), events = {}, clock = { now = 1700000000 } }
      state.provider = lifecycle.provider(state.clock)
      state.provider.wait = function(_, seconds) core.sleep(seconds) end
      state.store = kind.open(state.place)
      state.session = open_session(state)
      if row[2] then assert(state.session:restore(lifecycle.tokens(state.clock.now, row[2]))) end
      if row.fresh then
        state.session:close()
        state.session = open_session(state)
      end
      state.held, state.events = judge.held(state.session), {}
      return state
    end,
    act = row[3],
    judge = function(state, value, err, fault)
      state.provider.seen[""] = nil -- a login has no refresh token
      local sent = state.provider.refreshes
      if sent > 1 then return ("%d requests"):format(sent) end
      if value ~= nil then
        if token_of(value) ~= row[4] then return "a wrong success: " .. judge.shown(value) end
        return sent ~= row[5] and ("%d requests, %d expected"):format(sent, row[5]) or nil
      end
      local wrong = refused(err, fault)
      if wrong then return wrong end
      if sent > 0 then return "an error of the store after a request: " .. tostring(err) end
      if err.outcome ~= "not_sent" and err.outcome ~= nil then return "outcome " .. tostring(err.outcome) end
      if row[1] ~= "logout" and not row.fresh and judge.held(state.session) ~= state.held then
        return "the session changed: " .. judge.held(state.session)
      end
    end,
    again = function(state)
      if row[1] == "logout" then
        local ok, err = state.session:logout()
        if not ok then return "the next call: " .. tostring(err) end
        local token, no_token = elsewhere(state)
        return (token or no_token.code ~= "no_token") and "tokens are left" or nil
      end
      state.clock.now = state.clock.now + 1
      local value, err = row[3](state)
      if value == nil then return "the next call: " .. tostring(err) end
      local here = state.session:access_token()
      if here ~= token_of(value) then return "two tokens: " .. tostring(here) end
      local there, there_err = elsewhere(state)
      if there ~= here then return ("another process has %s, %s, not %s"):format(tostring(there), tostring(there_err), here) end
      if state.provider.replays > 0 then return "a refresh token was sent twice" end
    end,
    close = function(state)
      state.session:close()
      state.store:close()
      if kind.remove then kind.remove(state.place) end
    end,
  }
end

--- The scenarios.
---@return table[]
function M.scenarios()
  local out = {}
  for _, kind in ipairs(KINDS) do
    for _, row in ipairs(OPERATIONS) do
      out[#out + 1] = raw(kind, row)
      if row[1] ~= "list" and kind.remove then out[#out + 1] = raw(kind, row, "cold") end
      if (row[1] == "save" or row[1] == "load") and kind.remove then out[#out + 1] = raw(kind, row, "new") end
    end
    for _, row in ipairs(VERBS) do out[#out + 1] = verb(kind, row) end
  end
  return out
end

return M
