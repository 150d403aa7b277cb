-- SPDX-License-Identifier: MIT
-- Plays every answer in spec/cassettes/ to the operation that it belongs to, without a network, and compares what the session makes of it.
-- An expectation that nobody reads is refused.

local healthauth = require "healthauth"
local cassettes = require "spec.cassettes.reader"
local texts = require "spec.cassettes.texts"

local NOW = 1700000000

-- What must never be seen in an error, wherever a server put it.
local PLANTED = {
  "planted-api-key-1", "planted-client-secret-1", "planted-psk-1", "planted-access-token-1", "planted-refresh-token-1",
  "planted-code-1", "planted-access-code-1", "planted-verify-token-1",
}

local function tokens(with_refresh)
  return {
    access_token = "planted-access-token-1", expires_at = NOW + 3600, scope = "planted scope",
    refresh_token = with_refresh and "planted-refresh-token-1" or nil,
  }
end

local function clock() return NOW end

local SESSIONS = {
  conneqt = function()
    return healthauth.conneqt {
      base_url = "https://conneqt.example", api_key = "planted-api-key-1", clock = clock,
      tokens = { access_token = "planted-access-token-1" },
    }
  end,
  ehealth = function()
    return healthauth.ehealth {
      base_url = "https://ehealth.example", client_id = "client-1", client_secret = "planted-client-secret-1",
      api_key = "planted-api-key-1", psk = "planted-psk-1", redirect_uri = "https://client.example/cb",
      tokens = tokens(true), clock = clock,
    }
  end,
  pkb = function()
    return healthauth.pkb {
      base_url = "https://pkb.example", client_id = "client-1", redirect_uri = "https://client.example/cb",
      tokens = tokens(true), clock = clock,
    }
  end,
  pkb_system = function()
    return healthauth.pkb_system {
      base_url = "https://pkb.example", client_id = "client-1", client_secret = "planted-client-secret-1",
      tokens = tokens(false), clock = clock,
    }
  end,
}

local ARGUMENTS = {
  exchange = function(provider)
    if provider == "conneqt" then return { access_code = "planted-access-code-1" } end
    if provider == "pkb_system" then return {} end
    return { code = "planted-code-1", redirect_uri = "https://client.example/cb" }
  end,
  verify = function() return { token = "planted-verify-token-1" } end,
  call = function() return { method = "GET", url = "/api/things/1" } end,
}

local PLAIN_FIELDS = {
  "kind", "code", "action", "outcome", "dialect", "status", "retry_after", "title", "detail", "message", "request_id", "token_refused",
}
local TOKEN_FIELDS = { "access_token", "token_type", "expires_at", "refresh_token", "scope" }

local READ = {
  response = true, result = true, tokens_gone = true, tokens = true, invalid = true, rate_limit = true, absent = true, document = true,
  request_id_sent = true,
}
for _, name in ipairs(PLAIN_FIELDS) do READ[name] = true end

-- Fields that a failure either has as expected or has not at all.
local STRICT = { retry_after = true, dialect = true, token_refused = true }

local function assert_contains(expected, actual, where)
  if type(expected) ~= "table" then
    assert.are.equal(expected, actual, where)
    return
  end
  assert.are.equal("table", type(actual), where)
  for key, value in pairs(expected) do assert_contains(value, actual[key], where .. "." .. key) end
end

local function sent_request_id(request)
  for _, header in ipairs(request.headers) do
    if header[1]:lower() == "x-request-id" then return header[2] end
  end
end

local function assert_shown_texts(err)
  texts.assert_clean(tostring(err), "tostring(err)")
  for _, name in ipairs { "message", "title", "detail", "code", "request_id" } do
    if err[name] ~= nil then texts.assert_clean(err[name], name) end
  end
  for i, item in ipairs(err.invalid or {}) do
    for key, text in pairs(item) do texts.assert_clean(text, ("invalid[%d].%s"):format(i, key)) end
  end
  local function holds_no_secret(text)
    for _, secret in ipairs(PLANTED) do
      assert.is_nil(text:find(secret, 1, true), "the error holds " .. secret)
    end
  end
  holds_no_secret(tostring(err))
  texts.each(err, holds_no_secret)
end

local function assert_failure(expected, err, provider, operation, request)
  assert.is_true(healthauth.is_error(err))
  for _, name in ipairs(PLAIN_FIELDS) do
    if expected[name] ~= nil or STRICT[name] then assert.are.equal(expected[name], err[name], name) end
  end
  assert.are.equal(provider, err.provider)
  assert.are.equal(operation, err.operation)
  assert.are.same(expected.invalid, err.invalid, "invalid")
  assert.are.same(expected.rate_limit, err.rate_limit, "rate_limit")
  for _, name in ipairs(expected.absent or {}) do assert.is_nil(err[name], name) end
  if expected.request_id_sent then
    local id = sent_request_id(request)
    assert.is_truthy(id, "no X-Request-ID was sent")
    assert.are.equal(id, err.request_id)
  end
  if expected.dialect then
    assert.are.equal("table", type(err.document))
    if expected.document then assert_contains(expected.document, err.document, "document") end
  else
    assert.is_nil(err.document)
  end
  assert_shown_texts(err)
end

local function assert_tokens(expected, set, session)
  for _, name in ipairs(TOKEN_FIELDS) do assert.are.equal(expected[name], set[name], name) end
  assert.are.equal(expected.name, set.name, "name")
  if expected.extra then assert.are.same(expected.extra, set.extra) end
  if set.expires_at and math.type then assert.are.equal("integer", math.type(set.expires_at)) end -- luacheck: ignore 143
  assert.are.same(set, session:tokens())
end

local function play(provider, case)
  local session = SESSIONS[provider]()
  local make = ARGUMENTS[case.operation]
  local args = make and make(provider) or {}
  for key, value in pairs(case.args or {}) do args[key] = value end
  args.now = NOW
  local before = session:tokens()
  local exchange = assert(session:begin(case.operation, args))
  local request = exchange:request()
  local result, err = exchange:finish(case.response)

  local expected = case.expect
  if expected.kind then
    assert.is_nil(result)
    assert_failure(expected, err, provider, case.operation, request)
    assert.are.same(before, session:tokens())
    return
  end
  assert.is_nil(err)
  if expected.tokens then
    assert_tokens(expected.tokens, result, session)
  elseif expected.response then
    assert.are.equal(case.response.status, result.status)
    assert.are.equal(case.response.body, result.body)
    assert.are.same(before, session:tokens())
  else
    assert.are.equal(expected.result, result)
    assert.are.same(not expected.tokens_gone and before or nil, session:tokens())
  end
  session:close()
end

local function assert_case_is_data(case)
  local expected = case.expect
  for key in pairs(expected) do assert.is_true(READ[key] or false, "nobody reads the expectation " .. tostring(key)) end
  assert.is_truthy(expected.kind or expected.tokens or expected.response or expected.result ~= nil, "nothing is expected")
  if expected.kind then assert.is_truthy(expected.outcome, "a failure needs an outcome") end
end

for _, cassette in ipairs(cassettes) do
  describe("cassette " .. cassette.path, function()
    local names = {}
    for _, case in ipairs(cassette.data.cases) do
      it(case.operation .. ": " .. case.name, function()
        assert.is_nil(names[case.operation .. case.name], "two cases of one name")
        names[case.operation .. case.name] = true
        assert_case_is_data(case)
        play(case.provider or cassette.data.provider, case)
      end)
    end

    it("says where it comes from", function()
      assert.are.equal("string", type(cassette.data.origin))
      assert.is_true(#cassette.data.cases > 0)
    end)
  end)
end
