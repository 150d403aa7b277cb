-- SPDX-License-Identifier: MIT
-- call{}: one refresh and one repeat. Clients with a first token handed over by hand; revocation and introspection of declared providers.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local JSON = { { "Content-Type", "application/json" } }
local EXPIRED = {
  status = 401, headers = { { "Content-Type", "application/fhir+json" } },
  body = '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"security",'
    .. '"details":{"coding":[{"code":"ACC_TOKEN_EXPIRED"}]}}]}',
}
local CHALLENGE = { status = 401, headers = { { "WWW-Authenticate", 'Bearer error="invalid_token"' } }, body = "" }

-- A provider whose API answers by script; its token endpoint is support's.
local function setup(api, tokens)
  local clock = { now = NOW }
  local provider = support.provider(clock)
  local perform, bearers = provider.perform, {}
  function provider:perform(request)
    if request.url:find("apiToken", 1, true) then return perform(self, request) end
    for _, header in ipairs(request.headers) do
      if header[1] == "Authorization" then bearers[#bearers + 1] = header[2]:match "^Bearer (.*)$" end
    end
    local answer = table.remove(api, 1)
    if type(answer) == "function" then answer = answer() end
    return answer
  end
  local session = assert(healthauth.pkb {
    base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
    tokens = tokens or support.tokens(clock.now, 600),
  })
  return session, provider, bearers, clock
end

local OK = { status = 200, headers = {}, body = "fine" }

describe("call", function()
  for name, refused in pairs { ["PKB's ACC_TOKEN_EXPIRED"] = EXPIRED, ["RFC 6750's invalid_token"] = CHALLENGE } do
    it("refreshes once and repeats once on " .. name, function()
      local session, provider, bearers = setup { refused, OK }
      local response = assert(session:call { url = "/api/x" })
      assert.equal("fine", response.body)
      assert.same({ "access-0", "access-1" }, bearers)
      assert.equal(1, provider.refreshes)
    end)

    it("gives up when the fresh token is refused as well by " .. name, function()
      local session, provider, bearers = setup { refused, refused }
      local response, err = session:call { url = "/api/x" }
      assert.is_nil(response)
      assert.equal("reauthorize", err.action)
      assert.equal(2, #bearers)
      assert.equal(1, provider.refreshes)
    end)
  end

  it("does not refresh a second time when the token was renewed for this very call", function()
    local session, provider, bearers, clock = setup { EXPIRED }
    clock.now = clock.now + 600
    local response, err = session:call { url = "/api/x" }
    assert.is_nil(response)
    assert.equal("acc_token_expired", err.code)
    assert.same({ "access-1" }, bearers)
    assert.equal(1, provider.refreshes)
  end)

  it("tells what is wrong with its arguments before it refreshes anything", function()
    local session, provider, bearers, clock = setup { OK }
    clock.now = clock.now + 600
    local _, err = session:call { url = "https://elsewhere.example/" }
    assert.equal("origin_refused", err.code)
    _, err = session:call { url = "//elsewhere.example/" }
    assert.equal("url_malformed", err.code)
    for _, wrong in ipairs {
      {}, { url = "/x", method = "get" }, { url = "/x", headers = { Authorization = "x" } }, { url = "/x", body = 5 },
      { url = "/x", timeout = -1 }, { url = "/x", retries = 3 },
    } do
      assert.is_false(pcall(session.call, session, wrong))
    end
    assert.same({ 0, 0 }, { provider.refreshes, #bearers })
    assert.equal("fine", assert(session:call { url = "/x" }).body)
    assert.same({ "access-1" }, bearers)
  end)

  it("tells it without any token as well", function()
    local session = setup({}, { refresh_token = "refresh-0" })
    session:logout()
    assert.is_false(pcall(session.call, session, { url = 5 }))
    assert.equal("origin_refused", select(2, session:call { url = "https://elsewhere.example/" }).code)
    assert.equal("no_token", select(2, session:call { url = "/x" }).code)
  end)

  it("uses a token of unknown expiry until it is refused", function()
    local session, provider, bearers = setup({ OK, CHALLENGE, OK }, { access_token = "access-x", refresh_token = "refresh-0" })
    assert(session:call { url = "/api/x" })
    assert.equal(0, provider.refreshes)
    assert(session:call { url = "/api/x" })
    assert.same({ "access-x", "access-x", "access-1" }, bearers)
  end)

  it("answers a refused call as it is where nothing can be refreshed", function()
    local session, provider = setup({ CHALLENGE }, { access_token = "access-x" })
    assert.equal(401, assert(session:call { url = "/api/x" }).status)
    assert.equal(0, provider.refreshes)
  end)

  it("says why when the refresh fails", function()
    local session, provider = setup { EXPIRED }
    provider.script = { { failure = support.LOST } }
    local response, err = session:call { url = "/api/x" }
    assert.is_nil(response)
    assert.same({ "refresh", "unknown", "reauthorize" }, { err.operation, err.outcome, err.action })
    assert.equal(1, provider.refreshes)
  end)
end)

describe("a PKB client with a Tethered Token", function()
  it("begins with a refresh token handed over by hand, and keeps the rotated one", function()
    local clock, sent = { now = NOW }, {}
    local provider, store = support.provider(clock), healthauth.stores.memory {}
    local perform = provider.perform
    function provider:perform(request)
      sent[#sent + 1] = core.form_decode(request.body)
      return perform(self, request)
    end
    local function open()
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = "tethered", scope = "SITE", transport = provider, store = store, key = "site",
        clock = function() return clock.now end,
      })
    end
    assert(open():restore { refresh_token = "by-hand" })
    assert.equal("access-1", open():access_token())
    assert.same({ grant_type = "refresh_token", client_id = "tethered", refresh_token = "by-hand", scope = "SITE" }, sent[1])
    clock.now = clock.now + 600
    assert.equal("access-2", open():access_token())
    assert.equal("refresh-1", sent[2].refresh_token)
    assert.equal("SITE", sent[2].scope)
  end)

  it("works at the sandbox, over a store, for as long as the token rotates", function()
    local box, store = healthauth.transports.sandbox {}, healthauth.stores.memory {}
    local own = box.credentials.pkb
    local function open(scope)
      return assert(healthauth.pkb {
        environment = "sandbox", client_id = own.client_id, scope = scope, transport = box, store = store, key = "site",
        clock = function() return box:now() end,
      })
    end
    assert(open("SITE"):restore { refresh_token = box:tethered_token() })
    local seen = {}
    for i = 1, 5 do
      seen[i] = assert(open("SITE"):access_token())
      assert.not_equal(seen[i - 1], seen[i])
      box:advance(600)
    end
    assert.equal(5, box:count "pkb.refresh")
    assert.equal("invalid_scope", select(2, open():access_token()).code) -- a client that does not say it is refused
    assert.equal(0, box:replays())
  end)

  it("prefers the rotated one in the store to the first one in its options", function()
    local clock = { now = NOW }
    local provider, store = support.provider(clock), healthauth.stores.memory {}
    local function open()
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = "tethered", scope = "SITE", transport = provider, store = store, key = "site",
        clock = function() return clock.now end, tokens = { refresh_token = "by-hand" },
      })
    end
    assert.equal("access-1", open():access_token())
    clock.now = clock.now + 600
    assert.equal("access-2", open():access_token())
    assert.equal(0, provider.replays)
  end)
end)

describe("a declared provider", function()
  local function declared(answers)
    local sent, store = {}, healthauth.stores.memory {}
    local provider = healthauth.provider {
      name = "acme",
      options = { client_id = { required = true }, client_secret = { required = true, secret = true } },
      operations = {
        verify = {
          method = "POST", path = "/introspect", body = "form", auth = "basic", fields = { token = "$argument.token" }, success = { 200 },
          active = "active",
        },
        logout = {
          method = "POST", path = "/revoke", body = "form", auth = "basic", success = { 200 },
          fields = { token = "$argument.token", token_type_hint = "access_token" },
        },
      },
    }
    local transport = {}
    function transport:perform(request)
      sent[#sent + 1] = request
      return table.remove(answers, 1)
    end
    local session = assert(healthauth.session(provider, {
      base_url = "https://acme.example", client_id = "me", client_secret = "planted", transport = transport, store = store, key = "k",
      clock = function() return NOW end,
    }))
    assert(session:restore(support.tokens(NOW, 600)))
    return session, sent, store
  end

  it("introspects with verify (RFC 7662)", function()
    local session, sent = declared {
      { status = 200, headers = JSON, body = '{"active":true,"exp":1}' }, { status = 200, headers = JSON, body = '{"active":false}' },
      { status = 200, headers = JSON, body = '{}' },
    }
    assert.is_true(session:verify())
    assert.is_false(session:verify "another")
    local valid, err = session:verify()
    assert.is_nil(valid)
    assert.equal("protocol", err.kind)
    assert.equal("access-0", core.form_decode(sent[1].body).token)
    assert.equal("another", core.form_decode(sent[2].body).token)
  end)

  it("revokes with logout (RFC 7009), and keeps all when the server does not confirm", function()
    local session, sent, store = declared {
      { status = 503, headers = { { "Retry-After", "7" } }, body = "" }, { status = 200, headers = {}, body = "" },
    }
    local ok, err = session:logout()
    assert.is_nil(ok)
    assert.same({ "wait", 7 }, { err.action, err.retry_after })
    assert.equal("access-0", session:tokens().access_token)
    assert.truthy(store:list()())
    assert.is_true(session:logout())
    assert.same({ token = "access-0", token_type_hint = "access_token" }, core.form_decode(sent[2].body))
    assert.is_nil(session:tokens())
    assert.is_nil(store:list()())
  end)
end)

describe("sessions", function()
  it("lists what can be read when one record cannot", function()
    local inner = healthauth.stores.memory {}
    local store = healthauth.stores.sealed { store = inner, key = function() return ("k"):rep(32) end }
    local sessions = healthauth.sessions { provider = "pkb", store = store, options = { base_url = "https://pkb.example",
      client_id = "c" } }
    assert(sessions:open("good"):restore { access_token = "a", expires_at = 5, scope = "PATIENT" })
    assert(inner:save("foreign", "not sealed at all"))
    assert.same({ { key = "good", expires_at = 5, scope = "PATIENT" } }, sessions:list())
    assert(sessions:drop "good")
    assert.same({}, sessions:list())
  end)

  it("does not read a record that was sealed for another key of a person", function()
    local inner = healthauth.stores.memory {}
    local store = healthauth.stores.sealed { store = inner, key = function() return ("k"):rep(32) end }
    local sessions = healthauth.sessions { provider = "pkb", store = store, options = { base_url = "https://pkb.example",
      client_id = "c" } }
    local one, two = sessions:open "one", sessions:open "two"
    assert(one:restore { access_token = "one" })
    assert(two:restore { access_token = "two" })
    local keys = {}
    for key in inner:list() do keys[#keys + 1] = key end
    local moved, version = inner:load(keys[1]), select(2, inner:load(keys[2]))
    assert(inner:save(keys[2], moved, version))
    local codes = {}
    for _, name in ipairs { "one", "two" } do
      local token, err = sessions:open(name):access_token()
      codes[#codes + 1] = token and (token == name and "own") or err.code
    end
    table.sort(codes)
    assert.same({ "own", "record_invalid" }, codes)
    assert.is_true(sessions:open("one"):restore { access_token = "new" }) -- a login goes over it
    assert.is_true(sessions:open("two"):restore { access_token = "new" })
  end)
end)
