-- SPDX-License-Identifier: MIT
local core = require "healthauth.core"
local mask = require "healthauth.mask"

local TOKEN = "2YotnFZFEjr1zCsicMWpAA"
local REFRESH = "tGzv3JOkF0XG5Qx2TlKWIA"

describe("a masker", function()
  local masker
  before_each(function() masker = mask.new() end)

  it("takes secrets out of headers by name and leaves the scheme", function()
    for _, case in ipairs {
      { "Authorization", "Bearer " .. TOKEN, "Bearer [secret-1]" }, { "ApiKey", "k", "[secret-1]" }, { "API-key", "k", "[secret-1]" },
      { "X-Custom-PSK", "p", "[secret-1]" }, { "Conneqt-Instant-Access-Token", TOKEN, "[secret-1]" },
      { "Set-Cookie", "sid=abc; Path=/", "sid=[secret-1]; Path=/" }, { "Cookie", "sid=abc", "sid=[secret-1]" },
      { "X-Unknown", TOKEN, "[secret-1]" }, { "Authorization", "Basic YTpi", "Basic [secret-1]" },
      { "Location", "https://c.example/cb?code=abc&state=" .. TOKEN .. "&lang=en",
        "https://c.example/cb?code=[secret-1]&state=[secret-2]&lang=en" },
      { "Accept", "application/json", "application/json" }, { "X-Request-ID", "0123456789abcdef0123", "0123456789abcdef0123" },
      { "Content-Type", "application/json; charset=utf-8", "application/json; charset=utf-8" }, { "Retry-After", "120", "120" },
      { "WWW-Authenticate", 'Bearer error="invalid_token"', 'Bearer error="invalid_token"' },
    } do
      local seen = mask.new():request { method = "GET", url = "https://h.example/", headers = { { case[1], case[2] } } }
      assert.equal(case[3], seen.headers[1][2], case[1])
    end
  end)

  it("takes them out of JSON and keeps the rest to the byte", function()
    local body = '{"access_token":"' .. TOKEN .. '", "token_type":"Bearer","expires_in":600,"refresh_token":"' .. REFRESH .. '","list":[]}'
    local seen = masker:response { status = 200, headers = {}, body = body }
    assert.equal('{"access_token":"[secret-1]", "token_type":"Bearer","expires_in":600,"refresh_token":"[secret-2]","list":[]}',
      seen.body)
  end)

  it("takes numbers out of a request as well, a one-time password for one, and leaves an answer's", function()
    local seen = masker:request { method = "POST", url = "https://h.example/", headers = {},
      body = '{"token":{"grant_type":"one_time","otp":123456},"pin":7,"quantity":{"value":7}}' }
    assert.same({ token = { grant_type = "one_time", otp = "[secret-2]" }, pin = "[secret-1]",
      quantity = { value = 7 } }, core.json_decode(seen.body))
    assert.equal("otp [secret-2] is wrong", masker:text "otp 123456 is wrong")
    assert.equal('{"code":401}', masker:body('{"code":401}', false))
  end)

  it("knows eHealth's data.value and a token under a name that it does not know", function()
    local seen = masker:response { status = 201, headers = {},
      body = '{"data":{"value":"short","id":"3ff33ced-69dc-415a-b231-c6446898335a"}}' }
    assert.equal('{"data":{"value":"[secret-1]","id":"3ff33ced-69dc-415a-b231-c6446898335a"}}', seen.body)
    assert.equal('{"ticket":"[secret-2]"}', masker:response({ status = 200, headers = {}, body = '{"ticket":"' .. TOKEN .. '"}' }).body)
  end)

  it("leaves the words of a refusal", function()
    for _, body in ipairs {
      '{"error":"invalid_grant","error_description":"Invalid refresh token"}',
      '{"type":"about:blank","title":"Gone","status":410,"instance":"urn:uuid:123e4567-e89b-12d3-a456-426614174002"}',
      '{"issue":[{"code":"expired","details":{"coding":[{"code":"ACC_TOKEN_EXPIRED"}]}}]}',
    } do
      assert.equal(body, mask.new():response({ status = 400, headers = {}, body = body }).body)
    end
  end)

  it("takes them out of forms and queries, decoded or not", function()
    local seen = masker:request { method = "POST", url = "https://h.example/t?code=a%2Bb&lang=en", headers = {},
      body = "grant_type=refresh_token&refresh_token=x%2Fy%3D&client_id=me" }
    assert.equal("grant_type=refresh_token&refresh_token=[secret-1]&client_id=me", seen.body)
    assert.equal("https://h.example/t?code=[secret-2]&lang=en", seen.url)
  end)

  it("gives a secret the same placeholder wherever it comes again", function()
    masker:response { status = 200, headers = {}, body = '{"access_token":"' .. TOKEN .. '"}' }
    local seen = masker:request { method = "GET", url = "https://h.example/by/" .. TOKEN,
      headers = { { "Authorization", "Bearer " .. TOKEN } } }
    assert.equal("https://h.example/by/[secret-1]", seen.url)
    assert.equal("Bearer [secret-1]", seen.headers[1][2])
    assert.equal("was [secret-1]!", masker:text("was " .. TOKEN .. "!"))
  end)

  it("finds a secret that the server spelled with escapes", function()
    local seen = masker:response { status = 200, headers = {}, body = '{"access_token":"\\u0061bc\\/def","n":1}' }
    assert.equal('{"access_token":"[secret-1]","n":1}', seen.body)
  end)

  it("finds a secret as JSON has it, also in a JSON text within a string of another", function()
    masker:request { method = "GET", url = "https://h.example/", headers = { { "ApiKey", 'a/b"c\\d' } } }
    for _, case in ipairs {
      { [[{"detail":"a a/b\"c\\d b"}]], [[{"detail":"a [secret-1] b"}]] }, { [[{"detail":"a\/b\"c\\d"}]], [[{"detail":"[secret-1]"}]] },
      { [[{"detail":"{\"x\":\"a\\/b\\\"c\\\\d\"}"}]], [[{"detail":"{\"x\":\"[secret-1]\"}"}]] },
      { [[<p>a\/b\"c\\d</p>]], "<p>[secret-1]</p>" },
    } do
      assert.equal(case[2], masker:response({ status = 400, headers = {}, body = case[1] }).body)
    end
  end)

  it("takes runs of token bytes out of what is neither JSON nor a form", function()
    for _, body in ipairs { "<p>" .. TOKEN .. "</p>", '{"access_token":"' .. TOKEN } do
      local seen = mask.new():response { status = 200, headers = {}, body = body }
      assert.is_nil(seen.body:find(TOKEN, 1, true))
    end
  end)

  it("learns further names", function()
    local seen = mask.new({ names = { "X-Site" } }):request { method = "GET", url = "/", headers = { { "x-site", "leeds" } } }
    assert.equal("[secret-1]", seen.headers[1][2])
  end)
end)
