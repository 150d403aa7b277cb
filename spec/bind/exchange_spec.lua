-- SPDX-License-Identifier: MIT
-- The core without I/O: begin, request, finish, fail. What each request looks like is in spec/providers/.

local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local begin = support.begin

local ARGUMENTS = {
  conneqt = { exchange = { access_code = "JH23MA1Z" }, verify = { token = "some-token" }, check = {} },
  ehealth = {
    exchange = { code = "c0de", redirect_uri = "https://client.example/cb" }, refresh = {}, logout = {},
    call = { url = "/api/employees" },
  },
  pkb = { exchange = { code = "c0de", redirect_uri = "https://client.example/cb" }, refresh = {}, call = { url = "/fhir/Patient/1" } },
  pkb_system = { exchange = {}, call = { url = "/fhir/Patient/1" } },
}
local CHANGING = { exchange = true, refresh = true, logout = true }

local function open(name, changes)
  local all = { tokens = support.tokens() }
  for k, v in pairs(changes or {}) do all[k] = v end
  return support.open(name, all)
end

local function each(visit)
  for _, name in ipairs(support.PROVIDERS) do
    for operation, args in pairs(ARGUMENTS[name]) do visit(name, operation, args) end
  end
end

describe("begin", function()
  it("has for each operation of each provider an exchange that says which it is", function()
    local n = 0
    each(function(name, operation, args)
      n = n + 1
      local exchange = assert(begin(open(name), operation, args))
      assert.equal(("healthauth.exchange (%s %s)"):format(name, operation), tostring(exchange))
    end)
    assert.equal(12, n)
  end)

  it("answers unsupported for what the provider has not got", function()
    for _, case in ipairs {
      { "conneqt", "refresh" }, { "conneqt", "logout" }, { "conneqt", "call" }, { "ehealth", "verify" }, { "ehealth", "check" }, { "pkb",
        "verify" },
      { "pkb", "check" }, { "pkb", "logout" }, { "pkb_system", "refresh" }, { "pkb_system", "verify" }, { "pkb_system", "logout" },
    } do
      local exchange, err = begin(open(case[1]), case[2])
      assert.is_nil(exchange)
      assert.same({ "unsupported", "operation_unsupported", "fix_request", "not_sent" }, support.brief(err))
      assert.same({ case[1], case[2] }, { err.provider, err.operation })
    end
  end)

  it("raises for an operation that is none, arguments that are no table, and unknown names", function()
    local session = open "pkb"
    for _, operation in ipairs { "login", "", "authorize_url", 5, true, {} } do
      assert.matches("begin: expected exchange", support.raised_here(function() session:begin(operation) end))
    end
    assert.matches("begin", support.raised_here(function() session:begin() end))
    for _, args in ipairs { 5, "code", true, print } do
      assert.matches("table of arguments", support.raised_here(function() session:begin("exchange", args) end))
    end
    assert.matches("unknown argument 'cdoe'", support.raised_here(function() session:begin("exchange", { cdoe = "x" }) end))
    assert.matches("arguments have names", support.raised_here(function() session:begin("exchange", { "x" }) end))
    for _, now in ipairs { "1", true, {}, -1, 0 / 0, 1 / 0 } do
      assert.matches("now", support.raised_here(function() session:begin("exchange", { code = "c", now = now }) end))
    end
  end)

  it("answers nil, err for values that cannot be sent, whatever their type", function()
    local cases = {
      { "conneqt", "exchange", "access_code" }, { "ehealth", "exchange", "code" }, { "pkb", "exchange", "code" }, { "pkb", "refresh",
        "refresh_token" },
      { "conneqt", "verify", "token" },
    }
    for _, case in ipairs(cases) do
      for _, value in ipairs { "", "a b", "a\r\nb", "a\0b", "\127", "ä", ("x"):rep(70000), 5, true, false, {}, print } do
        local args = { [case[3]] = value }
        if case[3] == "code" then args.redirect_uri = "https://client.example/cb" end
        local exchange, err = begin(open(case[1]), case[2], args)
        assert.is_nil(exchange)
        assert.same({ "argument", "not_sent" }, { err.kind, err.outcome })
        assert.matches(value == "" and "_missing$" or "_malformed$", err.code)
      end
    end
  end)

  it("says what is missing", function()
    for _, case in ipairs {
      { "conneqt", "exchange", {}, "access_code_missing" }, { "conneqt", "verify", nil, "no_token" }, { "pkb", "exchange", {},
        "code_missing" },
      { "pkb", "refresh", {}, "no_token" }, { "ehealth", "refresh", {}, "no_token" }, { "ehealth", "logout", {}, "no_token" },
      { "ehealth", "exchange", { code = "c" }, "redirect_uri_missing", { redirect_uri = false } }, { "pkb", "call", { url = "/x" },
        "no_token" },
    } do
      local exchange, err = begin(support.open(case[1], case[5]), case[2], case[3])
      assert.is_nil(exchange)
      assert.same({ "argument", case[4], "not_sent" }, { err.kind, err.code, err.outcome })
    end
  end)

  it("for a changing operation while another is open answers exchange_open; any number of the others may be open", function()
    each(function(name, operation, args)
      local session = open(name)
      local first = assert(begin(session, operation, args))
      each(function(other, second, second_args)
        if other ~= name then return end
        local exchange, err = begin(session, second, second_args)
        if CHANGING[operation] and CHANGING[second] then
          assert.is_nil(exchange)
          assert.same({ "argument", "exchange_open", "not_sent" }, { err.kind, err.code, err.outcome })
        else
          assert.is_truthy(exchange)
          exchange:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
        end
      end)
      first:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
      assert.is_truthy(begin(session, operation, args))
    end)
  end)

  it("keeps a hundred verifications open at once", function()
    local session, list = open "conneqt", {}
    for i = 1, 100 do list[i] = assert(begin(session, "verify", { token = "token-" .. i })) end
    for i = 100, 1, -1 do
      assert.equal("token-" .. i, (support.header(list[i]:request(), "Conneqt-Instant-Access-Token")))
      assert.equal(i % 2 == 0, list[i]:finish(support.plain(i % 2 == 0 and 200 or 410)))
    end
  end)

  it("that is refused opens nothing", function()
    local session = open("pkb", { tokens = false })
    assert.is_nil((begin(session, "refresh")))
    assert.is_nil((begin(session, "exchange", { code = "a b" })))
    assert.is_truthy(begin(session, "exchange", { code = "c" }))
  end)
end)

describe("request", function()
  it("is the same plain table as often as it is asked for", function()
    each(function(name, operation, args)
      local exchange = assert(begin(open(name), operation, args))
      local one, two = exchange:request(), exchange:request()
      assert.not_equal(one, two)
      assert.same(one, two)
      assert.is_nil(getmetatable(one))
      for key in pairs(one) do
        assert.is_truthy(({ method = 1, url = 1, headers = 1, body = 1, timeout = 1, connect_timeout = 1, limits = 1, tls = 1,
          proxy = 1 })[key], key)
      end
    end)
  end)

  it("has one X-Request-ID of 20 to 200 bytes, another for each exchange, and no header twice", function()
    local seen = {}
    each(function(name, operation, args)
      local request = assert(begin(open(name), operation, args)):request()
      local id, count = support.header(request, "X-Request-ID")
      assert.equal(1, count)
      assert.is_true(#id >= 20 and #id <= 200)
      assert.matches("^[%w_.-]+$", id)
      assert.is_nil(seen[id])
      seen[id] = true
      local names = support.header_names(request)
      for i = 2, #names do assert.not_equal(names[i - 1], names[i]) end
      for _, pair in ipairs(request.headers) do
        assert.is_nil((pair[1] .. pair[2]):find "[%c\127]")
        assert.is_not_equal("cookie", pair[1]:lower())
      end
    end)
  end)

  it("never has a secret in its URL", function()
    each(function(name, operation, args)
      local request = assert(begin(open(name), operation, args)):request()
      for _, secret in ipairs { "planted", "JH23MA1Z", "some-token", "c0de" } do assert.is_nil(request.url:find(secret, 1, true)) end
    end)
  end)
end)

describe("a finished exchange", function()
  local ENDS = {
    finish = function(exchange) return exchange:finish(support.plain(500)) end,
    fail = function(exchange) return exchange:fail { kind = "timeout", code = "timeout", outcome = "unknown" } end,
  }
  it("raises when it is used again", function()
    for _, finish in pairs(ENDS) do
      each(function(name, operation, args)
        local exchange = assert(begin(open(name), operation, args))
        finish(exchange)
        for _, method in ipairs { "request", "finish", "fail" } do
          assert.matches("finished", support.raised_here(function() exchange[method](exchange, {}) end))
        end
        assert.equal("healthauth.exchange (finished)", tostring(exchange))
      end)
    end
  end)

  it("is not finished by a call with a wrong argument", function()
    local exchange = assert(begin(open "pkb", "refresh"))
    for _, value in ipairs { 5, "x", true } do assert.is_string(support.raised_here(function() exchange:fail(value) end)) end
    assert.is_string(support.raised_here(function() exchange:fail() end))
    assert.is_truthy(exchange:request())
  end)

  it("raises for a foreign self", function()
    local exchange = assert(begin(open "pkb", "refresh"))
    for _, self in ipairs { {}, "x", 5, io.stdout, open "pkb" } do
      for _, method in ipairs { "request", "finish", "fail" } do
        assert.matches("healthauth.exchange", support.raised_here(function() exchange[method](self, {}) end))
      end
    end
  end)
end)

describe("a collected exchange", function()
  it("counts as failed with an unknown outcome: the next may begin, and a PKB refresh is not sent again by itself", function()
    local transport = support.script()
    local session = open("pkb", { tokens = support.tokens { expires_at = support.NOW - 1 }, transport = transport })
    local before = session:tokens()
    begin(session, "refresh")
    collectgarbage()
    collectgarbage()
    assert.same(before, session:tokens())
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "argument", "refresh_outcome_unknown", "reauthorize", "unknown" }, support.brief(err))
    assert.equal(0, #transport.sent)
    assert.is_truthy(begin(session, "refresh"))
  end)

  it("of an eHealth refresh does not stop the next one: its refresh token is reusable", function()
    local answer = support.json(201, { data = { value = "fresh-token", expires_at = support.NOW + 100 } })
    local session = open("ehealth", { tokens = support.tokens { expires_at = support.NOW - 1 }, transport = support.script(answer) })
    begin(session, "refresh")
    collectgarbage()
    collectgarbage()
    assert.equal("fresh-token", session:access_token())
  end)

  it("keeps its session alive as long as it lives", function()
    local exchange = assert(begin(open "pkb", "refresh"))
    collectgarbage()
    collectgarbage()
    assert.matches("planted%-refresh%-token%-1", exchange:request().body)
    local tokens = exchange:finish(support.json(200, { access_token = "a", token_type = "bearer" }))
    assert.equal("a", tokens.access_token)
  end)
end)

describe("finish", function()
  it("with something that is no response is a broken contract of the transport, outcome unknown, session unchanged", function()
    for _, value in ipairs {
      5, "x", true, print, {}, { status = "200", body = "", headers = {} }, { status = 200, body = 5, headers = {} }, { status = 200.5,
        body = "" },
      { status = 0 / 0, body = "" }, { status = 99, body = "" }, { status = 1000, body = "" }, { status = 200, body = "", headers = "x" },
      { status = 200, headers = {} }, { status = 410, headers = {} }, { status = 400, headers = {} },
    } do
      each(function(name, operation, args)
        local session = open(name)
        local before = session:tokens()
        local result, err = assert(begin(session, operation, args)):finish(value)
        assert.is_nil(result)
        assert.same({ "protocol", "response_malformed", "unknown" }, { err.kind, err.code, err.outcome })
        assert.same(before, session:tokens())
      end)
    end
  end)

  it("reads no metamethod of the response", function()
    local function raise() error "a metamethod ran" end
    local meta = { __index = raise, __len = raise, __pairs = raise }
    local response = support.json(200, { access_token = "a", token_type = "bearer" })
    for _, pair in ipairs(response.headers) do setmetatable(pair, meta) end
    setmetatable(response.headers, meta)
    local tokens = assert(begin(open "pkb", "refresh")):finish(setmetatable(response, meta))
    assert.equal("a", tokens.access_token)
  end)

  it("with odd headers reads those that are sound", function()
    local response = support.json(200, { access_token = "a", token_type = "bearer" })
    for _, odd in ipairs { 5, "x", {}, { 5, 6 }, { "a" }, { {}, {} }, { "X-A", 5 } } do response.headers[#response.headers + 1] = odd end
    assert.equal("a", assert(begin(open "pkb", "refresh")):finish(response).access_token)
  end)
end)

-- Answers that no operation may take for success.
local BROKEN = {
  support.plain(500), support.plain(302), support.plain(100), support.plain(204, "x"), support.plain(202), support.plain(206),
    support.plain(299),
  support.plain(404, "<html>", "text/html"), support.plain(200, "<html>", "text/html"), support.plain(200, "{}", "text/html"),
    support.plain(200, "{}"),
  support.json(200, "["), support.json(200, "[]"), support.json(200, "null"), support.json(200, '{"a":1}x'), support.json(200,
    '{"a":1,"a":2}'),
  support.json(200, '{"error":"invalid_grant"}'), support.json(400, '{"error":"invalid_grant"}'), support.json(201,
    '{"error":{"type":"token_expired"}}'),
  support.json(200, '"access_token"'), support.json(200, '\239\187\191{}'), support.json(200, '{"access_token":NaN}'),
}

describe("a session", function()
  it("is unchanged after every failure", function()
    each(function(name, operation, args)
      for i, response in ipairs(BROKEN) do
        local session = open(name)
        local before = session:tokens()
        local result, err = assert(begin(session, operation, args)):finish(response)
        local where = ("%s %s, answer %d"):format(name, operation, i)
        if operation == "call" then
          assert.equal(response.status, result and result.status, where)
        elseif operation == "logout" and result then
          assert.is_true(response.status < 300, where)
        else
          assert.is_nil(result, where)
          assert.is_true(healthauth.is_error(err), where)
          assert.same({ name, operation, "answered" }, { err.provider, err.operation, err.outcome }, where)
        end
        if result == nil then assert.same(before, session:tokens(), where) end
      end
    end)
  end)

  it("is unchanged after a transport's failure, and the next good answer works", function()
    each(function(name, operation, args)
      for _, outcome in ipairs { "not_sent", "unknown", "answered" } do
        local session = open(name)
        local before = session:tokens()
        local result, err = assert(begin(session, operation, args)):fail { kind = "network", code = "reset", outcome = outcome,
          message = "cut" }
        assert.is_nil(result)
        assert.same({ "network", "reset", outcome, "cut" }, { err.kind, err.code, err.outcome, err.message })
        assert.same(before, session:tokens())
        local exchange = assert(begin(session, operation, args))
        if operation == "exchange" or operation == "refresh" then
          local set = assert(exchange:finish(support.json(200, {
            access_token = "fresh", token = "fresh", token_type = "bearer", data = { value = "fresh" },
          })))
          assert.equal("fresh", set.access_token)
          assert.equal("fresh", session:tokens().access_token)
        end
      end
    end)
  end)
end)
