-- SPDX-License-Identifier: MIT
-- Coroutines of one session that change, save, read and give up its tokens in the middle of each other's steps, and processes that do so
-- between the two steps of a swap.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local LOGIN = { code = "code-1", redirect_uri = "https://client.example/cb" }

local clock, store, provider, events

before_each(function()
  clock, store, events = { now = NOW }, healthauth.stores.memory {}, {}
  provider = support.provider(clock)
end)

local function open(more) return support.open("pkb", clock, store, events, provider, more) end
local function stored() return (support.stored(store)) end
local function set(name) return { access_token = name, refresh_token = name .. "-refresh", expires_at = clock.now + 600 } end
local function seed() assert(open():restore(support.tokens(clock.now, 600))) end


-- A coroutine that is resumed step by step; what it returned at its end.
local function start(fn)
  local thread, result = coroutine.create(function() return { fn() } end), nil
  return function()
    local ok, value = coroutine.resume(thread)
    if not ok then error(value, 0) end
    if coroutine.status(thread) == "dead" then result = value end
    return result
  end
end

-- The store's method waits once for whoever calls it next: before its work, or with the answer in its hands.
local function once(method, late)
  local real = store[method]
  store[method] = function(self, ...)
    store[method] = real
    if not late then
      coroutine.yield()
      return real(self, ...)
    end
    local first, second = real(self, ...)
    coroutine.yield()
    return first, second
  end
end

-- The provider's next request waits once before it is answered.
local function slow_provider()
  local perform = provider.perform
  function provider:perform(request)
    provider.perform = perform
    coroutine.yield()
    return perform(self, request)
  end
end

local function full() return nil, core.error { kind = "store", code = "store_full" } end

describe("a login", function()
  it("is given to nobody before it is saved", function()
    local session, seen, save = open(), {}, store.save
    local function ask()
      local token = session:access_token()
      seen[#seen + 1] = token
    end
    store.save = function(self, ...)
      for _ = 1, 5 do coroutine.yield() end
      seen[#seen + 1] = "saved"
      return save(self, ...)
    end
    support.run {
      function() session:exchange(LOGIN) end,
      ask,
      function()
        coroutine.yield()
        ask()
      end,
    }
    assert.same({ "saved", "access-1", "access-1" }, seen)
  end)

  it("is not lost to a record that another coroutine reads while it is saved", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    assert(session:restore())
    local _, key = support.stored(store)
    assert(store:acquire(key, 1000)) -- another process renews
    support.in_loop = true
    local waiting = start(function() return session:access_token() end)
    waiting()
    local load, held = store.load, true
    store.load = function(self, ...)
      if held then
        held = false
        coroutine.yield()
      end
      return load(self, ...)
    end
    local login = start(function() return session:exchange(LOGIN) end)
    login()
    assert.is_true(open():restore(set "another"))
    local got = waiting()
    while not login() do got = got or waiting() end
    while not got do got = waiting() end
    support.in_loop = false
    assert.equal("access-1", session:tokens().access_token)
    assert.equal("access-1", stored().tokens.access_token)
    assert.equal("access-1", got[1])
  end)

  it("that could not be saved gives way to a newer one, also when that comes between its load and its swap", function()
    local session, save = open(), store.save
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = function(self, ...)
      store.save = save
      clock.now = clock.now + 10
      assert(open():restore(set "newer"))
      return save(self, ...)
    end
    assert.equal("newer", session:access_token())
    assert.equal("newer", stored().tokens.access_token)
  end)

  it("that could not be saved takes no 'sent' away when it is saved again in the middle of a renewal", function()
    local session, save, load = open(), store.save, store.load
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = save
    store.load = function(self, ...)
      local text, version = load(self, ...)
      store.load = load
      coroutine.yield()
      return text, version
    end
    local again = start(function() return session:access_token() end)
    again()
    local perform, journals = provider.perform, {}
    function provider:perform(request)
      coroutine.yield()
      journals[#journals + 1] = stored().journal and stored().journal.state or "none"
      return perform(self, request)
    end
    local renewal = start(function() return session:refresh() end)
    assert.is_nil(renewal()) -- 'sent' is written, the request is under way
    support.in_loop = true
    again()
    support.in_loop = false
    assert.equal("access-2", renewal()[1].access_token)
    assert.same({ "sent" }, journals)
    assert.equal("access-2", stored().tokens.access_token)
  end)

  it("is saved although a renewal that was under way finds its own record gone meanwhile", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    assert(session:restore())
    local perform = provider.perform
    function provider:perform(request)
      once "save" -- of the answer
      return perform(self, request)
    end
    local renewal = start(function() return session:access_token() end)
    renewal()
    provider.perform = perform
    assert.is_true(open():logout())
    once "load"
    local login = start(function() return session:exchange(LOGIN) end)
    login()
    renewal()
    assert.equal("access-2", login()[1].access_token)
    assert.equal("access-2", stored().tokens.access_token)
  end)

  it("of two that are saved at once is the later one, for both", function()
    local session = open()
    once "load"
    local first = start(function() return session:exchange(LOGIN) end)
    first()
    assert.equal("access-2", session:exchange(LOGIN).access_token)
    local version = select(2, store:load((select(2, support.stored(store)))))
    assert.truthy(first())
    assert.equal("access-2", stored().tokens.access_token)
    assert.equal(version, select(2, store:load((select(2, support.stored(store))))))
  end)

  it("whose coroutine was given up while it was saved keeps no renewal waiting for ever", function()
    local session = open { lease = 0.02, max_wait = 0.02 }
    once "save"
    start(function() return session:exchange(LOGIN) end)()
    assert.equal("lease_timeout", select(2, session:refresh()).code)
    core.sleep(0.05)
    assert.equal("access-2", session:refresh().access_token)
  end)

  it("that could not be saved takes no 'sent' away either when the store's answer to that is late", function()
    local session, save = open(), store.save
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = save
    once("save", true)
    local perform, journal = provider.perform, nil
    function provider:perform(request)
      journal = stored().journal
      return perform(self, request)
    end
    local renewal = start(function() return session:refresh() end)
    renewal()
    start(function() return session:access_token() end)()
    assert.equal("access-2", renewal()[1].access_token)
    assert.equal("sent", journal.state)
  end)

  it("that could not be saved is not saved behind a renewal that sends it, where others gave it up meanwhile", function()
    local session, save = open(), store.save
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = save
    once("save", true) -- 'sent' stands there, and this session does not know yet
    local renewal = start(function() return session:refresh() end)
    renewal()
    assert.is_true(open():logout())
    start(function() return session:access_token() end)()
    assert.is_nil(stored())
    assert.equal("access-2", renewal()[1].access_token)
    assert.is_nil(stored())
  end)

  it("is saved although the next one has begun, whose answer is lost", function()
    local session = open()
    assert(session:restore(support.tokens(clock.now, 0)))
    assert.equal("access-1", session:access_token())
    once "load"
    local first = start(function() return session:exchange(LOGIN) end)
    first()
    provider.script = { { failure = support.LOST } }
    slow_provider()
    local second = start(function() return session:exchange(LOGIN) end)
    second()
    assert.equal("access-2", first()[1].access_token)
    assert.is_nil(second()[1])
    assert.equal("access-2", stored().tokens.access_token)
  end)

  it("that is given up while it is saved leaves no record", function()
    local session, load = open(), store.load
    store.load = function(self, ...)
      store.load = load
      coroutine.yield()
      return load(self, ...)
    end
    local login = start(function() return session:exchange(LOGIN) end)
    login()
    assert.is_true(session:logout())
    assert.truthy(login())
    assert.is_nil(stored())
    assert.is_nil(session:tokens())
  end)
end)

describe("a logout", function()
  it("is not undone by a coroutine that read the record before", function()
    seed()
    local session, load = open(), store.load
    store.load = function(self, ...)
      local text, version = load(self, ...)
      store.load = load
      coroutine.yield()
      return text, version
    end
    local reading = start(function() return session:restore() end)
    reading()
    assert.is_true(session:logout())
    assert.equal("no_token", reading()[2].code)
    assert.is_nil(session:tokens())
  end)

  it("is not undone by a restore that fails after it, nor are tokens that were not saved before", function()
    local session, save, load = open(), store.save, store.load
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = save
    store.load = function()
      store.load = load
      coroutine.yield()
      return nil, core.error { kind = "store", code = "store_unavailable" }
    end
    local restoring = start(function() return session:restore(set "other") end)
    restoring()
    assert.is_true(session:logout())
    assert.equal("store_unavailable", restoring()[2].code)
    assert.is_nil(session:tokens())
    assert.is_nil((session:access_token()))
    assert.is_nil(stored())
  end)

  it("while a renewed set is saved is said by whoever asked for it", function()
    for _, verb in ipairs { "access_token", "refresh" } do
      seed()
      clock.now = clock.now + 600
      local session, save, saves = open(), store.save, 0
      store.save = function(self, ...)
        saves = saves + 1
        if saves == 2 then
          store.save = save
          session:logout()
        end
        return save(self, ...)
      end
      local got, err = session[verb](session)
      assert.is_nil(got)
      assert.same({ "no_token", "reauthorize", "answered" }, { err.code, err.action, err.outcome })
      assert.is_nil(stored())
    end
  end)

  it("elsewhere stays one although something without tokens stands there since", function()
    seed()
    local session = open()
    assert.equal("access-0", session:access_token())
    assert(open():logout())
    provider.script = { { failure = support.LOST } }
    assert.is_nil((open():refresh { refresh_token = "by-hand" }))
    assert.is_nil(stored().tokens)
    clock.now = clock.now + 600
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.equal("no_token", err.code)
    assert.equal(1, provider.refreshes)
  end)
end)

describe("an early renewal", function()
  it("that another does is waited for when the old token dies before that is known", function()
    assert(open():restore(support.tokens(clock.now, 30)))
    local session, acquire = open(), store.acquire
    local asked = 0
    store.acquire = function()
      asked = asked + 1
      if asked == 2 then store.acquire = acquire end
      clock.now = clock.now + 30
      return false
    end
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
  end)
end)

describe("access_token in the middle of a login", function()
  -- Steps of a login and of an access_token that began before it; the token that was handed out, and whether it was stored then.
  local function finish(login, asking)
    support.in_loop = true
    local done, got, was_stored
    for _ = 1, 50 do
      if not got then
        got = asking()
        was_stored = got and stored() and stored().tokens.access_token
      end
      if not done then done = login() end
    end
    support.in_loop = false
    return got[1], got[2], was_stored
  end

  -- A session that has an access token, which is over, and nothing to renew it with.
  local function with_access_alone()
    assert(open():restore { access_token = "only", expires_at = clock.now })
    local session = open()
    assert(session:restore())
    return session
  end

  -- An access_token that waits in its load (late: with the answer in its hands), then a login that waits where slow() makes it.
  local function meet(session, slow, late)
    once("load", late)
    local asking = start(function() return session:access_token() end)
    asking()
    slow()
    local login = start(function() return session:exchange(LOGIN) end)
    login()
    return finish(login, asking)
  end

  local function slow_save() once "save" end

  it("waits until it is saved, also where it just saved an older one", function()
    local session, save = open(), store.save
    store.save = full
    assert.truthy(session:exchange(LOGIN))
    store.save = save
    local token, _, was_stored = meet(session, slow_save)
    assert.same({ "access-2", "access-2" }, { token, was_stored })
  end)

  it("waits until it is saved, also where it looked for another's", function()
    local token, _, was_stored = meet(with_access_alone(), slow_save)
    assert.same({ "access-1", "access-1" }, { token, was_stored })
  end)

  for name, before in pairs {
    ["at the session's first use"] = function()
      seed()
      return open()
    end,
    ["that has nothing to renew with"] = function()
      local session = with_access_alone()
      seed()
      return session
    end,
    ["under the lease"] = function()
      seed()
      local session = open()
      assert(session:restore())
      clock.now = clock.now + 600
      return session
    end,
  } do
    it("waits for its answer " .. name, function()
      local token, err = meet(before(), slow_provider, true)
      assert.same({ "access-1", nil }, { token, err })
      assert.equal(1, provider.refreshes)
      for _, e in ipairs(events) do assert.not_equal("store_trouble", e.name) end
    end)
  end
end)
