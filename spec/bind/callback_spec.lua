-- SPDX-License-Identifier: MIT
-- What the browser brings back: read, compared with the pending, used once (DESIGN 2.1, RFC 6749 4.1.2, RFC 9207).

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local NOW = support.NOW
local GOOD = support.json(200, { access_token = "fresh-access", token_type = "bearer", expires_in = 600 })
local NOT_SENT = { failure = { kind = "network", code = "connect_failed", outcome = "not_sent" } }
local LOST = { failure = { kind = "network", code = "connection_lost", outcome = "unknown" } }

local function open(changes, ...)
  local all = { transport = support.script(...) }
  for k, v in pairs(changes or {}) do all[k] = v end
  local session = support.open("pkb", all)
  return session, all.transport
end

local function start(session, args)
  local _, pending = assert(session:authorize_url(args))
  return pending
end

local function with(pending, changes)
  local out = {}
  for k, v in pairs(pending) do out[k] = v end
  for k, v in pairs(changes) do
    if v == "absent" then out[k] = nil else out[k] = v end
  end
  return out
end

local function form_of(transport, n)
  return assert(core.form_decode(transport.sent[n or #transport.sent].body))
end

-- Without the verbs' mark of a spent pending: the core alone.
local function core_begin(session, callback, pending)
  return support.begin(session, "exchange", { callback = callback, pending = pending })
end

describe("authorize_url", function()
  it("gives a URL and a plain serialisable pending that is good for 600 s", function()
    local session = open { scope = "SITE" }
    local url, pending = session:authorize_url { scope = "PATIENT" }
    local query = core.form_decode(url:match "%?(.*)$")
    assert.same({
      client_id = "client-1", redirect_uri = "https://client.example/cb", response_type = "code", scope = "PATIENT", state = pending.state,
    }, query)
    assert.same({
      version = 1, provider = "pkb", state = pending.state, redirect_uri = "https://client.example/cb", scope = "PATIENT", created_at = NOW,
      expires_at = NOW + 600,
    }, pending)
    assert.is_nil(getmetatable(pending))
    assert.same(pending, core.json_decode(core.json_encode(pending)))
    if math.type then assert.equal("integer", math.type(pending.expires_at)) end -- luacheck: ignore 143
  end)

  it("has a state of 256 bits, another each time", function()
    local session, seen = open(), {}
    for _ = 1, 200 do
      local pending = start(session)
      assert.equal(32, #core.base64url_decode(pending.state))
      assert.is_nil(seen[pending.state])
      seen[pending.state] = true
    end
  end)

  it("takes scope and redirect_uri from the argument, then from the options", function()
    local session = open { scope = "SITE" }
    assert.equal("SITE", start(session).scope)
    assert.equal("CLINICIAN", start(session, { scope = "CLINICIAN" }).scope)
    assert.equal("https://client.example/cb", start(session).redirect_uri)
    assert.equal("app:/back", start(session, { redirect_uri = "app:/back" }).redirect_uri)
  end)

  it("percent-encodes every value", function()
    local url = open():authorize_url { scope = "a b&c=d", redirect_uri = "https://me.example/cb?x=1&y=%20" }
    assert.is_truthy(url:find("redirect_uri=https%3A%2F%2Fme.example%2Fcb%3Fx%3D1%26y%3D%2520", 1, true))
    assert.is_truthy(url:find("scope=a%20b%26c%3Dd", 1, true))
    assert.is_nil(url:find "[%c ]")
  end)

  it("can put the state into redirect_uri's own query, for a server that does not send it back", function()
    for _, case in ipairs {
      { "https://me.example/cb", "https://me.example/cb?state=" }, { "https://me.example/cb?a=b", "https://me.example/cb?a=b&state=" },
    } do
      local session, transport = open(nil, GOOD)
      local url, pending = session:authorize_url { redirect_uri = case[1], state_in_redirect = true }
      local query = core.form_decode(url:match "%?(.*)$")
      assert.is_nil(query.state)
      assert.equal(case[2] .. pending.state, query.redirect_uri)
      assert.equal(query.redirect_uri, pending.redirect_uri)
      local callback = pending.redirect_uri .. "&code=c0de"
      assert.is_truthy(session:exchange { callback = callback, pending = pending })
      assert.equal(pending.redirect_uri, form_of(transport).redirect_uri)
    end
  end)

  it("puts no state where it would not come back, or come twice", function()
    for _, uri in ipairs { "https://me.example/cb#part", "https://me.example/cb?a=b#part", "https://me.example/cb?state=mine",
      "https://me.example/cb?a=b&st%61te=", "https://me.example/cb?state=a&state=b" } do
      local url, err = open():authorize_url { redirect_uri = uri, state_in_redirect = true }
      assert.is_nil(url, uri)
      assert.same({ "argument", "redirect_uri_malformed", "not_sent" }, { err.kind, err.code, err.outcome })
    end
    assert.is_truthy(open():authorize_url { redirect_uri = "https://me.example/cb?estate=x&b", state_in_redirect = true })
  end)

  it("whose credentials cannot be had says so", function()
    local session = open { client_id = function() return nil end }
    local url, err = session:authorize_url()
    assert.is_nil(url)
    assert.same({ "argument", "credential_failed", "fix_credentials", "not_sent", "pkb", "authorize_url" },
      { err.kind, err.code, err.action, err.outcome, err.provider, err.operation })
  end)

  it("raises for wrong names and types, and answers nil, err for values", function()
    local session = open()
    for _, args in ipairs { 5, "x", true } do assert.is_string(support.raised_here(function() session:authorize_url(args) end)) end
    for _, args in ipairs { { state = "mine" }, { now = 5 }, { credentials = {} }, { "x" }, { scpoe = "x" } } do
      assert.matches("unknown argument", support.raised_here(function() session:authorize_url(args) end))
    end
    assert.matches("state_in_redirect", support.raised_here(function() session:authorize_url { state_in_redirect = 1 } end))
    for _, value in ipairs { 5, true, {}, "", "a\r\nb", "a\0b", "ä" } do
      local url, err = session:authorize_url { scope = value }
      assert.is_nil(url)
      assert.same({ "argument", "scope_malformed", "not_sent", "authorize_url" }, { err.kind, err.code, err.outcome, err.operation })
      url, err = session:authorize_url { redirect_uri = value }
      assert.is_nil(url)
      assert.equal("redirect_uri_malformed", err.code)
    end
    local url, err = support.open("ehealth", { redirect_uri = false }):authorize_url { scope = "a" }
    assert.is_nil(url)
    assert.same({ "argument", "redirect_uri_missing" }, { err.kind, err.code })
    url, err = support.open("conneqt"):authorize_url()
    assert.is_nil(url)
    assert.same({ "unsupported", "authorize_url" }, { err.kind, err.operation })
  end)
end)

describe("a callback", function()
  local FORMS = {
    "https://client.example/cb?code=c0de&state=%s", "https://client.example/cb?state=%s&code=c0de#fragment", "/cb?code=c0de&state=%s",
    "code=c0de&state=%s", "?code=c0de&state=%s", "state=%s&code=c0de#a?b=c", "app:/back?code=c0de&state=%s",
      "/cb?code=c0%%64e&state=%s&other=a+b",
    "code=c0de&state=%s&session_state=&flag",
  }
  for _, form in ipairs(FORMS) do
    it("is read as " .. form, function()
      local session, transport = open(nil, GOOD)
      local pending = start(session)
      local tokens = assert(session:exchange { callback = form:format(pending.state), pending = pending })
      assert.equal("fresh-access", tokens.access_token)
      assert.equal("c0de", form_of(transport).code)
    end)
  end

  local function refused(kind, code, callback, changes, session_changes)
    local session, transport = open(session_changes)
    local pending = start(session)
    local text = type(callback) == "string" and callback:gsub("STATE", pending.state) or callback
    local tokens, err = session:exchange { callback = text, pending = with(pending, changes or {}) }
    assert.is_nil(tokens)
    assert.same({ kind, code }, { err.kind, err.code })
    assert.same({ "pkb", "exchange" }, { err.provider, err.operation })
    assert.equal(0, #transport.sent)
    assert.is_nil(tostring(err):find(pending.state, 1, true))
    return err, session, pending
  end

  it("that cannot be read is argument / callback_malformed, whatever its type", function()
    for _, callback in ipairs {
      "", "?", "/cb", "https://client.example/cb", "https://client.example/cb?", "code=c%0de&state=STATE", "code=%zz&state=STATE",
        "code=%&state=STATE",
      "code=a%00&state=STATE", "code=a\r\n&state=STATE", "code=\228&state=STATE", "code=%ff&state=STATE", ("x"):rep(20000), "state=STATE",
        "code=&state=STATE",
      "code=a%20b&state=STATE", "code=%C3%A4&state=STATE",
    } do
      local err = refused("argument", "callback_malformed", callback)
      assert.equal("not_sent", err.outcome)
    end
    for _, callback in ipairs { 5, true, false, {}, print, io.stdout } do refused("argument", "callback_malformed", callback) end
    local session = open()
    local tokens, err = session:exchange { pending = start(session) }
    assert.is_nil(tokens)
    assert.same({ "argument", "callback_malformed" }, { err.kind, err.code })
  end)

  it("without the state, or with another, is refused and leaves the pending usable", function()
    for _, case in ipairs {
      { "state_missing", "code=c0de" }, { "state_missing", "code=c0de&state=" }, { "state_missing", "code=c0de&State=STATE" },
      { "state_mismatch", "code=c0de&state=x" }, { "state_mismatch", "code=c0de&state=STATEx" }, { "state_mismatch",
        "code=c0de&state=%20STATE" },
      { "state_missing", "error=access_denied" }, { "state_mismatch", "error=access_denied&state=x" },
    } do
      local err = refused("state", case[1], case[2])
      assert.same({ "reauthorize", "not_sent" }, { err.action, err.outcome })
    end
    local session = open(nil, GOOD)
    local pending = start(session)
    assert.is_nil((session:exchange { callback = "code=c0de&state=wrong", pending = pending }))
    assert.is_truthy(session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending })
  end)

  it("with a part of the state, or more than it, is another state", function()
    local session = open(nil, GOOD)
    local pending = start(session)
    local state = pending.state
    local others = { state .. state, state .. "A", state:lower(), state:upper(), state:sub(2), state:sub(2) .. "A", state:reverse() }
    for length = 1, #state - 1 do others[#others + 1] = state:sub(1, length) end
    for at = 1, #state do
      others[#others + 1] = state:sub(1, at - 1) .. (state:sub(at, at) == "A" and "B" or "A") .. state:sub(at + 1)
    end
    for _, other in ipairs(others) do
      local _, err = session:exchange { callback = "code=c0de&state=" .. other, pending = pending }
      assert.equal("state_mismatch", err.code)
    end
    assert.is_truthy(session:exchange { callback = "code=c0de&state=" .. state, pending = pending })
  end)

  it("without a code that can be used says what is wrong with it", function()
    assert.matches("neither code nor error", refused("argument", "callback_malformed", "state=STATE").message)
    assert.matches("neither code nor error", refused("argument", "callback_malformed", "code=&state=STATE").message)
    assert.matches("unusable bytes", refused("argument", "callback_malformed", "code=a%20b&state=STATE").message)
  end)

  it("with any parameter twice is refused, under another spelling too", function()
    for _, callback in ipairs {
      "code=a&code=a&state=STATE", "code=a&state=STATE&state=STATE", "code=a&state=STATE&x=1&x=2", "code=a&c%6fde=b&state=STATE",
      "code=a&state=STATE&error=x&error=y", "code=a&state=STATE&iss=a&iss=a", "code=a&state=STATE&x&x",
    } do
      refused("state", "parameter_repeated", callback)
    end
  end)

  it("after 600 seconds is too late", function()
    for _, case in ipairs { { 599, true }, { 600, false }, { 6000, false } } do
      local now = NOW
      local session = open({ clock = function() return now end }, GOOD)
      local pending = start(session)
      now = now + case[1]
      local tokens, err = session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending }
      if case[2] then assert.is_truthy(tokens) else assert.same({ "state", "state_expired" }, { err.kind, err.code }) end
    end
  end)

  it("that says error= with the right state is denied, with the provider's word", function()
    local denied = "error=access_denied&error_description=The+person+said%20no%1B[31m&error_uri=https://x.example&state=STATE"
    local err = refused("denied", "access_denied", denied)
    assert.same({ "oauth", "reauthorize", "answered" }, { err.dialect, err.action, err.outcome })
    assert.equal("The person said no [31m", err.detail)
    assert.equal("https://x.example", err.error_uri)
    for _, uri in ipairs { "javascript:alert(1)", "//x.example", "https:", "data:text/html,x", "%20https://x.example", "" } do
      assert.is_nil(refused("denied", "access_denied", "error=access_denied&state=STATE&error_uri=" .. uri).error_uri)
    end
    assert.equal("a__b", refused("denied", "a__b", "error=A%20-b&state=STATE").code)
    assert.equal("reauthorize", refused("denied", "server_error", "error=server_error&state=STATE").action)
    assert.equal("wait", refused("denied", "temporarily_unavailable", "error=temporarily_unavailable&state=STATE").action)
    refused("denied", "access_denied", "error=access_denied&code=c0de&state=STATE")
  end)

  it("that says error= shows no secret that its texts hold", function()
    local session = support.open("ehealth", { client_secret = "planted_secret_1" })
    local _, pending = assert(session:authorize_url())
    local names = { "error", "error_description", "error_uri" }
    for _, name in ipairs(names) do
      for _, spelled in ipairs { "planted_secret_1", "planted%255Fsecret_1", "planted%E2%80%8B_secret_1" } do
        local texts = { error = "access_denied", error_description = "no", error_uri = "https://x.example" }
        texts[name] = (name == "error_uri" and "https://x.example/" or "a ") .. spelled
        local callback = "state=" .. pending.state
        for _, one in ipairs(names) do callback = callback .. "&" .. one .. "=" .. texts[one]:gsub(" ", "+") end
        local _, err = core_begin(session, callback, pending)
        assert.equal("denied", err.kind)
        for _, text in ipairs { tostring(err), err.code, err.message, err.detail, err.error_uri } do
          assert.is_nil(text:find("planted_secret_1", 1, true), name)
        end
        if name ~= "error" then assert.is_truthy((err.detail .. err.error_uri):find("[secret]", 1, true), name) end
      end
    end
  end)

  it("has an iss that is the known issuer, for errors as well", function()
    local known = { issuer = "https://issuer.example" }
    for _, callback in ipairs {
      "code=c0de&state=STATE&iss=https://evil.example", "code=c0de&state=STATE&iss=https://issuer.example/", "code=c0de&state=STATE&iss=",
      "error=access_denied&state=STATE&iss=https://evil.example",
    } do
      refused("state", "issuer_mismatch", callback, nil, known)
    end
    for _, case in ipairs {
      { known, "&iss=https%3A%2F%2Fissuer.example" }, { known, "" }, { nil, "&iss=https://whoever.example" },
    } do
      local session = open(case[1], GOOD)
      local pending = start(session)
      assert.is_truthy(session:exchange { callback = "code=c0de&state=" .. pending.state .. case[2], pending = pending })
    end
  end)

  it("goes with its pending and not with a code", function()
    local session = open()
    local pending = start(session)
    assert.matches("callback and pending, or code", support.raised_here(function() session:exchange { callback = "x", pending = pending,
      code = "c" } end))
  end)
end)

describe("a pending", function()
  local function try(pending, changes, ...)
    local session, transport = open(changes, ...)
    local state = type(pending) == "table" and type(pending.state) == "string" and pending.state or "x"
    local tokens, err = session:exchange { callback = "code=c0de&state=" .. core.percent_encode(state), pending = pending }
    return tokens, err, transport
  end

  it("of any other type or shape answers nil, err", function()
    local sound = start((open()))
    for _, pending in ipairs { 5, "x", true, false, print, {}, { state = sound.state }, { sound } } do
      local tokens, err = try(pending)
      assert.is_nil(tokens)
      assert.same({ "argument", "pending_malformed", "not_sent" }, { err.kind, err.code, err.outcome })
    end
    for name, values in pairs {
      version = { "absent", 2, "1", 0 / 0, true }, provider = { "absent", "ehealth", "", 5 }, state = { "absent", "", 5, "short", "a\nb" },
      redirect_uri = { 5, "", "a\r\nb", {} }, scope = { 5, {}, "a\0b" }, code_verifier = { 5, "" },
      created_at = { "absent", "1700000000", -1, 0 / 0 }, expires_at = { "absent", "1700000600", -1, 1 / 0, 0 / 0, {} },
    } do
      for _, value in ipairs(values) do
        local tokens, err = try(with(sound, { [name] = value }))
        assert.is_nil(tokens)
        assert.same({ "argument", "pending_malformed" }, { err.kind, err.code }, name)
      end
    end
  end)

  it("may come back from a serialiser with floats, and with members that we do not know", function()
    local session, transport = open(nil, GOOD)
    local pending = start(session)
    local floats = with(pending, { version = 1 + 0.0, created_at = NOW + 0.0, expires_at = NOW + 600 + 0.0, note = "mine" })
    assert.is_truthy(session:exchange { callback = "code=c0de&state=" .. pending.state, pending = floats })
    assert.equal(1, #transport.sent)
  end)

  it("has times from the first second to the last", function()
    assert.is_truthy((try(with(start((open())), { created_at = 0, expires_at = 99999999999 }), nil, GOOD)))
    local _, err = try(with(start((open())), { expires_at = 0 }))
    assert.equal("state_expired", err.code)
    for name, value in pairs { created_at = 99999999999 + 1, expires_at = 99999999999 + 1 } do
      _, err = try(with(start((open())), { [name] = value }))
      assert.equal("pending_malformed", err.code)
    end
  end)

  it("of another provider is refused", function()
    local pending = select(2, support.open("ehealth"):authorize_url { scope = "a" })
    local tokens, err = try(pending)
    assert.is_nil(tokens)
    assert.same({ "argument", "pending_malformed" }, { err.kind, err.code })
  end)

  it("works for another session of the provider: the person may come back to another process", function()
    local pending = start((open()))
    assert.is_truthy((try(pending, nil, GOOD)))
  end)

  it("is used once: the second time is state_used, on any session of this process", function()
    local session = open(nil, GOOD)
    local pending = start(session)
    local callback = "code=c0de&state=" .. pending.state
    assert.is_truthy(session:exchange { callback = callback, pending = pending })
    for _, again in ipairs { session, (open()) } do
      local tokens, err = again:exchange { callback = callback, pending = with(pending, {}) }
      assert.is_nil(tokens)
      assert.same({ "state", "state_used", "reauthorize", "not_sent" }, support.brief(err))
    end
  end)

  it("is spent by a refusal, a lost answer and error=, not by a request that never left", function()
    for _, case in ipairs { { support.json(400, { error = "invalid_grant" }), true }, { LOST, true }, { NOT_SENT, false } } do
      local session = open(nil, case[1], GOOD)
      local pending = start(session)
      local callback = "code=c0de&state=" .. pending.state
      assert.is_nil((session:exchange { callback = callback, pending = pending }))
      local tokens, err = session:exchange { callback = callback, pending = pending }
      if case[2] then assert.equal("state_used", err.code) else assert.is_truthy(tokens) end
    end
    local session = open(nil, GOOD)
    local pending = start(session)
    local _, err = session:exchange { callback = "error=access_denied&state=" .. pending.state, pending = pending }
    assert.equal("denied", err.kind)
    _, err = session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending }
    assert.equal("state_used", err.code)
  end)

  it("is marked in the store, so that every process sees it, by a hash and never by its state", function()
    local store = healthauth.stores.memory {}
    local session = open({ store = store, key = "sam" }, GOOD)
    local pending = start(session)
    local callback = "code=c0de&state=" .. pending.state
    assert.is_truthy(session:exchange { callback = callback, pending = pending })
    for key, record in store:list() do assert.is_nil((key .. tostring(record)):find(pending.state, 1, true)) end
    local other = open { store = store, key = "kim" }
    local tokens, err = other:exchange { callback = callback, pending = pending }
    assert.is_nil(tokens)
    assert.equal("state_used", err.code)
  end)

  it("is not sent when the store cannot take the mark", function()
    local store = { list = function() return function() end end }
    for _, method in ipairs { "load", "acquire", "release", "delete" } do store[method] = function() return nil end end
    function store.save() return nil, core.error { kind = "store", code = "disk_full", outcome = "not_sent", action = "retry" } end
    local session, transport = open { store = store, key = "sam" }
    local pending = start(session)
    local tokens, err = session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending }
    assert.is_nil(tokens)
    assert.same({ "store", "disk_full" }, { err.kind, err.code })
    assert.equal(0, #transport.sent)
    function store.save() error "disk on fire" end
    tokens, err = session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending }
    assert.is_nil(tokens)
    assert.equal("store", err.kind)
    assert.equal(0, #transport.sent)
    assert.is_truthy(support.begin(session, "exchange", { code = "c" }), "the exchange stayed open")
  end)
end)

describe("exchange", function()
  it("sends redirect_uri byte for byte as it was sent to the authorization page", function()
    local odd = "https://me.example/cb/?a=%2f&b=%2F+x&c=1%20"
    local session, transport = open(nil, GOOD)
    local pending = start(session, { redirect_uri = odd })
    assert.is_truthy(session:exchange { callback = "code=c0de&state=" .. pending.state, pending = pending })
    assert.equal(odd, form_of(transport).redirect_uri)
  end)

  it("takes redirect_uri from argument, then pending, then option", function()
    local session, transport = open(nil, GOOD, GOOD, GOOD, GOOD)
    local pending = start(session, { redirect_uri = "app:/pending" })
    assert.is_truthy(session:exchange { callback = "code=c&state=" .. pending.state, pending = pending, redirect_uri = "app:/argument" })
    assert.equal("app:/argument", form_of(transport).redirect_uri)
    pending = start(session, { redirect_uri = "app:/pending" })
    assert.is_truthy(session:exchange { callback = "code=c&state=" .. pending.state, pending = pending })
    assert.equal("app:/pending", form_of(transport).redirect_uri)
    assert.is_truthy(session:exchange { code = "c" })
    assert.equal("https://client.example/cb", form_of(transport).redirect_uri)
    assert.is_truthy(session:exchange { code = "c", redirect_uri = "app:/mine", scope = "SITE" })
    assert.equal("app:/mine", form_of(transport).redirect_uri)
  end)

  it("takes scope from argument, then pending, then option, when the answer has none", function()
    local session = open({ scope = "OPTION" }, GOOD, GOOD, GOOD)
    local pending = start(session, { scope = "PENDING" })
    assert.equal("ARGUMENT",
      session:exchange({ callback = "code=c&state=" .. pending.state, pending = pending, scope = "ARGUMENT" }).scope)
    pending = start(session, { scope = "PENDING" })
    assert.equal("PENDING", session:exchange({ callback = "code=c&state=" .. pending.state, pending = pending }).scope)
    assert.equal("OPTION", session:exchange({ code = "c" }).scope)
  end)
end)
