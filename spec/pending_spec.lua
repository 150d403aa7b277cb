-- SPDX-License-Identifier: MIT
-- Which pendings are spent. What the core judges of a callback is in spec/bind/callback_spec.lua.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local pending = require "healthauth.pending"
local support = require "spec.support.scripted"

local n = 0
local function made(expires_at)
  n = n + 1
  return { state = "state-of-this-spec-" .. n, provider = "pkb", expires_at = expires_at or support.NOW + 600 }
end

local function contexts()
  return { {}, { store = healthauth.stores.memory {} } }
end

describe("a pending", function()
  it("is spent once, in the process or in the store", function()
    for _, ctx in ipairs(contexts()) do
      local one = made()
      assert.is_true(pending.spend(ctx, one, support.NOW))
      local ok, err = pending.spend(ctx, one, support.NOW)
      assert.is_nil(ok)
      assert.same({ "state", "state_used", "reauthorize", "not_sent" }, support.brief(err))
      assert.is_true(pending.spend(ctx, made(), support.NOW))
    end
  end)

  it("can be used again when nothing was sent", function()
    for _, ctx in ipairs(contexts()) do
      local one = made()
      assert.is_true(pending.spend(ctx, one, support.NOW))
      pending.unspend(ctx, one)
      assert.is_true(pending.spend(ctx, one, support.NOW))
    end
  end)

  it("that was spent in a process stays spent while thousands of others come and go", function()
    local ctx, one = {}, made(support.NOW + 600)
    assert.is_true(pending.spend(ctx, one, support.NOW))
    for _ = 1, 3000 do assert.is_true(pending.spend(ctx, made(support.NOW + 1), support.NOW + 5)) end
    assert.is_nil((pending.spend(ctx, one, support.NOW + 5)))
  end)

  it("that has expired is forgotten by the process: marks do not pile up", function()
    local ctx = {}
    local function growth(times)
      collectgarbage()
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, times do assert(pending.spend(ctx, made(support.NOW + 1), support.NOW + 5)) end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count" - before
    end
    growth(3000)
    assert.is_true(growth(20000) < 1000) -- KiB; 20,000 marks would be more than 3,000
  end)

  it("has SHA-256 of its state in the store, and until when", function()
    local store = healthauth.stores.memory {}
    local one = made()
    assert.is_true(pending.spend({ store = store }, one, support.NOW))
    local count = 0
    for key, text in store:list() do
      count = count + 1
      assert.equal("spent." .. core.hex(core.sha256(one.state)), key)
      assert.equal(support.NOW + 600, core.json_decode(text).spent_until)
      assert.is_nil((key .. text):find(one.state, 1, true))
    end
    assert.equal(1, count)
  end)

  it("that has expired is removed from a store by one login in some hundreds, and nothing else is", function()
    local store = healthauth.stores.memory {}
    local ctx = { store = store }
    assert(store:save("a record", "{}"))
    assert(store:save("spent.but no mark", "x"))
    for _ = 1, 20 do assert.is_true(pending.spend(ctx, made(support.NOW + 600), support.NOW)) end
    for _ = 1, 3000 do assert.is_true(pending.spend(ctx, made(support.NOW + 1), support.NOW + 5)) end
    local marks, others = 0, 0
    for key in store:list() do
      if key:match "^spent%.%x+$" then marks = marks + 1 else others = others + 1 end
    end
    assert.is_true(marks >= 20 and marks < 2000, marks .. " marks")
    assert.equal(2, others)
  end)

  it("is spent also when a store cannot list, or not remove, at that moment", function()
    local function fails() error "disk on fire" end
    local function one(_, key) return function(_, last) if not last then return key, core.json_encode { spent_until = 1 } end end end
    local store = { save = function() return "1" end }
    for _, list in ipairs { fails, function() return function() return false, nil, "trouble" end end,
      function() return one(nil, "spent.0") end } do
      store.list, store.delete = list, fails
      for _ = 1, 600 do assert.is_true(pending.spend({ store = store }, made(), support.NOW)) end
    end
  end)

  it("is not spent by a store that fails or raises: an error, and nobody goes on", function()
    for _, save in ipairs {
      function() error "disk on fire" end, function() return nil, "disk full" end, function() return nil end,
      function() return nil, core.error { kind = "store", code = "disk_full", action = "retry" } end, -- a store knows of no request
    } do
      local ok, err = pending.spend({ store = { save = save } }, made(), support.NOW)
      assert.is_nil(ok)
      assert.same({ "store", "not_sent", "pkb", "exchange" }, { err.kind, err.outcome, err.provider, err.operation })
      assert.is_nil(tostring(err):find("fire", 1, true))
    end
    pending.unspend({ store = { delete = function() error "disk on fire" end } }, made())
  end)
end)
