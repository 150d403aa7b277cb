-- SPDX-License-Identifier: MIT
-- One process of many that share a session over a store: flight_worker.lua sqlite|redis LOCATION BASE_URL TIMEOUT LEASE.
-- Reads commands, one a line, answers each with one line: see COMMANDS. Driven by flight.py and kill.py.

local browser = require "healthauth.sandbox.browser"
local core = require "healthauth.core"
local healthauth = require "healthauth"
local record = require "healthauth.lifecycle.record"

local CLIENT = healthauth.sandbox.credentials.pkb

local kind, location, base_url, timeout, lease = arg[1], arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5])
local now, session, key, stop_at = 0, nil, nil, nil

local store
if kind == "sqlite" then store = assert(healthauth.stores.sqlite { path = location, busy_timeout = 60 })
else store = assert(healthauth.stores.redis { socket = location, timeout = 10 }) end

local function pause_here(point)
  if stop_at ~= point then return end
  stop_at = nil
  io.stdout:write("stopping\n")
  io.stdout:flush()
  os.execute "kill -STOP $PPID" -- this process, from its child
end

-- The store and the transport, with places where the process can be stopped.
local watched = setmetatable({}, { __index = function(_, name)
  return function(_, ...) return store[name](store, ...) end
end })
local saves = 0
function watched:acquire(...)
  local taken, err = store:acquire(...)
  saves = 0
  if taken then pause_here "acquired" end
  return taken, err
end
function watched:save(...)
  saves = saves + 1
  if saves == 1 then pause_here "before_sent" end
  local version, err = store:save(...)
  if saves == 1 then pause_here "sent" else pause_here "saved" end
  return version, err
end

local curl = healthauth.transports.curl {}
local transport = {}
function transport:perform(request)
  local response, failure = curl:perform(request)
  if response then pause_here "answered" end
  return response, failure
end

local function open()
  return assert(healthauth.pkb {
    base_url = base_url, client_id = CLIENT.client_id, redirect_uri = CLIENT.redirect_uri, transport = transport, store = watched,
    key = key, timeout = timeout, connect_timeout = timeout, lease = lease, max_wait = 20 * lease, clock = function() return now end,
  })
end

local COMMANDS = {}

function COMMANDS.key(name)
  key, session = name, nil
  session = open()
  return "ok"
end

function COMMANDS.clock(value)
  now = tonumber(value)
  return "ok"
end

function COMMANDS.stop(point)
  stop_at = point
  return "ok"
end

function COMMANDS.seed(access, refresh, expires_at)
  local ok, err = session:restore { access_token = access, refresh_token = refresh, expires_at = tonumber(expires_at) }
  return ok and "ok" or "error " .. err.code
end

-- A person's login, at the sandbox.
function COMMANDS.login()
  local url, pending = session:authorize_url { scope = CLIENT.scope }
  local callback, why = browser.consent(url, "allow", function(request)
    request.timeout, request.connect_timeout, request.limits = 10, 10, { body = 1048576, headers = 65536 }
    return curl:perform(request)
  end)
  if not callback then return "error " .. why end
  local tokens, err = session:exchange { callback = callback, pending = pending }
  return tokens and "ok" or "error " .. err.code
end

function COMMANDS.ask()
  local token, err = session:access_token()
  return token and "token " .. token or "error " .. err.code
end

-- What stands in the store: access token, refresh token, journal.
function COMMANDS.stored()
  local text, err = store:load(record.store_key(session, key))
  if not text then return "error " .. (err and err.code or "none") end
  local found, why = record.decode(session, key, text)
  if not found then return "error " .. why.code end
  return table.concat({ "record", found.tokens.access_token, found.tokens.refresh_token, found.journal and found.journal.state or
    "clean" }, " ")
end

function COMMANDS.time()
  return "time " .. core.monotonic()
end

io.stdout:write("ready\n")
io.stdout:flush()
for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  local command = table.remove(words, 1)
  local reply = COMMANDS[command](words[1], words[2], words[3])
  io.stdout:write(reply, "\n")
  io.stdout:flush()
end
