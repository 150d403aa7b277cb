-- SPDX-License-Identifier: MIT
-- Options of sessions: what is wrong raises where the caller stands; what a session shows of itself; its end.

local cjson = require "cjson"
local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local NAN, INF = 0 / 0, 1 / 0
local SECRETS = { "planted-api-key-1", "planted-client-secret-1", "planted-psk-1", "planted-access-token-1", "planted-refresh-token-1" }

local function wrong(name, changes, pattern)
  local options = support.options(name, changes)
  local message = support.raised_here(function() healthauth[name](options) end)
  assert.matches(pattern, message)
  for _, secret in ipairs(SECRETS) do assert.is_nil(message:find(secret, 1, true)) end
  return message
end

local many_headers = {} -- each is fine, all of them are too much
for i = 1, 16 do many_headers["X-" .. i] = ("v"):rep(8 * 1024) end

-- option, values that raise. Each message names the option.
local IMPOSSIBLE = {
  { "base_url", { 5, true, {}, print, "", "x", "ftp://a.example", "https://", "https:///x", "https://u:p@a.example",
    "https://a.example?x=1",
    "https://a.example#x", "https://a.example/x y", "https://a.example\r\n", "https://a.example\0", "https://ä.example",
      "https://a%2eexample",
    "https://a.example:0", "https://a.example:65536", "https://a.example:x" } },
  { "timeout", { "15", true, {}, 0, -1, NAN, INF, -INF, 86401 } },
  { "connect_timeout", { "5", true, {}, 0, -1, NAN, INF } },
  { "limits", { 5, "x", true, { body = 0 }, { body = -1 }, { body = 1.5 }, { body = NAN }, { body = INF }, { body = "1" }, { headers = 0 },
    { headers = 256 * 1024 + 1 }, { depth = 0 }, { depth = 1e9 }, { depth = {} } } },
  { "tls", { 5, "x", true, { ca_file = 5 }, { ca_file = "" }, { ca_file = "a\0b" }, { min_version = "1.1" }, { min_version = 1.2 },
    { key_password = true }, { key_file = "/key.pem" } } },
  { "proxy", { 5, true, {}, "", "proxy", "socks5://p.example", "http://p.example/path", "http://a@b@c", "http://p.example\r\n",
    "http://p .example", "http://@p.example:1", "http://:pw@p.example:1", "http://a%zz:pw@p.example:1", "http://a:pw%0d%0a@p.example:1",
    "http://a%3Ab:pw@p.example:1", "http://a/b@p.example:1", "http://" .. ("a"):rep(1025) .. "@p.example:1" } },
  { "user_agent", { 5, true, {}, "", "a\r\nb", "a\0b", ("a"):rep(513) } },
  { "headers", { 5, "x", true, { "x" }, { ["X-A"] = 5 }, { ["X A"] = "x" }, { [""] = "x" }, { ["X-A"] = "a\r\nb" }, { ["X-A"] = "a\nb" },
    { ["X-A"] = "a\0b" }, { ["X-A:"] = "x" }, { Host = "evil.example" }, { ["content-LENGTH"] = "1" },
      { ["Transfer-Encoding"] = "chunked" },
    { Authorization = "Bearer x" }, { ["User-Agent"] = "x" }, { ["X-Request-ID"] = "x" }, { Cookie = "a=b" }, { ["Content-Type"] = "x" },
    { Accept = "x" }, { ["Accept-Encoding"] = "gzip" }, { Connection = "close" },
    { Range = "bytes=0-1" }, many_headers } },
  { "origins", { 5, "https://a.example", { 5 }, { "a.example" }, { "http://a.example" }, { "https://a.example/path" },
    { "https://u@a.example" },
    { x = "https://a.example" }, { "https://a.example", nil, "https://b.example" } } },
  { "issuer", { 5, true, {}, "", "a b", "a\r\nb" } },
  { "pkce", { 1, "true", {} } },
  { "transport", { 5, "curl", true, print, {}, { perform = 5 } } },
  { "clock", { 5, "now", {}, true } },
  { "on_event", { 5, "print", {}, true } },
  { "margin", { "60", true, {}, -1, NAN, INF } },
  { "lease", { "20", true, {}, 0, -1, NAN, INF } },
  { "max_wait", { "20", true, {}, -1, NAN, INF } },
  { "endpoints", { 5, "x", true, { 5 }, { exchange = 5 }, { exchange = "" }, { exchange = "token" }, { exchange = "//evil.example/x" },
    { exchange = "http://evil.example/x" }, { exchange = "https://u@evil.example/x" }, { exchange = "/a b" }, { exchange = "/a\r\nb" },
    { exchange = "/a#b" }, { exchange = "/a\\b" }, { exchange = "/a/../b" }, { exchange = "/%2E./b" }, { exchange = "/a%zz" } } },
}

describe("an option", function()
  for _, case in ipairs(IMPOSSIBLE) do
    it("'" .. case[1] .. "' with an impossible value raises at the caller", function()
      for i, value in ipairs(case[2]) do
        local ok, err = pcall(wrong, "pkb", { [case[1]] = value }, "option '" .. case[1])
        assert(ok, ("value %d (%s): %s"):format(i, tostring(value), tostring(err)))
      end
    end)
  end

  it("proxy is on this machine where the way behind it is http", function()
    local far, near = "http://u:p@proxy.example:3128", "http://u:p@127.0.0.1:3128"
    wrong("pkb", { base_url = "http://127.0.0.1:8080", proxy = far }, "option 'proxy'")
    wrong("pkb", { endpoints = { refresh = "http://127.0.0.1:8080/r" }, proxy = far }, "option 'proxy'")
    support.open("pkb", { endpoints = { refresh = "/r", exchange = "https://a.example/x" }, proxy = far }):close()
    support.open("pkb", { base_url = "http://127.0.0.1:8080", proxy = near }):close()
  end)

  it("that nobody knows is named", function()
    wrong("pkb", { tiemout = 5 }, "unknown option 'tiemout'")
    wrong("conneqt", { client_id = "x" }, "unknown option 'client_id'")
    wrong("pkb", { client_secret = "planted-client-secret-1" }, "unknown option 'client_secret'")
    wrong("pkb", { limits = { bdy = 5 } }, "limits%.bdy")
    wrong("pkb", { tls = { verify = "no" } }, "tls%.verify")
    wrong("pkb", { endpoints = { login = "/x" } }, "endpoints%.login")
    wrong("conneqt", { endpoints = { authorize = "/x" } }, "endpoints%.authorize")
    wrong("pkb", { [1] = "x" }, "have names")
    assert.is_nil(wrong("pkb", { ["\27[2J\n"] = 1 }, "unknown option"):find "%c")
  end)

  it("that is required is asked for", function()
    wrong("conneqt", { api_key = false }, "'api_key' is required")
    wrong("ehealth", { client_id = false }, "'client_id' is required")
    wrong("ehealth", { client_secret = false }, "'client_secret' is required")
    wrong("pkb", { client_id = false }, "'client_id' is required")
    wrong("pkb_system", { client_secret = false }, "'client_secret' is required")
  end)

  it("environment and base_url: exactly one", function()
    wrong("pkb", { base_url = false }, "exactly one of")
    wrong("pkb", { environment = "sandbox" }, "exactly one of")
    for _, value in ipairs { "production", "", "Sandbox", 5, true, {} } do wrong("pkb", { base_url = false, environment = value },
      "'environment'") end
    for name, list in pairs {
      conneqt = { "integration" }, pkb = { "sandbox" }, pkb_system = { "sandbox" }, ehealth = { "demo", "preprod", "production" },
    } do
      for _, environment in ipairs(list) do support.open(name, { base_url = false, environment = environment }):close() end
    end
  end)

  it("of a credential with CR, LF, NUL or other control bytes raises, and so does an empty or overlong one", function()
    for _, value in ipairs { "a\rb", "a\nb", "a\0b", "a\127b", "\27", "", ("a"):rep(8193), 5, true, {} } do
      wrong("ehealth", { client_id = value }, "'client_id'")
      wrong("ehealth", { client_secret = value }, "'client_secret'")
      wrong("ehealth", { psk = value }, "'psk'")
      wrong("conneqt", { api_key = value }, "'api_key'")
    end
    for _, value in ipairs { "a b", " a", "ä", "a\t" } do wrong("conneqt", { api_key = value }, "'api_key'") end
    support.open("ehealth", { client_secret = "pass phrase ä" }):close()
  end)

  it("redirect_uri has bytes that can be sent back", function()
    for _, value in ipairs { "", "https://a.example/ b", "https://ä.example", 5, "a\r\nb" } do wrong("pkb", { redirect_uri = value },
      "'redirect_uri'") end
  end)

  it("a store needs a key, and a key a store", function()
    local store = healthauth.stores.memory {}
    wrong("pkb", { store = store }, "'key' is required")
    wrong("pkb", { key = "sam" }, "'store' is required")
    for _, value in ipairs { 5, true, {}, "", ("k"):rep(257) } do wrong("pkb", { store = store, key = value }, "'key'") end
    for _, value in ipairs { 5, true, {}, "memory", print } do wrong("pkb", { store = value, key = "sam" }, "'store'") end
  end)

  it("options must be a table", function()
    for _, value in ipairs { 5, "x", true, print } do
      assert.matches("expected a table", support.raised_here(function() healthauth.pkb(value) end))
    end
    assert.matches("expected a table", support.raised_here(function() healthauth.conneqt() end))
    assert.matches("provider", support.raised_here(function() healthauth.session({}, {}) end))
    assert.matches("provider", support.raised_here(function() healthauth.session(nil, {}) end))
    assert.is_string(support.raised_here(function() healthauth.session("nobody", {}) end))
    assert.matches("provider", support.raised_here(function() healthauth.session(support.open "pkb", {}) end))
  end)

  it("tables with metamethods that raise change nothing", function()
    local function raise() error "a metamethod ran" end
    local meta = { __index = raise, __len = raise, __pairs = raise, __newindex = raise }
    local options = support.options("pkb", {
      headers = setmetatable({ ["X-A"] = "b" }, meta), limits = setmetatable({}, meta), tls = setmetatable({}, meta),
      endpoints = setmetatable({}, meta), origins = setmetatable({ "https://a.example" }, meta), tokens = setmetatable(support.tokens(),
        meta),
    })
    assert.is_truthy(healthauth.pkb(setmetatable(options, meta)))
  end)
end)

describe("base_url over http", function()
  for _, url in ipairs {
    "http://127.0.0.1", "http://127.0.0.1:8080/pkb", "http://127.8.9.1", "http://[::1]:80", "http://localhost", "http://LOCALHOST:9/x/",
  } do
    it("may go to " .. url, function() support.open("pkb", { base_url = url }):close() end)
  end
  for _, url in ipairs {
    "http://pkb.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://evil.example#127.0.0.1",
      "http://evil.example?127.0.0.1",
    "http://127.0.0.1@evil.example", "http://localhost:80@evil.example", "http://2130706433", "http://0x7f000001", "http://0x7f.1",
      "http://127.1",
    "http://127.0.1", "http://0177.0.0.1", "http://127.0.0.01", "http://0.0.0.0", "http://[::]", "http://[::ffff:7f00:1]x",
      "http://[::2]", "http://10.0.0.1",
    "http://128.0.0.1", "http://localhost.", "http://127.0.0.1.", "http://127.0.0.1%00.evil.example", "http://127.0.0.1\\@evil.example",
    "http:\\\\127.0.0.1", "http:127.0.0.1", "http://evil.example\\.localhost", "http://locаlhost", "http://127。0.0.1", "http://[::1",
      "http://::1",
    "http://[fe80::1%25lo]", "http://a.localhost", "HTTP://pkb.example",
  } do
    it("may not go to " .. url, function() wrong("pkb", { base_url = url }, "'base_url'") end)
  end
end)

describe("base_url and endpoints", function()
  local function url_of(changes, operation)
    local session = support.open("pkb", changes)
    local args = operation ~= "refresh" and { code = "c", redirect_uri = "https://client.example/cb" } or { refresh_token = "r" }
    return assert(support.begin(session, operation or "exchange", args)):request().url
  end
  for _, case in ipairs {
    { "https://a.example", "https://a.example/apiToken.action" }, { "https://a.example/", "https://a.example/apiToken.action" },
    { "https://a.example/x", "https://a.example/x/apiToken.action" }, { "https://a.example/x/", "https://a.example/x/apiToken.action" },
    { "https://A.Example:443/x/y", "https://a.example/x/y/apiToken.action" }, { "http://localhost:81",
      "http://localhost:81/apiToken.action" },
  } do
    it("joins " .. case[1] .. " with one slash", function() assert.equal(case[2], url_of { base_url = case[1] }) end)
  end

  it("an endpoint is a path under base_url or a whole URL, for its operation alone", function()
    local changes = { base_url = "https://a.example/x", endpoints = { exchange = "/v2/token?kind=a",
      refresh = "https://b.example:8443/r" } }
    assert.equal("https://a.example/x/v2/token?kind=a", url_of(changes))
    assert.equal("https://b.example:8443/r", url_of(changes, "refresh"))
    local url = support.open("pkb", { endpoints = { authorize = "https://login.example/start?theme=dark" } }):authorize_url()
    assert.matches("^https://login%.example/start%?theme=dark&client_id=client%-1&", url)
  end)
end)

describe("a request", function()
  it("carries what the options say", function()
    local session = support.open("pkb", {
      timeout = 7, connect_timeout = 2, limits = { body = 1000, headers = 2000, depth = 5 }, proxy = "http://u:p@proxy.example:3128",
      tls = { ca_file = "/ca.pem", min_version = "1.3", key_password = "planted-key-password" }, user_agent = "clinic/1",
        headers = { ["X-A"] = "b" },
    })
    local request = assert(support.begin(session, "exchange", { code = "c", redirect_uri = "https://client.example/cb" })):request()
    assert.same({ 7, 2 }, { request.timeout, request.connect_timeout })
    assert.same({ body = 1000, headers = 2000, depth = 5 }, request.limits)
    assert.equal("http://u:p@proxy.example:3128", request.proxy)
    assert.same({ ca_file = "/ca.pem", min_version = "1.3", key_password = "planted-key-password" }, request.tls)
    assert.equal("clinic/1", (support.header(request, "User-Agent")))
    assert.equal("b", (support.header(request, "X-A")))
  end)

  it("has the defaults of the contract", function()
    local request = assert(support.begin(support.open "conneqt", "check")):request()
    assert.same({ 15, 5 }, { request.timeout, request.connect_timeout })
    assert.same({ body = 1048576, headers = 65536, depth = 32 }, request.limits)
    assert.is_nil(request.tls)
    assert.is_nil(request.proxy)
    assert.matches("^healthauth/", (support.header(request, "User-Agent")))
  end)

  it("is not changed by what the caller does to its options or its copy later", function()
    local options = support.options("pkb", { tls = { ca_file = "/ca.pem" }, headers = { ["X-A"] = "b" }, endpoints = { refresh = "/r" } })
    local session = healthauth.pkb(options)
    options.tls.ca_file, options.headers["X-A"], options.endpoints.refresh, options.base_url = "/evil", "evil", "/evil",
      "https://evil.example"
    local exchange = assert(support.begin(session, "refresh", { refresh_token = "r" }))
    local request = exchange:request()
    assert.same({ "https://pkb.example/r", "/ca.pem", "b" }, { request.url, request.tls.ca_file, (support.header(request, "X-A")) })
    request.url, request.tls.ca_file = "https://evil.example", "/evil"
    assert.equal("https://pkb.example/r", exchange:request().url)
    assert.equal("/ca.pem", exchange:request().tls.ca_file)
  end)
end)

describe("a credential that is a function", function()
  it("is asked for each request (rotation)", function()
    local n = 0
    local transport = support.script(support.plain(200), support.plain(200))
    local session = support.open("conneqt", { api_key = function() n = n + 1 return "key-" .. n end, transport = transport })
    assert.is_true(session:check())
    assert.is_true(session:check())
    assert.same({ "key-1", "key-2" }, { (support.header(transport.sent[1], "ApiKey")), (support.header(transport.sent[2], "ApiKey")) })
  end)

  it("that gives nothing usable is an error of the world, without its value", function()
    for _, value in ipairs { "a\r\nb", "", "a b", false, 5, {} } do
      local transport = support.script()
      local session = support.open("conneqt", { api_key = function() return value end, transport = transport })
      local ok, err = session:check()
      assert.is_nil(ok)
      assert.same({ "argument", "fix_credentials", "not_sent", "conneqt", "check" }, { err.kind, err.action, err.outcome, err.provider,
        err.operation })
      assert.equal(0, #transport.sent)
    end
    local session = support.open("ehealth", { client_secret = function() error "planted-client-secret-1" end })
    for _, answer in ipairs {
      { session:authorize_url {} }, { session:exchange { code = "c" } }, { session:refresh { refresh_token = "r" } },
    } do
      assert.is_nil(answer[1])
      assert.equal("argument", answer[2].kind)
      assert.is_nil(tostring(answer[2]):find("planted", 1, true))
    end
  end)
end)

describe("the option tokens", function()
  it("is adopted as restore does it", function()
    local session = support.open("pkb", { tokens = support.tokens { extra = { a = 1 } } })
    assert.same(support.tokens { extra = { a = 1 } }, session:tokens())
    assert.equal("healthauth.session (pkb, with tokens)", tostring(session))
  end)

  it("that cannot be taken answers nil, err whatever its type", function()
    for _, value in ipairs { 5, "x", true, print, {}, { access_token = 5 }, { access_token = "a b" }, { access_token = "" } } do
      local session, err = healthauth.pkb(support.options("pkb", { tokens = value }))
      assert.is_nil(session)
      assert.same({ "argument", "not_sent" }, { err.kind, err.outcome })
      assert.is_truthy(err.code == "token_malformed" or err.code == "token_missing")
    end
  end)

  it("is copied in and out", function()
    local given = support.tokens { extra = { a = { 1 } } }
    local session = support.open("pkb", { tokens = given })
    given.access_token, given.extra.a[1] = "evil", 2
    local copy = session:tokens()
    assert.same({ "planted-access-token-1", 1 }, { copy.access_token, copy.extra.a[1] })
    copy.access_token, copy.extra.a = "evil", nil
    assert.same({ "planted-access-token-1", 1 }, { session:tokens().access_token, session:tokens().extra.a[1] })
  end)
end)

describe("a session shows no secret", function()
  local function walk(value, seen, visit)
    if type(value) == "string" then visit(value) end
    if type(value) ~= "table" or seen[value] then return end
    seen[value] = true
    for k, v in next, value do
      walk(k, seen, visit)
      walk(v, seen, visit)
    end
  end

  it("in tostring, pairs, cjson.encode or its metatable", function()
    for _, name in ipairs(support.PROVIDERS) do
      local session = support.open(name, { tokens = support.tokens(name == "pkb_system" and { refresh_token = false } or nil) })
      local texts, shown = { tostring(session) }, nil
      walk(getmetatable(session), {}, function(text) texts[#texts + 1] = text end)
      assert.equal("string", type(getmetatable(session)))
      assert.is_false(pcall(setmetatable, session, {}))
      assert.is_false(pcall(cjson.encode, session))
      assert.is_false(pcall(function() for _ in pairs(session) do shown = true end end))
      assert.is_nil(shown)
      assert.is_nil(session.api_key)
      assert.is_nil(session.client_secret)
      assert.is_false(pcall(function() session.x = 1 end))
      for _, text in ipairs(texts) do
        for _, secret in ipairs(SECRETS) do assert.is_nil(text:find(secret, 1, true)) end
      end
      walk(core.inside.context(session), {}, function(text)
        for _, secret in ipairs(SECRETS) do assert.is_nil(text:find(secret, 1, true)) end
      end)
      local exchange = support.begin(session, name == "conneqt" and "check" or "exchange", name == "pkb_system" and {} or
        name ~= "conneqt" and
        { code = "planted-code-1", redirect_uri = "https://client.example/cb" } or nil)
      assert.matches("^healthauth%.exchange %(" .. name .. " %l+%)$", tostring(exchange))
    end
  end)
end)

describe("close", function()
  it("returns true as often as one likes", function()
    local session = support.open "pkb"
    for _ = 1, 3 do assert.is_true(session:close()) end
    assert.equal("healthauth.session (closed)", tostring(session))
  end)

  it("is the end: every other verb raises where the caller stands", function()
    local session = support.open("ehealth", { tokens = support.tokens() })
    session:close()
    for _, verb in ipairs {
      "authorize_url", "exchange", "refresh", "access_token", "verify", "check", "call", "logout", "tokens", "restore", "begin",
    } do
      local message = support.raised_here(function() session[verb](session, verb == "begin" and "refresh" or nil) end)
      assert.matches("closed", message)
    end
  end)

  it("raises for a wrong self where the caller stands, in every verb", function()
    local session = support.open "pkb"
    local provider = healthauth.provider(require "healthauth.providers.pkb")
    for _, verb in ipairs {
      "authorize_url", "exchange", "refresh", "access_token", "verify", "check", "call", "logout", "tokens", "restore", "close", "begin",
    } do
      local method = session[verb]
      for _, self in ipairs { {}, "x", 5, io.stdout, provider } do
        assert.is_string(support.raised_here(function() method(self) end))
      end
      assert.is_string(support.raised_here(function() method() end))
    end
  end)

  it("leaves the store alone", function()
    local store = healthauth.stores.memory {}
    local session = support.open("pkb", { store = store, key = "sam" })
    assert.is_true(session:restore(support.tokens()))
    session:close()
    local again = support.open("pkb", { store = store, key = "sam" })
    assert.is_true(again:restore())
    assert.equal("planted-access-token-1", again:tokens().access_token)
  end)

  it("is done by __close on Lua 5.4 and by the collector", function()
    if _VERSION == "Lua 5.4" then
      local session = support.open "pkb"
      local chunk = assert(load("local s <close> = ...; return tostring(s)")) -- luacheck: ignore 113
      assert.equal("healthauth.session (pkb, no tokens)", chunk(session))
      assert.equal("healthauth.session (closed)", tostring(session))
    end
    local weak = setmetatable({ support.open("pkb", { tokens = support.tokens() }) }, { __mode = "v" })
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("while an exchange is open makes that one raise, and harms nothing", function()
    local session = support.open("pkb", { tokens = support.tokens() })
    local exchange = assert(support.begin(session, "refresh"))
    session:close()
    for _, method in ipairs { "request", "finish", "fail" } do
      assert.matches("closed", support.raised_here(function() exchange[method](exchange, {}) end))
    end
    exchange = nil -- luacheck: ignore 311
    collectgarbage()
    assert.equal("healthauth.session (closed)", tostring(session))
  end)
end)
