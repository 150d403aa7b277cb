-- SPDX-License-Identifier: MIT
-- Sessions over the curl transport against a server that answers badly: spec/hostile/answers.lua.

local cases = require "spec.hostile.answers"
local curl = require "healthauth.transports.curl"
local memory = require "spec.hostile.memory"
local run = require "spec.hostile.run"
local sessions = require "spec.hostile.sessions"

describe("a session over libcurl and a hostile server", function()
  local hostile, transport, control
  local meter = memory.plain_build() and memory.meter() or nil

  setup(function()
    hostile = run.start(cases)
    transport, control = curl {}, curl {}
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if transport then transport:close() end
    if control then control:close() end
  end)

  for _, case in ipairs(cases) do
    it(("%s: %s"):format(case.part, case.name), function()
      assert.is_nil(sessions.case(hostile, case, case.on, transport, control, meter))
    end)
  end
end)
