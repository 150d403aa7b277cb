-- SPDX-License-Identifier: MIT
-- Conneqt: what is sent, and how its answers are read (the published definition of "access token" and "verify").

local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local json, plain, run = support.json, support.plain, support.run

local function request(operation, args, changes)
  return assert(support.begin(support.open("conneqt", changes), operation, args)):request()
end

describe("conneqt", function()
  it("exchanges an access code by a JSON POST", function()
    local sent = request("exchange", { access_code = "JH23MA1Z" })
    assert.same({ "POST", "https://conneqt.example/api/v1/messages/instant/access/token", '{"accessCode":"JH23MA1Z"}' },
      { sent.method, sent.url, sent.body })
    assert.same({ "accept", "apikey", "content-type", "user-agent", "x-request-id" }, support.header_names(sent))
    assert.same({ "planted-api-key-1", "application/json", "application/json" },
      { (support.header(sent, "ApiKey")), (support.header(sent, "Content-Type")), (support.header(sent, "Accept")) })
  end)

  it("has one environment, integration", function()
    local session = support.open("conneqt", { base_url = false, environment = "integration" })
    assert.equal("https://int.conneqt.health/api/v1/test", assert(support.begin(session, "check")):request().url)
  end)

  it("takes the token, and knows neither expiry nor type nor scope", function()
    local session = support.open "conneqt"
    local tokens = assert(run(session, "exchange", { access_code = "JH23MA1Z" }, json(200, { token = "0a8f-uuid", more = 1 })))
    assert.same({ access_token = "0a8f-uuid", extra = { more = 1 } }, tokens)
    assert.equal("0a8f-uuid", session:access_token())
  end)

  it("verifies with the token in its own header", function()
    local sent = request("verify", { token = "0a8f-uuid" })
    assert.same({ "GET", "https://conneqt.example/api/v1/messages/instant/access/token/verify" }, { sent.method, sent.url })
    assert.is_nil(sent.body)
    assert.equal("0a8f-uuid", (support.header(sent, "Conneqt-Instant-Access-Token")))
    assert.equal("planted-api-key-1", (support.header(sent, "ApiKey")))
    assert.is_nil((support.header(sent, "Authorization")))
    local session = support.open("conneqt", { tokens = { access_token = "own-token" } })
    assert.equal("own-token", (support.header(assert(support.begin(session, "verify")):request(), "Conneqt-Instant-Access-Token")))
  end)

  it("verifies at the published path when endpoints say so", function()
    local path = "/api/v1/messages/instant/access/token"
    assert.equal("https://conneqt.example" .. path, request("verify", { token = "t" }, { endpoints = { verify = path } }).url)
  end)

  it("checks its ApiKey at /api/v1/test", function()
    local sent = request "check"
    assert.same({ "GET", "https://conneqt.example/api/v1/test" }, { sent.method, sent.url })
    assert.equal("planted-api-key-1", (support.header(sent, "ApiKey")))
    assert.is_true((run(support.open "conneqt", "check", nil, plain(200))))
  end)

  it("tells 404 and 405 of verify from a token that is gone", function()
    for _, status in ipairs { 400, 401, 403, 404, 405, 500 } do
      local valid, err = run(support.open "conneqt", "verify", { token = "t" }, plain(status))
      assert.is_nil(valid)
      assert.equal("http_" .. status, err.code)
    end
    assert.is_false((run(support.open "conneqt", "verify", { token = "t" }, plain(410))))
  end)

  it("says code_rejected for a 400 on accessCode, and not for other 400s", function()
    local function exchange(invalid)
      local body = { type = "https://errors.example/validation", title = "Validation", invalidParameters = { invalid } }
      return select(2, run(support.open "conneqt", "exchange", { access_code = "WRONG" }, json(400, body)))
    end
    assert.same({ "denied", "code_rejected", "reauthorize", "answered" }, support.brief(exchange { name = "accessCode",
      reason = "unknown" }))
    assert.same({ "denied", "validation", "fix_request", "answered" }, support.brief(exchange { name = "ApiKey", reason = "missing" }))
  end)

  it("never sends an access code again by itself", function()
    for _, answer in ipairs {
      plain(500), plain(503), { failure = { kind = "network", code = "reset", outcome = "unknown" } },
      { failure = { kind = "network", code = "connect_failed", outcome = "not_sent" } },
    } do
      local transport = support.script(answer)
      local session = support.open("conneqt", { transport = transport })
      assert.is_nil((session:exchange { access_code = "JH23MA1Z" }))
      assert.equal(1, #transport.sent)
    end
  end)

  it("has no call, refresh, logout endpoint or login page", function()
    local session = support.open("conneqt", { tokens = { access_token = "own-token" } })
    for _, verb in ipairs { "call", "refresh", "authorize_url" } do
      local result, err = session[verb](session, {})
      assert.is_nil(result)
      assert.same({ "unsupported", "conneqt" }, { err.kind, err.provider })
    end
    assert.same({ true, "local" }, { session:logout() })
    assert.is_nil(session:tokens())
    assert.is_true(healthauth.is_error(select(2, session:access_token())))
  end)
end)
