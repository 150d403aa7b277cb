-- SPDX-License-Identifier: MIT
-- The lifecycle where two things happen at once, and what it then says: who is asked, which error comes out, what on_event hears.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local perform = require "healthauth.perform"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local TROUBLE = { kind = "store", code = "store_failed", action = "retry", outcome = "not_sent", message = "the disk is full" }

local clock, store, provider, events

before_each(function()
  clock, store, events = { now = NOW }, healthauth.stores.memory {}, {}
  provider = support.provider(clock)
end)

local function open(more, name) return support.open(name or "pkb", clock, store, events, provider, more) end

local function seed(life) assert(open():restore(support.tokens(NOW, life))) end

-- The store's method fails from now on; or as long as `when` says.
local function broken(method, when)
  local real = store[method]
  store[method] = function(...)
    if not when or when() then return nil, core.error(TROUBLE) end
    return real(...)
  end
end

local function told(name, operation, code)
  for _, e in ipairs(events) do
    if e.name == name and e.operation == operation and e.code == code then return true end
  end
  return false
end

describe("a session over a store", function()
  it("with tokens of its own does not ask the store before they need renewal", function()
    seed(600)
    local session = open { tokens = { access_token = "handed-over", refresh_token = "r", expires_at = NOW + 600 } }
    store.load = function() error "asked" end
    assert.equal("handed-over", session:access_token())
    assert.equal("handed-over", session:access_token())
  end)

  it("passes a raise on, and goes on afterwards", function()
    seed(0)
    local once, acquire = false, store.acquire
    local session = open { clock = function()
      local wrong = once
      once = false
      return wrong and "no time" or clock.now
    end }
    store.acquire = function(...)
      once = true -- the next look at the clock, which is the renewal's
      store.acquire = acquire
      return acquire(...)
    end
    assert.error_matches(function() session:access_token() end, "did not return unix seconds")
    assert.equal("access-1", session:access_token())
  end)

  it("lets its coroutines share one flight from its first step, and the reason when it fails", function()
    for _, step in ipairs { "refreshed", "failed" } do
      store, events = healthauth.stores.memory {}, {}
      provider = support.provider(clock)
      seed(0)
      local acquires, acquire = 0, store.acquire
      store.acquire = function(...)
        acquires = acquires + 1
        for _ = 1, 3 do coroutine.yield() end
        return acquire(...)
      end
      if step == "failed" then provider.script = { { failure = support.REFUSED } } end
      local session, all = open(), {}
      for i = 1, 10 do all[i] = function() return session:access_token() end end
      for _, result in ipairs(support.run(all)) do
        if step == "failed" then assert.equal("connect_failed", result[2].code) else assert.equal("access-1", result[1]) end
      end
      assert.same({ 1, 1 }, { acquires, provider.refreshes }, step)
    end
  end)

  it("that serves the old token while another renews it still renews a token that is refused", function()
    seed(20)
    local key = store:list()()
    local session = open()
    local lease = assert(store:acquire(key, 30))
    local perform_refresh, calls = provider.perform, 0
    function provider:perform(request)
      if request.method == "POST" then return perform_refresh(self, request) end
      calls = calls + 1
      if calls == 1 then
        store:release(lease)
        return { status = 401, headers = { { "WWW-Authenticate", 'Bearer error="invalid_token"' } }, body = "" }
      end
      return { status = 200, headers = {}, body = "fine" }
    end
    local response = assert(session:call { url = "/x" })
    assert.equal("fine", response.body)
    assert.same({ 2, 1 }, { calls, provider.refreshes })
  end)

  it("tells on_event when the store fails while it looks for another's login", function()
    assert(open():restore { access_token = "old", expires_at = NOW })
    local session = open()
    session:access_token()
    broken "load"
    local _, err = session:access_token()
    assert.equal("store_failed", err.code)
    assert.is_true(told("store_trouble", "load", "store_failed"))
  end)

  it("tells on_event when the mark of a refresh that never left cannot be taken back", function()
    seed(0)
    provider.script = { { failure = support.REFUSED } }
    local sent = false
    broken("save", function() return sent end)
    local real = provider.perform
    function provider:perform(request)
      sent = true
      return real(self, request)
    end
    local _, err = open():access_token()
    assert.equal("connect_failed", err.code)
    assert.is_true(told("store_trouble", "save", "store_failed"))
  end)

  it("tells on_event when the store fails while it waits for another's refresh", function()
    seed(0)
    assert(store:acquire(store:list()(), 30))
    local loads = 0
    broken("load", function()
      loads = loads + 1
      return loads == 2
    end)
    local _, err = open { max_wait = 0.1 }:access_token()
    assert.equal("lease_timeout", err.code)
    assert.is_true(told("store_trouble", "load", "store_failed"))
  end)

  it("restores nothing while a refresh is open", function()
    seed(600)
    local session = open()
    assert(session:access_token())
    local exchange = assert(session:begin("refresh", { now = NOW }))
    assert(open():restore { access_token = "newer", refresh_token = "r", expires_at = NOW + 900 })
    local ok, err = session:restore()
    assert.is_nil(ok)
    assert.equal("exchange_open", err.code)
    exchange:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
    assert.is_true(session:restore())
    assert.equal("newer", session:access_token())
  end)

  it("keeps a new set that met another's record which could not be read, and saves it later", function()
    seed(0)
    local session = open()
    local real, failing = provider.perform, false
    function provider:perform(request)
      local answer = real(self, request)
      local key = store:list()()
      local text, version = store:load(key)
      assert(store:save(key, text, version)) -- another's hand: our swap will be lost
      failing = true
      return answer
    end
    broken("load", function() return failing end)
    assert.equal("access-1", session:access_token())
    assert.is_true(told("store_trouble", "save", "store_failed"))
    failing = false
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", core.json_decode((store:load(store:list()()))).tokens.access_token)
  end)

  it("takes what is no text for no record", function()
    seed(600)
    for _, value in ipairs { 5, true, {} } do
      local real = store.load
      store.load = function() return value, "version" end
      local token, err = open():access_token()
      assert.is_nil(token)
      assert.same({ "store", "record_invalid" }, { err.kind, err.code })
      store.load = real
    end
  end)

  it("reads a record of the latest time there is", function()
    seed(600)
    local key, text = store:list()()
    local _, version = store:load(key)
    assert(store:save(key, (text:gsub('"login":%d+', '"login":99999999999')), version))
    assert.equal("access-0", open():access_token())
  end)

  it("says whose refusal it was that another left in the journal", function()
    seed(0)
    provider.script = { { status = 400, headers = { { "Content-Type", "application/json" } }, body = '{"error":"invalid_grant"}' } }
    local _, first = open():access_token()
    local _, second = open():access_token()
    for _, name in ipairs { "kind", "code", "action", "outcome", "provider", "operation", "status", "dialect" } do
      assert.equal(first[name], second[name], name)
    end
    assert.same({ "pkb", "refresh" }, { second.provider, second.operation })
    assert.equal(1, provider.refreshes)
  end)

  it("is not logged out when its record cannot be dropped", function()
    seed(600)
    local session = open()
    assert(session:access_token())
    broken "delete"
    local ok, err = session:logout()
    assert.is_nil(ok)
    assert.equal("store_failed", err.code)
    assert.is_true(told("store_trouble", "delete", "store_failed"))
  end)
end)

describe("a renewal", function()
  it("whose session is logged out meanwhile was answered all the same", function()
    provider.yields = 2
    local session = open { store = false, key = false, tokens = support.tokens(NOW, 0) }
    local results = support.run { function() return session:access_token() end, function() return session:logout() end }
    assert.same({ "no_token", "answered" }, { results[1][2].code, results[1][2].outcome })
  end)

  it("by client credentials is sent again after a lost answer: nothing is spent", function()
    local posts, lost = 0, true
    local transport = { perform = function()
      posts = posts + 1
      if lost then return nil, support.LOST end
      return { status = 200, headers = { { "Content-Type", "application/json" } },
        body = '{"access_token":"second","token_type":"bearer","expires_in":600}' }
    end }
    local session = open({ transport = transport }, "pkb_system")
    local _, err = session:access_token()
    assert.same({ "body_truncated", "retry" }, { err.code, err.action })
    lost = false
    assert.equal("second", session:access_token())
    assert.equal("second", open({ transport = transport }, "pkb_system"):access_token())
    assert.equal(2, posts)
  end)
end)

describe("a renewal by client credentials whose process died after it had sent", function()
  it("is sent again by the next", function()
    local posts = 0
    local transport = { perform = function()
      posts = posts + 1
      if posts == 1 then coroutine.yield() end
      return { status = 200, headers = { { "Content-Type", "application/json" } },
        body = '{"access_token":"second","token_type":"bearer","expires_in":600}' }
    end }
    local dead = open({ transport = transport }, "pkb_system")
    coroutine.wrap(function() dead:access_token() end)() -- never resumed
    local key, text = store:list()()
    assert.equal("sent", core.json_decode(text).journal.state)
    store.leases[key] = nil
    assert.equal("second", open({ transport = transport }, "pkb_system"):access_token())
    assert.equal(2, posts)
  end)
end)

describe("call", function()
  it("sends nothing with an expired token when the refresh fails", function()
    local session = open { store = false, key = false, tokens = support.tokens(NOW, 0) }
    provider.script = { { failure = support.REFUSED } }
    local response, err = session:call { url = "/x" }
    assert.is_nil(response)
    assert.same({ "connect_failed", "refresh" }, { err.code, err.operation })
    assert.equal(1, provider.refreshes)
  end)

  it("without a table raises, whatever state the session is in", function()
    for _, args in ipairs { false, "x", 5 } do
      assert.error_matches(function() open():call(args) end, "call: expected a table of arguments")
    end
    assert.error_matches(function() open():call() end, "call: expected a table of arguments")
  end)
end)

describe("an exchange over a transport", function()
  -- An exchange that counts, whose finish raises so many times.
  local function exchange(raises)
    local self = { finished = 0, failed = 0 }
    function self.request() return {} end
    function self.finish(x)
      x.finished = x.finished + 1
      if x.finished <= raises then error("not enough memory", 0) end
      return "tokens"
    end
    function self.fail(x, failure)
      x.failed, x.failure = x.failed + 1, failure
      if raises > 2 then error("not enough memory", 0) end
      return nil, failure
    end
    return self
  end
  local ctx = { transport = { perform = function() return { status = 200 } end } }

  it("is judged once more where memory ends while it is judged", function()
    local one = exchange(1)
    assert.equal("tokens", (perform.run(ctx, one)))
    assert.same({ 2, 0 }, { one.finished, one.failed })
  end)

  it("does not stay open where it cannot be judged: its outcome is unknown", function()
    for _, raises in ipairs { 2, 3 } do
      local one = exchange(raises)
      assert.error_matches(function() perform.run(ctx, one) end, "not enough memory")
      assert.same({ 2, 1, "unknown" }, { one.finished, one.failed, one.failure.outcome })
    end
  end)

  it("ends once where its failure cannot be told", function()
    local one = exchange(3)
    local lost = { transport = { perform = function() return nil, support.LOST end } }
    assert.error_matches(function() perform.run(lost, one) end, "not enough memory")
    assert.same({ 0, 1 }, { one.finished, one.failed })
  end)

  it("says so when the transport gives neither answer nor failure", function()
    for _, value in ipairs { false, 5, "x" } do
      local session = open { store = false, key = false, tokens = support.tokens(NOW, 0),
        transport = { perform = function() return nil, value end } }
      local _, err = session:refresh()
      assert.same({ "network", "transport_failed", "unknown", "the transport gave neither answer nor failure" },
        { err.kind, err.code, err.outcome, err.message })
    end
  end)
end)
