-- SPDX-License-Identifier: MIT
-- By whom a token is renewed, and what another one's renewal, or its death, means to the rest: leases, waiting, and providers whose refresh
-- token may be sent again.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local NOW = 1700000000

local clock, store, events

before_each(function()
  clock, store, events = { now = NOW }, healthauth.stores.memory {}, {}
end)

local function open(name, transport, more)
  return support.open(name, clock, store, events, transport, more)
end

local function stored()
  return support.stored(store)
end

local function told(name)
  local found = {}
  for _, e in ipairs(events) do
    if e.name == name then found[#found + 1] = e end
  end
  return found
end

describe("the lease of a renewal", function()
  local function asked_for(more)
    local provider, ttl = support.provider(clock), nil
    local acquire = store.acquire
    store.acquire = function(self, key, seconds)
      ttl = seconds
      return acquire(self, key, seconds)
    end
    local session = open("pkb", provider, more)
    assert(session:restore(support.tokens(NOW, 0)))
    assert.equal("access-1", session:access_token())
    return ttl
  end

  it("lives five seconds longer than the request may take", function()
    assert.equal(20, asked_for())
  end)
  it("lives five seconds longer than a timeout that is given", function()
    assert.equal(65, asked_for { timeout = 60 })
  end)
  it("lives as long as is said", function()
    assert.equal(7, asked_for { timeout = 2, lease = 7 })
  end)

  it("is given back, also when the refresh fails", function()
    local provider = support.provider(clock)
    provider.script = { { failure = support.REFUSED } }
    local session = open("pkb", provider)
    assert(session:restore(support.tokens(NOW, 0)))
    assert.is_nil((session:access_token()))
    local _, key = stored()
    local lease = assert(store:acquire(key, 5))
    store:release(lease)
    assert.equal("access-2", session:access_token())
    assert(store:acquire(key, 5))
  end)

  it("is waited for as long as it lives, unless max_wait says otherwise", function()
    for _, case in ipairs { { { lease = 3 }, 3 }, { { lease = 3, max_wait = 1 }, 1 }, { { timeout = 1 }, 6 }, { { max_wait = 0 }, 0 } } do
      store = healthauth.stores.memory {}
      local provider, waited = support.provider(clock), 0
      provider.on_wait = function(seconds) waited = waited + seconds end
      local session = open("pkb", provider, case[1])
      assert(session:restore(support.tokens(NOW, 0)))
      local _, key = stored()
      assert(store:acquire(key, 1000))
      local token, err = session:access_token()
      assert.is_nil(token)
      assert.same({ "timeout", "lease_timeout", "retry", "not_sent" }, { err.kind, err.code, err.action, err.outcome })
      assert.is_true(waited >= case[2] and waited <= case[2] + 0.2, tostring(waited))
      assert.equal(0, provider.refreshes)
    end
  end)
end)

describe("a record that changes under every try", function()
  it("is a conflict after some tries; nothing was sent", function()
    local provider, tries = support.provider(clock), 0
    local session = open("pkb", provider)
    assert(session:restore(support.tokens(NOW, 0)))
    store.save = function()
      tries = tries + 1
      return nil, core.error { kind = "store", code = "conflict" }
    end
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "store", "conflict", "retry", "not_sent" }, { err.kind, err.code, err.action, err.outcome })
    assert.is_true(tries > 1 and tries < 100)
    assert.equal(0, provider.refreshes)
  end)
end)

describe("who waits for another's renewal", function()
  it("gets its token and says joined: a coroutine of the same session", function()
    local provider = support.provider(clock)
    provider.yields = 3
    local session = open("pkb", provider)
    assert(session:restore(support.tokens(NOW, 0)))
    support.run { function() return session:access_token() end, function() return session:access_token() end }
    assert.equal(1, #told "refreshed")
    assert.equal(1, #told "joined")
    local event = told("joined")[1]
    assert.same({ "refresh", "answered", "pkb", NOW }, { event.operation, event.outcome, event.provider, event.time })
    assert.matches("^%x+$", event.key)
  end)

  it("gets its token and says joined: another session over the store", function()
    local provider = support.provider(clock)
    provider.yields = 3
    local one, two = open("pkb", provider), open("pkb", provider)
    assert(one:restore(support.tokens(NOW, 0)))
    local results = support.run { function() return one:access_token() end, function() return two:access_token() end }
    assert.same({ "access-1", "access-1" }, { results[1][1], results[2][1] })
    assert.equal(1, provider.refreshes)
    assert.equal(1, #told "joined")
  end)

  it("hands out the old token while that is valid, and does not wait", function()
    local provider = support.provider(clock)
    provider.yields = 3
    local one, two = open("pkb", provider), open("pkb", provider)
    assert(one:restore(support.tokens(NOW, 600)))
    clock.now = NOW + 590
    local results = support.run { function() return one:access_token() end, function() return two:access_token() end }
    assert.same({ "access-1", "access-0" }, { results[1][1], results[2][1] })
    assert.equal(0, provider.waits)
  end)

  it("hands out the old token while that is valid, also in the same session", function()
    local provider = support.provider(clock)
    provider.yields = 3
    local session = open("pkb", provider)
    assert(session:restore(support.tokens(NOW, 600)))
    clock.now = NOW + 590
    local results = support.run { function() return session:access_token() end, function() return session:access_token() end }
    assert.same({ "access-1", "access-0" }, { results[1][1], results[2][1] })
    assert.equal(0, provider.waits)
  end)

  it("gets its reason where it failed, and does not try for itself", function()
    for _, step in ipairs { { status = 503 }, { failure = support.REFUSED }, { failure = support.LOST } } do
      local provider = support.provider(clock)
      provider.yields, provider.script = 3, { step }
      local session = open("pkb", provider)
      assert(session:restore(support.tokens(NOW, 0)))
      local function ask() return session:access_token() end
      local results = support.run { ask, ask, ask }
      for i = 1, 3 do
        assert.is_nil(results[i][1])
        assert.equal(results[1][2], results[i][2])
      end
      assert.equal(1, provider.refreshes)
    end
  end)

  it("sleeps where its transport cannot wait", function()
    local slept, sleep = 0, core.sleep
    core.sleep = function(seconds) slept = slept + seconds end
    local session = open("pkb", { perform = error }, { max_wait = 2 })
    local ok, err = pcall(function()
      assert(session:restore(support.tokens(NOW, 0)))
      local _, key = stored()
      assert(store:acquire(key, 1000))
      assert.equal("lease_timeout", select(2, session:access_token()).code)
    end)
    core.sleep = sleep
    assert(ok, err)
    assert.is_true(slept >= 1.9 and slept < 2.3, tostring(slept))
  end)
end)

describe("a refresh token that may be sent again", function()
  local function answer(n)
    return { status = 201, headers = { { "Content-Type", "application/json" } },
      body = core.json_encode { data = { value = "access-" .. n, expires_at = clock.now + 600 } } }
  end

  -- Answers by script; "lost" is an answer that does not come.
  local function provider(...)
    local script, transport = { ... }, { posts = 0 }
    function transport.perform()
      transport.posts = transport.posts + 1
      if table.remove(script, 1) == "lost" then return nil, support.LOST end
      return answer(transport.posts)
    end
    return transport
  end

  local SET = { access_token = "access-0", refresh_token = "reusable", expires_at = NOW }

  it("is sent again by the next use after a lost answer", function()
    local transport = provider "lost"
    local session = open("ehealth", transport)
    assert(session:restore(SET))
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "unknown", "retry" }, { err.outcome, err.action })
    assert.equal("access-2", session:access_token())
    assert.equal("reusable", session:tokens().refresh_token)
    assert.equal(2, transport.posts)
    assert.is_nil(stored().journal)
  end)

  it("is sent again where the one who had sent it died, also by another process", function()
    local transport = provider()
    local dies = { perform = coroutine.yield }
    assert(open("ehealth", transport):restore(SET))
    local session = open("ehealth", dies)
    coroutine.wrap(function() session:access_token() end)() -- it sends, and is never heard of again
    local record, key = stored()
    assert.equal("sent", record.journal.state)
    store.leases[key] = nil -- its life is over
    assert.equal("access-1", open("ehealth", transport):access_token())
    assert.is_nil(stored().journal)
    assert.equal(1, transport.posts)
  end)

  it("is sent at most once a call all the same", function()
    local transport = provider("lost", "lost", "lost")
    local session = open("ehealth", transport)
    assert(session:restore(SET))
    for i = 1, 3 do
      assert.is_nil((session:access_token()))
      assert.equal(i, transport.posts)
    end
  end)
end)
