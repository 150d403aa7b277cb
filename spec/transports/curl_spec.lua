-- SPDX-License-Identifier: MIT
-- The curl transport against a server that does the bad thing: spec/hostile/cases.lua on http and https.

local cases = require "spec.hostile.cases"
local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local memory = require "spec.hostile.memory"
local run = require "spec.hostile.run"

describe("the curl transport and a hostile server", function()
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
    for _, listener in ipairs(case.on and { case.on } or { "http", "https" }) do
      it(("%s: %s on %s"):format(case.part, case.name, listener), function()
        assert.is_nil(hostile:case(case, listener, transport, control, core.monotonic, meter))
      end)
    end
  end
end)
