-- SPDX-License-Identifier: MIT
-- Error documents whose members are missing, of another type, or more than one: each word of the error comes from where it should, and
-- what is not understood is passed over. The usual documents are in spec/cassettes/.

local core = require "healthauth.core"
local support = require "spec.support.scripted"

local function refused(body, status, headers)
  local response = support.json(status or 400, body, headers)
  local _, err = support.run(support.open("pkb", { tokens = support.tokens() }), "refresh", {}, response)
  assert.equal("denied", err.kind, core.json_encode(body))
  return err
end

-- Fields of an error that are to be so; false: absent.
local function assert_fields(expected, err, where)
  for name, value in pairs(expected) do
    if value == false then value = nil end
    assert.same(value, err[name], where .. ": " .. name)
  end
end

local function many(n, item)
  local list = {}
  for i = 1, n do list[i] = item end
  return list
end

describe("an OAuth document", function()
  it("without a description is told by its code", function()
    assert_fields({ code = "invalid_grant", message = "invalid_grant", detail = false }, refused { error = "invalid_grant" }, "bare")
    local err = refused { error = "invalid_grant", error_description = { "x" } }
    assert_fields({ message = "invalid_grant", detail = false }, err, "a table")
    err = refused { error = "x", error_description = "more", message_id = "m-1" }
    assert_fields({ message = "more", request_id = "m-1" }, err, "message_id")
  end)

  it("says server_error with a status that the server did not mean, and is then judged as a failure of the server", function()
    assert.equal("reauthorize", refused({ error = "server_error" }, 400).action)
    assert.equal("reauthorize", refused({ error = "server_error" }, 500).action)
    assert.equal("wait", refused({ error = "server_error" }, 503).action)
    assert.equal("wait", refused({ error = "server_error" }, 429).action)
  end)
end)

describe("an eHealth document", function()
  it("has its code from type, errors, or the 2017 server's key", function()
    for name, case in pairs {
      type = { { type = "token_expired", message = "m" }, { code = "token_expired", message = "m", detail = "m" } },
      ["errors.detail"] = { { errors = { detail = "broken" } }, { code = "http_400", message = "broken", detail = "broken" } },
      ["errors without detail"] = { { errors = { other = "x" } }, { code = "http_400", detail = false } },
      ["errors beside a message"] = { { errors = { "x" }, message = "m" }, { code = "http_400", message = "m" } },
      ["the 2017 key"] = { { invalid_client = "no" }, { code = "invalid_client", message = "no", detail = "no" } },
      ["a type that is no text"] = { { type = 5, errors = { detail = "broken" } }, { code = "http_400", message = "broken" } },
    } do
      assert_fields(case[2], refused { error = case[1] }, name)
    end
    -- The key of the 2017 server among members that are none.
    local err = refused { meta = {}, error = { invalid_client = "no", extra = 5 } }
    assert_fields({ code = "invalid_client", message = "no" }, err, "beside a number")
    assert_fields({ code = "http_400", detail = false }, refused { meta = {}, error = { extra = 5, more = { x = "y" } } }, "no text at all")
    assert_fields({ code = "http_400", message = "m" }, refused { meta = {}, error = { message = "m" } }, "a message only")
    assert_fields({ code = "http_400" }, refused { meta = {}, error = { "x", "y" } }, "a list")
  end)

  it("has request_id from meta, if that is an object", function()
    assert.equal("r-1", refused({ meta = { request_id = "r-1" }, error = { type = "x" } }).request_id)
    for _, meta in ipairs { "r-1", 5, { request_id = 5 } } do
      assert.not_equal("r-1", refused({ meta = meta, error = { type = "x" } }, 400, { ["X-Request-ID"] = "r-2" }).request_id)
    end
  end)

  it("names what is invalid, with each of its rules", function()
    local function invalid(list) return refused({ meta = {}, error = { type = "validation_failed", invalid = list } }).invalid end
    assert.same({ { name = "$.a", reason = "no", rule = "required" }, { name = "$.a", reason = "long" } },
      invalid { { entry = "$.a", rules = { { description = "no", rule = "required" }, { description = "long" } } } })
    assert.same({ { name = "$.b" } }, invalid { { entry = "$.b" } })
    assert.same({ { name = "$.b" } }, invalid { { entry = "$.b", rules = "x" } })
    assert.same({ { name = "$.c", rule = "r" } }, invalid { 5, "x", { entry = "$.c", rules = { 5, { rule = "r" } } } })
    assert.is_nil(invalid { { entry_type = "request", rules = { { rule = "r" } } } }) -- its template of a malformed body
    assert.same({ { name = "$.d" } }, invalid { { entry_type = "request", entry = "$.d" } })
    assert.same({ { name = "$.d" } }, invalid { { entry_type = "json_data_property", entry = "$.d" } })
    assert.is_nil(invalid "x")
    assert.is_nil(invalid {})
    assert.equal(64, #invalid(many(70, { entry = "$.e" })))
    assert.equal(64, #invalid { { entry = "$.e", rules = many(70, { rule = "r" }) } })
  end)
end)

describe("a problem document", function()
  it("has its code from the last part of type, unless that names nothing", function()
    for kind, code in pairs {
      ["https://errors.example/Not-Found"] = "not_found", ["https://errors.example/gone/"] = "gone",
      ["https://errors.example/gone?x=/y"] = "gone",
      ["https://errors.example/gone#/y"] = "gone", ["urn:problem:gone"] = "gone", ["urn:problem:gone:"] = "gone", ["gone"] = "gone",
      ["about:blank"] = "http_400", ["About:blanks"] = "blanks", [""] = "http_400", ["///"] = "http_400",
      ["https://tools.ietf.org/html/rfc7231#section-6.5.1"] = "http_400", ["https://x.example/rfc"] = "rfc",
      ["https://x.example/rfcx"] = "rfcx",
      ["https://x.example/rfc9110x"] = "rfc9110x", ["https://x.example/rfc9110"] = "http_400", ["https://x.example/rfc-9"] = "rfc_9",
    } do
      assert.equal(code, refused({ type = kind, title = "t" }).code, kind)
    end
    assert.equal("http_400", refused({ type = 5, title = "t" }).code)
  end)

  it("is told by its media type even when it holds nothing that we know", function()
    local response = support.json(400, { other = 1 })
    response.headers[1][2] = "application/problem+json; charset=utf-8"
    local _, err = support.run(support.open("pkb", { tokens = support.tokens() }), "refresh", {}, response)
    assert_fields({ kind = "denied", dialect = "problem", code = "http_400", title = false, detail = false }, err, "empty")
  end)

  it("has detail before title, and instance before traceId", function()
    assert_fields({ message = "d", detail = "d", title = "t" }, refused { title = "t", detail = "d" }, "both")
    assert_fields({ message = "t", detail = false }, refused { title = "t" }, "title")
    assert.equal("i", refused({ title = "t", instance = "i", traceId = "x" }).request_id)
    assert.equal("x", refused({ title = "t", traceId = "x" }).request_id)
  end)

  it("names what is invalid, whichever way it is listed", function()
    for name, case in pairs {
      invalidParameters = { { { name = "a", reason = "r" } }, { { name = "a", reason = "r" } } },
      ["invalid-params"] = { { { name = "a" }, { reason = "r" }, { pointer = "/p", detail = "d" }, {}, 5, "x", { other = "x" } },
        { { name = "a" }, { reason = "r" }, { name = "/p", reason = "d" } } },
      errors = { { { name = "a", reason = "r" }, { pointer = "/p" } }, { { name = "a", reason = "r" }, { name = "/p" } } },
    } do
      assert.same(case[2], refused({ title = "t", [name] = case[1] }).invalid, name)
    end
    assert.is_nil(refused({ title = "t", errors = "x", invalidParameters = 5 }).invalid)
    for _, name in ipairs { "invalidParameters", "errors" } do
      assert.equal(64, #refused({ title = "t", [name] = many(70, { name = "a" }) }).invalid)
    end
  end)

  it("of ASP.NET names each member with its reasons", function()
    local err = refused { title = "t", errors = { Name = { "r1", "r2" } } }
    assert.same({ { name = "Name", reason = "r1" }, { name = "Name", reason = "r2" } }, err.invalid)
    assert.equal("t: r1", err.message)
    assert.is_nil(refused({ title = "t", errors = { Name = "r", More = 5 } }).invalid)
    assert.same({ { name = "Name" } }, refused({ title = "t", errors = { Name = { 5 } } }).invalid)
    assert.equal(64, #refused({ title = "t", errors = { Name = many(70, "r") } }).invalid)
  end)

  it("without detail is told by the first thing that is invalid, if that has a reason", function()
    assert.equal("t: r", refused({ title = "t", invalidParameters = { { name = "a", reason = "r" } } }).message)
    assert.equal("t", refused({ title = "t", invalidParameters = { { name = "a" } } }).message)
    assert.equal("d", refused({ title = "t", detail = "d", invalidParameters = { { reason = "r" } } }).message)
    assert.not_equal("r", refused({ invalidParameters = { { reason = "r" } } }).message) -- no title to put it under
  end)
end)

describe("an OperationOutcome", function()
  local function outcome(issue, more)
    local body = { resourceType = "OperationOutcome", issue = issue }
    for k, v in pairs(more or {}) do body[k] = v end
    return refused(body)
  end

  it("has the code of the first coding, else the first issue's own", function()
    for name, case in pairs {
      ["second issue"] = { { { code = "login" }, { code = "x", details = { coding = { { code = "EXPIRED" } } } } }, { code = "expired" } },
      ["second coding"] = { { { code = "login", details = { coding = { 5, { display = "d" }, { code = "EXPIRED", display = "D" } } } } },
        { code = "expired", title = "D", message = "D" } },
      ["no coding"] = { { { code = "login", details = { coding = "x" } }, { code = "other" } }, { code = "login" } },
      ["details of another type"] = { { { code = "login", details = "x" } }, { code = "login" } },
      ["issues of another type"] = { { 5, "x", { code = "login" } }, { code = "login" } },
      ["text before display"] = { { { code = "x", details = { text = "T", coding = { { code = "C", display = "D" } } } } },
        { code = "c", title = "D", detail = "T", message = "T" } },
      ["diagnostics"] = { { { code = "login", diagnostics = "why" }, { code = "other", diagnostics = "more" } },
        { code = "login", detail = "why", message = "why" } },
      ["text before diagnostics"] = { { { code = "login", diagnostics = "why", details = { text = "T" } } },
        { detail = "T", message = "T" } },
      ["no issue"] = { {}, { code = "http_400", detail = false } },
      ["issue is no list"] = { "x", { code = "http_400", detail = false } },
    } do
      assert_fields(case[2], outcome(case[1]), name)
    end
    assert.equal("o-1", outcome({ { code = "login" } }, { id = "o-1" }).request_id)
  end)
end)

describe("Apigee's fault", function()
  it("has code and text where it has them", function()
    local err = refused { fault = { faultstring = "s", detail = { errorcode = "x.y" } } }
    assert_fields({ dialect = "fault", code = "x_y", message = "s", detail = "s" }, err, "both")
    err = refused { fault = { faultstring = "s", detail = "x" } }
    assert_fields({ dialect = "fault", code = "http_400", message = "s" }, err, "no code")
    err = refused { fault = { detail = { errorcode = "x.y" } } }
    assert_fields({ dialect = "fault", code = "x_y", detail = false }, err, "no text")
  end)

  it("of OAuth is about the credentials whatever its status, but for a 429", function()
    local function fault(code, status) return refused({ fault = { faultstring = "s", detail = { errorcode = code } } }, status).action end
    assert.equal("fix_credentials", fault("oauth.v2.InvalidApiKey", 500))
    assert.equal("fix_credentials", fault("oauth.v2.InvalidApiKey", 401))
    assert.equal("wait", fault("oauth.v2.InvalidApiKey", 429))
    assert.equal("reauthorize", fault("messaging.adaptors.Timeout", 504))
  end)
end)

describe("a gateway's limits", function()
  local function limits(headers) return refused({ error = "x" }, 429, headers).rate_limit end

  it("are those of the standard names, else of the period that has the least left", function()
    for name, case in pairs {
      ["the one that is nearly used up"] = { { ["X-RateLimit-Limit-Second"] = "5", ["X-RateLimit-Remaining-Second"] = "4",
        ["X-RateLimit-Limit-Hour"] = "100", ["X-RateLimit-Remaining-Hour"] = "1" }, { limit = 100, remaining = 1 } },
      ["the shorter of two that are even"] = { { ["X-RateLimit-Limit-Minute"] = "5", ["X-RateLimit-Remaining-Minute"] = "0",
        ["X-RateLimit-Limit-Hour"] = "100", ["X-RateLimit-Remaining-Hour"] = "0" }, { limit = 5, remaining = 0 } },
      ["one that says what remains"] = { { ["X-RateLimit-Limit-Minute"] = "5", ["X-RateLimit-Limit-Hour"] = "100",
        ["X-RateLimit-Remaining-Hour"] = "7" }, { limit = 100, remaining = 7 } },
      ["none that says what remains"] = { { ["X-RateLimit-Limit-Minute"] = "5", ["X-RateLimit-Limit-Hour"] = "100" }, { limit = 5 } },
      ["what remains of an unknown limit"] = { { ["X-RateLimit-Remaining-Day"] = "3" }, { remaining = 3 } },
      ["the standard one, whatever Kong says"] = { { ["RateLimit-Limit"] = "9", ["RateLimit-Remaining"] = "8",
        ["X-RateLimit-Remaining-Second"] = "0" }, { limit = 9, remaining = 8 } },
      ["no number"] = { { ["RateLimit-Limit"] = "", ["RateLimit-Remaining"] = "-1" } },
      ["a number beyond belief"] = { { ["RateLimit-Limit"] = "1234567890123" } },
      ["the longest number"] = { { ["RateLimit-Limit"] = "123456789012" }, { limit = 123456789012 } },
    } do
      assert.same(case[2], limits(case[1]), name)
    end
  end)
end)
