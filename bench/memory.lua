-- SPDX-License-Identifier: MIT
-- What a session costs: memory.lua [COUNT]. 100,000 sessions of one `healthauth.sessions`, each with its tokens loaded from a store, as a
-- gateway would hold them. Lua: what collectgarbage counts (the userdata block is in it). C: what the whole process grew beyond that, so
-- what malloc keeps for itself counts too. The records of the store are not counted: they live in sqlite, redis or a shared dictionary.

local healthauth = require "healthauth"

local COUNT = tonumber(arg[1] or 100000)
local LUA_MAX, C_MAX = 1024, 2048
local NOW = 1700000000

-- A store that makes each record when it is asked for, and keeps nothing.
local text
local store = {}
function store.load()
  if text then return text, "1-0123456789abcdef" end
end
function store:save(_, record)
  self.saved = record
  return "1-0123456789abcdef"
end
function store.acquire() return false end
function store.release() return true end
function store.delete() return true end
function store.list() return function() end end

local function resident()
  for line in io.lines "/proc/self/smaps_rollup" do
    local kib = line:match "^Pss_Anon:%s+(%d+) kB" or line:match "^Anonymous:%s+(%d+) kB"
    if kib then return kib * 1024 end
  end
  error "smaps_rollup has no line for anonymous memory"
end

local function collected()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

local sessions = healthauth.sessions {
  provider = "pkb", store = store,
  options = {
    base_url = "https://sandbox.patientsknowbest.example", client_id = "memory-bench-client",
      redirect_uri = "https://gateway.example/callback",
    clock = function() return NOW end,
  },
}

-- A set of the size that PKB gives: two tokens of 36 bytes; the record of each key is made from a session of that key.
local function record_for(key)
  local session = sessions:open(key)
  assert(session:restore {
    access_token = ("a"):rep(36), refresh_token = ("r"):rep(36), token_type = "Bearer", expires_at = NOW + 600, scope = "PATIENT",
  })
  text = store.saved
  session:close()
end

local held = {}
for i = 1, COUNT do held[i] = false end
for i = 1, 100 do -- what is made once: methods, providers, buffers
  record_for("warm " .. i)
  assert(sessions:open("warm " .. i):access_token())
end
local lua_before = collected()
local all_before = resident()
for i = 1, COUNT do
  local key = ("patient %06d"):format(i)
  record_for(key)
  local session = sessions:open(key)
  assert(session:access_token())
  held[i] = session
  if i % 2000 == 0 then collectgarbage() end
end
text, store.saved = nil, nil
local lua_each = (collected() - lua_before) / COUNT
local all_each = (resident() - all_before) / COUNT
local c_each = all_each - lua_each
print(("%s: %d sessions: %.0f bytes of Lua each (at most %d), %.0f bytes beside it (at most %d)"):format(
  os.getenv "HEALTHAUTH_RUNTIME" or _VERSION, COUNT, lua_each, LUA_MAX, c_each, C_MAX))
assert(held[COUNT]:access_token())
os.exit(lua_each <= LUA_MAX and c_each <= C_MAX)
