-- SPDX-License-Identifier: MIT
-- One input: a byte that chooses provider and operation, one that chooses the status, header lines up to an empty one, the body.

local core = require "healthauth.core"
local check_error = require "test.fuzz.error_rules"

local NOW = 1700000000
local ACCESS, REFRESH = "access-secret-0123", "refresh-secret-0123"
local CLIENT, API_KEY, EXPLICIT, CODE_SECRET = "client-secret-0123", "api-key-secret-0123", "explicit-secret-0123", "code-secret-0123"
local OLD = { access_token = ACCESS, refresh_token = REFRESH, expires_at = NOW + 9000, scope = "old" }

local function open(name, options)
  options.base_url = "https://api.example.org"
  return assert(core.session(core.provider(require("healthauth.providers." .. name)), options))
end
local conneqt = open("conneqt", { api_key = API_KEY })
local ehealth = open("ehealth", { client_id = "id", client_secret = CLIENT, redirect_uri = "https://a.example/",
  api_key = API_KEY })
local pkb = open("pkb", { client_id = "id" })
local system = open("pkb_system", { client_id = "id", client_secret = CLIENT })
-- RFC 7662 and 7009 are in no provider of ours, and in the engine.
local other = assert(core.session(core.provider {
  name = "other", environments = { x = "https://api.example.org" }, options = { client_id = { required = true } },
  operations = {
    exchange = { method = "POST", path = "/t", body = "form", fields = { code = "$argument.code" }, success = { 200 }, tokens = "oauth" },
  },
}, { environment = "x", client_id = "i" }))

local CODE = { code = CODE_SECRET, now = NOW }
-- What each session, and each operation, has to hide.
local OF_SESSION = {
  [conneqt] = { ACCESS, REFRESH, API_KEY }, [ehealth] = { ACCESS, REFRESH, CLIENT, API_KEY }, [pkb] = { ACCESS, REFRESH },
  [system] = { ACCESS, REFRESH, CLIENT }, [other] = { ACCESS, REFRESH },
}
local function secrets_of(session, args)
  local out = {}
  for i, secret in ipairs(OF_SESSION[session]) do out[i] = secret end
  for _, name in ipairs { "code", "access_code", "token", "refresh_token" } do out[#out + 1] = args[name] end
  return out
end
local OPERATIONS = {
  { conneqt, "exchange", { access_code = CODE_SECRET, now = NOW } },
  { conneqt, "verify", { token = EXPLICIT, now = NOW } },
  { conneqt, "check", { now = NOW } },
  { ehealth, "exchange", CODE }, { ehealth, "refresh", { now = NOW } }, { ehealth, "logout", { now = NOW } },
  { ehealth, "call", { method = "GET", url = "/x", now = NOW } },
  { pkb, "exchange", CODE }, { pkb, "refresh", { refresh_token = EXPLICIT, now = NOW } },
  { pkb, "call", { method = "GET", url = "/x", now = NOW } },
  { system, "exchange", { now = NOW } }, { system, "call", { method = "GET", url = "/x", now = NOW } },
  { other, "exchange", CODE },
}
local STATUSES = {
  200, 201, 202, 204, 206, 301, 302, 307, 400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 423, 425, 429, 500, 501, 502, 503, 504,
  100, 999, 199, 299, 418,
}
local SUCCESS = { [200] = true, [201] = true, [202] = true, [204] = true }

local function same(a, b)
  return a.access_token == b.access_token and a.refresh_token == b.refresh_token and a.scope == b.scope and a.expires_at == b.expires_at
end

local function check_tokens(tokens, held)
  assert(type(tokens.access_token) == "string" and tokens.access_token:find "^[\33-\126]+$", "access_token")
  assert(tokens.refresh_token == nil or tokens.refresh_token:find "^[\33-\126]+$", "refresh_token")
  assert(tokens.expires_at == nil or (tokens.expires_at >= 0 and tokens.expires_at % 1 == 0), "expires_at")
  assert(tokens.token_type == nil or tokens.token_type:lower() == "bearer", "token_type")
  assert(type(tokens.extra) == "table", "extra")
  assert(same(tokens, held), "the session holds another set")
end

return function(input)
  if #input < 2 then return end
  local choice = OPERATIONS[input:byte(1) % #OPERATIONS + 1]
  local number = input:byte(2)
  local status = STATUSES[number % #STATUSES + 1]
  local headers, at = {}, 3
  while true do
    local stop = input:find("\n", at, true)
    if not stop or stop == at then
      at = stop and stop + 1 or at
      break
    end
    local name, value = input:sub(at, stop - 1):match "^([^:]*):%s*(.*)$"
    headers[#headers + 1] = name and { name, value } or { input:sub(at, stop - 1) }
    at = stop + 1
  end
  local body = input:sub(at)
  local session, verb = choice[1], choice[2]
  assert(core.inside.adopt(session, OLD))
  local exchange = assert(session:begin(verb, choice[3]))
  local result, err = exchange:finish { status = status, headers = headers, body = body, close_delimited = number >= 128 or nil }
  local held = session:tokens()
  if result == nil then
    check_error(err, secrets_of(session, choice[3]))
    assert(held and same(held, OLD), "a refused answer changed the session")
    return
  end
  if verb == "exchange" or verb == "refresh" then
    assert(SUCCESS[status] and status ~= 204 and status ~= 202, "tokens of a refusal")
    check_tokens(result, held)
  elseif verb == "verify" then
    assert((result == true and status == 200) or (result == false and status == 410), "verify fails open")
    assert(result == false or body == "" or core.json_decode(body), "true, and the body is no JSON")
    assert(number < 128 or body == "" or core.json_decode(body), "an answer that may be cut")
  elseif verb == "logout" then
    assert(result == true and (status >= 200 and status <= 206 or status == 401) and held == nil, "logout")
  elseif verb == "check" then
    assert(result == true and SUCCESS[status], "check")
  else
    assert(result.status == status and result.body == body, "the response is another")
  end
end
