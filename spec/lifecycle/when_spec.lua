-- SPDX-License-Identifier: MIT
-- When a token is renewed: min(60 s, 10 % of its life) before its end, jittered by up to the same again; 60 s where its life is unknown.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local process = require "spec.support.process"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local ready = core.inside.ready

-- A session whose token came from an answer, so that its whole life is known.
local function answered(life, margin)
  local clock = { now = NOW }
  local provider = support.provider(clock, { life = life })
  local session = assert(healthauth.pkb {
    base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end, margin = margin,
  })
  assert(session:exchange { code = "code", redirect_uri = "https://client.example/cb" })
  return session, provider, clock
end

local function restored(life)
  local session = assert(healthauth.pkb { base_url = "https://pkb.example", client_id = "client" })
  assert(session:restore(support.tokens(NOW, life)))
  return session
end

-- Seconds before its end at which a token is not handed out any more without a renewal.
local function renewed_at(session, life, jitter)
  for left = 0, life do
    if ready(session, NOW + life - left, nil, jitter) then return left - 1 end
  end
end

describe("a token is renewed early", function()
  for _, case in ipairs {
    { "a tenth of a short life", 100, 10 }, { "a tenth of 600 s", 600, 60 }, { "60 s of a long life", 86400, 60 },
    { "a second of ten", 10, 1 },
  } do
    it("by " .. case[1] .. ", and with jitter by up to twice that", function()
      local session = answered(case[2])
      assert.equal(case[3], renewed_at(session, case[2], 0))
      assert.equal(math.floor(1.5 * case[3]), renewed_at(session, case[2], 0.5))
      assert.equal(2 * case[3], renewed_at(session, case[2], 1))
    end)
  end

  it("by 60 s where its life is unknown, since it was restored", function()
    for _, life in ipairs { 200, 600, 86400 } do
      assert.equal(60, renewed_at(restored(life), life, 0))
      assert.equal(120, renewed_at(restored(life), life, 1))
    end
  end)

  it("with a life that another process learned, from the store", function()
    local clock, store = { now = NOW }, healthauth.stores.memory {}
    local provider = support.provider(clock, { life = 100 })
    local function open()
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
        store = store, key = "k",
      })
    end
    assert(open():exchange { code = "code", redirect_uri = "https://client.example/cb" })
    local session = open()
    assert(session:restore())
    assert.equal(10, renewed_at(session, 100, 0))
  end)

  it("at one moment of a process's own, between once and twice the margin", function()
    local left
    for _ = 1, 3 do
      local session, provider, clock = answered(6000)
      local at
      for before = 125, 55, -1 do
        clock.now = NOW + 6000 - before
        session:access_token()
        if provider.refreshes == 2 then
          at = before
          break
        end
      end
      assert.is_true(at >= 60 and at <= 120, tostring(at))
      assert.equal(left or at, at)
      left = at
    end
  end)

  it("at another moment in another process", function()
    local program = [[
      local healthauth, now = require "healthauth", 1700000000
      local session = healthauth.pkb { base_url = "https://pkb.example", client_id = "c", transport = { perform = function() end },
        tokens = { access_token = "a", refresh_token = "r", expires_at = now + 200 }, clock = function() return now end,
        on_event = function() io.write(1700000200 - now) os.exit(0, true) end }
      for _ = 1, 2000 do
        now = now + 0.1
        session:access_token()
      end
    ]]
    local moments, kinds = {}, 0
    for _ = 1, 5 do
      local _, out = process.run { process.runtime, "-e", program }
      local left = tonumber(out)
      assert.is_true(left ~= nil and left >= 59 and left <= 120.2, out)
      if not moments[out] then moments[out], kinds = true, kinds + 1 end
    end
    assert.is_true(kinds > 1, "five processes renew at the same moment")
  end)

  it("not while it is new, however large the margin that the session was given", function()
    for _, case in ipairs { { 600, 10 }, { 50, 5 } } do
      local life, new = case[1], case[2]
      for _, margin in ipairs { life, 10 * life } do
        local session, provider, clock = answered(life, margin)
        clock.now = NOW + new - 1
        assert.equal("access-1", session:access_token())
        clock.now = NOW + new
        assert.equal("access-2", session:access_token())
        assert.equal(2, provider.refreshes)
      end
    end
  end)

  it("where it arrived expired, also when the clock goes back afterwards", function()
    local session = assert(healthauth.pkb { base_url = "https://pkb.example", client_id = "client" })
    assert(session:restore { access_token = "access-1", obtained_at = NOW, expires_at = NOW - 100 })
    for _, margin in ipairs { false, 0, 60 } do
      assert.is_nil(ready(session, NOW - 50, margin or nil, 1))
      assert.equal("access-1", ready(session, NOW - 161, margin or nil, 1))
    end
  end)

  it("once for all over a store, also when the margin is longer than the life", function()
    local clock, store = { now = NOW }, healthauth.stores.memory {}
    local provider = support.provider(clock)
    local function open()
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
        store = store, key = "k", margin = 3600,
      })
    end
    assert(open():restore(support.tokens(NOW, 600)))
    for _ = 1, 5 do assert.equal("access-1", open():access_token()) end
    assert.equal(1, provider.refreshes)
  end)
end)

describe("a life that no record could hold", function()
  it("is cut, so that the saved session can be loaded again", function()
    local clock, store = { now = NOW }, healthauth.stores.memory {}
    local provider = support.provider(clock, { life = 99999999999 })
    local function open()
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
        store = store, key = "k",
      })
    end
    local tokens = assert(open():exchange { code = "code", redirect_uri = "https://client.example/cb" })
    assert.equal(99999999999, tokens.expires_at)
    assert.equal("access-1", open():access_token())
  end)
end)

describe("a refresh token that dies before the access token", function()
  local DAY = 86400

  -- eHealth: the access token lives 30 days, the refresh token is declared to live 7, and is kept when an answer has none.
  local function session_of(tokens, details)
    local clock = { now = NOW }
    local answers, posts = 0, { }
    local session = healthauth.ehealth {
      base_url = "https://ehealth.example", client_id = "c", client_secret = "s", redirect_uri = "https://c.example/",
      clock = function() return clock.now end, tokens = tokens,
      transport = { perform = function(_, request)
        posts[#posts + 1], answers = request, answers + 1
        return { status = 201, headers = { { "Content-Type", "application/json" } }, body = core.json_encode { data = {
          value = "access-" .. answers, expires_at = clock.now + 30 * DAY, details = answers == 1 and details or nil,
        } } }
      end },
    }
    return session, clock, posts
  end

  it("is used in the last tenth of its life, once, and not when it is dead", function()
    local session, clock, posts = session_of(nil, { refresh_token = "refresh" })
    assert(session:exchange { code = "c" })
    for _, case in ipairs { { 0, true }, { 6.3 * DAY - 1, true }, { 6.3 * DAY, false }, { 7 * DAY - 1, false }, { 7 * DAY, true } } do
      assert.equal(case[2], ready(session, NOW + case[1], nil, 0) ~= nil, case[1])
    end
    clock.now = NOW + 6.3 * DAY - 1
    assert.equal("access-1", session:access_token())
    clock.now = NOW + 6.3 * DAY
    assert.equal("access-2", session:access_token())
    assert.equal(2, #posts)
    for _, later in ipairs { 6.3 * DAY, 6.5 * DAY, 7 * DAY - 1, 7 * DAY, 12.7 * DAY, 20 * DAY } do -- the kept one is as old as before
      assert.equal("access-2", ready(session, NOW + later, nil, 0), later)
    end
  end)

  it("is as old as it was when an earlier renewal has kept it", function()
    local session, clock = session_of(nil, { refresh_token = "refresh" })
    assert(session:exchange { code = "c" })
    clock.now = NOW + 2 * DAY
    assert(session:refresh())
    assert.equal("access-2", ready(session, NOW + 6.3 * DAY - 1, nil, 0))
    assert.is_nil(ready(session, NOW + 6.3 * DAY, nil, 0))
    assert.equal("access-2", ready(session, NOW + 7 * DAY, nil, 0))
    assert(session:refresh { refresh_token = "another" }) -- of unknown age, and the session's own is kept
    assert.equal("another", session:tokens().refresh_token)
    assert.equal("access-3", ready(session, NOW + 6.3 * DAY, nil, 0))
  end)

  it("that came anew begins a new life", function()
    local session = session_of(nil, { refresh_token = "refresh" })
    assert(session:exchange { code = "c" })
    assert(session:restore { access_token = "a", refresh_token = "r", obtained_at = NOW + 6.5 * DAY, refresh_at = NOW + 6.5 * DAY,
      expires_at = NOW + 40 * DAY })
    assert.equal("a", ready(session, NOW + 7 * DAY, nil, 0))
    assert.equal("a", ready(session, NOW + 12.8 * DAY - 1, nil, 0))
    assert.is_nil(ready(session, NOW + 12.8 * DAY, nil, 0))
  end)

  it("is not hurried where nothing is known of its age, where there is none, or where it does not die", function()
    local session = session_of()
    for _, set in ipairs {
      { obtained_at = NOW }, { refresh_at = NOW }, {}, { obtained_at = NOW, refresh_at = NOW, refresh_token = false },
      { obtained_at = 0, refresh_at = NOW }, { obtained_at = NOW, refresh_at = 0 },
    } do
      local tokens = { access_token = "a", refresh_token = "r", expires_at = NOW + 40 * DAY }
      for name, value in pairs(set) do tokens[name] = value or nil end
      assert(session:restore(tokens))
      for _, later in ipairs { 6.3 * DAY, 6.9 * DAY } do assert.equal("a", ready(session, NOW + later, nil, 0)) end
    end
    local pkb = healthauth.pkb { base_url = "https://pkb.example", client_id = "c", tokens = { access_token = "a", refresh_token = "r",
      obtained_at = NOW, refresh_at = NOW, expires_at = NOW + 40 * DAY } }
    assert.equal("a", ready(pkb, NOW + 6.5 * DAY, nil, 0))
  end)
end)
