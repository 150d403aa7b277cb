-- SPDX-License-Identifier: MIT
local model = require "spec.lifecycle.model"

describe("sessions and the reference model", function()
  it("agree over 2,000 random sequences of operations, faults and clock jumps (`make model` takes 100,000)", function()
    local found = model.run(2000, 1)
    assert.equal(2000, found.sequences)
    assert.is_true(found.posts > 1000)
  end)

  it("are compared by the same sequences on every runtime", function()
    local steps, server = model.sequence(12345)
    assert.same({ 20, 4 }, { steps, server.minted })
  end)
end)
