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
    store.save = function() return nil, core.error { kind = "store", code = "store_full" } end
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
    store.save = function() return nil, core.error { kind = "store", code = "store_full" } end
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
    store.save = function() return nil, core.error { kind = "store", code = "store_full" } end
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
    store.acquire = function()
      store.acquire = acquire
      clock.now = clock.now + 30
      return false
    end
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
  end)
end)
