-- SPDX-License-Identifier: MIT
-- A process of its own that uses a store: worker.lua KIND LOCATION WHAT ... (KIND sqlite or redis; LOCATION a path or a unix socket).
-- Prints one line at its end, or "ready" when it stays.

local kind, location, what = arg[1], arg[2], arg[3]

local function open()
  if kind == "sqlite" then return assert(require "healthauth.stores.sqlite" { path = location, busy_timeout = 60 }) end
  return assert(require "healthauth.stores.redis" { socket = location })
end

local store = open()
local jobs = {}

-- Adds times to the number under a key, by compare and swap.
function jobs.count(key, times)
  local conflicts = 0
  for _ = 1, tonumber(times) do
    while true do
      local record, version = store:load(key)
      if not record then error(tostring(version)) end
      local saved, err = store:save(key, tostring(tonumber(record) + 1), version)
      if saved then break end
      if err.code ~= "conflict" then error(tostring(err)) end
      conflicts = conflicts + 1
    end
  end
  print(conflicts)
end

-- Each round is won by who swaps the record from the round before; prints the rounds won.
function jobs.race(key, rounds)
  local won, round = {}, 1
  while round <= tonumber(rounds) do
    local record, version = store:load(key)
    if not record then error(tostring(version)) end
    local at = tonumber(record)
    if at < round then
      local saved, err = store:save(key, tostring(round), version)
      if saved then
        won[#won + 1] = round
        round = round + 1
      elseif err.code ~= "conflict" then
        error(tostring(err))
      end
    else
      round = at + 1
    end
  end
  print(table.concat(won, ","))
end

-- Takes the lease of a key again and again; prints how often two had it at once (seen in a record that only the holder writes).
function jobs.exclude(key, times)
  local taken, overlaps = 0, 0
  while taken < tonumber(times) do
    local lease, err = store:acquire(key, 30)
    if lease == nil then error(tostring(err)) end
    if lease then
      taken = taken + 1
      local mark, version = store:load(key .. " holder")
      if mark ~= "free" then overlaps = overlaps + 1 end
      version = store:save(key .. " holder", lease.id, version)
      if not version or (store:load(key .. " holder")) ~= lease.id then overlaps = overlaps + 1 end
      if not store:save(key .. " holder", "free", version) then overlaps = overlaps + 1 end
      if store:release(lease) ~= true then overlaps = overlaps + 1 end
    end
  end
  print(overlaps)
end

-- Looks once.
function jobs.touch(key)
  local record, err = store:load(key)
  print(record or err or "nothing")
end

-- Saves what was not there.
function jobs.begin(key, record)
  assert(store:save(key, record))
  print((store:load(key)))
end

-- Takes a lease and stays.
function jobs.hold(key, ttl)
  assert(store:acquire(key, tonumber(ttl)))
  print("ready")
  io.stdout:flush()
  while true do os.execute "sleep 0.2" end
end

-- Saves numbered records for as long as it lives.
function jobs.write(key)
  local record, number = ("x"):rep(20000), 0
  local version = assert(store:save(key, "0 " .. record))
  print("ready")
  io.stdout:flush()
  while true do
    number = number + 1
    version = assert(store:save(key, number .. " " .. record, version))
  end
end

-- Opens, forks (LuaJIT only), and lets both sides go on; the parent prints what both left.
function jobs.fork(key)
  local ffi = require "ffi"
  ffi.cdef "int fork(void); int waitpid(int pid, int *status, int options); void _exit(int status);"
  local version = assert(store:save(key, "before"))
  local pid = ffi.C.fork()
  if pid == 0 then
    local saved = store:save(key .. " child", "child")
    local record = store:load(key)
    ffi.C._exit((saved and (record == "before" or record == "after")) and 0 or 1)
  end
  local after = store:save(key, "after", version)
  local status = ffi.new "int[1]"
  ffi.C.waitpid(pid, status, 0)
  print(status[0], (store:load(key .. " child")), (store:load(key)), after ~= nil)
end

jobs[what](arg[4], arg[5])
store:close()
