-- SPDX-License-Identifier: MIT
-- The error model (DESIGN 2.2): fields, the line for people, hostile texts, secrets, actions and outcomes.

local cjson = require "cjson"
local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"
local texts = require "spec.cassettes.texts"

local json, plain, run = support.json, support.plain, support.run

local CODE = { code = "planted-code-1", redirect_uri = "https://client.example/cb" }
-- Every operation: provider, arguments, and whether it may be sent again by itself.
local OPERATIONS = {
  { "conneqt", "exchange", { access_code = "planted-access-code-1" }, false }, { "conneqt", "verify",
    { token = "planted-verify-token-1" }, true },
  { "conneqt", "check", {}, true }, { "ehealth", "exchange", CODE, false }, { "ehealth", "refresh", {}, true }, { "ehealth", "logout", {},
    true },
  { "ehealth", "call", { url = "/x" }, true }, { "pkb", "exchange", CODE, false }, { "pkb", "refresh", {}, false }, { "pkb", "call",
    { url = "/x" }, true },
  { "pkb_system", "exchange", {}, true }, { "pkb_system", "call", { url = "/x" }, true },
}

local function open(name, changes)
  local all = { tokens = support.tokens() }
  for k, v in pairs(changes or {}) do all[k] = v end
  return support.open(name, all)
end

local function refresh(response, name)
  local _, err, request = run(open(name or "pkb"), "refresh", {}, response)
  return err, request
end

describe("an error", function()
  it("is told from other values", function()
    local err = refresh(plain(500))
    assert.is_true(healthauth.is_error(err))
    for _, value in ipairs { {}, "error", 5, true, setmetatable({}, { __name = "healthauth.error" }), setmetatable({}, {}), io.stdout } do
      assert.is_false(healthauth.is_error(value))
    end
    assert.is_false(healthauth.is_error())
    assert.is_false(healthauth.is_error(nil))
  end)

  it("reads as one line", function()
    local err = refresh(json(400, { error = "invalid_grant", error_description = "Invalid refresh token" }))
    assert.equal("pkb refresh: denied (invalid_grant): Invalid refresh token [HTTP 400]", tostring(err))
    assert.equal("conneqt verify: argument (token_missing)", tostring(select(2, support.open("conneqt"):verify(nil))):match "^[^:]*: [^:]*")
    assert.equal("pkb refresh: http (http_502): the provider answered HTTP 502 [HTTP 502]", tostring(refresh(plain(502))))
    local bare = core.error { kind = "store", code = "disk_full" }
    assert.equal("store (disk_full)", tostring(bare))
  end)

  it("is a table whose metatable stays shut", function()
    local err = refresh(plain(500))
    assert.equal("table", type(err))
    assert.equal("healthauth.error", getmetatable(err))
    assert.is_false(pcall(setmetatable, err, {}))
  end)

  it("survives what callers do to its fields", function()
    for _, value in ipairs { {}, 5, true, ("x"):rep(10000), "\27[31m" } do
      local err = refresh(plain(500))
      for name in pairs(err) do err[name] = value end
      assert.is_string(tostring(err))
      texts.assert_clean(tostring(err), "tostring")
    end
  end)

  it("has provider, operation, status, outcome and action", function()
    for _, case in ipairs(OPERATIONS) do
      if case[2] ~= "call" then
        local _, err = run(open(case[1]), case[2], case[3], plain(503))
        assert.same({ case[1], case[2], 503, "answered", "wait", "http", "http_503" },
          { err.provider, err.operation, err.status, err.outcome, err.action, err.kind, err.code })
      end
    end
  end)
end)

describe("the action", function()
  it("is never retry or wait for a single-use grant of unknown outcome; not_sent, verify and eHealth refresh may be retried", function()
    for _, case in ipairs(OPERATIONS) do
      for _, kind in ipairs { "network", "timeout", "tls", "protocol", "too_large" } do
        for _, outcome in ipairs { "not_sent", "unknown" } do
          local exchange = assert(support.begin(open(case[1]), case[2], case[3]))
          local _, err = exchange:fail { kind = kind, code = "some_code", outcome = outcome }
          local expected = (outcome == "not_sent" or case[4]) and "retry" or "reauthorize"
          assert.same({ kind, "some_code", expected, outcome }, support.brief(err), case[1] .. " " .. case[2])
        end
      end
    end
  end)

  it("of a failure that says too little, or nonsense, is the careful one", function()
    for _, failure in ipairs { {}, { kind = "nonsense", outcome = "maybe", code = 5 }, { kind = 5, outcome = {}, message = {} },
      { code = "" } } do
      local _, err = assert(support.begin(open "pkb", "refresh")):fail(failure)
      assert.same({ "network", "transport_failed", "reauthorize", "unknown" }, support.brief(err))
    end
    local _, err = assert(support.begin(open "pkb", "refresh")):fail { code = "Some Code-1" }
    assert.equal("some_code_1", err.code)
  end)

  it("goes by the status where there is no document", function()
    for status, action in pairs {
      [400] = "fix_request", [401] = "fix_credentials", [403] = "fix_credentials", [404] = "fix_request", [405] = "fix_request",
      [409] = "give_up",
      [410] = "give_up", [415] = "fix_request", [422] = "fix_request", [429] = "wait", [500] = "reauthorize", [502] = "reauthorize",
      [503] = "wait",
      [504] = "reauthorize", [301] = "fix_request",
    } do
      assert.equal(action, refresh(plain(status)).action, status)
    end
    assert.equal("retry", refresh(plain(500), "ehealth").action)
    assert.equal("wait", refresh(json(429, { error = "slow" })).action)
  end)

  it("of OAuth's words is as RFC 6749 means them", function()
    for code, action in pairs {
      invalid_grant = "reauthorize", invalid_client = "fix_credentials", unauthorized_client = "fix_credentials",
      invalid_request = "fix_request",
      unsupported_grant_type = "fix_request", invalid_scope = "fix_request", temporarily_unavailable = "wait",
    } do
      local err = refresh(json(400, { error = code }))
      assert.same({ "denied", code, action, "oauth" }, { err.kind, err.code, err.action, err.dialect })
    end
  end)

  it("is to wait after a 429 or 503, whatever the document's word", function()
    for _, status in ipairs { 429, 503 } do
      for _, code in ipairs { "invalid_request", "invalid_client", "server_error", "slow_down", "busy" } do
        for _, name in ipairs { "pkb", "pkb_system" } do
          local _, err = run(open(name), "exchange", name == "pkb" and CODE or {}, json(status, { error = code }))
          assert.same({ code, "wait", "answered" }, { err.code, err.action, err.outcome })
        end
      end
      assert.equal("wait", refresh(json(status, { title = "Slow" })).action)
    end
  end)
end)

describe("the dialect", function()
  it("is told by the shape of the body", function()
    for _, case in ipairs {
      { "oauth", { error = "invalid_grant" }, "invalid_grant" }, { "ehealth", { error = { type = "token_expired", message = "x" } },
        "token_expired" },
      { "ehealth", { error = { invalid_grant = "Token expired." } }, "invalid_grant" },
      { "ehealth", { meta = {}, error = { errors = { detail = "Internal server error" } } }, "http_400" },
      { "problem", { type = "https://errors.example/Not-Found", title = "x" }, "not_found" }, { "problem", { type = "about:blank",
        status = 404 }, "http_400" },
      { "problem", { title = "x" }, "http_400" }, { "problem", { status = 400, detail = "x" }, "http_400" },
      { "problem", { type = "urn:problem:bad-thing" }, "bad_thing" },
      { "fault", { fault = { faultstring = "x", detail = { errorcode = "oauth.v2.InvalidApiKey" } } }, "oauth_v2_invalidapikey" },
      { "operation_outcome", { resourceType = "OperationOutcome", issue = { { code = "login",
        details = { coding = { { code = "ACC_TOKEN_EXPIRED" } } } } } },
        "acc_token_expired" },
      { "operation_outcome", { resourceType = "OperationOutcome", issue = { { code = "login" } } }, "login" },
    } do
      for _, media in ipairs { "application/json", "text/html", "application/fhir+json" } do
        local response = json(400, case[2])
        response.headers[1][2] = media
        local err = refresh(response)
        assert.same({ "denied", case[1], case[3] }, { err.kind, err.dialect, err.code })
        assert.is_table(err.document)
      end
    end
  end)

  it("is none for other bodies, and then there is no document", function()
    for _, body in ipairs {
      "", "<html>", "{}", "[]", "null", "5", '"error"', '{"error":5}', '{"error":null}', '{"error":["x"]}', '{"message":"x"}',
      '{"error":"x"}x',
      '{"error":"x","error":"y"}', '{"status":400}', "error=invalid_grant", '[{"error":"x"}]', '{"fault":"x"}',
      '{"resourceType":"Patient"}',
    } do
      local err = refresh(json(400, body))
      assert.same({ "http", "http_400" }, { err.kind, err.code }, body)
      assert.is_nil(err.dialect)
      assert.is_nil(err.document)
    end
  end)

  it("of a 2xx is a problem only where the document itself says that it is an error", function()
    local function verify(body)
      return run(open "conneqt", "verify", { token = "x" }, json(200, body))
    end
    for _, body in ipairs {
      { type = "about:blank", title = "Gone", status = 410 }, { title = "Gone", status = 410 }, { type = "about:blank", status = 500 },
      { invalidParameters = {} },
    } do
      local valid, err = verify(body)
      assert.is_nil(valid)
      assert.same({ "denied", "problem", 200 }, { err.kind, err.dialect, err.status })
    end
    for _, body in ipairs { { title = "Dr" }, { type = "access", title = "x" }, { status = 410 }, { type = "x", status = 200 } } do
      assert.is_true(verify(body))
    end
  end)

  it("never lets a status in the body win over HTTP's", function()
    local err = refresh(json(403, { type = "about:blank", title = "x", status = 200 }))
    assert.same({ 403, "http_403" }, { err.status, err.code })
    err = refresh(json(404, { error = { type = "forbidden" } }), "ehealth")
    assert.equal(404, err.status)
  end)

  it("of a problem ignores members of a wrong type", function()
    local err = refresh(json(400, {
      type = 5, title = { "x" }, detail = true, instance = 5, status = "x", invalidParameters = "x", errors = 5, ["invalid-params"] = { 5,
        "x" },
      traceId = {},
    }))
    assert.is_nil(err.title)
    err = refresh(json(400, {
      type = "https://x.example/bad", title = {}, detail = 5, instance = {}, invalidParameters = { 5, { name = 5 }, { name = "a",
        reason = {} } },
    }))
    assert.same({ "problem", "bad" }, { err.dialect, err.code })
    assert.same({ { name = "a" } }, err.invalid)
    assert.is_nil(err.title)
    assert.is_nil(err.detail)
  end)

  it("keeps JSON null as cjson.null", function()
    assert.equal(cjson.null, refresh(json(400, '{"error":"x","error_uri":null}')).document.error_uri)
  end)
end)

describe("what a stranger wrote", function()
  local HOSTILE = {
    "\27[31mred\27[0m", "a\0b\1c", "line\r\nline", "\226\128\174evil\226\128\172", "tab\tand\127", "\239\187\191bom", ("long "):rep(1000),
    ("\195\164"):rep(400),
    "%s%d%n%1000000s", "@file", "\194\155CSI", "\226\128\168x\226\128\169y", "",
  }

  it("is never cut inside a letter", function()
    for pad = 0, 3 do
      for _, letter in ipairs { "\208\182", "\226\130\172", "\240\159\153\130" } do
        local line = tostring(refresh(json(400, { error = "x", error_description = ("a"):rep(pad) .. letter:rep(300) })))
        assert.matches(letter .. " %[HTTP 400%]$", line)
        assert.is_nil(line:find("\239\191\189", 1, true))
      end
    end
  end)

  it("is cleaned wherever it is shown", function()
    for _, hostile in ipairs(HOSTILE) do
      for _, body in ipairs {
        { error = hostile, error_description = hostile, error_uri = hostile }, { error = { type = hostile, message = hostile },
          meta = { request_id = hostile } },
        { type = hostile, title = hostile, detail = hostile, instance = hostile, invalidParameters = { { name = hostile,
          reason = hostile } } },
        { error = { type = "validation_failed", invalid = { { entry = hostile, rules = { { rule = hostile,
          description = hostile } } } } } },
        { fault = { faultstring = hostile, detail = { errorcode = hostile } } },
        { resourceType = "OperationOutcome", id = hostile, issue = { { diagnostics = hostile, details = { text = hostile,
          coding = { { code = hostile } } } } } },
        { title = "x", errors = { [hostile] = { hostile } } },
      } do
        local err = refresh(json(400, body, { ["X-Request-ID"] = hostile:gsub("[%c]", "?") }))
        assert.is_true(healthauth.is_error(err))
        texts.assert_clean(tostring(err), "tostring")
        for _, name in ipairs { "message", "title", "detail", "request_id", "challenge" } do
          if err[name] then texts.assert_clean(err[name], name) end
        end
        assert.matches("^[%l%d_]+$", err.code)
        assert.is_true(#err.code <= 64)
        for _, item in ipairs(err.invalid or {}) do
          for name, text in pairs(item) do texts.assert_clean(text, name) end
        end
      end
    end
  end)

  it("of a transport is cleaned as well", function()
    for _, hostile in ipairs(HOSTILE) do
      local _, err = assert(support.begin(open "pkb", "refresh")):fail { kind = "tls", code = hostile, message = hostile,
        outcome = "not_sent" }
      texts.assert_clean(tostring(err), "tostring")
      assert.matches("^[%l%d_]+$", err.code)
    end
  end)

  it("has at most 64 entries in invalid", function()
    local list = {}
    for i = 1, 500 do list[i] = { name = "n" .. i, reason = "r" } end
    assert.equal(64, #refresh(json(400, { type = "x", invalidParameters = list })).invalid)
  end)
end)

describe("a secret", function()
  local SECRETS = {
    conneqt = { "planted-api-key-1", "planted-access-code-1" }, ehealth = {
      "planted-client-secret-1", "planted-api-key-1", "planted-psk-1", "planted-access-token-1", "planted-refresh-token-1",
      "planted-code-1",
    }, pkb = { "planted-access-token-1", "planted-refresh-token-1", "planted-code-1" },
    pkb_system = { "planted-client-secret-1", core.base64 "client-1:planted-client-secret-1" },
  }
  local ARGUMENTS = { conneqt = { access_code = "planted-access-code-1" }, ehealth = CODE, pkb = CODE, pkb_system = {} }

  local function absent(secret, err)
    local function look(text)
      assert.is_nil(text:find(secret, 1, true))
      assert.is_nil(text:find(core.base64(secret):gsub("=+$", ""), 1, true))
    end
    look(tostring(err))
    texts.each(err, look)
  end

  it("that a server echoes anywhere becomes [secret], in document and invalid too", function()
    for name, secrets in pairs(SECRETS) do
      for _, secret in ipairs(secrets) do
        for _, spelled in ipairs { secret, core.percent_encode(secret), core.base64(secret), "x" .. secret .. "y" .. secret } do
          for _, body in ipairs {
            { error = spelled, error_description = "bad " .. spelled, [spelled] = { spelled } },
            { error = { type = "x", message = spelled, invalid = { { entry = spelled, rules = { { description = spelled,
              rule = spelled } } } } } },
            { type = "https://x.example/" .. spelled, title = spelled, detail = spelled, instance = spelled,
              invalidParameters = { { name = spelled, reason = spelled } } },
            { fault = { faultstring = spelled, detail = { errorcode = spelled } } },
          } do
            local _, err = run(open(name), "exchange", ARGUMENTS[name], json(400, body, {
              ["X-Request-ID"] = spelled, ["WWW-Authenticate"] = 'Bearer error="' .. spelled .. '"',
            }))
            absent(secret, err)
          end
        end
      end
    end
  end)

  it("in a transport's message or code is not shown either", function()
    for name, secrets in pairs(SECRETS) do
      for _, secret in ipairs(secrets) do
        local exchange = assert(support.begin(open(name), "exchange", ARGUMENTS[name]))
        local _, err = exchange:fail { kind = "network", code = "failed", message = "sent " .. secret, outcome = "unknown" }
        absent(secret, err)
        assert.is_truthy(err.message:find("[secret]", 1, true))
      end
    end
  end)

  it("in any of a call's headers, as many as there may be, is not shown either", function()
    local headers = {}
    for i = 1, 60 do headers["X-" .. i] = ("planted-header-%02d"):format(i) end
    local session = open("pkb", { tokens = { access_token = "access-1" } })
    for i = 1, 60 do
      local exchange = assert(support.begin(session, "call", { url = "/x", headers = headers }))
      local _, err = exchange:fail { kind = "network", code = "failed", message = "sent " .. headers["X-" .. i] }
      absent(headers["X-" .. i], err)
    end
  end)

  it("inside the proxy's address is one by itself", function()
    local proxy = "http://user:planted-proxy-password@proxy.example:3128"
    for _, echoed in ipairs { "planted-proxy-password", "user:planted-proxy-password", proxy } do
      local session = open("pkb", { proxy = proxy })
      local _, err = assert(support.begin(session, "refresh")):fail { kind = "network", code = "proxy_failed", message = echoed }
      absent("planted-proxy-password", err)
      _, err = run(session, "refresh", { refresh_token = "another" }, json(400, { error = "x", error_description = echoed }))
      absent("planted-proxy-password", err)
    end
    local session = open("pkb", { proxy = "http://proxy.example:3128" })
    local failure = { kind = "network", code = "proxy_failed", message = "proxy.example is down" }
    local _, err = assert(support.begin(session, "refresh")):fail(failure)
    assert.equal("proxy.example is down", err.message)
  end)

  it("by its name is masked in the document whoever's it is", function()
    local err = refresh(json(400, {
      error = "x", access_token = "A", refresh_token = "B", id_token = "C", token = "D", client_secret = "E", data = { value = "F",
        other = "G" },
      deep = { access_token = "H", value = "I" },
    }))
    assert.same({ "[secret]", "[secret]", "[secret]", "[secret]", "[secret]", "[secret]", "G", "[secret]", "I" }, {
      err.document.access_token, err.document.refresh_token, err.document.id_token, err.document.token, err.document.client_secret,
      err.document.data.value, err.document.data.other, err.document.deep.access_token, err.document.deep.value,
    })
  end)

  it("of a fresh answer that fails half-way is not in the error", function()
    local _, err = run(open "pkb", "refresh", {}, json(200, { access_token = "planted-fresh-access", token_type = "mac",
      refresh_token = "planted-fresh" }))
    absent("planted-fresh", err)
    assert.is_nil(err.document)
  end)
end)

describe("retry_after", function()
  it("is whole seconds from digits or a date, absent for anything else", function()
    for _, case in ipairs {
      { "120", 120 }, { "0", 0 }, { "Tue, 14 Nov 2023 22:13:30 GMT", 10 }, { "Tue, 14 Nov 2023 22:13:10 GMT", 0 },
      { "Sunday, 06-Nov-94 08:49:37 GMT", 0 },
      { "Sun Nov  6 08:49:37 1994", 0 }, { "soon" }, { "-5" }, { "1.5" }, { "" }, { "5s" }, { "0x10" }, { " " }, { "Tue, 14 Nov 2023" },
      { "Tue, 31 Feb 2023 22:13:30 GMT" },
    } do
      local err = refresh(plain(503))
      assert.is_nil(err.retry_after)
      local response = plain(503)
      response.headers[1] = { "Retry-After", case[1] }
      err = refresh(response)
      assert.equal(case[2], err.retry_after, case[1])
      if case[2] and math.type then assert.equal("integer", math.type(err.retry_after)) end -- luacheck: ignore 143
    end
  end)
end)

describe("rate_limit", function()
  it("has limit, remaining and reset where a gateway tells them", function()
    for _, case in ipairs {
      { { ["RateLimit-Limit"] = "10", ["RateLimit-Remaining"] = "0", ["RateLimit-Reset"] = "30" }, { limit = 10, remaining = 0,
        reset = 30 } },
      { { ["X-RateLimit-Limit"] = "10", ["X-RateLimit-Remaining"] = "1" }, { limit = 10, remaining = 1 } },
      { { ["X-RateLimit-Limit-minute"] = "50", ["X-RateLimit-Remaining-minute"] = "0" }, { limit = 50, remaining = 0 } },
      { { ["X-RateLimit-Limit-minute"] = "many" } }, {},
    } do
      assert.same(case[2], refresh(json(429, "API rate limit exceeded", case[1])).rate_limit)
    end
  end)
end)

describe("request_id", function()
  it("is the server's, from the document or its header, else the one that we sent", function()
    for _, case in ipairs {
      { { meta = { request_id = "r-meta" }, error = { type = "x" } }, { ["X-Request-ID"] = "r-header" }, "r-meta" },
      { { type = "x", title = "x", instance = "r-instance" }, nil, "r-instance" }, { { error = "x" }, { ["x-request-id"] = "r-header" },
        "r-header" },
    } do
      assert.equal(case[3], refresh(json(400, case[1], case[2])).request_id)
    end
    local err, request = refresh(plain(500))
    assert.equal((support.header(request, "X-Request-ID")), err.request_id)
    local exchange = assert(support.begin(open "pkb", "refresh"))
    local id = support.header(exchange:request(), "X-Request-ID")
    err = select(2, exchange:fail { kind = "timeout", code = "timeout", outcome = "unknown" })
    assert.equal(id, err.request_id)
  end)
end)

describe("the challenge", function()
  it("is Bearer's error word, also in a second header or beside other schemes", function()
    for _, list in ipairs {
      { 'Bearer realm="x", error="invalid_token"' }, { 'Basic realm="x"', 'bearer error="invalid_token"' },
      { 'Basic realm="x", Bearer error=invalid_token' },
    } do
      local response = plain(401)
      for i, value in ipairs(list) do response.headers[i] = { "WWW-Authenticate", value } end
      assert.equal("invalid_token", refresh(response).challenge)
    end
  end)

  it("shows no secret that stands in it", function()
    local response = plain(401)
    response.headers[1] = { "WWW-Authenticate", 'Bearer error="planted0refresh0token"' }
    local _, err = run(open("pkb", { tokens = { refresh_token = "planted0refresh0token" } }), "refresh", {}, response)
    assert.equal("_secret_", err.challenge)
    response.headers[1] = { "WWW-Authenticate", 'Bearer error="the planted0access0token is bad"' }
    _, err = run(open("ehealth", { tokens = { access_token = "planted0access0token" } }), "logout", {}, response)
    assert.equal("the__secret__is_bad", err.challenge)
  end)
end)

describe("core.error", function()
  it("wants a known kind and a code", function()
    assert.is_false(pcall(core.error, { kind = "oops", code = "x" }))
    assert.is_false(pcall(core.error, { kind = "store" }))
    assert.is_false(pcall(core.error, { code = "x" }))
    assert.is_false(pcall(core.error))
    assert.is_true(healthauth.is_error(core.error { kind = "store", code = "x" }))
  end)
end)
