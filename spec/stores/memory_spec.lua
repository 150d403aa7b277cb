-- SPDX-License-Identifier: MIT

local check = require "spec.stores.check"
local suite = require "spec.stores.suite"
local memory = require "healthauth.stores.memory"
local common = require "healthauth.stores.common"

describe("the memory store", function()
  local now, harness

  before_each(function()
    now = 1000
    local options = { clock = function() return now end }
    local store = memory(options)
    harness = {
      store = store, other = store, new = memory, options = options, ttl = 10, big = common.MAX_RECORD,
      pass = function(seconds) now = now + seconds end,
    }
  end)

  for _, case in ipairs(suite) do
    it(case[1], function() case[2](harness) end)
  end

  it("opens without options", function()
    local store = memory()
    check.yes(store:save("k", "r"))
    check.yes(store:acquire("k", 1))
    check.equal(false, store:acquire("k", 1))
  end)

  it("does not keep a lease for ever when the clock goes back", function()
    check.yes(harness.store:acquire("k", 10))
    now = now - 3600
    check.yes(harness.store:acquire("k", 10))
  end)

  it("has versions of its own in every store", function()
    check.differs(memory():save("k", "r"), memory():save("k", "r"))
  end)
end)
