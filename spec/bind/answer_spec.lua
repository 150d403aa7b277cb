-- SPDX-License-Identifier: MIT
-- What counts as success, and what becomes of its members (DESIGN 2.1 tokens, 2.2 success).

local cjson = require "cjson"
local support = require "spec.support.scripted"

local NOW = support.NOW
local json, plain, run = support.json, support.plain, support.run

local CODE = { code = "c0de", redirect_uri = "https://client.example/cb" }

local function oauth(changes)
  local out = { access_token = "fresh-access", token_type = "Bearer", expires_in = 600, refresh_token = "fresh-refresh", scope = "PATIENT" }
  for k, v in pairs(changes or {}) do
    if v == false then out[k] = nil else out[k] = v end
  end
  return out
end

local function pkb_exchange(response, args)
  local all = {}
  for k, v in pairs(CODE) do all[k] = v end
  for k, v in pairs(args or {}) do all[k] = v end
  return run(support.open "pkb", "exchange", all, response)
end

local function refused(code, response, kind)
  local session = support.open("pkb", { tokens = support.tokens() })
  local before = session:tokens()
  local tokens, err = run(session, "exchange", CODE, response)
  assert.is_nil(tokens)
  assert.same({ kind or "protocol", code, "answered", response.status }, { err.kind, err.code, err.outcome, err.status })
  assert.same(before, session:tokens())
  return err
end

describe("a token answer", function()
  it("becomes the session's tokens, and a fresh table", function()
    local session = support.open "pkb"
    local tokens = assert(run(session, "exchange", CODE, json(200, oauth())))
    assert.same({
      access_token = "fresh-access", token_type = "Bearer", expires_at = NOW + 600, refresh_token = "fresh-refresh", scope = "PATIENT",
        extra = {},
    }, tokens)
    assert.same(tokens, session:tokens())
    tokens.access_token = "changed"
    assert.equal("fresh-access", session:tokens().access_token)
  end)

  it("has a declared status", function()
    for _, status in ipairs { 200, 201 } do
      local body = { data = { value = "fresh-access" } }
      assert.is_truthy(run(support.open "ehealth", "exchange", CODE, json(status, body)))
    end
    for _, status in ipairs { 201, 202, 203, 204, 205, 206, 226, 299, 100, 101, 199 } do refused("unexpected_status", json(status,
      oauth())) end
    for _, status in ipairs { 300, 301, 302, 303, 304, 307, 308, 400, 404, 410, 500, 599, 600, 999 } do
      refused("http_" .. status, json(status, oauth()), "http")
    end
  end)

  it("is labelled as JSON", function()
    for _, media in ipairs {
      "application/json", "application/json;charset=UTF-8", "Application/JSON ; charset=utf-8", "application/vnd.acme+json",
      "application/fhir+json",
    } do
      local response = json(200, oauth())
      response.headers = { { "content-type", media } }
      assert.is_truthy(pkb_exchange(response), media)
    end
    for _, media in ipairs {
      "text/html", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/jsonp", "application/json+xml",
        "application", "json", "",
      "application/json, text/html", "multipart/json", "application/+json",
    } do
      refused("media_type", plain(200, '{"access_token":"a","token_type":"bearer"}', media))
    end
    refused("media_type", plain(200, '{"access_token":"a","token_type":"bearer"}'))
    local twice = json(200, oauth())
    twice.headers[2] = { "Content-Type", "text/html" }
    refused("media_type", twice)
    local problem = json(200, oauth())
    problem.headers[1][2] = "application/problem+json"
    assert.equal("problem", refused("http_200", problem, "denied").dialect) -- who says that it is a problem is believed
  end)

  it("is one JSON object, whole and sound to its last byte", function()
    local sound = '{"access_token":"a","token_type":"bearer"}'
    for _, case in ipairs {
      { "not_object", "[" .. sound .. "]" }, { "not_object", "null" }, { "not_object", '"a"' }, { "not_object", "5" }, { "not_object",
        "[]" },
      { "not_json", "" }, { "not_json", " " }, { "not_json", sound .. "x" }, { "not_json", sound .. "\0" }, { "not_json", sound:sub(1,
        -2) },
      { "not_json", "\239\187\191" .. sound }, { "not_json", "{'access_token':'a'}" }, { "not_json",
        '{"access_token":"\255","token_type":"bearer"}' },
      { "not_json", '{"access_token":"a","token_type":"bearer",}' }, { "not_json", '{"access_token":"a\1","token_type":"bearer"}' },
      { "not_json", '{"access_token":"a","token_type":"bearer","expires_in":NaN}' }, { "not_json", '{"access_token":"a","x":"\\ud800"}' },
      { "json_number", '{"access_token":"a","token_type":"bearer","expires_in":1e999}' },
      { "duplicate_key", '{"access_token":"a","token_type":"bearer","access_token":"b"}' },
      { "duplicate_key", '{"access_token":"a","token_type":"bearer","\\u0061ccess_token":"b"}' },
      { "duplicate_key", '{"access_token":"a","token_type":"bearer","x":{"y":1,"y":1}}' },
      { "json_depth", '{"access_token":"a","token_type":"bearer","x":' .. ("["):rep(32) .. ("]"):rep(32) .. "}" },
    } do
      refused(case[1], json(200, case[2]))
    end
    assert.is_truthy(pkb_exchange(json(200, " \r\n" .. sound .. "\t\n")))
    assert.is_truthy(pkb_exchange(json(200, '{"access_token":"a","token_type":"bearer","x":' .. ("["):rep(31) .. ("]"):rep(31) .. "}")))
  end)

  it("obeys limits.depth and limits.body", function()
    local body = '{"access_token":"a","token_type":"bearer","x":[[[1]]]}'
    for _, case in ipairs {
      { { depth = 4 } }, { { depth = 3 }, "protocol", "json_depth" }, { { body = #body } }, { { body = #body - 1 }, "too_large",
        "body_too_large" },
    } do
      local tokens, err = run(support.open("pkb", { limits = case[1] }), "exchange", CODE, json(200, body))
      if case[2] then assert.same({ case[2], case[3] }, { err.kind, err.code }) else assert.is_truthy(tokens) end
    end
  end)

  it("obeys limits.headers, whatever its transport held them to", function()
    local long = json(200, oauth()) -- Content-Type: application/json, with the line end as short as it can be, and X: 33 times y
    long.headers[2] = { "X", ("y"):rep(33) }
    local tokens, err = run(support.open("pkb", { limits = { headers = 67 } }), "exchange", CODE, long)
    assert.is_nil(tokens, err)
    assert.same({ "too_large", "headers_too_large", "reauthorize", "answered" }, { err.kind, err.code, err.action, err.outcome })
    assert.is_truthy(run(support.open("pkb", { limits = { headers = 68 } }), "exchange", CODE, long))
  end)

  it("without access_token or, for OAuth, token_type lacks a member", function()
    refused("member_missing", json(200, oauth { access_token = false }))
    refused("member_missing", json(200, oauth { token_type = false }))
    refused("member_missing", json(200, "{}"))
    local tokens, err = run(support.open "conneqt", "exchange", { access_code = "x" }, json(200, "{}"))
    assert.is_nil(tokens)
    assert.equal("member_missing", err.code)
    for _, body in ipairs { {}, { data = {} }, { data = "x" }, { data = { 1, 2 } }, { value = "x" } } do
      tokens, err = run(support.open "ehealth", "exchange", CODE, json(201, body))
      assert.is_nil(tokens)
      assert.equal("member_missing", err.code)
    end
  end)

  it("with a member of a wrong type is refused, null included", function()
    local wrong = { 5, true, false, { "a" }, { a = 1 }, cjson.null }
    for _, name in ipairs { "access_token", "token_type", "refresh_token", "scope" } do
      for _, value in pairs(wrong) do
        local body = oauth()
        body[name] = value
        refused("member_type", json(200, body))
      end
    end
    for _, value in pairs { true, { 1 }, { a = 1 }, cjson.null } do
      local body = oauth()
      body.expires_in = value
      refused("member_type", json(200, body))
    end
  end)

  it("has tokens of the bytes 0x21 to 0x7E", function()
    for _, name in ipairs { "access_token", "refresh_token" } do
      for _, value in ipairs { "", " ", "a b", "a\tb", "a\r\nb", "a\0b", "a\127", "ä", "a ", " a", ("x"):rep(65537) } do
        refused("member_type", json(200, oauth { [name] = value }))
      end
    end
    local all = {}
    for byte = 0x21, 0x7E do all[#all + 1] = string.char(byte) end
    assert.equal(table.concat(all), pkb_exchange(json(200, oauth { access_token = table.concat(all) })).access_token)
    assert.equal(65536, #pkb_exchange(json(200, oauth { access_token = ("x"):rep(65536) })).access_token)
  end)

  it("is of type Bearer in any case; other types are not used", function()
    for _, value in ipairs { "Bearer", "bearer", "BEARER", "bEaReR" } do
      assert.equal(value, pkb_exchange(json(200, oauth { token_type = value })).token_type)
    end
    for _, value in ipairs { "mac", "DPoP", "N_A", "bearer2", "bear" } do refused("token_type_unsupported", json(200,
      oauth { token_type = value })) end
    for _, value in ipairs { "", "bearer ", " bearer", "b\0earer" } do assert.is_nil((pkb_exchange(json(200,
      oauth { token_type = value })))) end
  end)
end)

describe("an expiry", function()
  local function expires(member)
    local body = '{"access_token":"a","token_type":"bearer"' .. (member and ',"expires_in":' .. member or "") .. "}"
    local tokens, err = pkb_exchange(json(200, body))
    return tokens and (tokens.expires_at or "unknown") or err.code
  end

  it("of expires_in is on our clock, an integer where Lua has integers", function()
    for _, case in ipairs {
      { "600", NOW + 600 }, { '"600"', NOW + 600 }, { '"0000000600"', NOW + 600 }, { "0", NOW }, { "6e2", NOW + 600 }, { "600.0",
        NOW + 600 },
      { '"9999999999"', NOW + 9999999999 }, { "2147483648", NOW + 2147483648 }, { nil, "unknown" },
      { '"5"', NOW + 5 }, { '"0"', NOW }, { "99999999999", 99999999999 },
    } do
      local got = expires(case[1])
      assert.equal(case[2], got, tostring(case[1]))
      if math.type and type(got) == "number" then assert.equal("integer", math.type(got)) end -- luacheck: ignore 143
    end
  end)

  it("that is none is refused", function()
    for _, member in ipairs {
      "-1", "600.5", "1e12", "9007199254740993", '""', '" 600"', '"600 "', '"6e2"', '"-1"', '"+1"', '"0x10"', '"12345678901"', '"six"',
        '"1.5"',
    } do
      assert.equal("member_type", expires(member), member)
    end
  end)

  local function ehealth(value, date)
    local response = json(201, { data = { value = "a", expires_at = value } })
    if date then response.headers[2] = { "Date", date } end
    local tokens, err = run(support.open "ehealth", "exchange", CODE, response)
    return tokens and (tokens.expires_at or "unknown") or err.code
  end

  it("of expires_at is the server's clock, brought to ours by its Date header", function()
    -- NOW is Tue, 14 Nov 2023 22:13:20 GMT
    for _, case in ipairs {
      { NOW + 600, nil, NOW + 600 }, { NOW + 600, "Tue, 14 Nov 2023 22:13:20 GMT", NOW + 600 }, { NOW + 600,
        "Tue, 14 Nov 2023 22:13:21 GMT", NOW + 600 },
      { NOW + 600, "Tue, 14 Nov 2023 22:13:19 GMT", NOW + 600 }, { NOW + 600, "Tue, 14 Nov 2023 22:13:18 GMT", NOW + 602 },
      { NOW + 600, "Tue, 14 Nov 2023 22:13:22 GMT", NOW + 598 }, { 5, "Tue, 14 Nov 2023 22:14:20 GMT", 0 },
      { NOW + 3600 + 600, "Tue, 14 Nov 2023 23:13:20 GMT", NOW + 600 }, { NOW - 3600 + 600, "Tue, 14 Nov 2023 21:13:20 GMT", NOW + 600 },
      { NOW + 600, "yesterday", NOW + 600 }, { tostring(NOW + 600), nil, NOW + 600 }, { 5000000000, nil, 5000000000 },
    } do
      local got = ehealth(case[1], case[2])
      assert.equal(case[3], got, tostring(case[2]))
      if math.type then assert.equal("integer", math.type(got)) end -- luacheck: ignore 143
    end
    assert.equal("unknown", ehealth(nil))
  end)

  it("of expires_at as a text that is no number, or out of range, is refused", function()
    for _, value in ipairs { "2030-01-01T00:00:00Z", "", -1, 1e300, NOW + 0.5, true, { 1 } } do assert.equal("member_type",
      ehealth(value), tostring(value)) end
  end)

  it("that has come already is handed out by exchange and refresh, refused by access_token", function()
    assert.equal(NOW, expires "0")
    local session = support.open("pkb", {
      tokens = support.tokens { expires_at = NOW - 1 }, transport = support.script(json(200, oauth { expires_in = 0 }), json(200,
        oauth { expires_in = 0 })),
    })
    assert.equal(NOW, assert(session:refresh()).expires_at)
    local token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "protocol", "expired_on_arrival" }, { err.kind, err.code })
  end)
end)

describe("the scope", function()
  it("is what the server said, else for exchange what was asked for", function()
    assert.equal("patient", pkb_exchange(json(200, oauth { scope = "patient" }), { scope = "PATIENT" }).scope)
    assert.equal("PATIENT", pkb_exchange(json(200, oauth { scope = false }), { scope = "PATIENT" }).scope)
    assert.is_nil(pkb_exchange(json(200, oauth { scope = false })).scope)
    assert.equal("", pkb_exchange(json(200, oauth { scope = "" }), { scope = "PATIENT" }).scope)
    local session = support.open("pkb", { scope = "SITE" })
    assert.equal("SITE", run(session, "exchange", CODE, json(200, oauth { scope = false })).scope)
    session = support.open("pkb_system", { scope = "all" })
    assert.equal("all", run(session, "exchange", {}, json(200, oauth { scope = false })).scope)
  end)

  it("absent from a refresh's answer is the old one, also when another was asked for", function()
    for _, args in ipairs { {}, { scope = "CLINICIAN" } } do
      local session = support.open("pkb", { tokens = support.tokens() })
      assert.equal("old scope", run(session, "refresh", args, json(200, oauth { scope = false })).scope)
    end
    local session = support.open("pkb", { tokens = support.tokens { scope = false }, scope = "SITE" })
    assert.is_nil(run(session, "refresh", {}, json(200, oauth { scope = false })).scope)
    session = support.open("ehealth", { tokens = support.tokens() })
    local wider = json(201, { data = { value = "a", details = { scope = "a b c" } } })
    assert.equal("a b c", run(session, "refresh", {}, wider).scope)
  end)
end)

describe("the refresh token", function()
  local function after(name, args, body)
    local session = support.open(name, { tokens = support.tokens() })
    local tokens = assert(run(session, "refresh", args, body))
    assert.same(tokens, session:tokens())
    return tokens.refresh_token
  end

  it("of PKB is replaced, and absent means that the old one is spent", function()
    assert.equal("fresh-refresh", after("pkb", {}, json(200, oauth())))
    assert.is_nil(after("pkb", {}, json(200, oauth { refresh_token = false })))
    assert.is_nil(after("pkb", { refresh_token = "explicit" }, json(200, oauth { refresh_token = false })))
  end)

  it("of eHealth is kept when absent, the one that was used, and replaced when another comes", function()
    local without, with = { data = { value = "a" } }, { data = { value = "a", details = { refresh_token = "another" } } }
    assert.equal("planted-refresh-token-1", after("ehealth", {}, json(201, without)))
    assert.equal("explicit", after("ehealth", { refresh_token = "explicit" }, json(201, without)))
    assert.equal("another", after("ehealth", {}, json(201, with)))
  end)

  it("of an earlier login does not survive a new one", function()
    local session = support.open("pkb", { tokens = support.tokens() })
    assert.is_nil(run(session, "exchange", CODE, json(200, oauth { refresh_token = false })).refresh_token)
  end)
end)

describe("extra", function()
  it("holds every other member, null as cjson.null, integers as integers", function()
    local body = '{"access_token":"a","token_type":"bearer","jti":"x","n":5,"big":9007199254740991,"half":0.5,"none":null,' ..
      '"list":[1,{"a":true}]}'
    local extra = pkb_exchange(json(200, body)).extra
    assert.same({ jti = "x", n = 5, big = 9007199254740991, half = 0.5, none = cjson.null, list = { 1, { a = true } } }, extra)
    if math.type then -- luacheck: ignore 143
      assert.same({ "integer", "integer", "float", "integer" },
        { math.type(extra.n), math.type(extra.big), math.type(extra.half), math.type(extra.list[1]) }) -- luacheck: ignore 143
    end
  end)

  it("of eHealth has what is left of meta and data, and no secret", function()
    local session = support.open "ehealth"
    local tokens = assert(run(session, "exchange", CODE, json(201, {
      meta = { code = 201, request_id = "r-1" },
      data = { id = "i-1", name = "access_token", value = "the-access", expires_at = NOW + 1, user_id = "u-1",
        details = { refresh_token = "the-refresh", scope = "s", client_id = "c-1" } },
    })))
    assert.same({ meta = { code = 201, request_id = "r-1" }, data = { id = "i-1", user_id = "u-1", details = { client_id = "c-1" } } },
      tokens.extra)
    assert.same({ "the-access", "the-refresh", "access_token", "s" }, { tokens.access_token, tokens.refresh_token, tokens.name,
      tokens.scope })
    assert.is_nil(tokens.token_type)
  end)

  it("survives tokens() and restore", function()
    local session = support.open "pkb"
    local tokens = assert(run(session, "exchange", CODE, json(200, oauth { jti = "x", n = 5 })))
    local other = support.open "pkb"
    assert.is_true(other:restore(session:tokens()))
    assert.same(tokens, other:tokens())
  end)
end)

describe("verify", function()
  local function verify(response)
    return run(support.open "conneqt", "verify", { token = "some-token" }, response)
  end

  it("is true for a complete 200 whose body is empty or an object that is no error document", function()
    for _, response in ipairs { plain(200), plain(200, "", "text/html"), json(200, "{}"), json(200, '{"status":"ok"}'), json(200, "") } do
      assert.is_true((verify(response)))
    end
  end)

  it("is false for a complete 410 alone", function()
    for _, response in ipairs { plain(410), plain(410, "<html>gone</html>", "text/html"), json(410,
      '{"type":"about:blank","title":"Gone"}') } do
      assert.is_false((verify(response)))
    end
  end)

  it("could not tell anything from all else", function()
    for _, case in ipairs {
      { "protocol", "media_type", plain(200, "<html>", "text/html") }, { "protocol", "media_type", plain(200, "{}") },
      { "protocol", "not_object", json(200, "[]") }, { "protocol", "not_object", json(200, "true") }, { "protocol", "not_json", json(200,
        "{") },
      { "protocol", "duplicate_key", json(200, '{"a":1,"a":1}') }, { "denied", "invalid_token", json(200, '{"error":"invalid_token"}') },
      { "protocol", "unexpected_status", plain(204) }, { "protocol", "unexpected_status", plain(201) }, { "protocol", "unexpected_status",
        plain(206) },
      { "http", "http_301", plain(301) }, { "http", "http_400", plain(400) }, { "http", "http_401", plain(401) }, { "http", "http_403",
        plain(403) },
      { "http", "http_404", plain(404) }, { "http", "http_405", plain(405) }, { "http", "http_429", plain(429) }, { "http", "http_500",
        plain(500) },
      { "http", "http_503", plain(503) },
    } do
      local valid, err = verify(case[3])
      assert.is_nil(valid)
      assert.same({ case[1], case[2], case[3].status }, { err.kind, err.code, err.status })
    end
  end)
end)

describe("a body framed only by the connection's end", function()
  local function cut(response)
    response.close_delimited = true
    return response
  end
  it("counts when it is whole JSON, or empty", function()
    assert.is_truthy(pkb_exchange(cut(json(200, oauth()))))
    local session = support.open "conneqt"
    assert.is_true((run(session, "verify", { token = "t" }, cut(plain(200)))))
    assert.is_true((run(session, "verify", { token = "t" }, cut(json(200, "{}")))))
    assert.is_false((run(session, "verify", { token = "t" }, cut(plain(410)))))
    assert.is_false((run(session, "verify", { token = "t" }, cut(json(410, "{}")))))
  end)

  it("else may be cut: nobody knows", function()
    local session = support.open("pkb", { tokens = support.tokens() })
    for _, case in ipairs {
      { support.open "conneqt", "verify", { token = "t" }, plain(200, "<html>", "text/html") },
      { support.open "conneqt", "verify", { token = "t" }, plain(410, "<html>", "text/html") },
      { support.open "conneqt", "verify", { token = "t" }, json(200, '{"a":') }, { session, "exchange", CODE, json(200,
        '{"access_token":"a') },
      { session, "call", { url = "/x" }, plain(200, "some text", "text/plain") },
    } do
      local result, err = run(case[1], case[2], case[3], cut(case[4]))
      assert.is_nil(result)
      assert.same({ "network", "body_truncated", "unknown" }, { err.kind, err.code, err.outcome })
    end
  end)
end)

describe("a coded body", function()
  it("is refused, since none was asked for", function()
    for _, coding in ipairs { "gzip", "br", "deflate", "gzip, identity", "IDENTITY, gzip", "" } do
      local response = json(200, oauth())
      response.headers[2] = { "Content-Encoding", coding }
      if coding ~= "" then refused("content_encoding", response) end
    end
    local response = json(200, oauth())
    response.headers[2], response.headers[3] = { "Content-Encoding", "identity" }, { "content-encoding", "gzip" }
    refused("content_encoding", response)
    response.headers[2], response.headers[3] = { "Content-Encoding", "Identity" }, nil
    assert.is_truthy(pkb_exchange(response))
  end)
end)

describe("check and logout", function()
  it("are true or nil, err, never false", function()
    for _, response in ipairs { plain(200), json(200, "{}") } do assert.is_true((run(support.open "conneqt", "check", nil, response))) end
    for _, response in ipairs { plain(410), plain(204), plain(401), json(200, "[]"), plain(200, "ok", "text/plain") } do
      local ok, err = run(support.open "conneqt", "check", nil, response)
      assert.is_nil(ok)
      assert.is_table(err)
    end
  end)

  it("logout drops the tokens after a 2xx, and a 401 that says token not found or expired", function()
    for _, response in ipairs {
      plain(200), plain(204), json(200, { data = {} }), json(401, { error = { type = "token_not_found" } }), json(401,
        { error = { type = "token_expired" } }),
      json(401, { error = { type = "invalid_grant", message = "Token not found or expired." } }),
    } do
      local session = support.open("ehealth", { tokens = support.tokens() })
      assert.is_true((run(session, "logout", nil, response)))
      assert.is_nil(session:tokens())
    end
    for _, response in ipairs {
      plain(401), json(401, { error = { type = "access_denied", message = "Invalid api key" } }), plain(500), plain(301), plain(404),
      json(403, { error = { type = "token_expired" } }), json(200, { error = { type = "token_expired" } }), plain(200, "<html>",
        "text/html"),
    } do
      local session = support.open("ehealth", { tokens = support.tokens() })
      local ok, err = run(session, "logout", nil, response)
      assert.is_nil(ok)
      assert.is_table(err)
      assert.same(support.tokens { extra = {} }, session:tokens())
    end
  end)
end)
