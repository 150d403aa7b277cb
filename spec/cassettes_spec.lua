-- SPDX-License-Identifier: MIT
-- Plays every answer in spec/cassettes/ to the operation that it belongs to, without a network, and compares what the session makes of it.
-- The cassettes are data: they are loaded with an empty environment, and an expectation that nobody reads is refused.

local healthauth = require "healthauth"
local cjson = require "cjson"
local lfs = require "lfs"

local NOW = 1700000000
local HERE = debug.getinfo(1, "S").source:match "^@(.*)_spec%.lua$"

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
      base_url = "https://conneqt.example", api_key = "planted-api-key-1", tokens = { access_token = "planted-access-token-1" }, clock = clock,
    }
  end,
  ehealth = function()
    return healthauth.ehealth {
      base_url = "https://ehealth.example", client_id = "client-1", client_secret = "planted-client-secret-1", api_key = "planted-api-key-1",
      psk = "planted-psk-1", redirect_uri = "https://client.example/cb", tokens = tokens(true), clock = clock,
    }
  end,
  pkb = function()
    return healthauth.pkb {
      base_url = "https://pkb.example", client_id = "client-1", redirect_uri = "https://client.example/cb", tokens = tokens(true), clock = clock,
    }
  end,
  pkb_system = function()
    return healthauth.pkb_system {
      base_url = "https://pkb.example", client_id = "client-1", client_secret = "planted-client-secret-1", tokens = tokens(false), clock = clock,
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

local function sorted_list(folder, suffix)
  local found = {}
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= "." and (not suffix or name:sub(-#suffix) == suffix) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

local function load_data(path)
  local chunk
  if setfenv then -- luacheck: ignore 113
    chunk = setfenv(assert(loadfile(path)), {}) -- luacheck: ignore 113
  else
    chunk = assert(loadfile(path, "t", {}))
  end
  return chunk()
end

-- Pushes every string in value, keys too, through visit.
local function each_string(value, visit)
  if type(value) == "string" then
    visit(value)
  elseif type(value) == "table" then
    for k, v in pairs(value) do
      each_string(k, visit)
      each_string(v, visit)
    end
  end
end

-- Code points of well-formed UTF-8, or nil.
local function code_points(text)
  local points, i = {}, 1
  while i <= #text do
    local a = text:byte(i)
    local more = a < 0x80 and 0 or a >= 0xF0 and a < 0xF5 and 3 or a >= 0xE0 and a < 0xF0 and 2 or a >= 0xC2 and a < 0xE0 and 1
    if not more then return nil end
    local point = more == 0 and a or a % 2 ^ (6 - more)
    for k = 1, more do
      local b = text:byte(i + k)
      if not b or b < 0x80 or b > 0xBF then return nil end
      point = point * 64 + b - 0x80
    end
    points[#points + 1] = point
    i = i + more + 1
  end
  return points
end

local function hostile(point)
  return point < 0x20 or (point >= 0x7F and point <= 0x9F) or point == 0x61C or point == 0x200E or point == 0x200F
    or (point >= 0x202A and point <= 0x202E) or (point >= 0x2066 and point <= 0x2069)
end

local function assert_clean(text, where)
  assert.is_true(#text <= 512, where .. " is longer than 512 bytes")
  local points = code_points(text)
  assert.is_truthy(points, where .. " is not UTF-8")
  for _, point in ipairs(points) do
    assert.is_false(hostile(point), ("%s holds U+%04X"):format(where, point))
  end
end

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
  assert_clean(tostring(err), "tostring(err)")
  for _, name in ipairs { "message", "title", "detail", "code", "request_id" } do
    if err[name] ~= nil then assert_clean(err[name], name) end
  end
  for i, item in ipairs(err.invalid or {}) do
    for key, text in pairs(item) do assert_clean(text, ("invalid[%d].%s"):format(i, key)) end
  end
  local function holds_no_secret(text)
    for _, secret in ipairs(PLANTED) do
      assert.is_nil(text:find(secret, 1, true), "the error holds " .. secret)
    end
  end
  holds_no_secret(tostring(err))
  each_string(err, holds_no_secret)
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
  if expected.kind then assert.is_truthy(expected.outcome and expected.status, "a failure needs outcome and status") end
end

local cassettes = {}
for _, folder in ipairs(sorted_list(HERE)) do
  if lfs.attributes(HERE .. "/" .. folder, "mode") == "directory" then
    for _, file in ipairs(sorted_list(HERE .. "/" .. folder, ".lua")) do
      local path = folder .. "/" .. file
      cassettes[#cassettes + 1] = { path = path, data = load_data(HERE .. "/" .. path) }
    end
  end
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

describe("the cassettes together", function()
  local names, bodies, codes = {}, {}, {}
  for _, cassette in ipairs(cassettes) do
    for _, case in ipairs(cassette.data.cases) do
      names[#names + 1] = (cassette.path:match "^%w+") .. " " .. case.name
      bodies[#bodies + 1] = case.response.body
      if case.expect.code then codes[case.expect.code] = true end
    end
  end
  names = "\n" .. table.concat(names, "\n") .. "\n"
  bodies = table.concat(bodies, "\n")

  local labels = { { "ehealth", "E", 19 }, { "pkb", "P", 16 }, { "conneqt", "C", 15 } }
  for _, label in ipairs(labels) do
    it("hold every example body of " .. label[1], function()
      for i = 1, label[3] do
        local id = label[2] .. i
        assert.is_truthy(names:find("\n" .. label[1] .. " " .. id .. "%f[%W]"), id .. " is missing")
      end
    end)
  end

  it("hold all response codes of PKB's FHIR server", function()
    for _, code in ipairs { "ACC_TOKEN_EXPIRED", "API_SESSION_EXPIRED", "API_SESSION_INVALID", "BAD_AUTHENTICATION", "USER_TYPE_NOT_PERM",
      "ACCESS_FROZEN_OUTWARD", "ACCESS_FROZEN_INWARD", "NO_ASSOCIATION", "NO_CONSENT", "NO_DECRYPT_KEY", "SHARING_DISABLED" } do
      assert.is_true(codes[code:lower()], code)
    end
  end)

  it("hold every type of eHealth's error table", function()
    for _, word in ipairs { "request_malformed", "invalid_client", "token_not_found", "invalid_grant", "token_expired", "access_denied", "user_blocked",
      "invalid_user", "password_expired", "otp_invalid", "otp_expired", "otp_reached_max_attempts", "token_invalid", "token_invalid_type", "jwt_invalid",
      "jwt_expired", "jwt_aud_invalid", "forbidden", "tax_id_invalid", "not_found", "content_type_invalid", "request_conflict", "request_too_large",
      "validation_failed", "otp_timeout", "internal_error" } do
      assert.is_truthy(bodies:find('"type":"' .. word .. '"', 1, true), word)
    end
  end)

  it("expect no code that docs/errors.md does not explain", function()
    local file = assert(io.open(HERE .. "/../../docs/errors.md"))
    local text = file:read "*a"
    file:close()
    local invented = { some_new_type = true, boom = true, maintenance = true, busy_elsewhere = true, bad_thing = true, bad_thing_here = true, x = true,
      out_of_credit = true, not_allowed = true, rate_limit = true, db_down = true, slow_down = true, a__31mb = true }
    for code in pairs(codes) do
      if not invented[code] and not code:find "^http_%d" then
        assert.is_truthy(text:find("`" .. code .. "`", 1, true), code .. " is not in docs/errors.md")
      end
    end
  end)
end)
