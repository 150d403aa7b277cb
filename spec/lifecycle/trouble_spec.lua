-- SPDX-License-Identifier: MIT
-- What must hold when things go wrong between two steps: refusals, lost answers, logins and logouts in the middle of a refresh, stores that
-- fail or are slow.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local DENIED = { status = 400, headers = { { "Content-Type", "application/json" } },
  body = '{"error":"invalid_grant","error_description":"gone"}' }
local BUSY = { status = 503, headers = {}, body = "" }

local clock, store, provider, events

before_each(function()
  clock = { now = 1700000000 }
  store = healthauth.stores.memory {}
  provider = support.provider(clock)
  events = {}
end)

local function open(options)
  local given = {
    base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
    store = store, key = "patient-1", on_event = function(e) events[#events + 1] = e end,
  }
  for k, v in pairs(options or {}) do
    if v == false then given[k] = nil else given[k] = v end
  end
  return assert(healthauth.pkb(given))
end

local function alone(tokens)
  return open { store = false, key = false, tokens = tokens or support.tokens(clock.now, 600) }
end

local function seed()
  assert(open():restore(support.tokens(clock.now, 600)))
end

local function stored()
  return (support.stored(store))
end

local function full()
  return nil, core.error { kind = "store", code = "store_full" }
end

local function code_of(session)
  local token, err = session:access_token()
  assert.is_nil(token)
  return err.code
end

local LOGIN = { access_token = "login", refresh_token = "login-refresh" }
local function login() return { access_token = LOGIN.access_token, refresh_token = LOGIN.refresh_token, expires_at = clock.now + 600 } end

describe("a refresh token that the provider has refused", function()
  it("is not sent again, and the reason stays the same", function()
    local session = alone()
    clock.now = clock.now + 600
    provider.script = { DENIED }
    local _, first = session:access_token()
    for _ = 1, 3 do
      local token, err = session:access_token()
      assert.is_nil(token)
      assert.same({ "denied", "invalid_grant", "reauthorize", "answered" }, { err.kind, err.code, err.action, err.outcome })
      assert.equal(tostring(first), tostring(err))
    end
    assert.equal(1, provider.refreshes)
    assert.equal("refresh-0", session:tokens().refresh_token) -- kept all the same
  end)

  it("is sent by an explicit refresh, and forgotten when new tokens come", function()
    local session = alone()
    clock.now = clock.now + 600
    provider.script = { DENIED, DENIED }
    assert.equal("invalid_grant", code_of(session))
    assert.is_nil((session:refresh()))
    assert.equal(2, provider.refreshes)
    assert(session:restore { access_token = "x", refresh_token = "refresh-x", expires_at = clock.now })
    assert.equal("access-3", session:access_token())
  end)

  it("is not sent by other sessions over the store either", function()
    seed()
    clock.now = clock.now + 600
    provider.script = { DENIED }
    assert.equal("invalid_grant", code_of(open()))
    for _ = 1, 3 do
      local _, err = open():access_token()
      assert.same({ "denied", "invalid_grant", "reauthorize", "answered", 400 }, { err.kind, err.code, err.action, err.outcome,
        err.status })
      assert.equal("gone", err.message)
    end
    assert.equal(1, provider.refreshes)
    assert.equal("refresh-0", stored().tokens.refresh_token)
  end)

  it("gives way to a set that another has stored", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    provider.script = { DENIED }
    assert.equal("invalid_grant", code_of(session))
    assert(open():restore(login()))
    assert.equal("login", session:access_token())
    assert.is_nil(stored().journal)
  end)

  for name, step in pairs { ["a 503"] = BUSY, ["no connection"] = { failure = support.REFUSED }, ["a 429"] = { status = 429,
    body = "" } } do
    it("is not meant by " .. name .. ": that passes, and deletes nothing", function()
      seed()
      clock.now = clock.now + 600
      local session = open()
      provider.script = { step, step }
      assert.truthy(code_of(session))
      assert.equal("refresh-0", stored().tokens.refresh_token)
      assert.is_nil(stored().journal)
      assert.truthy(code_of(open()))
      assert.equal("access-3", session:access_token())
    end)
  end
end)

describe("a refresh with an unknown end", function()
  it("is remembered when the record is gone", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    provider.script = { { failure = support.LOST } }
    assert.equal("body_truncated", code_of(session))
    for key in store:list() do store:delete(key) end
    assert.equal("refresh_outcome_unknown", code_of(session))
    assert.equal(1, provider.refreshes)
  end)

  it("stays in the journal when an explicit refresh does not even leave", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    provider.script = { { failure = support.LOST }, { failure = support.REFUSED } }
    assert.equal("body_truncated", code_of(session))
    assert.is_nil((session:refresh()))
    assert.equal("sent", stored().journal.state)
    assert.equal("refresh_outcome_unknown", code_of(open()))
    assert.equal("refresh_outcome_unknown", code_of(session))
    assert.equal(2, provider.refreshes)
  end)

  it("stays known when restore fails", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    provider.script = { { failure = support.LOST } }
    assert.equal("body_truncated", code_of(session))
    local save = store.save
    store.save = full
    local ok, err = session:restore(login())
    assert.is_nil(ok)
    assert.equal("store_full", err.code)
    store.save = save
    assert.equal("access-0", session:tokens().access_token)
    for key in store:list() do store:delete(key) end
    assert.equal("refresh_outcome_unknown", code_of(session))
  end)

  it("of another refresh token says nothing about the session's own", function()
    local session = alone()
    provider.script = { { failure = support.LOST } }
    assert.is_nil((session:refresh { refresh_token = "somebody-elses" }))
    clock.now = clock.now + 600
    assert.equal("access-2", session:access_token())
  end)

  it("ends when the one who sent it commits", function()
    seed()
    clock.now = clock.now + 600
    local sender, other = open(), open()
    local perform = provider.perform
    local met
    function provider:perform(request)
      for key in store:list() do store.leases[key] = nil end -- the lease has run out while the sender waits
      met = code_of(other)
      return perform(self, request)
    end
    assert.equal("access-1", sender:access_token())
    assert.equal("refresh_outcome_unknown", met)
    assert.equal("access-1", other:access_token())
    assert.equal(1, provider.refreshes)
  end)
end)

describe("tokens that could not be saved", function()
  it("are not lost to an older record: a new login", function()
    seed()
    local session = open()
    local save = store.save
    store.save = full
    provider.script = {}
    assert.truthy(session:exchange { code = "code-1", redirect_uri = "https://client.example/cb" })
    assert.equal("access-1", session:access_token())
    assert.equal("access-0", stored().tokens.access_token)
    store.save = save
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
  end)

  it("count as saved where only the answer of the save was lost: they never come back over a later drop", function()
    local session, other = open(), open()
    local save = store.save
    store.save = function(self, ...)
      save(self, ...)
      return full()
    end
    assert.truthy(session:exchange { code = "code-1", redirect_uri = "https://client.example/cb" })
    store.save = save
    assert.equal("access-1", stored().tokens.access_token)
    for _, e in ipairs(events) do assert.not_equal("store_trouble", e.name) end
    clock.now = clock.now + 600
    assert.equal("access-2", other:access_token()) -- the refresh token of the login is spent
    assert.truthy(other:logout())
    assert.same({ nil, "no_token" }, { session:access_token(), code_of(session) })
    assert.is_nil(stored())
    assert.equal(0, provider.replays)
  end)

  it("are not lost to an older record: a renewed set", function()
    seed()
    clock.now = clock.now + 600
    local session, other = open(), open()
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if saves > 1 then return full() end
      return save(self, ...)
    end
    assert.equal("access-1", session:access_token())
    store.save = save
    provider.script = { { failure = support.REFUSED } }
    other:refresh() -- the record changes under the session, but what it holds is older
    assert.equal("access-0", stored().tokens.access_token)
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
    assert.equal("access-1", other:access_token())
    assert.equal(0, provider.replays)
  end)

  it("do not bring back a record that was dropped meanwhile", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    local perform = provider.perform
    function provider:perform(request)
      for key in store:list() do store:delete(key) end
      return perform(self, request)
    end
    assert.equal("access-1", session:access_token())
    assert.is_nil(stored())
  end)

  it("are told of at every use", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if saves > 1 then return full() end
      return save(self, ...)
    end
    for _ = 1, 3 do assert.equal("access-1", session:access_token()) end
    local told = 0
    for _, e in ipairs(events) do
      if e.name == "store_trouble" then
        told = told + 1
        assert.same({ "save", "store_full", "pkb" }, { e.operation, e.code, e.provider })
      end
    end
    assert.equal(3, told)
  end)
end)

describe("while a refresh is under way", function()
  it("nobody gets the new token before it is saved", function()
    seed()
    clock.now = clock.now + 600
    local session, saves, seen = open(), 0, {}
    local save = store.save
    store.save = function(self, ...)
      saves = saves + 1
      if saves == 2 then for _ = 1, 5 do coroutine.yield() end end
      local version, err = save(self, ...)
      seen[#seen + 1] = "saved"
      return version, err
    end
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = function()
        for _ = 1, i do coroutine.yield() end
        local token = session:access_token()
        seen[#seen + 1] = token
      end
    end
    support.run(tasks)
    assert.same({ "saved", "saved", "access-1", "access-1", "access-1" }, seen)
    assert.equal(1, provider.refreshes)
  end)

  for _, kind in ipairs { "with a store", "without a store" } do
    it("a logout is final " .. kind, function()
      local session
      if kind == "with a store" then
        seed()
        session = open()
      else
        session = alone()
      end
      clock.now = clock.now + 600
      provider.yields = 3
      local results = support.run {
        function() return session:access_token() end,
        function() return session:logout() end,
      }
      assert.is_nil(results[1][1])
      assert.equal("no_token", results[1][2].code)
      assert.is_true(results[2][1])
      assert.is_nil(session:tokens())
      assert.is_nil(stored())
    end)
  end

  for _, name in ipairs { "pkb", "ehealth" } do -- a refresh token that works once, and one that may be sent again
    it("what others gave up is not stored again by a renewal of " .. name, function()
      local function another() return support.open(name, clock, store, events, provider) end
      assert(another():restore(support.tokens(clock.now, 600)))
      local session = another()
      assert.equal("access-0", session:access_token())
      another():logout { force = true }
      local posts = provider.refreshes
      assert.equal("access-0", session:access_token())
      clock.now = clock.now + 600
      for _ = 1, 2 do assert.equal("no_token", code_of(session)) end
      assert.same({ posts, nil }, { provider.refreshes, stored() })
      assert(another():restore(support.tokens(clock.now, 600)))
      assert.equal("access-0", session:access_token())
    end)
  end

  it("a raising store, clock or event function loses nothing", function()
    seed()
    local raising
    local session = open { on_event = function() error "no" end }
    clock.now = clock.now + 600
    local perform = provider.perform
    function provider:perform(request)
      raising = true
      return perform(self, request)
    end
    local release = store.release
    store.release = function(self, lease)
      release(self, lease)
      if raising then error "broken" end
    end
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
    store.load = function() error "broken" end
    local _, err = open():access_token()
    assert.same({ "store", "store_raised" }, { err.kind, err.code })
    store.load = function() return nil, "only a text" end
    _, err = open():access_token()
    assert.same({ "store", "store_raised" }, { err.kind, err.code })
  end)
end)

describe("a session that has nothing to renew with", function()
  it("looks whether another has logged in", function()
    local session = open()
    assert.equal("no_token", code_of(session))
    assert(open():restore(login()))
    assert.equal("login", session:access_token())
    assert.equal(0, provider.refreshes)
  end)

  it("refreshes with what another has stored", function()
    local session = open { tokens = { access_token = "old", expires_at = clock.now } }
    assert.equal("no_token", code_of(session))
    seed()
    clock.now = clock.now + 600
    assert.equal("access-1", session:access_token())
  end)
end)

-- A server that came back with older data: for as long as that stands there, it is no answer (stores/redis.lua).
local function came_back_older()
  local load, delete = store.load, store.delete
  store.load = function() return nil, core.error { kind = "store", code = "store_stale", action = "retry" } end
  store.delete = function(self, key)
    store.load, store.delete = load, nil
    return delete(self, key)
  end
end

describe("a store that came back with older data", function()
  for name, login_again in pairs {
    ["restore"] = function(session) assert.is_true(session:restore(login())) end,
    ["exchange"] = function(session)
      provider.script = { { status = 200, headers = { { "Content-Type", "application/json" } }, body = core.json_encode {
        access_token = "login", token_type = "Bearer", refresh_token = "login-refresh", expires_in = 600 } } }
      assert.truthy(session:exchange { code = "code-1", redirect_uri = "https://client.example/cb" })
    end,
  } do
    it("is written over by " .. name, function()
      seed()
      came_back_older()
      local session = open()
      assert.equal("store_stale", code_of(session))
      login_again(session)
      assert.equal("login", stored().tokens.access_token)
      assert.equal("login", open():access_token())
    end)
  end

  it("is written over by a login that could not be saved at once", function()
    seed()
    local save = store.save
    store.save = full
    local session = open()
    assert.truthy(session:exchange { code = "code-1", redirect_uri = "https://client.example/cb" })
    store.save = save
    came_back_older()
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
  end)

  it("is not written over by a refresh: nobody knows what stands there in truth", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    assert.equal("access-1", session:access_token())
    clock.now = clock.now + 600
    came_back_older()
    assert.equal("store_stale", code_of(session))
    assert.equal(1, provider.refreshes)
  end)
end)
