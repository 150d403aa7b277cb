-- SPDX-License-Identifier: MIT
-- The scenarios of test/c/sweep.c: every operation with every kind of end. prepare() -> state; act(state) -> text, run while allocations
-- fail; look(state) -> text, what a session holds. An act tells its result as a text that is the same in every run.

local core = require "healthauth.core"

local NOW = 1700000000

local function sorted(t, seen)
  if type(t) ~= "table" then return tostring(t) end
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  local out = {}
  for _, k in ipairs(keys) do
    if k ~= "request_id" and k ~= "X-Request-ID" then out[#out + 1] = tostring(k) .. "=" .. sorted(t[k], seen) end
  end
  return "{" .. table.concat(out, ",") .. "}"
end

local healthauth = require "healthauth"
for _, name in ipairs { "conneqt", "ehealth", "pkb", "pkb_system" } do require("healthauth.providers." .. name) end
collectgarbage()

local function told(value, err)
  if value == nil then return "nil " .. (type(err) == "table" and tostring(err) .. sorted(err) or tostring(err)) end
  return sorted(value)
end

local function provider(name) return core.provider(require("healthauth.providers." .. name)) end

local OPTIONS = {
  conneqt = { environment = "integration", api_key = "key-0123456789" },
  ehealth = {
    base_url = "https://api.example.org/x", client_id = "id-1", client_secret = "secret-0123456789", api_key = "api-key-01234567",
      psk = "psk-01234567",
    redirect_uri = "https://app.example.org/cb", scope = "a b",
  },
  pkb = { environment = "sandbox", client_id = "client", redirect_uri = "https://app.example.org/cb" },
  pkb_system = { environment = "sandbox", client_id = "client", client_secret = "secret-0123456789" },
}

local OLD = { access_token = "old-access-1234567", refresh_token = "old-refresh-1234567", expires_at = NOW + 1000, scope = "PATIENT",
  extra = { a = { 1, 2 } } }

local function open(name, more, tokens)
  local options = {}
  for k, v in pairs(OPTIONS[name]) do options[k] = v end
  for k, v in pairs(more or {}) do options[k] = v end
  options.tokens = tokens
  return assert(core.session(provider(name), options))
end

local function tokens_of(state) return state.session and sorted(state.session:tokens()) or "" end

local scenarios = {}
local function add(name, prepare, act, expect)
  scenarios[#scenarios + 1] = { name = name, prepare = prepare, act = act, tell = told, look = tokens_of, expect = expect }
end

-- ---- providers and sessions ----

for _, name in ipairs { "conneqt", "ehealth", "pkb", "pkb_system" } do
  add("provider " .. name, function() return { d = require("healthauth.providers." .. name) } end, function(s)
    local p = core.provider(s.d)
    return type(p)
  end, "userdata")
  add("session " .. name, function() return { p = provider(name) } end, function(s)
    local session = core.session(s.p, OPTIONS[name])
    return tostring(session)
  end, name)
end

local function declaration(change)
  return function()
    local function copy(v)
      if type(v) ~= "table" then return v end
      local out = {}
      for k, x in pairs(v) do out[k] = copy(x) end
      return out
    end
    local d = copy(require "healthauth.providers.pkb")
    change(d)
    return { d = d }
  end
end
local function compile(s)
  local ok, why = pcall(core.provider, s.d)
  if not ok and tostring(why):find "memory" then error(why, 0) end
  return tostring(ok) .. " " .. (ok and "" or tostring(why))
end
add("declaration: unknown body", declaration(function(d) d.operations.refresh.body = "xml" end), compile, "operations.refresh.body")
add("declaration: unknown member", declaration(function(d) d.operations.refresh.bodi = "form" end), compile, "bodi")
add("declaration: bad environment", declaration(function(d) d.environments.x = "http://evil.example" end), compile, "environments")
add("declaration: bad rule", declaration(function(d) d.errors[3].action = "dance" end), compile, "errors")
add("declaration: everything", declaration(function(d)
  d.issuer, d.headers = "https://issuer.example", { ["X-A"] = "b", ["X-C"] = "$option.client_id" }
end), compile)

add("session with every option", function() return { p = provider "ehealth" } end, function(s)
  local session = core.session(s.p, {
    base_url = "https://api.example.org/x", client_id = "id-1", client_secret = function() return "s" end, api_key = "api-key-01234567",
      psk = "psk-01234567",
    redirect_uri = "https://app.example.org/cb", scope = "a b", endpoints = { exchange = "/other",
      authorize = "https://login.example.org/in" },
    tokens = OLD, timeout = 3, connect_timeout = 2, limits = { body = 1000, headers = 1000, depth = 9 },
    tls = { ca_file = "/a", ca_path = "/b", cert_file = "/c", key_file = "/d", key_password = "pass-01234567", min_version = "1.3" },
    proxy = "http://user:password@proxy.example:3128", user_agent = "agent/1", headers = { ["X-One"] = "1", ["X-Two"] = "two" },
    ["ori" .. "gins"] = { "https://more.example.org" }, issuer = "https://issuer.example.org", pkce = true,
      clock = function() return NOW end, margin = 5, lease = 9,
    max_wait = 4, on_event = function() end, transport = { perform = function() end }, store = { save = function() end }, key = "k",
  })
  return tostring(session) .. sorted(session:tokens())
end, "with tokens")

local function refused(name, options)
  add("session refused: " .. name, function() return { p = provider "pkb" } end, function(s)
    local ok, why, err = pcall(core.session, s.p, options)
    if not ok and tostring(why):find "memory" then error(why, 0) end
    return told(ok and why or tostring(why), err)
  end)
end
refused("unknown option", { environment = "sandbox", client_id = "c", clientid = "d" })
refused("no environment", { client_id = "c" })
refused("bad url", { base_url = "http://evil.example", client_id = "c" })
refused("bad header", { environment = "sandbox", client_id = "c", headers = { ["X-A"] = "a\r\nb" } })
refused("bad tokens", { environment = "sandbox", client_id = "c", tokens = { access_token = "a b" } })
refused("bad extra", { environment = "sandbox", client_id = "c", tokens = { access_token = "a", extra = { f = function() end } } })

-- ---- begin, request, finish ----

local CODE = { code = "code-0123456789", redirect_uri = "https://app.example.org/cb", now = NOW }
local BEGIN = {
  { "conneqt", "exchange", { access_code = "JH23MA1Z", now = NOW } },
  { "conneqt", "verify", { token = "0b2c5b6e-0000-4000-8000-000000000000", now = NOW } },
  { "conneqt", "check", { now = NOW } },
  { "ehealth", "exchange", CODE },
  { "ehealth", "refresh", { now = NOW } },
  { "ehealth", "logout", { now = NOW } },
  { "ehealth", "call", { method = "POST", url = "/api/x?y=1", headers = { ["X-A"] = "b" }, body = "{}", timeout = 2, now = NOW } },
  { "pkb", "exchange", CODE },
  { "pkb", "refresh", { now = NOW, refresh_token = "explicit-0123456789", scope = "PATIENT" } },
  { "pkb_system", "exchange", { now = NOW, credentials = { client_secret = "rotated-0123456789" } } },
  { "conneqt", "refresh", {} },
  { "conneqt", "verify", { token = "a b", now = NOW } },
  { "conneqt", "exchange", { now = NOW } },
  { "pkb", "call", { url = "https://evil.example/", now = NOW } },
  { "pkb", "call", { url = "https://more.example.org/x", now = NOW }, { "https://other.example.org", "https://more.example.org" } },
  { "pkb", "exchange", { code = "a\nb", now = NOW } },
}
for _, b in ipairs(BEGIN) do
  add("begin " .. b[1] .. " " .. b[2], function()
    local s = { session = open(b[1], { ["ori" .. "gins"] = b[4] }, OLD) }
    collectgarbage() -- no name of an option lives on: asking for one needs memory
    return s
  end, function(s)
    local x, err = s.session:begin(b[2], b[3])
    if not x then return told(nil, err) end
    local r = x:request()
    for i = #r.headers, 1, -1 do
      if r.headers[i][1] == "X-Request-ID" then table.remove(r.headers, i) end
    end
    return sorted(r) .. tostring(x)
  end)
end

local JSON = { { "Content-Type", "application/json" } }
local function json(status, value, more)
  local headers = { { "Content-Type", "application/json" }, { "X-Request-ID", "theirs-1" } }
  for name, v in pairs(more or {}) do headers[#headers + 1] = { name, v } end
  return { status = status, headers = headers, body = type(value) == "string" and value or core.json_encode(value) }
end
local OAUTH = { access_token = "new-access-1234567", refresh_token = "new-refresh-1234567", token_type = "bearer", expires_in = 600,
  scope = "PATIENT", more = { 1, { x = "y" } } }
local EHEALTH = { meta = { code = 201, request_id = "r1" }, data = {
  value = "new-access-1234567", expires_at = NOW + 600, name = "access_token", details = { refresh_token = "new-refresh-1234567",
    scope = "a b" }, id = "x",
} }
local PROBLEM = { type = "https://p.example/access-code-used", title = "Used", detail = "old-access-1234567 is no good", instance = "/i/1",
  ["invalid-params"] = { { name = "accessCode", reason = "used" }, { name = "b", reason = "c" } } }
local LIMITS = { ["Retry-After"] = "7", ["X-RateLimit-Limit-minute"] = "10", ["X-RateLimit-Remaining-minute"] = "0",
  ["RateLimit-Reset"] = "5" }
local ERROR = { meta = { code = 401, request_id = "r1" }, error = { type = "access_denied", message = "Invalid access token",
  invalid = { { entry = "$.token", rules = { { rule = "required", description = "is required" } } } } } }
local OUTCOME = { resourceType = "OperationOutcome", issue = { { severity = "error", code = "expired", details = { text = "gone",
  coding = { { system = "https://x", code = "acc_token_expired", display = "Expired" } } } } } }

local ANSWERS = {
  { "tokens", { "pkb", "refresh" }, json(200, OAUTH), "new-access" },
  { "tokens ehealth", { "ehealth", "exchange" }, json(201, EHEALTH, { Date = "Tue, 14 Nov 2023 22:13:30 GMT" }), "new-access" },
  { "tokens without refresh", { "ehealth", "refresh" }, json(200, { data = { value = "new-access-1234567" } }), "old-refresh" },
  { "tokens without type", { "pkb", "exchange" }, json(200, { access_token = "new-access-1234567" }), "member_missing" },
  { "tokens of a wrong type", { "pkb", "exchange" }, json(200, { access_token = 7, token_type = "Bearer" }), "member_type" },
  { "system tokens", { "pkb_system", "exchange" }, json(200, OAUTH), "new-access" },
  { "valid", { "conneqt", "verify" }, { status = 200, headers = {}, body = "" }, "true" },
  { "valid with a body", { "conneqt", "verify" }, json(200, { a = { b = {} } }), "true" },
  { "gone", { "conneqt", "verify" }, json(410, PROBLEM), "false" },
  { "cut", { "conneqt", "verify" }, { status = 410, headers = JSON, body = '{"a":', close_delimited = true }, "body_truncated" },
  { "whole though close delimited", { "conneqt", "verify" }, { status = 410, headers = JSON, body = '{"a":[1]}', close_delimited = true },
    "false" },
  { "html", { "conneqt", "verify" }, { status = 200, headers = { { "Content-Type", "text/html" } }, body = "<html>" }, "media_type" },
  { "not JSON", { "conneqt", "verify" }, { status = 200, headers = JSON, body = "{]" }, "not_json" },
  { "duplicates", { "conneqt", "verify" }, { status = 200, headers = JSON, body = '{"abcdef":1,"abcdef":2}' }, "duplicate_key" },
  { "an array", { "conneqt", "verify" }, { status = 200, headers = JSON, body = "[1]" }, "not_object" },
  { "problem", { "conneqt", "exchange" }, json(400, PROBLEM, LIMITS), "denied" },
  { "problem with status 200", { "conneqt", "exchange" }, json(200, PROBLEM), "member_missing" },
  { "oauth error", { "pkb", "refresh" }, json(400, { error = "invalid_grant", error_description = "old-refresh-1234567 is \27[1m spent" }),
    "invalid_grant" },
  { "ehealth error", { "ehealth", "refresh" }, json(401, ERROR, LIMITS), "denied" },
  { "ehealth logout, spent", { "ehealth", "logout" }, json(401, { meta = { code = 401 }, error = { type = "invalid_grant",
    message = "Token not found" } }), "true" },
  { "ehealth logout", { "ehealth", "logout" }, { status = 200, headers = {}, body = "" }, "true" },
  { "logout refused", { "ehealth", "logout" }, json(500, { meta = { code = 500 }, error = { type = "internal_error" } }), "denied" },
  { "fault", { "pkb", "refresh" }, json(500, { fault = { faultstring = "Bad", detail = { errorcode = "oauth.v2.InvalidClient" } } }),
    "fault" },
  { "operation outcome", { "pkb", "call" }, json(401, OUTCOME), "acc_token_expired" },
  { "call answered", { "pkb", "call" }, json(200, { a = 1 }), "status=200" },
  { "call not found", { "pkb", "call" }, json(404, OUTCOME), "status=404" },
  { "challenge", { "pkb", "call" }, { status = 401, headers = { { "WWW-Authenticate", 'Basic realm="x"' }, { "WWW-Authenticate",
    'Bearer error="invalid_token"' } }, body = "" }, "invalid_token" },
  { "no document", { "pkb", "refresh" }, { status = 503, headers = { { "Retry-After", "Wed, 15 Nov 2023 00:00:00 GMT" } }, body = "busy" },
    "http_503" },
  { "redirect", { "pkb", "refresh" }, { status = 302, headers = { { "Location", "https://evil.example" } }, body = "" }, "http_302" },
  { "unexpected status", { "pkb", "refresh" }, { status = 204, headers = {}, body = "" }, "unexpected_status" },
  { "compressed", { "pkb", "refresh" }, { status = 200, headers = { { "Content-Encoding", "gzip" } }, body = "x" }, "content_encoding" },
  { "no response", { "pkb", "refresh" }, { status = "x" }, "response_malformed" },
}
local function begin(s, operation)
  for _, b in ipairs(BEGIN) do
    if operation ~= "call" and b[1] == s.name and b[2] == operation then return assert(s.session:begin(operation, b[3])) end
  end
  return assert(s.session:begin(operation, { method = "GET", url = "/x", now = NOW }))
end
for _, a in ipairs(ANSWERS) do
  add("finish: " .. a[1], function()
    local s = { session = open(a[2][1], nil, OLD), name = a[2][1] }
    s.exchange = begin(s, a[2][2])
    return s
  end, function(s) return s.exchange:finish(a[3]) end, a[4])
end
for _, failure in ipairs {
  { kind = "network", code = "connect_failed", outcome = "not_sent", message = "no way" },
  { kind = "timeout", code = "timeout", outcome = "unknown", message = "secret-0123456789" }, { code = "Odd One", kind = "what",
    outcome = "that" },
} do
  add("fail: " .. failure.code, function()
    local s = { session = open("ehealth", nil, OLD), name = "ehealth" }
    s.exchange = begin(s, "refresh")
    return s
  end, function(s)
    local x = s.exchange or begin(s, "refresh")
    s.exchange = nil -- used up, also when there is no memory to say how
    return x:fail(failure)
  end, "nil")
end

-- ---- the browser's part, restore, state ----

add("authorize_url", function() return { session = open("pkb", { pkce = true }) } end, function(s)
  local url, pending = core.authorize_url(s.session, { scope = "PATIENT", state_in_redirect = true, now = NOW })
  if not url then return told(url, pending) end
  return tostring(#url) .. " " .. #pending.state .. #pending.code_verifier .. pending.expires_at
end, "43431700000600")
local function callback(name, query, expect, change)
  add("callback: " .. name, function()
    local s = { session = open("ehealth", { pkce = true, issuer = "https://i.example" }) }
    local _, pending = assert(core.authorize_url(s.session, { now = NOW }))
    if change then change(pending) end
    s.pending = pending
    s.query = "https://app.example.org/cb?" .. query:gsub("%$state", pending.state)
    return s
  end, function(s)
    local x, err = s.session:begin("exchange", { callback = s.query, pending = s.pending, now = NOW + 5 })
    if not x then return nil, err end
    return x:request().method
  end, expect)
end
callback("no state", "code=abc%20d", "state_missing")
callback("unusable code", "code=abc%20d&state=$state&iss=https://i.example", "callback_malformed")
callback("fine", "code=abcd-1234&state=$state&iss=https://i.example", "POST")
callback("state is wrong", "code=abcd-1234&state=otherstate", "state_mismatch")
callback("repeated", "code=abcd-1234&state=$state&code=x", "parameter_repeated")
callback("denied", "error=access_denied&error_description=no+thanks&error_uri=https://x.example&state=$state", "access_denied")
callback("issuer", "code=abcd-1234&state=$state&iss=https://j.example", "issuer_mismatch")
callback("malformed pending", "code=abcd-1234&state=$state", "pending_malformed", function(p) p.version = 9 end)

add("adopt", function() return { session = open("pkb", nil, OLD) } end, function(s)
  return core.inside.adopt(s.session, { access_token = "adopted-1234567", refresh_token = "r", scope = "x", name = "n",
    extra = { b = { c = "d" } } })
end, "true")
add("adopt refused", function() return { session = open("pkb", nil, OLD) } end, function(s)
  return core.inside.adopt(s.session, { access_token = "adopted", odd = 1 })
end, "token_malformed")
add("export and state", function() return { session = open("pkb", nil, OLD) } end, function(s)
  local i = core.inside
  return sorted(i.export(s.session)) .. sorted(i.state(s.session)) .. tostring(i.ready(s.session, NOW, nil, 0)) ..
    core.hex(i.fingerprint(s.session)) ..
    table.concat({ i.identity(s.session) }, " ") .. tostring(i.has(s.session, "refresh")) .. sorted(s.session:tokens())
end)
add("close", function() return { p = provider "ehealth" } end, function(s)
  local session = core.session(s.p, OPTIONS.ehealth)
  local x = session:begin("refresh", { now = NOW })
  session:close()
  return tostring(session) .. tostring(x)
end, "closed")

-- ---- the verbs: what is over and done with may stay done when a later step has no memory, but never half, and the next call works ----

local function verbs(name, options, tokens, answers, act, expect)
  add("verb: " .. name[2], function()
    local s = { at = 0 }
    local transport = {
      perform = function()
        s.at = s.at + 1
        return answers[s.at] or answers[#answers]
      end,
    }
    local all = { transport = transport, tokens = tokens, clock = function() return NOW end, on_event = function() end }
    for k, v in pairs(OPTIONS[name[1]]) do all[k] = v end
    for k, v in pairs(options) do all[k] = v end
    s.session = assert(healthauth.session(s.provider or provider(name[1]), all))
    if name[3] then s.url, s.pending = assert(s.session:authorize_url {}) end
    return s
  end, act, expect)
  local scenario = scenarios[#scenarios]
  scenario.again = function(s)
    s.at = 0
    local ok, err = act(s)
    if ok ~= nil then return "fine" end
    if err.code == "exchange_open" then return "still open" end
    return "fine: " .. err.code
  end
end
local EXPIRED = { access_token = "old-access-1234567", refresh_token = "old-refresh-1234567", expires_at = NOW - 5, scope = "PATIENT" }
verbs({ "conneqt", "exchange" }, {}, nil, { json(200, { token = "0b2c5b6e-0000-4000-8000-000000000000" }) },
  function(s) return s.session:exchange { access_code = "JH23MA1Z" } end, "0b2c5b6e")
verbs({ "ehealth", "exchange by callback", true }, { client_secret = function() return "rotated-secret-123" end }, nil, { json(201,
  EHEALTH) },
  function(s) return s.session:exchange { callback = "/cb?code=abc-1234&state=" .. s.pending.state, pending = s.pending } end, "new-access")
verbs({ "pkb", "access_token" }, {}, EXPIRED, { json(200, OAUTH) }, function(s) return s.session:access_token() end, "new-access")
verbs({ "pkb", "refresh" }, {}, EXPIRED, { json(200, OAUTH) }, function(s) return s.session:refresh() end, "new-access")
verbs({ "pkb", "refresh refused" }, {}, EXPIRED, { json(400, { error = "invalid_grant" }) }, function(s) return s.session:refresh() end,
  "invalid_grant")
verbs({ "pkb", "call with a repeat" }, {}, OLD, { json(401, OUTCOME), json(200, OAUTH), json(200, { fine = true }) },
  function(s) return s.session:call { method = "GET", url = "/fhir/Patient/1" } end, "status=200")
verbs({ "conneqt", "verify" }, {}, nil, { { status = 410, headers = {}, body = "" } },
  function(s) return s.session:verify "0b2c5b6e-0000-4000-8000-000000000000" end, "false")
verbs({ "ehealth", "logout" }, {}, OLD, { { status = 200, headers = {}, body = "" } }, function(s) return s.session:logout() end, "true")
verbs({ "pkb", "refresh over a store" }, { store = healthauth.stores.memory {}, key = "sam", lease = 0.02, max_wait = 1 }, EXPIRED,
  { json(200, OAUTH) },
  function(s) return s.session:refresh() end, "new-access")

-- ---- tools ----

local KEY = ("k"):rep(32)
local function tool(name, act, expect) add("tool " .. name, function() return {} end, act, expect) end
local TEXT = '{"a":[1,2.5,{"b":"\\u0041\\ud83d\\ude00"}],"long":"' .. ("x"):rep(500) .. '","n":null,"t":true,"big":12345678901}'
tool("json_decode", function() return told(core.json_decode(TEXT)) end, "big=12345678901")
tool("json_decode many names", function()
  local list = {}
  for i = 1, 60 do list[i] = ('"name%d":%d'):format(i, i) end
  return told(core.json_decode("{" .. table.concat(list, ",") .. "}"))
end, "name60=60")
tool("json_decode bad", function() return told(core.json_decode '{"a":1,"\\u0061":2}') end, "duplicate_key")
tool("json_encode", function() return core.json_encode { b = { 1, 2, { c = "d\n" } }, a = ("y"):rep(300), n = 1.5, t = true } end,
  '"n":1.5')
tool("json_encode bad", function()
  local ok, why = pcall(core.json_encode, { a = { b = function() end } })
  if tostring(why):find "memory" then error(why, 0) end
  return tostring(ok) .. tostring(why)
end, "another kind")
tool("forms", function()
  return core.form_encode { { "a b", "c&d" }, { "e", ("f "):rep(100) } } .. told(core.form_decode "a=b%20c&d=e+f&g") ..
    told(core.form_decode "a=1&a=2") ..
    core.form_encode { x = "y" } .. core.percent_encode(("ä"):rep(80)) .. tostring(core.percent_decode("%41+", true)) ..
      tostring(core.percent_decode "%4")
end, "a%20b=c%26d")
tool("codecs", function()
  return core.hex(("a"):rep(99)) .. core.base64(("b"):rep(99)) .. core.base64url(("c"):rep(99)) .. tostring(core.base64url_decode "YWJj") ..
    tostring(core.base64url_decode "Y=") .. core.hex(core.sha256 "a") .. core.hex(core.hmac_sha256("k", "a"))
end, "abc")
tool("seal", function()
  local sealed = core.seal(KEY, ("secret "):rep(30), "ad")
  return tostring(core.unseal(KEY, sealed, "ad")) .. tostring(core.unseal(KEY, sealed, "other")) .. tostring(core.unseal(KEY, "short", ""))
end, "secret secret")
tool("url", function() return sorted(core.url "https://Example.ORG:443/a/../b?c=d") .. told(core.url "http://a b/") ..
  told(core.url "https://[::1]:8/") end)
tool("errors", function()
  local err = core.error { kind = "store", code = "conflict", message = ("long\27 "):rep(60), operation = "refresh", provider = "pkb",
    status = 409 }
  return tostring(err) .. tostring(core.is_error(err)) .. core.clean(("x\r\n"):rep(100)) .. tostring(core.equal("a", "b"))
end, "pkb refresh: store (conflict)")
tool("random and clock", function()
  return #core.random(40) .. type(core.time()) .. type(core.monotonic()) .. told(core.read_private("/nonexistent/file", 100))
end, "40number")

require "test.c.sweep_modules" (add, scenarios, provider)

-- For test/c/kept.c: every spelling of what must not be left in memory.
local SECRETS = {
  "key-0123456789", "secret-0123456789", "api-key-01234567", "psk-01234567", "old-access-1234567", "old-refresh-1234567",
  "new-access-1234567", "new-refresh-1234567", "code-0123456789", "explicit-0123456789", "rotated-0123456789", "rotated-secret-123",
  "pass-01234567", "pass word", "adopted-1234567", "restored-1234567", "kim-1234567", "old-record", "new-record", "JH23MA1Z",
  "0b2c5b6e-0000-4000-8000-000000000000", "abcd-1234", "abc-1234",
}
function scenarios.spellings()
  local spellings, out = require("spec.support.markers").spellings, {}
  for _, secret in ipairs(SECRETS) do
    for _, text in pairs(spellings(secret)) do out[#out + 1] = text end
  end
  return out
end

return scenarios
