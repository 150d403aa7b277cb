-- SPDX-License-Identifier: MIT
-- Injects faults into system calls, one after the other in one process: run.lua [STRIDE [NAME]]. Every STRIDEth fault is tried (1: all) in
-- the scenarios whose name holds NAME. Runs under test/faults/shim.c with FAULTS_FOLDER an empty folder (test/faults.sh).
-- A scenario: open() -> state; act(state) -> value, err, run while a call fails; judge(state, value, err, fault) and again(state) say what
-- is wrong, or nil; close(state); refused: the good end is an error.

local core = require "healthauth.core"
local door = require "test.faults.door"
local judge = require "test.faults.judge"

local LONGEST = 30 -- seconds for one fault with all that is around it
local SHOWN = 40   -- complaints until we give up

local stride, only = tonumber(arg[1]) or 1, arg[2]
assert(door.present(), "the shim is not loaded")
local folder = assert(os.getenv "FAULTS_FOLDER")

local checks, wrong, injected = 0, 0, 0
local by_call, slowest = {}, { 0, "" }

local function complain(scenario, fault, text)
  wrong = wrong + 1
  print(("%s; %s: %s"):format(scenario.name, fault and fault.text or "no fault", text))
  if wrong >= SHOWN then error("too much is wrong", 0) end
end

-- What one of a scenario's own functions says is wrong; that it raised is wrong too.
local function asked(fn, ...)
  local ok, complaint = pcall(fn, ...)
  return not ok and "afterwards: " .. tostring(complaint) or complaint
end

local function told(scenario, state, fault, ok, value, err)
  if not ok then return "raised: " .. tostring(value) end
  return asked(scenario.judge, state, value, err, fault)
end

local function descriptors()
  collectgarbage()
  collectgarbage()
  return door.descriptors()
end

-- One fault; how often its call failed.
local function one(scenario, fault, open_before)
  door.guard(LONGEST, scenario.name .. "; " .. (fault and fault.text or "no fault"))
  local state = scenario.open()
  local started = core.monotonic()
  door.arm(fault)
  local ok, value, err = pcall(scenario.act, state)
  local hits, calls = door.disarm()
  local took = core.monotonic() - started
  if took > slowest[1] then slowest = { took, scenario.name .. "; " .. (fault and fault.text or "no fault") } end
  local complaint = told(scenario, state, fault, ok, value, err)
  if not complaint then complaint = asked(scenario.again, state) end
  if complaint then complain(scenario, fault, complaint) end
  if not fault and (not ok or value == nil) and not scenario.refused then complain(scenario, nil, "fails: " .. judge.shown(value, err)) end
  value, err = nil, nil -- luacheck: ignore 311
  scenario.close(state)
  local open_now = descriptors()
  if open_before and open_now ~= open_before then complain(scenario, fault, ("%d descriptors, before %d"):format(open_now, open_before)) end
  checks = checks + 1
  return hits, calls, open_now
end

local turn = 0
local function run(scenario)
  one(scenario) -- what is made once a process is made here
  local _, calls, open_before = one(scenario)
  for _, fault in ipairs(door.faults(calls)) do
    turn = turn + 1
    if turn % stride == 0 then
      local hits = one(scenario, fault, open_before)
      if hits > 0 then
        local at = by_call[fault.call] or {}
        by_call[fault.call], at[fault.how] = at, (at[fault.how] or 0) + 1
        injected = injected + 1
      end
    end
  end
end

local function report(count)
  local calls = {}
  for call in pairs(by_call) do calls[#calls + 1] = call end
  table.sort(calls)
  for _, call in ipairs(calls) do
    local words = {}
    for how, times in pairs(by_call[call]) do words[#words + 1] = how .. " " .. times end
    table.sort(words)
    print(("%-12s %s"):format(call, table.concat(words, ", ")))
  end
  print(("slowest: %.1f s, %s"):format(slowest[1], slowest[2]))
  print(("%d scenarios, %d faults injected"):format(count, injected))
end

local parts, count = {}, 0
local function main()
  for _, name in ipairs { "http", "stores", "files", "random" } do
    local part = require("test.faults." .. name)
    parts[#parts + 1] = part
    if part.start then part.start(folder) end
    for _, scenario in ipairs(part.scenarios()) do
      if not only or scenario.name:find(only, 1, true) then
        count = count + 1
        run(scenario)
      end
    end
  end
end
local ok, why = xpcall(main, debug.traceback)
door.guard(0)
for _, part in ipairs(parts) do
  if part.stop then part.stop() end
end
if not ok then
  wrong = wrong + 1
  print(why)
end
report(count)
print(("%d passed, %d failed, 0 skipped"):format(math.max(0, checks - wrong), wrong))
io.stdout:flush()
os.exit(wrong == 0, true)
