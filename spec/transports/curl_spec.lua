-- SPDX-License-Identifier: MIT
-- The curl transport against a server that does the bad thing: spec/hostile/cases.lua on http and https.

local cases = require "spec.hostile.cases"
local curl = require "healthauth.transports.curl"
local run = require "spec.hostile.run"

describe("the curl transport and a hostile server", function()
  local hostile, transport, control

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
        assert.is_nil(hostile:case(case, listener, transport, control, os.time))
      end)
    end
  end
end)
