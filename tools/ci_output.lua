-- SPDX-License-Identifier: MIT
-- busted output for logs: the plain terminal's, with every failure's details, and one closing line that tools/test.sh adds up:
-- `N passed, N failed, N skipped`. A run without a single test is a failure.
-- Before that line: what the servers of a failed case had written (spec/support/process.lua), for the first few. Where TEST_NOW names a
-- file, the case that runs stands in it, for one that takes the program with it.

local SHOWN, LINES, WIDTH = 3, 15, 300

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  local now, tails = os.getenv "TEST_NOW", {}

  local function case(element)
    return (handler.getFullName(element):gsub("%s+", " "))
  end

  if now then
    busted.subscribe({ "test", "start" }, function(element)
      local file = io.open(now, "w")
      if file then
        local trace = element.trace
        file:write(trace and trace.short_src or "?", ":", trace and trace.currentline or "?", " ", case(element), "\n")
        file:close()
      end
      return nil, true
    end)
  end

  local function failed(element)
    local process = package.loaded["spec.support.process"]
    if process and #tails < SHOWN then
      for name, text in pairs(process.logs()) do
        local lines = {}
        for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line:sub(1, WIDTH) end
        local words = table.concat(lines, "\n", math.max(1, #lines - LINES + 1))
        if words ~= "" then tails[#tails + 1] = ("-- %s at the failure of %s:\n%s\n"):format(name, case(element), words) end
      end
    end
    return nil, true
  end
  busted.subscribe({ "failure" }, failed)
  busted.subscribe({ "error" }, failed)

  busted.subscribe({ "exit" }, function()
    local passed = handler.successesCount
    local failures = handler.failuresCount + handler.errorsCount
    if passed + failures == 0 then
      io.write("no test was run\n")
      failures = 1
    end
    if now then os.remove(now) end
    io.write(table.concat(tails), string.format("%d passed, %d failed, %d skipped\n", passed, failures, handler.pendingsCount))
    io.flush()
    return nil, true
  end, { priority = 100 })

  return handler
end
