-- SPDX-License-Identifier: MIT
-- The verbs over scripted transports: what two people would build differently (DESIGN 2.1). Whole sessions: spec/sandbox/sessions_spec.lua.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local NOW = support.NOW
local json, plain = support.json, support.plain

local function oauth(token, more)
  local body = { access_token = token, token_type = "bearer", expires_in = 600 }
  for k, v in pairs(more or {}) do body[k] = v end
  return json(200, body)
end

local EXPIRED = json(401, "")
EXPIRED.headers = { { "WWW-Authenticate", 'Bearer error="invalid_token"' } }
local LOST = { failure = { kind = "network", code = "connection_lost", outcome = "unknown" } }
local NOT_SENT = { failure = { kind = "network", code = "connect_failed", outcome = "not_sent" } }

local function open(name, changes, ...)
  local transport = support.script(...)
  local all = { transport = transport }
  for k, v in pairs(changes or {}) do all[k] = v end
  return support.open(name, all), transport
end

local function fails(expected, result, err)
  assert.is_nil(result)
  assert.is_true(healthauth.is_error(err))
  assert.same(expected, support.brief(err))
  return err
end

describe("verify", function()
  it("without argument checks the session's own token", function()
    local session, transport = open("conneqt", { tokens = { access_token = "own-token" } }, plain(200), plain(410))
    assert.is_true((session:verify()))
    assert.is_false((session:verify()))
    for _, sent in ipairs(transport.sent) do assert.equal("own-token", (support.header(sent, "Conneqt-Instant-Access-Token"))) end
    assert.equal("own-token", session:tokens().access_token)
  end)

  it("without any token is no_token", function()
    local session = open "conneqt"
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:verify())
  end)

  it("of nil, an empty or another value is never the own token", function()
    local session, transport = open("conneqt", { tokens = { access_token = "own-token" } })
    fails({ "argument", "token_missing", "fix_request", "not_sent" }, session:verify(nil))
    fails({ "argument", "token_missing", "fix_request", "not_sent" }, session:verify "")
    for _, value in ipairs { 12, true, false, {}, print, "a b", "a\r\nX-Evil: 1", "\0", "ä", ("x"):rep(70000) } do
      fails({ "argument", "token_malformed", "fix_request", "not_sent" }, session:verify(value))
    end
    assert.equal(0, #transport.sent)
  end)

  it("works beside an open exchange, and in any number at once", function()
    local session = open("conneqt", nil, plain(200))
    assert(support.begin(session, "exchange", { access_code = "x" }))
    assert.is_true((session:verify "some-token"))
  end)
end)

describe("access_token", function()
  it("hands out a token that is valid, or of unknown expiry, without asking anybody", function()
    for _, expires_at in ipairs { NOW + 3600, false } do
      local session, transport = open("pkb", { tokens = support.tokens { expires_at = expires_at } })
      assert.equal("planted-access-token-1", session:access_token())
      assert.equal(0, #transport.sent)
    end
  end)

  it("is no_token where there is none, or an expired one that cannot be refreshed", function()
    for _, case in ipairs {
      { "pkb" }, { "conneqt" }, { "ehealth" }, { "pkb", { expires_at = NOW, refresh_token = false } }, { "conneqt",
        { expires_at = NOW - 1 } },
      { "pkb", { access_token = "x", expires_at = NOW - 1, refresh_token = false } },
    } do
      local session, transport = open(case[1], { tokens = case[2] and support.tokens(case[2]) or nil })
      local err = fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:access_token())
      assert.same({ case[1], "access_token" }, { err.provider, err.operation })
      assert.equal(0, #transport.sent)
    end
  end)

  it("refreshes an expired token, once", function()
    local session, transport = open("pkb", { tokens = support.tokens { expires_at = NOW } }, oauth("fresh", { refresh_token = "second" }))
    assert.equal("fresh", session:access_token())
    assert.equal("fresh", session:access_token())
    assert.same({ 1, "second" }, { #transport.sent, session:tokens().refresh_token })
  end)

  it("refreshes a set that holds only a refresh token", function()
    local session = open("pkb", { tokens = { refresh_token = "handed-over" } }, oauth "fresh")
    assert.equal("fresh", session:access_token())
  end)

  it("refreshes early, by the option margin, and serves the old token while that is valid", function()
    local events = {}
    local session, transport = open("pkb", {
      tokens = support.tokens { expires_at = NOW + 50 }, margin = 60, on_event = function(event) events[#events + 1] = event.name end,
    }, plain(500))
    assert.equal("planted-access-token-1", session:access_token())
    assert.equal(1, #transport.sent)
    assert.same({ "refused", "served_stale" }, events)
    session = open("pkb", { tokens = support.tokens { expires_at = NOW + 61 }, margin = 60 })
    assert.equal("planted-access-token-1", session:access_token())
  end)

  it("of a provider with client credentials exchanges anew", function()
    local session, transport = open("pkb_system", { tokens = { access_token = "old", expires_at = NOW } }, oauth "fresh")
    assert.equal("fresh", session:access_token())
    assert.matches("grant_type=client_credentials", transport.sent[1].body)
  end)

  it("passes a refusal on, and keeps the set", function()
    local session = open("pkb", { tokens = support.tokens { expires_at = NOW } }, json(400, { error = "invalid_grant" }))
    fails({ "denied", "invalid_grant", "reauthorize", "answered" }, session:access_token())
    assert.equal("planted-refresh-token-1", session:tokens().refresh_token)
  end)

  it("refuses a token that arrives expired", function()
    local session, transport = open("pkb", { tokens = support.tokens { expires_at = NOW } }, oauth("fresh", { expires_in = 0 }))
    fails({ "protocol", "expired_on_arrival", "give_up", "answered" }, session:access_token())
    assert.equal(1, #transport.sent)
  end)

  it("after a lost PKB refresh is refresh_outcome_unknown once the old token has expired; an explicit refresh is sent", function()
    local now = NOW
    local session, transport = open("pkb", {
      tokens = support.tokens { expires_at = NOW + 100 }, margin = 0, clock = function() return now end,
    }, LOST, LOST, oauth "fresh")
    fails({ "network", "connection_lost", "reauthorize", "unknown" }, session:refresh())
    assert.equal("planted-access-token-1", session:access_token())
    now = NOW + 100
    fails({ "argument", "refresh_outcome_unknown", "reauthorize", "unknown" }, session:access_token())
    assert.equal(1, #transport.sent)
    fails({ "network", "connection_lost", "reauthorize", "unknown" }, session:refresh())
    assert.equal("fresh", assert(session:refresh()).access_token)
    assert.equal("fresh", session:access_token())
  end)

  it("waits for the refresh of another coroutine, and only one is sent", function()
    local transport = { sent = 0, waited = 0 }
    function transport:perform()
      self.sent = self.sent + 1
      coroutine.yield()
      return oauth "fresh"
    end
    function transport:wait()
      self.waited = self.waited + 1
      coroutine.yield()
    end
    local session = open("pkb", { tokens = support.tokens { expires_at = NOW }, transport = transport })
    local got, threads = {}, {}
    for i = 1, 5 do threads[i] = coroutine.create(function() got[i] = { session:access_token() } end) end
    for _ = 1, 10 do
      for _, thread in ipairs(threads) do
        if coroutine.status(thread) ~= "dead" then assert(coroutine.resume(thread)) end
      end
    end
    for i = 1, 5 do assert.same({ "fresh" }, got[i]) end
    assert.equal(1, transport.sent)
    assert.is_true(transport.waited >= 4)
  end)

  it("says that another's refresh does not end, after max_wait", function()
    local transport = { wait = function() end, perform = function() error "nobody may send" end }
    local session = open("pkb", { tokens = support.tokens { expires_at = NOW }, transport = transport, max_wait = 1 })
    local open_one = assert(support.begin(session, "refresh")) -- held: one that is collected has ended
    fails({ "timeout", "lease_timeout", "retry", "not_sent" }, session:access_token())
    open_one:fail { kind = "network", code = "x", outcome = "not_sent" }
  end)
end)

describe("refresh", function()
  it("without a refresh token is no_token", function()
    local session, transport = open("pkb", { tokens = support.tokens { refresh_token = false } })
    local err = fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:refresh())
    assert.same({ "pkb", "refresh", 0 }, { err.provider, err.operation, #transport.sent })
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, (open "pkb"):refresh {})
  end)

  it("with an explicit token replaces the session's set", function()
    local session, transport = open("ehealth", { tokens = support.tokens() }, json(201, { data = { value = "fresh" } }))
    local tokens = assert(session:refresh { refresh_token = "explicit" })
    assert.same({ "fresh", "explicit" }, { tokens.access_token, tokens.refresh_token })
    assert.same(tokens, session:tokens())
    assert.matches('"refresh_token":"explicit"', transport.sent[1].body)
  end)

  it("answers nil, err for unusable values and raises for wrong names", function()
    local session, transport = open("pkb", { tokens = support.tokens() })
    for _, value in ipairs { 5, true, {}, "a b", "a\n", print } do
      fails({ "argument", "token_malformed", "fix_request", "not_sent" }, session:refresh { refresh_token = value })
    end
    fails({ "argument", "token_missing", "fix_request", "not_sent" }, session:refresh { refresh_token = "" })
    assert.equal(0, #transport.sent)
    for _, args in ipairs { 5, "token", true } do assert.is_string(support.raised_here(function() session:refresh(args) end)) end
    assert.matches("unknown argument 'refresh'", support.raised_here(function() session:refresh { refresh = "x" } end))
    assert.matches("unknown argument 'now'", support.raised_here(function() session:refresh { now = 5 } end))
    assert.is_string(support.raised_here(function() session:refresh { "planted-token" } end))
  end)

  it("returns a fresh table", function()
    local session = open("pkb", { tokens = support.tokens() }, oauth "fresh")
    local tokens = assert(session:refresh())
    tokens.access_token = "changed"
    assert.equal("fresh", session:tokens().access_token)
  end)

  it("while another is open is exchange_open", function()
    local session = open("pkb", { tokens = support.tokens() })
    local exchange = assert(support.begin(session, "refresh"))
    fails({ "argument", "exchange_open", "wait", "not_sent" }, session:refresh())
    assert.is_truthy(exchange:request())
  end)
end)

describe("call", function()
  local function caller(changes, ...)
    local all = { tokens = support.tokens() }
    for k, v in pairs(changes or {}) do all[k] = v end
    return open("pkb", all, ...)
  end

  it("adds the bearer token and sends what was asked for", function()
    local session, transport = caller({ headers = { ["X-Fixed"] = "1" } }, plain(200, "hello", "text/plain"))
    local response = assert(session:call {
      method = "PUT", url = "/fhir/x?a=b", headers = { ["X-Mine"] = "2", ["Content-Type"] = "text/plain", Accept = "*/*" }, body = "data",
      timeout = 3,
    })
    assert.same({ 200, "hello" }, { response.status, response.body })
    local sent = transport.sent[1]
    assert.same({ "PUT", "https://pkb.example/fhir/x?a=b", "data", 3, 3 }, { sent.method, sent.url, sent.body, sent.timeout,
      sent.connect_timeout })
    assert.same({ "Bearer planted-access-token-1", "1", "2", "text/plain", "*/*" }, {
      (support.header(sent, "Authorization")), (support.header(sent, "X-Fixed")), (support.header(sent, "X-Mine")),
      (support.header(sent, "Content-Type")), (support.header(sent, "Accept")),
    })
  end)

  it("is GET where no method is given", function()
    local session, transport = caller(nil, plain(200))
    assert.is_truthy(session:call { url = "/x" })
    assert.same({ "GET" }, { transport.sent[1].method, transport.sent[1].body })
  end)

  it("returns every whole answer, also 3xx, 4xx and 5xx", function()
    for _, status in ipairs { 200, 201, 204, 301, 302, 307, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503 } do
      local session, transport = caller(nil, plain(status, "body", "text/plain"))
      assert.same({ status, "body" }, { assert(session:call { url = "/x" }).status, "body" })
      assert.equal(1, #transport.sent)
    end
  end)

  it("is nil, err for failures of the transport", function()
    for _, case in ipairs { { LOST, "unknown" }, { NOT_SENT, "not_sent" } } do
      local session = caller(nil, case[1])
      local response, err = session:call { url = "/x" }
      assert.is_nil(response)
      assert.same({ "network", case[2], "retry", "call" }, { err.kind, err.outcome, err.action, err.operation })
    end
  end)

  it("refreshes once and repeats once when the token is refused as expired", function()
    local session, transport = caller(nil, EXPIRED, oauth "fresh", plain(200))
    assert.equal(200, assert(session:call { method = "POST", url = "/x", body = "data" }).status)
    assert.same({ "Bearer planted-access-token-1", "Bearer fresh", "data" }, {
      (support.header(transport.sent[1], "Authorization")), (support.header(transport.sent[3], "Authorization")), transport.sent[3].body,
    })
  end)

  it("with a token still refused after the one refresh is nil, err", function()
    local session, transport = caller(nil, EXPIRED, oauth "fresh", EXPIRED)
    local response, err = session:call { url = "/x" }
    assert.is_nil(response)
    assert.same({ "denied", "invalid_token", 401 }, { err.kind, err.code, err.status })
    assert.equal(3, #transport.sent)
  end)

  it("whose refresh fails says why", function()
    local session, transport = caller(nil, EXPIRED, json(400, { error = "invalid_grant" }))
    local response, err = session:call { url = "/x" }
    assert.is_nil(response)
    assert.same({ "denied", "invalid_grant", "refresh" }, { err.kind, err.code, err.operation })
    assert.equal(2, #transport.sent)
  end)

  it("without a way to refresh returns the 401 itself", function()
    local session, transport = caller({ tokens = support.tokens { refresh_token = false } }, EXPIRED)
    assert.equal(401, assert(session:call { url = "/x" }).status)
    assert.equal(1, #transport.sent)
  end)

  it("without a token asks for none to be sent", function()
    local session, transport = open "pkb"
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:call { url = "/x" })
    assert.equal(0, #transport.sent)
  end)

  it("renews an expired token before it sends", function()
    local session, transport = caller({ tokens = support.tokens { expires_at = NOW } }, oauth "fresh", plain(200))
    assert.equal(200, assert(session:call { url = "/x" }).status)
    assert.equal("Bearer fresh", (support.header(transport.sent[2], "Authorization")))
  end)

  it("goes to base_url's origin and those that the options name", function()
    local session, transport = caller({ base_url = "https://pkb.example/prefix", origins = { "https://api.example:8443",
      "http://localhost:81" } },
      plain(200), plain(200), plain(200), plain(200))
    for i, case in ipairs {
      { "/fhir/x", "https://pkb.example/prefix/fhir/x" }, { "https://pkb.example:443/other", "https://pkb.example/other" },
      { "https://API.example:8443/x", "https://api.example:8443/x" }, { "http://localhost:81/x", "http://localhost:81/x" },
    } do
      assert.is_truthy(session:call { url = case[1] })
      assert.equal(case[2], transport.sent[i].url)
    end
  end)

  it("gives the token to no other origin", function()
    local session, transport = caller()
    for _, url in ipairs {
      "https://evil.example/x", "http://pkb.example/x", "https://pkb.example:444/x", "https://pkb.example.evil.example/x",
      "https://sub.pkb.example/x", "http://127.0.0.1/x", "https://pkb.exampl/x",
    } do
      local response, err = session:call { url = url }
      assert.is_nil(response, url)
      assert.same({ "argument", "origin_refused", "not_sent" }, { err.kind, err.code, err.outcome })
    end
    for _, url in ipairs {
      "//evil.example/x", "https://pkb.example@evil.example/x", "https://user:pw@pkb.example/x", "", "x", "ftp://pkb.example/x",
      "https:/pkb.example",
      "/a b", "/a\r\nb", "/\0", "/ä", "https://pkb.example\\@evil.example/", "javascript:alert(1)", "/\\evil.example/x",
    } do
      local response, err = session:call { url = url }
      assert.is_nil(response, url)
      assert.same({ "argument", "not_sent" }, { err.kind, err.outcome }, url)
    end
    assert.equal(0, #transport.sent)
  end)

  it("raises for a programmer's mistake and opens nothing", function()
    local session, transport = caller()
    local many = {}
    for i = 1, 64 do many["X-" .. i] = "x" end
    for _, args in ipairs { 5, "x", true, print } do assert.is_string(support.raised_here(function() session:call(args) end)) end
    assert.is_string(support.raised_here(function() session:call() end))
    for _, args in ipairs {
      {}, { url = 5 }, { url = "/x", method = 5 }, { url = "/x", method = "get" }, { url = "/x", method = "" }, { url = "/x",
        method = "CONNECT" },
      { url = "/x", method = "TRACE" }, { url = "/x", method = "GET\r\n" }, { url = "/x", headers = "x" }, { url = "/x",
        headers = { "x" } },
      { url = "/x", headers = { A = 5 } }, { url = "/x", headers = { ["A b"] = "x" } }, { url = "/x", headers = { A = "x\r\ny" } },
      { url = "/x", headers = { Authorization = "x" } }, { url = "/x", headers = { Host = "x" } }, { url = "/x",
        headers = { Cookie = "x" } },
      { url = "/x", headers = { ["content-length"] = "0" } }, { url = "/x", headers = { ["X-Request-ID"] = "x" } }, { url = "/x",
        body = 5 },
      { url = "/x", body = {} }, { url = "/x", timeout = 0 }, { url = "/x", timeout = -1 }, { url = "/x", timeout = "3" }, { url = "/x",
        timeout = 0 / 0 },
      { url = "/x", query = "a" }, { url = "/x", now = 5 }, { "x" }, { url = "/x", body = "" }, { url = "/x", method = "HEAD", body = "x" },
      { url = "/x", method = "PROPFIND" }, { url = "/x", method = "GET\0" }, { url = "/x", headers = { Range = "bytes=0-1" } },
      { url = "/x", headers = many },
    } do
      assert.is_string(support.raised_here(function() session:call(args) end))
    end
    assert.equal(0, #transport.sent)
  end)
end)

describe("logout", function()
  it("where the provider has no endpoint forgets here and says so", function()
    for _, name in ipairs { "pkb", "conneqt", "pkb_system" } do
      local session, transport = open(name, { tokens = { access_token = "x" } })
      assert.same({ true, "local" }, { session:logout() })
      assert.same({ true, "local" }, { session:logout() })
      assert.is_nil(session:tokens())
      assert.equal(0, #transport.sent)
    end
  end)

  it("tells the provider, and then forgets", function()
    local session, transport = open("ehealth", { tokens = support.tokens() }, plain(200))
    assert.same({ true }, { session:logout() })
    assert.is_nil(session:tokens())
    assert.equal("Bearer planted-access-token-1", (support.header(transport.sent[1], "Authorization")))
  end)

  it("keeps all when the provider says anything else", function()
    for _, answer in ipairs { plain(500), plain(401), LOST, NOT_SENT, plain(302) } do
      local session = open("ehealth", { tokens = support.tokens() }, answer)
      local ok, err = session:logout()
      assert.is_nil(ok)
      assert.equal("logout", err.operation)
      assert.equal("planted-access-token-1", session:tokens().access_token)
    end
  end)

  it("with force always drops, and tells when the provider did not agree", function()
    for _, answer in ipairs { plain(500), LOST, NOT_SENT } do
      local session = open("ehealth", { tokens = support.tokens() }, answer)
      assert.same({ true, "local" }, { session:logout { force = true } })
      assert.is_nil(session:tokens())
    end
    local session, transport = open("ehealth", { tokens = support.tokens() }, plain(200))
    assert.same({ true }, { session:logout { force = true } })
    assert.equal(1, #transport.sent)
    session = open "ehealth"
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:logout())
    assert.same({ true, "local" }, { session:logout { force = true } })
  end)

  it("removes the record of a store", function()
    local store = healthauth.stores.memory {}
    local session = open("ehealth", { store = store, key = "sam" }, plain(200))
    assert.is_true(session:restore(support.tokens()))
    assert.is_true(session:logout())
    for _ in store:list() do error "a record is left" end
    local again = open("ehealth", { store = store, key = "sam" })
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, again:access_token())
  end)

  it("raises for wrong arguments", function()
    local session = open("ehealth", { tokens = support.tokens() })
    for _, args in ipairs { 5, "force", true, { force = 1 }, { force = "yes" }, { fource = true }, { true } } do
      assert.is_string(support.raised_here(function() session:logout(args) end))
    end
    assert.is_truthy(session:tokens())
  end)
end)

describe("restore", function()
  it("checks and adopts a set", function()
    local session = open "pkb"
    assert.is_true(session:restore(support.tokens { extra = { a = 1 } }))
    assert.same(support.tokens { extra = { a = 1 } }, session:tokens())
    assert.is_true(session:restore { access_token = "only" })
    assert.same({ access_token = "only", extra = {} }, session:tokens())
  end)

  it("of what is no set answers nil, err, whatever its type, and changes nothing", function()
    local session = open("pkb", { tokens = support.tokens() })
    local before = session:tokens()
    for _, value in ipairs {
      5, true, false, "token", print, { access_token = 5 }, { access_token = "" }, { access_token = "a b" }, { access_token = "a\n" },
      { access_token = "a", expires_at = "1700000000" }, { access_token = "a", expires_at = -1 }, { access_token = "a",
        expires_at = 0 / 0 },
      { access_token = "a", expires_at = 1 / 0 }, { access_token = "a", token_type = "mac" }, { access_token = "a", scope = {} },
      { access_token = "a", refresh_token = 5 }, { access_token = "a", name = 5 }, { access_token = "a", extra = "x" },
      { access_token = "a", extra = { f = print } }, { access_token = "a", unknown = 1 }, { "a" },
      { access_token = "a", scope = "x\255" }, { access_token = "a", name = "\195" }, { access_token = "a", extra = { a = "\255" } },
    } do
      fails({ "argument", "token_malformed", "fix_request", "not_sent" }, session:restore(value))
      assert.same(before, session:tokens())
    end
    fails({ "argument", "token_missing", "fix_request", "not_sent" }, session:restore {})
    local ok, err = session:restore(nil)
    assert.is_nil(ok)
    assert.equal("argument", err.kind)
    assert.same(before, session:tokens())
  end)

  it("saves over what the store has, and loads it again", function()
    local store = healthauth.stores.memory {}
    local one = open("pkb", { store = store, key = "sam" })
    local two = open("pkb", { store = store, key = "sam" })
    assert.is_true(one:restore(support.tokens()))
    assert.is_true(two:restore(support.tokens { access_token = "another" }))
    assert.is_true(one:restore())
    assert.equal("another", one:tokens().access_token)
  end)

  it("without a store or a record has nothing to load", function()
    local session = open "pkb"
    local ok, err = session:restore()
    assert.is_nil(ok)
    assert.same({ "argument", "no_token", "not_sent" }, { err.kind, err.code, err.outcome })
    session = open("pkb", { store = healthauth.stores.memory {}, key = "sam" })
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, session:restore())
  end)

  it("whose save fails takes nothing", function()
    local store = healthauth.stores.memory {}
    local session = open("pkb", { store = store, key = "sam" })
    assert.is_true(session:restore(support.tokens()))
    local before = session:tokens()
    function store.save() return nil, core.error { kind = "store", code = "disk_full", action = "retry", outcome = "not_sent" } end
    local ok, err = session:restore { access_token = "another" }
    assert.is_nil(ok)
    assert.same({ "store", "disk_full", "pkb" }, { err.kind, err.code, err.provider })
    assert.same(before, session:tokens())
  end)

  it("while a token-changing exchange is open is exchange_open", function()
    local session = open("pkb", { tokens = support.tokens() })
    local exchange = assert(support.begin(session, "refresh"))
    local ok, err = session:restore { access_token = "another" }
    assert.is_nil(ok)
    assert.equal("exchange_open", err.code)
    assert.is_truthy(exchange:request())
  end)
end)

describe("a session over a store", function()
  local function shared(store, ...)
    return open("pkb", { store = store, key = "sam" }, ...)
  end

  it("saves the tokens of exchange and refresh", function()
    local store = healthauth.stores.memory {}
    local session = shared(store, oauth("first", { refresh_token = "r1" }), oauth("second", { refresh_token = "r2" }))
    assert.is_truthy(session:exchange { code = "c" })
    assert.equal("first", (shared(store)):access_token())
    assert.is_truthy(session:refresh())
    assert.equal("second", (shared(store)):access_token())
  end)

  it("loads its record at the first verb that needs it", function()
    local store = healthauth.stores.memory {}
    assert.is_true((shared(store)):restore(support.tokens()))
    assert.equal("planted-access-token-1", (shared(store)):access_token())
    assert.equal("second", assert((shared(store, oauth "second")):refresh()).access_token)
    assert.equal(200, assert((shared(store, plain(200))):call { url = "/x" }).status)
    local ehealth = { store = healthauth.stores.memory {}, key = "kim" }
    assert.is_true((open("ehealth", ehealth)):restore(support.tokens()))
    assert.is_true((open("ehealth", ehealth, plain(200))):logout())
  end)

  it("finds its record under every spelling of one base_url", function()
    local store = healthauth.stores.memory {}
    local function at(base_url) return (open("pkb", { store = store, key = "sam", base_url = base_url })) end
    assert.is_true(at("https://pkb.example/prefix"):restore(support.tokens()))
    for _, base_url in ipairs { "https://pkb.example/prefix/", "https://PKB.example/prefix", "https://pkb.example:443/prefix/" } do
      assert.is_truthy(at(base_url):access_token(), base_url)
    end
    fails({ "argument", "no_token", "reauthorize", "not_sent" }, at("https://pkb.example/"):access_token())
  end)

  it("keeps sessions of other keys, clients and hosts apart", function()
    local store = healthauth.stores.memory {}
    assert.is_true((shared(store)):restore(support.tokens()))
    for _, changes in ipairs { { key = "kim" }, { client_id = "client-2" }, { base_url = "https://other.example" } } do
      local all = { store = store, key = "sam" }
      for k, v in pairs(changes) do all[k] = v end
      fails({ "argument", "no_token", "reauthorize", "not_sent" }, (open("pkb", all)):access_token())
    end
  end)
end)

describe("a transport", function()
  it("that raises is a network failure of unknown outcome, without the words of what it raised", function()
    for _, value in ipairs { "planted-refresh-token-1", { 1 }, 5 } do
      local session = open("pkb", { tokens = support.tokens() }, function() error(value) end)
      local err = fails({ "network", "transport_raised", "reauthorize", "unknown" }, session:refresh())
      assert.is_nil(tostring(err):find("planted", 1, true))
      assert.is_truthy(support.begin(session, "refresh"))
    end
  end)

  it("that answers neither response nor failure is one too", function()
    for _, value in ipairs { false, "nil" } do
      local session = open("pkb", { tokens = support.tokens() }, function() if value == "nil" then return nil end return value end)
      fails({ "network", "transport_failed", "reauthorize", "unknown" }, session:refresh())
      assert.is_truthy(support.begin(session, "refresh"))
    end
    local session = open("pkb", { tokens = support.tokens() }, function() return nil, "timeout" end)
    fails({ "network", "transport_failed", "reauthorize", "unknown" }, session:refresh())
    session = open("pkb", { tokens = support.tokens() }, function() return "response" end)
    fails({ "protocol", "response_malformed", "reauthorize", "unknown" }, session:refresh())
  end)

  it("that closes the session meanwhile raises, and nothing is adopted", function()
    local session
    session = open("pkb", { tokens = support.tokens() }, function()
      session:close()
      return oauth "fresh"
    end)
    local ok, message = pcall(function() return session:refresh() end)
    assert.is_false(ok)
    assert.matches("closed", message)
  end)

  it("whose perform cannot be read any more is a failure, not a crash", function()
    local transport = setmetatable({}, { __index = function(_, name) if name == "perform" then return print end end })
    local session = open("pkb", { tokens = support.tokens(), transport = transport })
    getmetatable(transport).__index = function() error "gone" end
    fails({ "network", "transport_raised", "reauthorize", "unknown" }, session:refresh())
  end)
end)

describe("a clock", function()
  it("that returns no unix seconds raises, and nothing is sent", function()
    for _, value in ipairs { "1", true, -1, 0 / 0, 1 / 0, {} } do
      local session, transport = open("pkb", { tokens = support.tokens(), clock = function() return value end })
      for _, verb in ipairs { "access_token", "refresh", "authorize_url" } do
        assert.matches("clock", support.raised_here(function() session[verb](session) end))
      end
      assert.equal(0, #transport.sent)
    end
  end)
end)
