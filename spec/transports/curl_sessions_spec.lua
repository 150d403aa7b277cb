-- SPDX-License-Identifier: MIT
-- Sessions over the curl transport against a server that answers badly: spec/hostile/answers.lua.

local cases = require "spec.hostile.answers"
local over = require "spec.hostile.over_curl"(cases)
local sessions = require "spec.hostile.sessions"

describe("a session over libcurl and a hostile server", function()
  setup(over.start)
  teardown(over.stop)

  for _, case in ipairs(cases) do
    it(("%s: %s"):format(case.part, case.name), function()
      assert.is_nil(sessions.case(over.hostile, case, case.on, over.transport, over.control, over.meter))
    end)
  end
end)
