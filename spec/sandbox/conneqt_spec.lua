-- SPDX-License-Identifier: MIT
local support = require "spec.sandbox.support"

local BASE = "https://int.conneqt.health"
local TOKEN = BASE .. "/api/v1/messages/instant/access/token"

describe("the Conneqt sandbox", function()
  local box, key
  before_each(function()
    box = support.sandbox()
    key = { ApiKey = box.credentials.conneqt.api_key }
  end)

  local function exchange(code, headers)
    return support.json(box, TOKEN, { accessCode = code }, headers or key)
  end

  local function verify(token)
    return support.get(box, TOKEN .. "/verify", { ApiKey = key.ApiKey, ["Content-Type"] = "application/json",
      ["Conneqt-Instant-Access-Token"] = token })
  end

  it("exchanges an access code for a UUID", function()
    local code = box:access_code()
    assert.matches("^[A-Z2-9]+$", code)
    assert.equal(8, #code)
    local answer = exchange(code)
    assert.equal(200, answer.status)
    assert.equal("application/json; charset=utf-8", support.header(answer, "Content-Type"))
    assert.matches("^%x+%-%x+%-4%x+%-8%x+%-%x+$", support.decoded(answer).token)
  end)

  it("exchanges a code once, then does not know it", function()
    local code = box:access_code()
    exchange(code)
    local answer = exchange(code)
    assert.equal(400, answer.status)
    assert.equal("application/problem+json", support.header(answer, "Content-Type"))
    local problem = support.decoded(answer)
    assert.equal("https//qxlva.com/im1toolbar/documentation/api/v1/validation-error", problem.type)
    assert.equal(400, problem.status)
    assert.matches("^urn:uuid:", problem.instance)
    assert.same({ { name = "accessCode", reason = "Unknown Access Code" } }, problem.invalidParameters)
  end)

  it("asks for a code that is missing, empty, no text or not JSON", function()
    for _, body in ipairs { "{}", '{"accessCode":""}', '{"accessCode":7}', "[", '"x"' } do
      local answer = support.json(box, TOKEN, body, key)
      assert.equal(400, answer.status, body)
      assert.equal("Access code must be provided", support.decoded(answer).invalidParameters[1].reason, body)
    end
  end)

  it("verifies: 200 and empty, 410 and empty once revoked, 410 for a stranger", function()
    local token = support.decoded(exchange(box:access_code())).token
    local answer = verify(token)
    assert.equal(200, answer.status)
    assert.equal("", answer.body)
    assert.is_true(box:revoke(token))
    answer = verify(token)
    assert.equal(410, answer.status)
    assert.equal("", answer.body)
    assert.equal(410, verify("00000000-0000-4000-8000-000000000000").status)
  end)

  it("asks for the token header when verifying without one", function()
    local answer = verify(nil)
    assert.equal(400, answer.status)
    assert.same({ { name = "AccessToken", reason = "Access token must be provided" } }, support.decoded(answer).invalidParameters)
  end)

  it("refuses a missing or unknown key with 401 and one without rights with 403, on every path", function()
    local forbidden = box.specimens.conneqt.forbidden_api_key
    for _, case in ipairs { { {}, 401 }, { { ApiKey = "wrong" }, 401 }, { { ApiKey = forbidden }, 403 } } do
      for _, answer in ipairs { support.get(box, BASE .. "/api/v1/test", case[1]), exchange(box:access_code(), case[1]),
        support.get(box, TOKEN .. "/verify", case[1]) } do
        assert.equal(case[2], answer.status)
        assert.equal("application/problem+json", support.header(answer, "Content-Type"))
        assert.equal(case[2], support.decoded(answer).status)
      end
    end
  end)

  it("answers /api/v1/test with an empty 200 to GET and POST", function()
    for _, method in ipairs { "GET", "POST" } do
      local answer = box:answer { method = method, url = BASE .. "/api/v1/test", headers = { { "apikey", key.ApiKey } } }
      assert.equal(200, answer.status)
      assert.equal("", answer.body)
    end
  end)

  it("answers 405 to GET on the exchange path and 404 elsewhere", function()
    local answer = support.get(box, TOKEN, key)
    assert.equal(405, answer.status)
    assert.equal("POST", support.header(answer, "Allow"))
    assert.equal(404, support.get(box, BASE .. "/api/v2/test", key).status)
  end)

  it("takes JSON only", function()
    assert.equal(415, support.form(box, TOKEN, { accessCode = box:access_code() }, key).status)
  end)
end)
