-- SPDX-License-Identifier: MIT
-- Declarations of providers: what is wrong is refused with its path, and one of one's own works from login to logout.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local function declaration()
  return {
    name = "acme",
    environments = { test = "https://auth.acme.example" },
    options = { client_id = { required = true }, client_secret = { secret = true }, redirect_uri = {}, scope = {} },
    headers = { ["X-Tenant"] = "blue" },
    authorize = {
      path = "/authorize",
      query = {
        response_type = "code", client_id = "$option.client_id", redirect_uri = "$argument.redirect_uri", scope = "$argument.scope?",
        state = "$pending.state",
      },
    },
    operations = {
      exchange = {
        method = "POST", path = "/token", body = "form", success = { 200 }, tokens = "oauth", resend = "never",
        fields = {
          grant_type = "authorization_code", client_id = "$option.client_id", code = "$argument.code",
            redirect_uri = "$argument.redirect_uri",
        },
      },
      refresh = {
        method = "POST", path = "/token", body = "form", success = { 200 }, tokens = "oauth", resend = "never", rotation = "keep",
        fields = { grant_type = "refresh_token", client_id = "$option.client_id", refresh_token = "$argument.refresh_token" },
      },
      verify = {
        method = "POST", path = "/introspect", body = "form", auth = "basic", success = { 200 }, active = "active",
        fields = { token = "$argument.token" },
      },
      check = { method = "GET", path = "/health", success = { 200, 204 } },
      logout = { method = "POST", path = "/revoke", body = "form", success = { 200 }, fields = { token = "$argument.token?" } },
    },
    call = { origins = { "https://api.acme.example" }, expired = { { status = 401, challenge = "invalid_token" } } },
    errors = { { dialect = "oauth", when = "invalid_grant", action = "reauthorize" } },
  }
end

-- Each: what is done to a sound declaration, and how the message must begin.
local WRONG = {
  { "operations.refresh.body: expected form, json or none", function(d) d.operations.refresh.body = "xml" end },
  { "operations.refresh.body: expected form, json or none", function(d) d.operations.refresh.body = 1 end },
  { "operations.refresh.body", function(d) d.operations.refresh.body = nil end },
  { "operations.check.body", function(d) d.operations.check.body = "form" end },
  { "operations.exchange.method", function(d) d.operations.exchange.method = "FETCH" end },
  { "operations.exchange.method", function(d) d.operations.exchange.method = true end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = nil end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "token" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "//evil.example/token" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "http://auth.acme.example/token" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/to ken" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/token\r\nX: y" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/a/../token" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/%2e%2e/token" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/to%zzken" end },
  { "operations.exchange.path", function(d) d.operations.exchange.path = "/token#part" end },
  { "operations.exchange.fields", function(d) d.operations.exchange.fields = "code" end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = "$argumnet.code" end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = "$argument." end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = "$argument.Code!" end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = "$" end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = {} end },
  { "operations.exchange.fields.code", function(d) d.operations.exchange.fields.code = "$pending.code" end },
  { "operations.exchange.fields.x", function(d) d.operations.exchange.fields.x = "$pending.state" end }, -- for the login page only
  { "authorize.query.state", function(d) d.authorize.query.state = "$pending.scope" end },
  { "authorize.query.x", function(d) d.authorize.query.x = "$pending.stat" end },
  { "operations.exchange.fields.client_id", function(d) d.operations.exchange.fields.client_id = "$option.client_di" end },
  { "operations.exchange.fields.x", function(d) d.operations.exchange.fields.x = 1.5 end },
  { "operations.exchange.fields.x", function(d) d.operations.exchange.fields.x = 0 / 0 end },
  { "operations.exchange.fields.x", function(d) d.operations.exchange.fields.x = 1 / 0 end },
  { "operations.exchange.fields.x", function(d) d.operations.exchange.fields.x = print end },
  { "operations.exchange.fields", function(d) d.operations.exchange.fields[1] = "x" end },
  { "operations.exchange.headers", function(d) d.operations.exchange.headers = { ["Bad Name"] = "x" } end },
  { "operations.exchange.headers.X%-A", function(d) d.operations.exchange.headers = { ["X-A"] = "a\r\nb" } end },
  { "operations.exchange.headers.Host: expected no header", function(d) d.operations.exchange.headers = { Host = "x" } end },
  { "operations.exchange.headers.range", function(d) d.operations.exchange.headers = { range = "bytes=0-1" } end },
  { "headers.Content%-Length", function(d) d.headers = { ["Content-Length"] = "1" } end },
  { "headers.X%-Request%-ID", function(d) d.headers = { ["X-Request-ID"] = "x" } end },
  { "headers.[Xx]%-[Aa]", function(d) d.headers = { ["X-A"] = "1", ["x-a"] = "2" } end },
  { "operations.exchange.headers", function(d) d.headers, d.operations.exchange.headers = { ["X-A"] = "1" }, { ["x-a"] = "2" } end },
  { "operations.exchange.headers", function(d) d.operations.exchange.headers = { ["content-type"] = "text/plain" } end },
  { "operations.verify.headers", function(d) d.operations.verify.headers = { authorization = "x" } end },
  { "headers: expected", function(d) d.headers = { Authorization = "x" } end },
  { "operations.exchange.headers.X%-A", function(d) d.operations.exchange.headers = { ["X-A"] = {} } end },
  { "operations.exchange.success", function(d) d.operations.exchange.success = 200 end },
  { "operations.exchange.success", function(d) d.operations.exchange.success = {} end },
  { "operations.exchange.success", function(d) d.operations.exchange.success = { 99 } end },
  { "operations.exchange.success", function(d) d.operations.exchange.success = { 200.5 } end },
  { "operations.exchange.success", function(d) d.operations.exchange.success = { "200" } end },
  { "operations.exchange.tokens", function(d) d.operations.exchange.tokens = nil end },
  { "operations.exchange.tokens", function(d) d.operations.exchange.tokens = "saml" end },
  { "operations.exchange.tokens", function(d) d.operations.exchange.tokens = 1 end },
  { "operations.exchange.tokens.access_token", function(d) d.operations.exchange.tokens = {} end },
  { "operations.exchange.tokens.bearer", function(d) d.operations.exchange.tokens = { access_token = "t", bearer = "x" } end },
  { "operations.check.tokens", function(d) d.operations.check.tokens = "oauth" end },
  { "operations.exchange.resend", function(d) d.operations.exchange.resend = "always" end },
  { "operations.refresh.rotation", function(d) d.operations.refresh.rotation = "maybe" end },
  { "operations.exchange.grant", function(d) d.operations.exchange.grant = "password" end },
  { "operations.refresh.grant", function(d) d.operations.refresh.grant = "client_credentials" end },
  { "operations.refresh.life", function(d) d.operations.refresh.life = "7 days" end },
  { "operations.refresh.life", function(d) d.operations.refresh.life = 1 end },
  { "operations.exchange.life", function(d) d.operations.exchange.life = 600 end },
  { "operations.exchange.wrap", function(d) d.operations.exchange.wrap = "token" end },
  { "operations.exchange.auth", function(d) d.operations.exchange.auth = "digest" end },
  { "operations.exchange.auth", function(d) d.operations.exchange.auth = "bearer" end },
  { "operations.verify.auth", function(d) d.options.client_secret = nil end },
  { "operations.check.gone", function(d) d.operations.check.gone = { 410 } end },
  { "operations.check.active", function(d) d.operations.check.active = "active" end },
  { "operations.check.spent", function(d) d.operations.check.spent = { "x" } end },
  { "operations.refresh.repeat_scope", function(d) d.operations.refresh.repeat_scope = { "SITE" } end }, -- no field says a scope
  { "operations.refresh.repeat_scope", function(d)
    d.operations.refresh.fields.scope, d.operations.refresh.repeat_scope = "$argument.scope?", "SITE"
  end },
  { "operations.refresh.repeat_scope", function(d)
    d.operations.refresh.fields.scope, d.operations.refresh.repeat_scope, d.options.scope = "$argument.scope?", { "SITE" }, nil
  end },
  { "operations.exchange.repeat_scope", function(d)
    d.operations.exchange.fields.scope, d.operations.exchange.repeat_scope = "$argument.scope?", { "SITE" }
  end },
  { "operations.refresh.retries: unknown member", function(d) d.operations.refresh.retries = 3 end },
  { "operations.revoke: unknown member", function(d) d.operations.revoke = {} end },
  { "operations.refresh", function(d) d.operations.refresh = "yes" end },
  { "operations: expected", function(d) d.operations = nil end },
  { "operations: expected", function(d) d.operations = 1 end },
  { "operations.exchange", function(d) d.operations.exchange = nil end },
  { "colour: unknown member", function(d) d.colour = "blue" end },
  { "name", function(d) d.name = nil end },
  { "name", function(d) d.name = "" end },
  { "name", function(d) d.name = "Acme" end },
  { "name", function(d) d.name = "ac me" end },
  { "name", function(d) d.name = "1acme" end },
  { "name", function(d) d.name = ("a"):rep(65) end },
  { "name", function(d) d.name = 5 end },
  { "declaration: expected members with names", function(d) d[1] = "x" end },
  { "environments", function(d) d.environments = "https://auth.acme.example" end },
  { "environments.test", function(d) d.environments.test = "http://auth.acme.example" end },
  { "environments.test", function(d) d.environments.test = "/path" end },
  { "environments.test", function(d) d.environments.test = 5 end },
  { "environments.test", function(d) d.environments.test = "https://auth.acme.example?realm=x" end },
  { "environments.test", function(d) d.environments.test = "https://user:pw@auth.acme.example" end },
  { "options", function(d) d.options = 1 end },
  { "options.client_id", function(d) d.options.client_id = true end },
  { "options.client_id.requird: unknown member", function(d) d.options.client_id = { requird = true } end },
  { "options.client_id.required", function(d) d.options.client_id = { required = 1 } end },
  { "options.timeout", function(d) d.options.timeout = {} end },
  { "options.Client", function(d) d.options.Client = {} end },
  { "headers", function(d) d.headers = "x" end },
  { "headers", function(d) d.headers = { ["X Y"] = "x" } end },
  { "headers.X%-A", function(d) d.headers = { ["X-A"] = "$option.nothing" } end },
  { "issuer", function(d) d.issuer = 1 end },
  { "issuer_required", function(d) d.issuer_required = "yes" end },
  { "scope", function(d) d.scope = "loose" end },
  { "authorize", function(d) d.authorize = "/authorize" end },
  { "authorize.path", function(d) d.authorize.path = nil end },
  { "authorize.path", function(d) d.authorize.path = "/./authorize" end },
  { "authorize.query.state", function(d) d.authorize.query.state = nil end },
  { "authorize.query.state", function(d) d.authorize.query.state = "fixed" end },
  { "authorize.pkce", function(d) d.authorize.pkce = "S256" end },
  { "authorize.method: unknown member", function(d) d.authorize.method = "GET" end },
  { "call", function(d) d.call = 1 end },
  { "call.origins", function(d) d.call.origins = "https://api.acme.example" end },
  { "call.origins", function(d) d.call.origins = { "http://api.acme.example" } end },
  { "call.origins", function(d) d.call.origins = { 1 } end },
  { "call.origins", function(d) d.call.origins = { "/api" } end },
  { "call.origins", function(d) d.call.origins = { "https://api.acme.example/v1" } end },
  { "call.origins", function(d) d.call.origins = { "https://api.acme.example?v=1" } end },
  { "call.expired", function(d) d.call.expired = {} end },
  { "call.expired%[1%]: expected a condition", function(d) d.call.expired = { {} } end },
  { "call.expired%[1%]: expected a condition", function(d) d.call.expired = { { operation = "call" } } end },
  { "call.expired%[1%].code", function(d) d.call.expired = { { status = 401, code = "x" } } end },
  { "call.expired%[1%].action", function(d) d.call.expired = { { status = 401, action = "retry" } } end },
  { "call.retry: unknown member", function(d) d.call.retry = 1 end },
  { "errors", function(d) d.errors = {} end },
  { "errors%[1%]", function(d) d.errors = { "invalid_grant" } end },
  { "errors%[1%].operation", function(d) d.errors = { { operation = "login", action = "wait" } } end },
  { "errors%[1%].status", function(d) d.errors = { { status = 42, action = "wait" } } end },
  { "errors%[1%].status", function(d) d.errors = { { status = "400", action = "wait" } } end },
  { "errors%[1%].dialect", function(d) d.errors = { { dialect = "soap", action = "wait" } } end },
  { "errors%[1%].action", function(d) d.errors = { { when = "x" } } end },
  { "errors%[1%].action", function(d) d.errors = { { when = "x", action = "panic" } } end },
  { "errors%[1%].code", function(d) d.errors = { { when = "x", code = "No Word" } } end },
  { "errors%[2%].wehn: unknown member", function(d) d.errors[2] = { wehn = "x", action = "wait" } end },
}

describe("a declaration", function()
  it("compiles as it stands, and is data: it may be used again", function()
    local d = declaration()
    local before = core.json_encode(d)
    local provider = healthauth.provider(d)
    assert.equal("userdata", type(provider))
    assert.equal("acme", provider:name())
    assert.same({ test = "https://auth.acme.example" }, provider:environments())
    assert.equal("healthauth.provider (acme)", tostring(provider))
    assert.equal(before, core.json_encode(d))
    assert.is_truthy(healthauth.provider(d))
  end)

  for i, case in ipairs(WRONG) do
    it(("is refused with the path of what is wrong (%d: %s)"):format(i, (case[1]:gsub("%%", ""))), function()
      local d = declaration()
      case[2](d)
      local message = support.raised_here(function() healthauth.provider(d) end)
      assert.matches("^" .. case[1], message)
    end)
  end

  it("is a table and nothing else", function()
    for _, value in ipairs { "acme", 5, true, print } do
      assert.matches("expected a declaration table", support.raised_here(function() healthauth.provider(value) end))
    end
    assert.matches("expected a declaration table", support.raised_here(function() healthauth.provider() end))
  end)

  it("runs no metamethod of the caller's", function()
    local function raise() error "a metamethod ran" end
    local d = setmetatable(declaration(), { __index = raise, __len = raise, __pairs = raise })
    setmetatable(d.operations.exchange.fields, { __index = raise, __pairs = raise })
    setmetatable(d.errors, { __index = raise, __len = raise })
    assert.equal("acme", healthauth.provider(d):name())
  end)

  it("never shows a control byte of a member's name", function()
    local d = declaration()
    d["\27[31mred\n"] = 1
    assert.is_nil(support.raised_here(function() healthauth.provider(d) end):find "[%c]")
  end)
end)

local function acme(changes, options)
  local d = declaration()
  for k, v in pairs(changes or {}) do d[k] = v end
  local all = {
    environment = "test", client_id = "id", client_secret = "planted-secret", redirect_uri = "https://me.example/cb", clock = support.clock,
  }
  for k, v in pairs(options or {}) do all[k] = v end
  return assert(healthauth.session(healthauth.provider(d), all))
end

local function query_of(url)
  return assert(core.form_decode(url:match "%?(.*)$"))
end

describe("PKCE", function()
  it("makes the challenge of RFC 7636 Appendix B from its verifier", function()
    local octets = { 116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240, 91,
      88, 5, 88, 83,
      132, 141, 121 }
    local raw = {}
    for i, octet in ipairs(octets) do raw[i] = string.char(octet) end
    local verifier = core.base64url(table.concat(raw))
    assert.equal("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", verifier)
    assert.equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", core.base64url(core.sha256(verifier)))
  end)

  it("is on for a code flow of one's own, and its verifier is sent with the code", function()
    local session = acme()
    local url, pending = session:authorize_url()
    local query = query_of(url)
    assert.equal("S256", query.code_challenge_method)
    assert.equal(43, #pending.code_verifier)
    assert.equal(core.base64url(core.sha256(pending.code_verifier)), query.code_challenge)
    local exchange = assert(support.begin(session, "exchange", { callback = "code=c0de&state=" .. pending.state, pending = pending }))
    local form = core.form_decode(exchange:request().body)
    assert.equal(pending.code_verifier, form.code_verifier)
  end)

  it("makes a new verifier each time", function()
    local session = acme()
    local _, one = session:authorize_url()
    local _, two = session:authorize_url()
    assert.not_equal(one.code_verifier, two.code_verifier)
    assert.not_equal(one.state, two.state)
  end)

  it("can be switched off by the declaration or the session, and on for a provider that has it off", function()
    local d = declaration()
    d.authorize.pkce = false
    for _, session in ipairs { acme { authorize = d.authorize }, acme(nil, { pkce = false }), support.open "pkb",
      support.open "ehealth" } do
      local url, pending = session:authorize_url { scope = "a" }
      assert.is_nil(query_of(url).code_challenge)
      assert.is_nil(pending.code_verifier)
    end
    local url, pending = support.open("pkb", { pkce = true }):authorize_url()
    assert.equal(core.base64url(core.sha256(pending.code_verifier)), query_of(url).code_challenge)
  end)
end)

describe("a provider of one's own", function()
  it("logs in, refreshes, verifies, calls and logs out", function()
    local transport = support.script(
      support.json(200, { access_token = "access-1", token_type = "Bearer", expires_in = 600, refresh_token = "refresh-1",
        scope = "read" }),
      support.json(200, { access_token = "access-2", token_type = "bearer", expires_in = 600 }),
      support.json(200, { active = true }), support.json(200, { active = false }), support.plain(204), support.json(200, { hello = "you" }),
      support.plain(200))
    local session = acme(nil, { transport = transport })
    local url, pending = session:authorize_url { scope = "read write" }
    assert.matches("^https://auth%.acme%.example/authorize%?", url)
    assert.equal("read write", query_of(url).scope)
    local tokens = assert(session:exchange { callback = "https://me.example/cb?code=c0de&state=" .. pending.state, pending = pending })
    assert.same({
      access_token = "access-1", token_type = "Bearer", expires_at = support.NOW + 600, refresh_token = "refresh-1", scope = "read",
        extra = {},
    }, tokens)
    tokens = assert(session:refresh())
    assert.same({ "access-2", "refresh-1" }, { tokens.access_token, tokens.refresh_token })
    assert.is_true(session:verify())
    assert.is_false(session:verify "another")
    assert.is_true(session:check())
    assert.equal('{"hello":"you"}', assert(session:call { url = "https://api.acme.example/me" }).body)
    assert.is_true(session:logout())
    assert.is_nil(session:tokens())
    assert.equal(7, #transport.sent)
    for _, request in ipairs(transport.sent) do assert.equal("blue", (support.header(request, "X-Tenant"))) end
    assert.equal("Basic aWQ6cGxhbnRlZC1zZWNyZXQ=", (support.header(transport.sent[3], "Authorization")))
    assert.equal("token=access-2", transport.sent[3].body)
    assert.equal("token=another", transport.sent[4].body)
    assert.equal("Bearer access-2", (support.header(transport.sent[6], "Authorization")))
  end)

  it("repeats with every refresh the scopes that its declaration says, and no other", function()
    local d = declaration()
    d.operations.refresh.fields.scope, d.operations.refresh.repeat_scope = "$argument.scope?", { "site", "ward" }
    local function sent(option, args)
      local session = acme({ operations = d.operations }, { scope = option, tokens = { access_token = "a", refresh_token = "r" } })
      return core.form_decode(assert(support.begin(session, "refresh", args)):request().body).scope
    end
    assert.equal("site", sent "site")
    assert.equal("ward", sent "ward")
    for _, other in ipairs { "patient", "SITE", "site ward", "sit" } do assert.is_nil(sent(other)) end
    assert.is_nil(sent(nil))
    assert.equal("narrower", sent("site", { scope = "narrower" }))
    assert.equal("site", sent("site", { refresh_token = "another" }))
    d.operations.refresh.repeat_scope = nil
    assert.is_nil(sent "site")
  end)

  it("needs a boolean for introspection's active", function()
    for _, body in ipairs { {}, { active = "true" }, { active = 1 } } do
      local session = acme(nil, { transport = support.script(support.json(200, body)) })
      local valid, err = session:verify "some-token"
      assert.is_nil(valid)
      assert.same({ "protocol", "member_type" }, { err.kind, err.code })
    end
  end)

  it("gets tokens by client credentials, and anew when they expire", function()
    local now = support.NOW
    local transport = support.script(
      support.json(200, { access_token = "one", token_type = "bearer", expires_in = 100 }),
      support.json(200, { access_token = "two", token_type = "bearer", expires_in = 100 }))
    local provider = healthauth.provider {
      name = "robot", options = { client_id = { required = true }, client_secret = { required = true, secret = true } },
      operations = {
        exchange = {
          path = "/token", auth = "basic", body = "form", grant = "client_credentials", fields = { grant_type = "client_credentials" },
          tokens = "oauth",
        },
      },
    }
    local session = assert(healthauth.session(provider, {
      base_url = "https://robot.example/v1/", client_id = "a b", client_secret = "s:/ é", transport = transport,
        clock = function() return now end,
    }))
    assert.equal("one", session:access_token())
    assert.equal("one", session:access_token())
    now = now + 100
    assert.equal("two", session:access_token())
    assert.equal("https://robot.example/v1/token", transport.sent[1].url)
    assert.equal("POST", transport.sent[1].method)
    assert.equal("Basic " .. core.base64("a%20b:s%3A%2F%20%C3%A9"), (support.header(transport.sent[1], "Authorization")))
  end)

  it("is shared by sessions that know nothing of each other", function()
    local provider = healthauth.provider(declaration())
    local one = assert(healthauth.session(provider, { environment = "test", client_id = "one", tokens = { access_token = "t1" } }))
    local two = assert(healthauth.session(provider, { environment = "test", client_id = "two" }))
    assert.is_nil(two:tokens())
    one:close()
    assert.is_nil(two:tokens())
    assert.equal("healthauth.session (acme, no tokens)", tostring(two))
  end)

  it("sends the Accept that it declares, once, and leaves a call without one to the caller", function()
    local session = acme(nil, { tokens = support.tokens() })
    assert.equal("application/json", (support.header(assert(support.begin(session, "check")):request(), "Accept")))
    assert.same({ "text/plain", 1 },
      { support.header(assert(support.begin(session, "call", { url = "/x", headers = { Accept = "text/plain" } })):request(), "Accept") })
    session = acme({ headers = { accept = "application/fhir+json" } }, { tokens = support.tokens() })
    for _, operation in ipairs { "check", "verify", "refresh" } do
      assert.same({ "application/fhir+json", 1 }, { support.header(assert(support.begin(session, operation)):request(), "Accept") })
    end
    assert.is_false(pcall(support.begin, session, "call", { url = "/x", headers = { Accept = "text/plain" } }))
  end)

  it("sends numbers and booleans of a JSON body as such", function()
    local d = declaration()
    d.operations.exchange.body = "json"
    d.operations.exchange.fields = { code = "$argument.code", version = 2, offline = true }
    local session = acme({ operations = d.operations })
    local exchange = assert(support.begin(session, "exchange", { code = 'a"b', redirect_uri = "https://me.example/cb" }))
    assert.equal('{"code":"a\\"b","offline":true,"version":2}', exchange:request().body)
  end)
end)
