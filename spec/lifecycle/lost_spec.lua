-- SPDX-License-Identifier: MIT
local lost = require "spec.lifecycle.lost"

describe("lost answers", function()
  it("are not followed by a single automatic resend for PKB: 1,000 of them (`make lost` loses 10,000)", function()
    assert.same({ lost = 1000, resends = 0, replays = 0 }, lost.run(1000, 1))
  end)
end)
