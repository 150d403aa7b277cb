-- SPDX-License-Identifier: MIT
-- Work that stops half way: a coroutine that is given up in the middle of a refresh, a new set that could not be saved.

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

describe("a coroutine that is given up in the middle", function()
  local monotonic, later = core.monotonic, 0
  before_each(function() -- time stands still but for what a case says
    later = 0
    core.monotonic = function() return later end
  end)
  after_each(function() core.monotonic = monotonic end)

  -- A session whose refresh hangs for ever in the transport, or in the store while the new set is saved.
  local function hanging(name, where, more)
    local answer = support.provider(clock)
    local hang = true
    local transport = { posts = 0, wait = function() end }
    function transport.perform(_, request)
      transport.posts = transport.posts + 1
      if hang and where == "transport" then coroutine.yield() end
      return answer:perform(request)
    end
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if hang and where == "store" and saves == 3 then coroutine.yield() end
      return save(self, ...)
    end
    local session = open(name, transport, more)
    assert(session:restore(support.tokens(NOW, 0)))
    coroutine.wrap(function() session:access_token() end)() -- never resumed
    hang = false
    local _, key = stored()
    store.leases[key] = nil -- nobody prolongs it
    return session, transport
  end

  it("does not keep the others waiting for ever: what it sent is in doubt", function()
    local session, transport = hanging("pkb", "transport")
    local _, err = session:access_token()
    assert.same({ "lease_timeout", "retry" }, { err.code, err.action })
    later = 41 -- longer than waiting and sending may take
    _, err = session:access_token()
    assert.equal("refresh_outcome_unknown", err.code)
    assert.equal(1, transport.posts)
  end)

  it("does not keep the others waiting for ever: its answer, not yet saved, is saved", function()
    local session, transport = hanging("pkb", "store")
    local _, err = session:access_token()
    assert.equal("lease_timeout", err.code)
    later = 41
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
    assert.is_nil(stored().journal)
    assert.equal(1, transport.posts)
  end)

  it("is not waited for longer where lease and max_wait say so", function()
    local session = hanging("pkb", "store", { lease = 2, max_wait = 1 })
    later = 2.9
    assert.equal("lease_timeout", select(2, session:access_token()).code)
    later = 3.1
    assert.equal("access-1", session:access_token())
  end)
end)

describe("tokens that could not be saved", function()
  it("are not lost to restore(), which loads the record", function()
    local session = open("pkb", support.provider(clock))
    assert(session:restore(support.tokens(NOW, 0)))
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if saves > 1 then return nil, core.error { kind = "store", code = "store_full" } end
      return save(self, ...)
    end
    assert.equal("access-1", session:access_token())
    assert.is_true(session:restore())
    assert.equal("access-1", session:access_token())
    store.save = save
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
  end)

  it("do not become newer than another's login by a restore that failed", function()
    local save, broken = store.save, false
    store.save = function(self, ...)
      if broken then return nil, core.error { kind = "store", code = "store_full" } end
      return save(self, ...)
    end
    local provider = support.provider(clock)
    local session, perform = open("pkb", provider), provider.perform
    assert(session:restore(support.tokens(NOW, 0)))
    function provider:perform(request)
      broken = true
      return perform(self, request)
    end
    assert.equal("access-1", session:access_token()) -- and not saved
    broken, clock.now = false, NOW + 10
    assert(open("pkb", provider):restore { access_token = "login", refresh_token = "login-refresh", expires_at = NOW + 900 })
    broken, clock.now = true, NOW + 20
    assert.is_nil((session:restore { access_token = "lost", refresh_token = "lost-refresh", expires_at = NOW + 900 }))
    broken = false
    assert.equal("login", session:access_token())
    assert.equal("login", stored().tokens.access_token)
  end)

  it("are saved by verify, too", function()
    local provider, broken = support.provider(clock), true
    local declared = healthauth.provider {
      name = "acme", options = { client_id = { required = true } },
      operations = {
        refresh = { path = "/token", body = "form", tokens = "oauth", fields = { refresh_token = "$argument.refresh_token" } },
        verify = { path = "/verify", headers = { Token = "$argument.token" } },
      },
    }
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if saves > 2 and broken then return nil, core.error { kind = "store", code = "store_full" } end
      return save(self, ...)
    end
    local session = assert(healthauth.session(declared, {
      base_url = "https://provider.example", client_id = "client", transport = provider, clock = function() return clock.now end,
      store = store, key = "k",
    }))
    assert(session:restore(support.tokens(NOW, 0)))
    assert.equal("access-1", session:access_token())
    assert.equal("access-0", stored().tokens.access_token)
    broken = false
    provider.perform = function() return { status = 200, headers = {}, body = "" } end
    assert.is_true(session:verify())
    assert.equal("access-1", stored().tokens.access_token)
  end)
end)
