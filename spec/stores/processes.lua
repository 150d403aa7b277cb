-- SPDX-License-Identifier: MIT
-- Cases with several processes on one store: concurrency, and holders that die. Used by the specs of stores that processes share.
-- Each starts spec/stores/worker.lua on the runtime that runs the spec.

local check = require "spec.stores.check"
local process = require "spec.support.process"

local RUNTIME = os.getenv "HEALTHAUTH_RUNTIME" or (jit and "luajit" or "lua5.4")

local function command(kind, location, ...)
  local words = { RUNTIME, "spec/stores/worker.lua", kind, location, ... }
  for i, word in ipairs(words) do words[i] = process.quote(word) end
  return table.concat(words, " ")
end

-- Runs commands at the same time; their outputs in order. A worker that fails says so on stderr, which is taken with it.
local function together(commands)
  local pipes, outputs = {}, {}
  for i, line in ipairs(commands) do pipes[i] = assert(io.popen(line .. " 2>&1", "r")) end
  for i, pipe in ipairs(pipes) do
    outputs[i] = pipe:read("*a"):gsub("%s+$", "")
    pipe:close()
  end
  return outputs
end

local M = { command = command, together = together }

--- 8 processes add 25 each to one number.
function M.lose_nothing(kind, location, store)
  check.yes(store:save("counter", "0"))
  local commands = {}
  for i = 1, 8 do commands[i] = command(kind, location, "count", "counter", "25") end
  for _, output in ipairs(together(commands)) do check.yes(output:match("^%d+$"), "worker said " .. output) end
  check.equal("200", (store:load("counter")))
end

--- 2 processes, 300 rounds: each round is won by exactly one.
function M.one_wins(kind, location, store)
  local rounds, winners = 300, {}
  check.yes(store:save("round", "0"))
  local line = command(kind, location, "race", "round", tostring(rounds))
  for _, output in ipairs(together { line, line }) do
    check.yes(output:match("^[%d,]*$"), "worker said " .. output)
    for round in output:gmatch("%d+") do
      check.equal(nil, winners[round], "winner of round " .. round)
      winners[round] = true
    end
  end
  for round = 1, rounds do check.yes(winners[tostring(round)], "winner of round " .. round) end
  check.equal(tostring(rounds), (store:load("round")))
end

--- 4 processes take one lease 30 times each and never hold it together.
function M.exclude(kind, location, store)
  check.yes(store:save("door holder", "free"))
  local commands = {}
  for i = 1, 4 do commands[i] = command(kind, location, "exclude", "door", "30") end
  for _, output in ipairs(together(commands)) do check.equal("0", output, "overlaps") end
end

--- Asks for a lease until it is had. attempt() -> lease or true, false while another holds it; asked: before the holder, who lives no more,
--- asked for it; held: when it was known to have it. No attempt that begins after its life may be refused, however slow the machine is.
--- Answers whether any was refused: else the life was over before the first.
function M.outlive(ttl, asked, held, attempt, monotonic)
  local refused = false
  while true do
    local began = monotonic()
    if attempt() then
      check.yes(refused or monotonic() - asked >= ttl, "refused while the holder's lease lives")
      return refused
    end
    refused = true
    check.yes(began - held <= ttl + 0.2, ("free again after its life of %s s; refused after %.2f s"):format(ttl, began - held))
    process.sleep(0.05)
  end
end

local function kill_holder(kind, location, store, monotonic, ttl)
  local asked, key = monotonic(), "held for " .. ttl
  local holder = assert(io.popen("echo $$; exec " .. command(kind, location, "hold", key, tostring(ttl)), "r"))
  local pid = holder:read("*l")
  check.equal("ready", holder:read("*l"))
  local held = monotonic()
  os.execute("kill -9 " .. pid)
  holder:close()
  return M.outlive(ttl, asked, held, function()
    local lease, err = store:acquire(key, 5)
    check.yes(lease ~= nil, "lease", err)
    return lease
  end, monotonic)
end

--- A holder that is killed delays others by its lease's life and no longer.
function M.kill_holder(kind, location, store, monotonic)
  for _, ttl in ipairs { 1, 5, 25 } do -- a longer one where the machine was too slow to see the first
    if kill_holder(kind, location, store, monotonic, ttl) then return end
  end
  error("the lease was never seen held", 0)
end

--- A writer that is killed at any moment leaves a whole record.
function M.kill_writer(kind, location, store)
  for round = 1, 8 do
    local key = "torn " .. round
    local writer = assert(io.popen("echo $$; exec " .. command(kind, location, "write", key), "r"))
    local pid = writer:read("*l")
    check.equal("ready", writer:read("*l"))
    process.sleep(0.01 * round)
    os.execute("kill -9 " .. pid)
    writer:close()
    local saved, err
    for _ = 1, 2 do -- the server may have had one more order of the dead to carry out when we looked
      local record, version = store:load(key)
      check.yes(record, "record", version)
      check.yes(record:match("^%d+ x+$"), "whole record")
      check.equal(20000, #record:match("x+$"))
      saved, err = store:save(key, "next", version)
      if saved or err.code ~= "conflict" then break end
    end
    check.yes(saved, "save", err)
  end
end

return M
