-- SPDX-License-Identifier: MIT
-- What the lifecycle tells: every error names its provider and operation, on_event hears of every trouble, and an old token that still
-- lives is handed out where nothing better is to be had.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local pending = require "healthauth.pending"
local perform = require "healthauth.perform"
local record = require "healthauth.lifecycle.record"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local TROUBLE = { kind = "store", code = "store_failed", action = "retry", outcome = "not_sent", message = "the disk is full" }
local BUSY = { status = 503, headers = {}, body = "" }

local clock, store, provider, events

before_each(function()
  clock, store, events = { now = NOW }, healthauth.stores.memory {}, {}
  provider = support.provider(clock)
end)

local function open(more, name) return support.open(name or "pkb", clock, store, events, provider, more) end
local function alone(tokens, more)
  local all = { store = false, key = false, tokens = tokens }
  for k, v in pairs(more or {}) do all[k] = v end
  return open(all)
end

local function broken(method)
  store[method] = function() return nil, core.error(TROUBLE) end
end

local function told(name)
  local found = {}
  for _, e in ipairs(events) do
    if e.name == name then found[#found + 1] = e.operation .. " " .. tostring(e.code) .. " " .. tostring(e.outcome) end
  end
  return found
end

local function who(err) return err.provider .. " " .. err.operation .. " " .. err.code end

describe("an error of the lifecycle", function()
  it("names its provider, its operation and what happened", function()
    local _, err = alone(nil):access_token()
    assert.equal("pkb access_token no_token", who(err))
    provider.life = 0
    _, err = alone(support.tokens(NOW, 0)):access_token()
    assert.equal("pkb access_token expired_on_arrival", who(err))
    assert.matches("expired already", err.message)
    _, err = alone({ access_token = "a" }):refresh()
    assert.equal("pkb refresh no_token", who(err))
    _, err = open():refresh()
    assert.equal("pkb refresh no_token", who(err))
    assert.matches("no token to refresh with", err.message)
    local session = alone(support.tokens(NOW, 0), { max_wait = 0.01 })
    local exchange = assert(session:begin("refresh", { now = NOW }))
    _, err = session:access_token()
    assert.equal("pkb access_token lease_timeout", who(err))
    assert.matches("another refresh of this session", err.message)
    exchange:fail { kind = "network", code = "x", outcome = "not_sent" }
  end)

  it("of a store that raises, or fails without an error, says which it was", function()
    for message, load in pairs { ["the store raised an error"] = function() error "x" end,
      ["the store failed without an error"] = function() return nil, "x" end } do
      store.load = load
      local _, err = open():access_token()
      assert.same({ message, "pkb" }, { err.message, err.provider })
    end
    local ctx = { store = { save = function() error "x" end } }
    local _, err = pending.spend(ctx, { state = "s", provider = "pkb", expires_at = NOW }, NOW)
    assert.equal("the store raised an error", err.message)
  end)

  it("of a credential that cannot be had names the operation, opens nothing and lets go of the lease", function()
    local secret
    local session = open({ client_secret = function() return secret end }, "ehealth")
    assert(session:restore(support.tokens(NOW, 0)))
    for operation, call in pairs { refresh = session.refresh, exchange = function() return session:exchange { code = "c",
      redirect_uri = "https://c.example/" } end } do
      local result, err = call(session)
      assert.is_nil(result)
      assert.same({ "ehealth", operation, "not_sent" }, { err.provider, err.operation, err.outcome })
    end
    secret = "planted"
    assert.is_truthy(store:acquire(store:list()(), 1))
    assert.equal(0, provider.refreshes)
  end)

  it("of a stored set that cannot be used is told, and the set is not", function()
    assert(open():restore(support.tokens(NOW, 0)))
    local session = open()
    local key, text = store:list()()
    provider.script = { { failure = support.REFUSED } }
    session:access_token()
    local _, version = store:load(key)
    assert(store:save(key, (text:gsub("access%-0", "access 0")), version))
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "store", "record_invalid", "pkb", "the stored record holds no usable tokens" },
      { err.kind, err.code, err.provider, err.message })
    assert.equal(1, provider.refreshes)
  end)

  it("of a record that cannot be taken away is told by restore", function()
    store.load = function() return nil, core.error { kind = "store", code = "record_invalid", message = "sealed with another key" } end
    broken "delete"
    local ok, err = open():restore(support.tokens(NOW, 600))
    assert.is_nil(ok)
    assert.equal("store_failed", err.code)
  end)
end)

describe("on_event", function()
  it("hears of a store that cannot be read or leased", function()
    broken "load"
    local _, err = open():access_token()
    assert.equal("store_failed", err.code)
    assert.same({ "load store_failed not_sent" }, told "store_trouble")
    for _, verb in ipairs { "refresh", "call" } do
      events = {}
      _, err = open()[verb](open(), verb == "call" and { url = "/x" } or nil)
      assert.equal("store_failed", err.code)
      assert.same({ "load store_failed not_sent" }, told "store_trouble")
    end
    store = healthauth.stores.memory {}
    assert(open():restore(support.tokens(NOW, 0)))
    events = {}
    broken "acquire"
    _, err = open():access_token()
    assert.equal("store_failed", err.code)
    assert.same({ "acquire store_failed not_sent" }, told "store_trouble")
  end)

  it("hears why an old token was served", function()
    provider.script = { BUSY }
    assert.equal("access-0", alone(support.tokens(NOW, 20)):access_token())
    assert.same({ "access_token http_503 answered" }, told "served_stale")
  end)

  it("hears of a login that still cannot be saved", function()
    local save = store.save
    broken "save"
    local session = open()
    assert(session:exchange { code = "c" })
    session:access_token()
    session:access_token()
    assert.same({ "save store_failed not_sent", "save store_failed not_sent", "save store_failed not_sent" }, told "store_trouble")
    store.save = save
    session:access_token()
    assert.equal("access-1", open():access_token())
  end)
end)

describe("an old token that still lives", function()
  it("is handed out where nothing can refresh it", function()
    local session = alone { access_token = "last", expires_at = NOW + 30 }
    assert.equal("last", session:access_token())
    clock.now = NOW + 30
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.equal("no_token", err.code)
    assert(open():restore { access_token = "last", expires_at = clock.now + 30 })
    assert.equal("last", open():access_token())
  end)

  it("is refreshed early again at once after a success, however often it failed before", function()
    local session = alone(support.tokens(NOW, 50))
    provider.script = { BUSY, BUSY, BUSY }
    for i, posts in ipairs { 1, 2, 2, 2 } do -- at once, at once, then slower
      assert.equal("access-0", session:access_token())
      assert.equal(posts, provider.refreshes, i)
    end
    clock.now = NOW + 1
    session:access_token()
    clock.now = NOW + 5
    assert.equal("access-4", session:access_token())
    clock.now = NOW + 5 + 590
    provider.script = { BUSY, BUSY }
    session:access_token()
    session:access_token()
    assert.equal(6, provider.refreshes)
  end)
end)

describe("a mark of a spent login in a store", function()
  it("is known by its name and shape, and expires after its last second", function()
    local text = record.spent(NOW)
    for _, case in ipairs {
      { "spent.x", text, NOW, false, true }, { "spent.x", text, NOW + 1, true, true }, { "other", text, NOW + 1, false, false },
      { "spent.x", nil, NOW + 1, false, false }, { "spent.x", "7", NOW + 1, false, false }, { "spent.x", "{}", NOW + 1, false, false },
      { "spent.x", "broken", NOW + 1, false, false }, { "spent.x", '{"spent_until":"1"}', NOW + 1, false, false },
    } do
      local expired, mark = pending.expired(case[1], case[2], case[3])
      assert.same({ case[4], case[5] }, { expired, mark })
    end
  end)
end)

describe("an exchange whose request cannot be read", function()
  it("ends unsent", function()
    local failure
    local exchange = { request = function() error("not enough memory", 0) end, fail = function(_, f) failure = f end }
    assert.error_matches(function() perform.run({ transport = { perform = error } }, exchange) end, "not enough memory")
    assert.equal("not_sent", failure.outcome)
  end)
end)
