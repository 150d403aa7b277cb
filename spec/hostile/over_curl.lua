-- SPDX-License-Identifier: MIT
--- The hostile server and two curl transports, for the specs of one describe block: start and stop are its setup and teardown.

local curl = require "healthauth.transports.curl"
local memory = require "spec.hostile.memory"
local run = require "spec.hostile.run"

--- { start, stop, meter } and, between the two, { hostile, transport, control }: the server that plays the cases, the transport under
--- test, and one for the questions about the server itself. meter is there in the plain build alone.
---@param cases table
---@return table
return function(cases)
  local over = { meter = memory.plain_build() and memory.meter() or nil }

  function over.start()
    over.hostile = run.start(cases)
    over.transport, over.control = curl {}, curl {}
  end

  function over.stop()
    if over.hostile then over.hostile:stop() end
    if over.transport then over.transport:close() end
    if over.control then over.control:close() end
  end

  return over
end
