-- SPDX-License-Identifier: MIT
-- busted output for logs: the plain terminal's, with every failure's details, and one closing line that tools/test.sh adds up:
-- `N passed, N failed, N skipped`. A run without a single test is a failure.

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)

  busted.subscribe({ "exit" }, function()
    local passed = handler.successesCount
    local failed = handler.failuresCount + handler.errorsCount
    if passed + failed == 0 then
      io.write("no test was run\n")
      failed = 1
    end
    io.write(string.format("%d passed, %d failed, %d skipped\n", passed, failed, handler.pendingsCount))
    io.flush()
    return nil, true
  end, { priority = 100 })

  return handler
end
