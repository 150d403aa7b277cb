-- SPDX-License-Identifier: MIT
-- Many processes on one session, in short. The long forms are `make flight` and `make kill`; the programs judge themselves and say so
-- by their exit status, the lines that they print are checked here.

local process = require "spec.support.process"

local function run(program, ...)
  local status, out, err = process.run { "python3", "tools/" .. program, "--runtime", process.runtime, ... }
  assert.equal(0, status, out .. err)
  return out
end

describe("many processes on one session", function()
  for _, store in ipairs { "sqlite", "redis" } do
    it("refresh once a round over " .. store, function()
      local out = run("flight.py", "--rounds", "20", "--store", store)
      assert.truthy(out:find("8 processes x 20 rounds: 20 refreshes, 0 replays", 1, true), out)
    end)

    it("get over a killed holder of the lease over " .. store, function()
      local out = run("kill.py", "--runs", "10", "--store", store)
      assert.truthy(out:find("10 holders killed: ", 1, true), out)
      assert.truthy(out:find(" 0 wrong", 1, true), out)
    end)

    it("do not suffer from a holder that was stopped past its lease and goes on, over " .. store, function()
      local out = run("kill.py", "--stops", "--store", store)
      assert.truthy(out:find("10 holders stopped past their lease and continued: 0 wrong", 1, true), out)
    end)
  end

  it("go on when redis is stopped and started in between", function()
    local out = run("flight.py", "--rounds", "12", "--store", "redis", "--restart", "3")
    assert.truthy(out:find(" 0 replays", 1, true), out)
  end)
end)
