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

--- A holder that is killed delays others by its lease's life and no longer.
function M.kill_holder(kind, location, store, monotonic)
  local ttl = 1
  local holder = assert(io.popen("echo $$; exec " .. command(kind, location, "hold", "k", tostring(ttl)), "r"))
  local pid = holder:read("*l")
  check.equal("ready", holder:read("*l"))
  local started = monotonic()
  local ok, why = pcall(function()
    os.execute("kill -9 " .. pid)
    check.equal(false, store:acquire("k", 5), "right after the kill")
    local lease
    repeat
      process.sleep(0.05)
      lease = store:acquire("k", 5)
    until lease or monotonic() - started > 10
    check.yes(lease, "lease after the holder's death")
    check.yes(monotonic() - started <= ttl + 0.8, "waited " .. (monotonic() - started))
  end)
  holder:close()
  if not ok then error(why, 0) end
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
    local record, version = store:load(key)
    check.yes(record, "record", version)
    check.yes(record:match("^%d+ x+$"), "whole record")
    check.equal(20000, #record:match("x+$"))
    check.yes(store:save(key, "next", version))
  end
end

return M
