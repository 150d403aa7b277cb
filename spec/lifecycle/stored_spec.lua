-- SPDX-License-Identifier: MIT
local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

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
  for k, v in pairs(options or {}) do given[k] = v end
  return assert(healthauth.pkb(given))
end

local function seed(life)
  assert(open():restore(support.tokens(clock.now, life or 600)))
end

local function stored()
  return (support.stored(store))
end

describe("a session over a store", function()
  it("loads its record at the first access_token", function()
    seed()
    assert.equal("access-0", open():access_token())
    assert.equal(0, provider.refreshes)
  end)

  it("answers no_token where nothing is stored", function()
    local _, err = open():access_token()
    assert.equal("no_token", err.code)
  end)

  it("commits a refreshed set before it hands out the token", function()
    seed()
    clock.now = clock.now + 600
    assert.equal("access-1", open():access_token())
    local found = stored()
    assert.equal("access-1", found.tokens.access_token)
    assert.equal("refresh-1", found.tokens.refresh_token)
    assert.is_nil(found.journal)
    assert.equal("access-1", open():access_token())
    assert.equal(1, provider.refreshes)
  end)

  it("writes 'sent' before the POST leaves", function()
    seed()
    clock.now = clock.now + 600
    local seen
    local perform = provider.perform
    function provider:perform(request)
      seen = stored().journal
      return perform(self, request)
    end
    assert.truthy(open():access_token())
    assert.equal("sent", seen.state)
    assert.equal(core.hex(core.sha256("refresh-0")), seen.fingerprint)
  end)

  it("takes a token that another session has refreshed, without a request", function()
    seed()
    local one, two = open(), open()
    assert.equal("access-0", one:access_token())
    assert.equal("access-0", two:access_token())
    clock.now = clock.now + 600
    assert.equal("access-1", one:access_token())
    assert.equal("access-1", two:access_token())
    assert.equal(1, provider.refreshes)
  end)

  it("lets coroutines of many sessions share one refresh", function()
    seed()
    clock.now = clock.now + 600
    provider.yields = 4
    local tasks = {}
    for i = 1, 50 do
      local session = open()
      tasks[i] = function() return session:access_token() end
    end
    local results = support.run(tasks)
    for i = 1, 50 do assert.equal("access-1", results[i][1]) end
    assert.equal(1, provider.refreshes)
  end)

  it("tells a lost answer apart: the token that may be spent is not sent again, by nobody", function()
    seed()
    clock.now = clock.now + 600
    provider.script = { { failure = support.LOST } }
    local _, err = open():access_token()
    assert.same({ "network", "unknown", "reauthorize" }, { err.kind, err.outcome, err.action })
    for _ = 1, 3 do
      local token, later = open():access_token()
      assert.is_nil(token)
      assert.equal("refresh_outcome_unknown", later.code)
    end
    assert.equal(1, provider.refreshes)
  end)

  it("forgets the journal of a refresh that never left", function()
    seed()
    clock.now = clock.now + 600
    provider.script = { { failure = support.REFUSED } }
    local _, err = open():access_token()
    assert.equal("not_sent", err.outcome)
    assert.is_nil(stored().journal)
    assert.equal("access-2", open():access_token())
    assert.equal(0, provider.replays)
  end)

  it("does not send when 'sent' cannot be written", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    local save = store.save
    store.save = function() return nil, core.error { kind = "store", code = "store_full" } end
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "store", "store_full" }, { err.kind, err.code })
    assert.equal(0, provider.refreshes)
    store.save = save
    assert.equal("access-1", session:access_token())
  end)

  it("keeps and hands out a token that could not be saved, and saves it later", function()
    seed()
    clock.now = clock.now + 600
    local session = open()
    local save, saves = store.save, 0
    store.save = function(self, ...)
      saves = saves + 1
      if saves > 1 and saves < 4 then return nil, core.error { kind = "store", code = "store_full" } end
      return save(self, ...)
    end
    assert.equal("access-1", session:access_token())
    assert.equal("sent", stored().journal.state)
    assert.equal("access-1", session:access_token()) -- tries again, in vain
    assert.equal("access-1", session:access_token()) -- and again
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", stored().tokens.access_token)
    assert.is_nil(stored().journal)
    assert.equal(1, provider.refreshes)
    local trouble = 0
    for _, e in ipairs(events) do if e.name == "store_trouble" then trouble = trouble + 1 end end
    assert.is_true(trouble >= 2)
  end)

  it("never lets a late answer overwrite a newer login", function()
    seed()
    clock.now = clock.now + 600
    local slow, other = open(), open()
    provider.yields = 3
    local results = support.run {
      function() return slow:access_token() end,
      function() return other:restore { access_token = "login", refresh_token = "login-refresh", expires_at = clock.now + 600 } end,
    }
    assert.truthy(results[1][1])
    assert.equal("login", stored().tokens.access_token)
    assert.equal("login", slow:access_token())
  end)

  it("waits no longer than max_wait for another's lease, and serves what is still valid", function()
    seed()
    local session = open { max_wait = 0.2 }
    assert.equal("access-0", session:access_token())
    local key
    for k in store:list() do key = k end
    local lease = assert(store:acquire(key, 60))
    clock.now = clock.now + 590
    assert.equal("access-0", session:access_token())
    clock.now = clock.now + 10
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "timeout", "lease_timeout", "retry" }, { err.kind, err.code, err.action })
    store:release(lease)
    assert.equal("access-1", session:access_token())
  end)

  local records = {
    { "a torn one", function(text) return text:sub(1, 40) end },
    { "an empty one", function() return "" end },
    { "one of another version", function(text) return (text:gsub('"v":1', '"v":2')) end },
    { "another client's", function(text) return (text:gsub('"client_id":"client"', '"client_id":"other"')) end },
    { "one with a token of forbidden bytes", function(text) return (text:gsub("access%-0", "acc ess")) end },
    { "one with a list for tokens", function(text) return (text:gsub('"tokens":{.*},"v"', '"tokens":7,"v"')) end },
  }
  for _, case in ipairs(records) do
    it("takes " .. case[1] .. " for no session and says so", function()
      seed()
      local key, text, version
      for k in store:list() do key = k end
      text, version = store:load(key)
      assert(store:save(key, case[2](text), version))
      local token, err = open():access_token()
      assert.is_nil(token)
      assert.same({ "store", "record_invalid" }, { err.kind, err.code })
      local ok, restore_err = open():restore()
      assert.is_nil(ok)
      assert.equal("record_invalid", restore_err.code)
    end)
  end

  it("drops the record at logout and leaves it at close", function()
    seed()
    local session = open()
    session:close()
    assert.truthy(stored())
    assert.same({ true, "local" }, { open():logout() })
    assert.is_nil(stored())
  end)

  it("shows no token in an event", function()
    seed()
    clock.now = clock.now + 600
    open():access_token()
    for _, e in ipairs(events) do
      for _, v in pairs(e) do assert.is_nil(tostring(v):find("access-", 1, true)) end
      assert.is_nil(e.key and e.key:find("patient", 1, true))
    end
  end)
end)
