-- SPDX-License-Identifier: MIT
-- The curl transport against a server that does the bad thing: spec/hostile/cases.lua on http and https.

local cases = require "spec.hostile.cases"
local core = require "healthauth.core"
local over = require "spec.hostile.over_curl"(cases)

describe("the curl transport and a hostile server", function()
  setup(over.start)
  teardown(over.stop)

  for _, case in ipairs(cases) do
    for _, listener in ipairs(case.on and { case.on } or { "http", "https" }) do
      it(("%s: %s on %s"):format(case.part, case.name, listener), function()
        assert.is_nil(over.hostile:case(case, listener, over.transport, over.control, core.monotonic, over.meter))
      end)
    end
  end
end)
