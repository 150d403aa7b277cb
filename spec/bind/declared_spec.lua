-- SPDX-License-Identifier: MIT
-- What a declaration may ask for and the four providers do not: arguments and credentials in every place, what is told when one is not
-- there, authorization pages that need more, answers with other members.

local core = require "healthauth.core"
local support = require "spec.support.scripted"

local NOW = support.NOW

local function declaration()
  return {
    name = "acme",
    environments = { test = "https://auth.acme.example" },
    options = { client_id = {}, client_secret = { secret = true }, redirect_uri = {}, scope = {} },
    authorize = { path = "/authorize", pkce = false, query = { response_type = "code", state = "$pending.state" } },
    operations = {
      exchange = { method = "POST", path = "/token", body = "form", success = { 200 }, tokens = "oauth", resend = "never",
        fields = { code = "$argument.code" } },
      verify = { method = "GET", path = "/verify", success = { 200 }, resend = "safe", headers = {} },
    },
  }
end

-- change(declaration) may replace anything; options are the session's.
local function open(change, options)
  local d = declaration()
  if change then change(d) end
  local all = { environment = "test" }
  for k, v in pairs(options or {}) do all[k] = v end
  return assert(core.session(core.provider(d), all))
end

local function begin(session, operation, args)
  local all = { now = NOW }
  for k, v in pairs(args or {}) do all[k] = v end
  return session:begin(operation, all)
end

local function assert_refused(code, exchange, err)
  assert.is_nil(exchange)
  assert.same({ "argument", code, "not_sent" }, { err.kind, err.code, err.outcome })
end

local function authorize(session, args)
  local all = { now = NOW }
  for k, v in pairs(args or {}) do all[k] = v end
  return core.authorize_url(session, all)
end

describe("an argument of one's own", function()
  local function with_field(word) return function(d) d.operations.exchange.fields.code = word end end

  it("is sent in a body, in a header of the operation, or in one of the provider", function()
    local exchange = begin(open(with_field "$argument.voucher"), "exchange", { voucher = "v-1" })
    assert.equal("voucher=v-1", (exchange:request().body:gsub("^code", "voucher")))
    for _, place in ipairs { "operation", "provider" } do
      local session = open(function(d)
        (place == "provider" and d or d.operations.verify).headers = { ["X-Ticket"] = "$argument.ticket" }
      end)
      assert.equal("t-1", (support.header(begin(session, "verify", { ticket = "t-1" }):request(), "X-Ticket")))
      assert_refused("argument_missing", begin(session, "verify"))
    end
  end)

  it("has codes of its own when it is missing or cannot be sent", function()
    local session = open(with_field "$argument.voucher")
    assert_refused("argument_missing", begin(session, "exchange"))
    assert_refused("argument_missing", begin(session, "exchange", { voucher = "" }))
    for _, value in ipairs { "a b", "a\nb", "\255", ("x"):rep(65537), 5, true, {} } do
      assert_refused("argument_malformed", begin(session, "exchange", { voucher = value }))
    end
    assert.has_error(function() begin(session, "exchange", { vaucher = "v" }) end, "acme exchange: unknown argument 'vaucher'")
    assert.has_error(function() begin(session, "exchange", { ["v\n\27\200"] = "v" }) end, "acme exchange: unknown argument 'v???'")
    assert.has_error(function() begin(session, "exchange", { "v" }) end, "acme exchange: arguments have names")
  end)

  it("is named where it is a usual one", function()
    for word, code in pairs {
      ["$argument.access_code"] = "access_code_missing", ["$argument.code"] = "code_missing", ["$argument.token"] = "no_token",
      ["$argument.refresh_token"] = "no_token", ["$argument.redirect_uri"] = "redirect_uri_missing",
      ["$argument.scope"] = "argument_missing", ["$option.client_id"] = "credential_missing",
    } do
      local exchange, err = begin(open(with_field(word)), "exchange")
      assert.is_nil(exchange, word)
      assert.equal(code, err.code, word)
    end
  end)

  it("is one of at most twelve; more raise", function()
    local session = open(function(d)
      for i = 1, 12 do d.operations.exchange.fields["f" .. i] = "$argument.a" .. i .. "?" end
    end)
    local args = { code = "c" }
    for i = 1, 11 do args["a" .. i] = "v" .. i end
    local exchange = assert(begin(session, "exchange", args))
    assert.equal("v11", core.form_decode(exchange:request().body).f11)
    exchange:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
    args.a12 = "v12"
    assert.has_error(function() begin(session, "exchange", args) end, "too many arguments")
  end)
end)

describe("a credential", function()
  local function with_header(d) d.operations.verify.headers = { ["X-Key"] = "$option.client_secret?" } end

  it("that a function gave stands before the option's, for this exchange alone", function()
    local session = open(with_header, { client_secret = "from-option" })
    local function sent(credentials)
      return (support.header(assert(begin(session, "verify", { credentials = credentials })):request(), "X-Key"))
    end
    assert.equal("from-option", sent())
    assert.equal("from-function", sent { client_secret = "from-function" })
    assert.equal("from-option", sent {})
    assert.equal("from-option", sent { client_id = "another" })
  end)

  it("that a function gave is a text that can be sent, or nothing is", function()
    local session = open(with_header)
    for _, value in ipairs { "", "a b", "a\r\nX: y", 5, true, {} } do
      local exchange, err = begin(session, "verify", { credentials = { client_secret = value } })
      assert_refused("credential_malformed", exchange, err)
      assert.equal("fix_credentials", err.action)
      local url, why = authorize(session, { credentials = { client_secret = value } })
      assert_refused("credential_malformed", url, why)
    end
    for _, value in ipairs { "x", 5, true } do
      assert.has_error(function() begin(session, "verify", { credentials = value }) end, "acme: credentials: expected a table")
    end
  end)

  it("of Basic that is not there is asked for", function()
    local session = open(function(d) d.operations.verify.auth = "basic" end, { client_id = "id" })
    assert_refused("credential_missing", begin(session, "verify"))
    session = open(function(d) d.operations.verify.auth = "basic" end, { client_secret = "secret" })
    assert_refused("credential_missing", begin(session, "verify"))
  end)

  it("with bytes that no header can hold is not put into one", function()
    local session = open(function(d) d.operations.verify.headers = { ["X-Scope"] = "$argument.scope" } end)
    assert_refused("argument_malformed", begin(session, "verify", { scope = "two words" }))
    assert.equal("one", (support.header(assert(begin(session, "verify", { scope = "one" })):request(), "X-Scope")))
  end)
end)

describe("an authorization page", function()
  it("is told what it needs, from an argument or an option, or the caller is told what is missing", function()
    for word, code in pairs {
      ["$argument.redirect_uri"] = "redirect_uri_missing", ["$argument.scope"] = "scope_missing",
      ["$option.client_id"] = "argument_missing",
    } do
      local name = word:match "%.(.*)"
      local session = open(function(d) d.authorize.query.wanted = word end)
      assert_refused(code, authorize(session))
      session = open(function(d) d.authorize.query.wanted = word end, { [name] = name == "redirect_uri" and "https://a.example/cb" or "x" })
      local url = assert(authorize(session))
      assert.is_truthy(url:find("wanted=", 1, true), word)
    end
    local session = open(function(d) d.authorize.query.wanted = "$option.client_id?" end)
    assert.is_nil(assert(authorize(session)):find("wanted", 1, true))
  end)

  it("needs a redirect_uri to put the state into", function()
    assert_refused("redirect_uri_missing", authorize(open(), { state_in_redirect = true }))
  end)

  it("has the challenge that is declared, and then no other", function()
    local session = open(function(d)
      d.authorize.pkce = true
      d.authorize.query.code_challenge = "$pending.code_verifier"
      d.authorize.query.code_challenge_method = "plain"
    end)
    local url, pending = assert(authorize(session))
    local query = assert(core.form_decode(url:match "%?(.*)$")) -- a name that came twice would be refused
    assert.same({ pending.code_verifier, "plain" }, { query.code_challenge, query.code_challenge_method })
  end)

  it("takes no argument that it does not know, and none but a table", function()
    local session = open()
    for _, name in ipairs { "state", "scop", 1, true } do
      assert.has_error(function() authorize(session, { [name] = "x" }) end, "acme authorize_url: unknown argument")
    end
    assert.has_error(function() authorize(session, { state_in_redirect = "yes" }) end,
      "acme authorize_url: state_in_redirect: expected true or false")
    assert.is_false(pcall(core.authorize_url, session, "x"))
    assert.is_string((core.authorize_url(session)))
  end)

  it("takes texts without control characters only", function()
    local session = open()
    for _, value in ipairs { "", "a\nb", "a\127b", "a b\255", ("x"):rep(9000), 5, true } do
      assert_refused("scope_malformed", authorize(session, { scope = value }))
      assert_refused("redirect_uri_malformed", authorize(session, { redirect_uri = value }))
    end
    assert_refused("redirect_uri_malformed", authorize(session, { redirect_uri = "https://a.example/a b" }))
  end)
end)

describe("what comes back from the authorization page", function()
  it("is denied without a word where error= is empty", function()
    local session = open()
    local _, pending = assert(authorize(session))
    local exchange, err = begin(session, "exchange", { callback = "error=&state=" .. pending.state, pending = pending })
    assert.is_nil(exchange)
    assert.same({ "denied", "denied", "answered" }, { err.kind, err.code, err.outcome })
  end)

  it("is put into the request where the declaration says so", function()
    local session = open(function(d)
      d.authorize.pkce = true
      d.operations.exchange.fields = { code = "$argument.code", uri = "$pending.redirect_uri", scope = "$pending.scope",
        code_verifier = "$pending.code_verifier" }
    end)
    local _, pending = assert(authorize(session, { redirect_uri = "https://a.example/cb", scope = "a b" }))
    local exchange = assert(begin(session, "exchange", { callback = "code=c&state=" .. pending.state, pending = pending }))
    assert.same({ code = "c", uri = "https://a.example/cb", scope = "a b", code_verifier = pending.code_verifier },
      core.form_decode(exchange:request().body))
  end)

  it("is asked for where it is not there", function()
    for name, code in pairs { redirect_uri = "redirect_uri_missing", scope = "argument_missing", code_verifier = "argument_missing" } do
      local session = open(function(d) d.operations.exchange.fields.more = "$pending." .. name end)
      local _, pending = assert(authorize(session))
      local exchange, err = begin(session, "exchange", { callback = "code=c&state=" .. pending.state, pending = pending })
      assert.is_nil(exchange)
      assert.equal(code, err.code)
    end
  end)
end)

describe("a secret of one exchange", function()
  local function answer(text)
    return { status = 400, headers = { { "Content-Type", "application/json" } },
      body = core.json_encode { error = "x", error_description = "Got " .. text .. " here" } }
  end

  it("that a function gave is not shown when the server echoes it", function()
    local session = open(function(d) d.operations.verify.headers = { ["X-Key"] = "$option.client_secret" } end)
    local exchange = assert(begin(session, "verify", { credentials = { client_secret = "planted-function-secret" } }))
    local _, err = exchange:finish(answer "planted-function-secret")
    assert.equal("Got [secret] here", err.detail)
    assert.equal("Got [secret] here", err.document.error_description)
  end)

  it("that an option's header carries is not shown when the server echoes it", function()
    local session = open(nil, { headers = { ["X-Gateway-Key"] = "planted-gateway-key-1", ["X-Short"] = "x" } })
    local exchange = assert(begin(session, "verify"))
    assert.equal("planted-gateway-key-1", (support.header(exchange:request(), "X-Gateway-Key")))
    local _, err = exchange:finish(answer "planted-gateway-key-1")
    assert.equal("Got [secret] here", err.detail)
  end)
end)

describe("options of the network", function()
  local function wrong(name, value)
    local fine, message = pcall(open, function(d)
      d.headers, d.operations.verify.headers = { ["X-Tenant"] = "blue" }, { ["X-Place"] = "here" }
    end, { [name] = value })
    assert.is_false(fine, name)
    assert.is_truthy(message:find("acme: option '" .. name .. "': expected", 1, true), message)
  end

  it("add no header that the declaration has, and no more than make sense", function()
    for _, name in ipairs { "X-Tenant", "x-tenant", "X-PLACE", "Authorization", "Host", "Cookie" } do wrong("headers", { [name] = "x" }) end
    wrong("headers", { [("X"):rep(129)] = "x" })
    wrong("headers", { X = ("x"):rep(70000) })
    wrong("headers", { X = 5 })
    wrong("headers", { "x" })
    wrong("headers", { ["X Y"] = "x" })
    wrong("headers", { X = "a\nb" })
    local many = {}
    for i = 1, 32 do many["X-" .. i] = ("x"):rep(2000) end
    open(nil, { headers = many }):close()
    many["X-33"] = "x"
    wrong("headers", many)
    many["X-33"], many["X-32"], many["X-31"] = nil, ("x"):rep(4000), ("x"):rep(4000)
    wrong("headers", many)
  end)

  it("name at most 32 origins, in a list", function()
    local many = {}
    for i = 1, 32 do many[i] = "https://h" .. i .. ".example" end
    open(nil, { origins = many }):close()
    many[33] = "https://h33.example"
    wrong("origins", many)
    wrong("origins", { "https://a.example", x = "https://b.example" })
  end)

  it("have a proxy with credentials that a transport can make of it, or none", function()
    for _, text in ipairs {
      "http://user@p.example", "http://user:@p.example:3128", "http://us%20er:p%3Ass@p.example", "HTTPS://user:pass@p.example",
    } do
      open(nil, { proxy = text }):close()
    end
    for _, text in ipairs {
      "http://:pass@p.example", "http://@p.example", "http://us%3Aer@p.example", "http://us%zer@p.example", "http://u:p%0A@p.example",
      "http://u:p%@p.example", "http://u:p%7F@p.example", "http://u:p/@p.example", "http://p.example\\x", "http://p.example/x",
      "http://p. example", "http://p.example\127", "http://p.example\1", "http://p.example?x", "http://p.example#x", "http:/p.example",
      "http://", "https://", "http://" .. ("p"):rep(9000),
    } do
      wrong("proxy", text)
    end
  end)
end)

describe("a declaration's lists and words", function()
  local function wrong(path, change)
    local fine, message = pcall(open, change)
    assert.is_false(fine, path)
    assert.is_truthy(message:find(path, 1, true), message)
  end
  local function filled(n, value)
    local list = {}
    for i = 1, n do list[i] = value(i) end
    return list
  end

  it("have sizes that they do not pass", function()
    local function status(i) return 199 + i end
    for n, fine in pairs { [0] = false, [1] = true, [8] = true, [9] = false } do
      local function change(d) d.operations.verify.success = filled(n, status) end
      if fine then open(change):close() else wrong("operations.verify.success: expected a list of up to 8 statuses", change) end
    end
    for _, value in ipairs { 199, 600, 200.5, 0 / 0, 1 / 0, "200" } do
      wrong("operations.verify.success", function(d) d.operations.verify.success = { value } end)
    end
    for n, fine in pairs { [0] = false, [1] = true, [64] = true, [65] = false } do
      local function rules(d) d.errors = filled(n, function(i) return { status = 399 + i, action = "wait" } end) end
      if fine then open(rules):close() else wrong("errors: expected a list of 1 to 64 rules", rules) end
      local function spent(d)
        d.operations.logout = { method = "POST", path = "/out", body = "form", spent = filled(n, function(i) return "w" .. i end) }
      end
      if fine then open(spent):close() else wrong("operations.logout.spent: expected a list of up to 64 texts", spent) end
    end
    for _, value in ipairs { "", ("x"):rep(2049), "a\nb", 5 } do
      wrong("operations.logout.spent", function(d)
        d.operations.logout = { method = "POST", path = "/out", body = "form", spent = { value } }
      end)
    end
    for n, fine in pairs { [15] = true, [16] = true, [17] = false } do
      local function change(d)
        d.options = {}
        for i = 1, n do d.options["o" .. i] = {} end
      end
      if fine then open(change):close() else wrong("options: expected at most 16 options", change) end
    end
    wrong("operations.exchange.fields: expected at most 64 members", function(d)
      for i = 1, 64 do d.operations.exchange.fields["f" .. i] = "x" end
    end)
    for _, name in ipairs { "", ("n"):rep(65), "a\nb" } do
      wrong("names of 1 to 64 printable characters", function(d) d.operations.exchange.fields[name] = "x" end)
    end
    wrong("members with names", function(d) d.operations.exchange.fields[1] = "x" end)
  end)

  it("say each header once", function()
    wrong("headers", function(d) d.call, d.headers = {}, { Authorization = "Key x" } end)
    wrong("headers", function(d) d.headers = { ["Content-Type"] = "x/y" } end)
    wrong("operations.verify.headers", function(d)
      d.options.client_id, d.options.client_secret = {}, { secret = true }
      d.operations.verify.auth, d.operations.verify.headers = "basic", { authorization = "Key x" }
    end)
    wrong("operations.verify.headers", function(d) d.headers, d.operations.verify.headers = { ["X-A"] = "1" }, { ["x-a"] = "2" } end)
  end)

  it("are names of small letters, digits and lines below, with a letter first", function()
    for _, name in ipairs { "", "Acme", "1acme", "_acme", "ac-me", "ac me", ("a"):rep(65) } do
      wrong("name", function(d) d.name = name end)
    end
    open(function(d) d.name = "a_1" .. ("z"):rep(61) end):close()
  end)
end)

describe("a request", function()
  it("that grows too large is not sent", function()
    local session = open(function(d)
      for i = 1, 11 do d.operations.exchange.fields["f" .. i] = "$argument.a" .. i end
    end)
    local args = { code = "c" }
    for i = 1, 11 do args["a" .. i] = ("%"):rep(65536) end -- three bytes each in a form
    assert_refused("argument_malformed", begin(session, "exchange", args))
  end)
end)
