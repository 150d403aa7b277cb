-- SPDX-License-Identifier: MIT
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local function setup(options)
  local clock = { now = 1700000000 }
  local provider = support.provider(clock, options)
  local events = {}
  local given = {
    base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
    on_event = function(e) events[#events + 1] = e end,
  }
  for k, v in pairs(options and options.session or {}) do given[k] = v end
  if given.tokens == nil then given.tokens = support.tokens(clock.now, 600) end
  local session = assert(healthauth[options and options.provider or "pkb"](given))
  return session, provider, clock, events, given
end

local function names(events)
  local out = {}
  for i, e in ipairs(events) do out[i] = e.name end
  return table.concat(out, " ")
end

describe("access_token without a store", function()
  it("hands out the token it has while that lives", function()
    local session, provider = setup()
    assert.equal("access-0", session:access_token())
    assert.equal(0, provider.refreshes)
  end)

  it("hands out a token of unknown expiry", function()
    local session, provider = setup { session = { tokens = { access_token = "access-x", refresh_token = "refresh-0" } } }
    assert.equal("access-x", session:access_token())
    assert.equal(0, provider.refreshes)
  end)

  it("refreshes an expired one, once", function()
    local session, provider, clock, events = setup()
    clock.now = clock.now + 600
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
    assert.equal("refresh-1", session:tokens().refresh_token)
    assert.equal("refreshed", names(events))
  end)

  it("refreshes early, before the margin is used up", function()
    local session, provider, clock = setup()
    clock.now = clock.now + 600 - 61 + 60 -- 59 s left: inside every jitter of a restored set's 60 s
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
  end)

  it("takes the margin that is given", function()
    local session, provider, clock = setup { session = { margin = 10 } }
    clock.now = clock.now + 589
    assert.equal("access-0", session:access_token())
    clock.now = clock.now + 1
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
  end)

  it("hands out the old token when an early refresh fails, and says so", function()
    local session, provider, clock, events = setup()
    clock.now = clock.now + 590
    provider.script = { { failure = support.REFUSED } }
    assert.equal("access-0", session:access_token())
    assert.equal("refused served_stale", names(events))
    assert.equal("access-2", session:access_token()) -- the provider is back
  end)

  it("waits for Retry-After before it tries an early refresh again", function()
    local session, provider, clock = setup { session = { margin = 300 } }
    clock.now = clock.now + 400
    provider.script = { { status = 503, headers = { { "Retry-After", "20" } } } }
    assert.equal("access-0", session:access_token())
    assert.equal("access-0", session:access_token())
    assert.equal(1, provider.refreshes)
    clock.now = clock.now + 20
    assert.equal("access-2", session:access_token())
  end)

  it("answers no_token without a token, and with an expired one that nothing can refresh", function()
    for _, tokens in ipairs { false, { access_token = "a", expires_at = 1699999999 } } do
      local clock = { now = 1700000000 }
      local session = healthauth.pkb {
        base_url = "https://pkb.example", client_id = "c", tokens = tokens or nil, transport = support.provider(clock),
        clock = function() return clock.now end,
      }
      local token, err = session:access_token()
      assert.is_nil(token)
      assert.same({ "argument", "no_token", "reauthorize", "not_sent" }, { err.kind, err.code, err.action, err.outcome })
    end
  end)

  it("never sends a single-use refresh token again after an unknown outcome", function()
    local session, provider, clock = setup()
    clock.now = clock.now + 590
    provider.script = { { failure = support.LOST } }
    assert.equal("access-0", session:access_token()) -- still valid
    assert.equal("access-0", session:access_token())
    assert.equal(1, provider.refreshes)
    clock.now = clock.now + 10
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "argument", "refresh_outcome_unknown", "reauthorize", "unknown" }, { err.kind, err.code, err.action, err.outcome })
    assert.equal(1, provider.refreshes)
    assert.truthy(session:refresh()) -- an explicit one is sent
    assert.equal(2, provider.refreshes)
    assert.equal("access-2", session:access_token())
  end)

  it("treats a 2xx that cannot be used and a 502 as unknown too", function()
    for _, step in ipairs { { status = 200, body = "<html>" }, { status = 502, body = "x" } } do
      local session, provider, clock = setup()
      clock.now = clock.now + 600
      provider.script = { step }
      local token, first = session:access_token()
      assert.is_nil(token)
      assert.equal("reauthorize", first.action)
      local _, second = session:access_token()
      assert.equal("refresh_outcome_unknown", second.code)
      assert.equal(1, provider.refreshes)
    end
  end)

  it("says when a token arrives expired", function()
    local session, provider, clock = setup { life = 0 }
    clock.now = clock.now + 600
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "protocol", "expired_on_arrival" }, { err.kind, err.code })
    assert.equal(1, provider.refreshes)
  end)

  it("lets a thousand coroutines share one refresh", function()
    local session, provider, clock = setup()
    clock.now = clock.now + 600
    provider.yields = 5
    local tasks = {}
    for i = 1, 1000 do tasks[i] = function() return session:access_token() end end
    local results = support.run(tasks)
    for i = 1, 1000 do assert.equal("access-1", results[i][1]) end
    assert.equal(1, provider.refreshes)
  end)

  it("gives every waiting coroutine the reason when the one refresh fails", function()
    local session, provider, clock = setup()
    clock.now = clock.now + 600
    provider.yields, provider.script = 3, { { status = 400, headers = { { "Content-Type", "application/json" } },
      body = '{"error":"invalid_grant"}' } }
    local results = support.run {
      function() return session:access_token() end, function() return session:access_token() end,
        function() return session:access_token() end,
    }
    for i = 1, 3 do assert.equal("invalid_grant", results[i][2].code) end
    assert.equal(1, provider.refreshes)
  end)

  it("exchanges client credentials anew", function()
    local session, provider, clock = setup { provider = "pkb_system", session = { client_secret = "secret-1", tokens = false or nil } }
    assert.equal("access-0", session:access_token())
    clock.now = clock.now + 600
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
  end)
end)
