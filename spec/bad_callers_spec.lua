-- SPDX-License-Identifier: MIT
-- Bad callers: every hostile value for every parameter, option and verb. A call either raises a text without the value in it, or answers
-- nil, err of a known kind; it never crashes, and nothing is sent. The checks are generated and counted.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local KINDS = {}
for _, kind in ipairs {
  "argument", "network", "timeout", "tls", "protocol", "too_large", "denied", "http", "state", "store", "unsupported",
} do
  KINDS[kind] = true
end

local MARK = "planted-hostile-value"
local BIG = MARK .. ("x"):rep(10000000)
local function raise() error "a metamethod ran" end
local RAISING = {
  __index = raise, __newindex = raise, __call = raise, __tostring = raise, __len = raise, __pairs = raise, __ipairs = raise, __eq = raise,
  __lt = raise, __le = raise, __concat = raise, __unm = raise, __add = raise, __name = MARK,
}

-- Made anew for each check, so that no call can spoil the value for the next.
local VALUES = {
  { "CR LF", function() return MARK .. "\r\nX-Evil: 1" end }, { "LF", function() return MARK .. "\n" end }, { "NUL",
    function() return MARK .. "\0" .. MARK end },
  { "DEL", function() return MARK .. "\127" end }, { "escape", function() return "\27[2J" .. MARK end }, { "non-ASCII",
    function() return MARK .. "ä" end },
  { "bad UTF-8", function() return MARK .. "\255\254" end }, { "empty", function() return "" end }, { "a space",
    function() return " " end },
  { "spaces", function() return " " .. MARK .. " " end }, { "10 MB", function() return BIG end },
  { "@file", function() return "@/etc/passwd " .. MARK end }, { "%s", function() return MARK .. " %s%n%d%1000000s" end },
  { "a tab", function() return MARK .. "\t" end }, { "false", function() return false end }, { "true", function() return true end },
  { "zero", function() return 0 end }, { "negative", function() return -1 end }, { "fraction", function() return 0.5 end },
  { "nan", function() return 0 / 0 end }, { "inf", function() return 1 / 0 end }, { "-inf", function() return -1 / 0 end },
  { "huge", function() return 1e308 end }, { "2^53", function() return 2 ^ 53 end }, { "a function", function() return raise end },
  { "a C function", function() return print end }, { "a thread", function() return coroutine.create(raise) end }, { "a file",
    function() return io.stdout end },
  { "a session", function() return support.open "pkb" end }, { "an empty table", function() return {} end }, { "a list",
    function() return { MARK } end },
  { "a map", function() return { ["x-odd"] = MARK } end }, { "a table that holds itself",
    function() local t = {} t.t = t t[1] = t return t end },
  { "a table whose metamethods raise", function() return setmetatable({ MARK, access_token = MARK .. " " }, RAISING) end },
  { "an empty table whose metamethods raise", function() return setmetatable({}, RAISING) end },
  { "a table that changes its answer", function()
    local n = 0
    return setmetatable({}, { __index = function() n = n + 1 return n % 2 == 0 and MARK or n end })
  end },
  { "odd keys", function() return { [{}] = 1, [true] = 2, [1.5] = 3, [raise] = 4 } end },
  { "an error", function() return core.error { kind = "store", code = "x" } end }, { "a light userdata",
    function() return require("cjson").null end },
}

local checks, sent = 0, 0
local transport = { perform = function() sent = sent + 1 return nil, { kind = "network", code = "connect_failed",
  outcome = "not_sent" } end }

local function harmless(text, where)
  -- a transport, a store and a file are objects: their methods are looked up, by their metatable where they have one
  local object = where:find("transport = ", 1, true) or where:find("store = ", 1, true) or where:find("trace(", 1, true)
  assert(object or not text:find("a metamethod ran", 1, true), where .. ": a metamethod ran")
  -- an unknown name is said, cleaned; a value never
  assert(where:find("named", 1, true) or not text:find(MARK, 1, true), where .. ": the value is shown: " .. text:sub(1, 200))
  assert(not text:find "[%c\127-\255]", where .. ": odd bytes are shown")
  assert(#text < 2000, where .. ": the message is too long")
end

local function judge(where, fine, fn, ...)
  local before = sent
  local ok, result, err = pcall(fn, ...)
  assert(sent == before or fine == "may send", where .. ": something was sent")
  if not ok then
    assert(type(result) == "string", where .. ": raised something else than a text")
    return harmless(result, where)
  end
  if result == nil and err ~= nil then
    assert(healthauth.is_error(err), where .. ": nil without an error")
    assert(KINDS[err.kind], where .. ": unknown kind")
    assert(type(err.code) == "string" and err.code:match "^[%l%d_]+$", where .. ": odd code")
    assert(err.outcome == "not_sent" or fine == "may send", where .. ": outcome " .. tostring(err.outcome))
    harmless(tostring(err), where)
    for _, field in pairs(err) do
      if type(field) == "string" then harmless(field, where) end
    end
    return
  end
  assert(fine, where .. ": was accepted")
end

local faults = {}

-- Judges one call; what is wrong is kept, so that all of it is seen at once. `fine`: the value may be legal here, and then only what the
-- call sends is looked at ("may send": it may).
local function check(...)
  checks = checks + 1
  local ok, why = pcall(judge, ...)
  if not ok and #faults < 30 then faults[#faults + 1] = tostring(why):sub(1, 300) end
end

local function open(name, changes)
  local all = { transport = transport, tokens = support.tokens(name == "pkb_system" and { refresh_token = false } or nil) }
  for k, v in pairs(changes or {}) do all[k] = v end
  return support.open(name, all)
end

local function set(...)
  local out = {}
  for _, name in ipairs { ... } do out[name] = true end
  return out
end

local FUNCTIONS = set("a function", "a C function")
-- A table without raw members is an empty table, whatever its metatable says.
local EMPTY = set("an empty table", "a table that changes its answer", "an empty table whose metamethods raise")
local function empty_or(...)
  local out = set(...)
  for name in pairs(EMPTY) do out[name] = true end
  return out
end

-- Values that an option may well have.
local LEGAL = {
  timeout = set "fraction", connect_timeout = set "fraction", margin = set("zero", "fraction"), lease = set "fraction",
  max_wait = set("zero", "fraction"), pkce = set("true", "false"), clock = FUNCTIONS, on_event = FUNCTIONS, tls = EMPTY, limits = EMPTY,
  headers = empty_or("a map", "an error"), endpoints = EMPTY, origins = EMPTY, user_agent = set("a space", "spaces", "@file", "%s"),
}

local OPTIONS = {
  "environment", "base_url", "endpoints", "tokens", "timeout", "connect_timeout", "limits", "tls", "proxy", "user_agent", "headers",
  "origins", "issuer",
  "pkce", "transport", "store", "key", "clock", "on_event", "margin", "lease", "max_wait",
}
local CREDENTIALS = {
  conneqt = { "api_key" }, ehealth = { "client_id", "client_secret", "api_key", "psk", "redirect_uri", "scope" },
  pkb = { "client_id", "redirect_uri", "scope" }, pkb_system = { "client_id", "client_secret", "scope" },
}
-- A credential may hold spaces and UTF-8 where it does not enter a header; a function is asked later.
local CREDENTIAL_LEGAL = set("a space", "spaces", "@file", "%s", "non-ASCII")
local IN_HEADER = { api_key = true, psk = true, redirect_uri = true }

describe("a bad caller", function()
  after_each(function()
    local found = table.concat(faults, "\n")
    faults = {}
    assert.equal("", found)
  end)

  it("gets no session from a wrong option", function()
    for _, provider in ipairs(support.PROVIDERS) do
      local names = {}
      for _, name in ipairs(OPTIONS) do names[#names + 1] = name end
      for _, name in ipairs(CREDENTIALS[provider]) do names[#names + 1] = name end
      for _, name in ipairs(names) do
        for _, value in ipairs(VALUES) do
          local made = value[2]()
          local options = support.options(provider, { transport = transport })
          options[name] = made
          if name == "environment" and made ~= nil then options.base_url = nil end
          if name == "key" then options.store = healthauth.stores.memory {} end
          local legal = LEGAL[name] and LEGAL[name][value[1]]
          if name == "key" then legal = type(made) == "string" and #made > 0 and #made <= 256 end
          for _, credential in ipairs(CREDENTIALS[provider]) do
            if credential == name then
              legal = type(made) == "function" or (CREDENTIAL_LEGAL[value[1]] and not IN_HEADER[name])
            end
          end
          check(("%s option %s = %s"):format(provider, name, value[1]), legal, healthauth[provider], options)
        end
      end
    end
  end)

  it("gets no session from a wrong member of tls, limits, endpoints, headers or origins", function()
    local MEMBERS = {
      tls = { "ca_file", "ca_path", "cert_file", "key_file", "key_password", "min_version", "verify" }, limits = { "body", "headers",
        "depth", "time" },
      endpoints = { "exchange", "refresh", "authorize", "login" }, headers = { "X-A" },
    }
    for option, members in pairs(MEMBERS) do
      for _, member in ipairs(members) do
        for _, value in ipairs(VALUES) do
          local made = value[2]()
          local legal = false
          if option == "tls" and member ~= "min_version" and member ~= "verify" then
            legal = type(made) == "string" and #made > 0 and #made <= 4096 and not made:find("\0", 1, true)
          elseif option == "headers" and type(made) == "string" then
            legal = not made:find "[%c\127-\255]" and #made <= 8192
          end
          check(("option %s.%s = %s"):format(option, member, value[1]), legal, healthauth.pkb,
            support.options("pkb", { [option] = { [member] = made } }))
        end
      end
    end
    for _, value in ipairs(VALUES) do
      check("origins[1] = " .. value[1], false, healthauth.pkb, support.options("pkb", { origins = { (value[2]()) } }))
      local made = value[2]()
      if made == made then
        check("an option named " .. value[1], false, healthauth.pkb, support.options("pkb", { [made] = 1 }))
        check("a header named " .. value[1], false, healthauth.pkb, support.options("pkb", { headers = { [made] = "x" } }))
      end
    end
  end)

  -- verb, providers, what goes before the value
  local POSITIONAL = {
    { "verify", "conneqt" }, { "restore", "pkb" }, { "restore", "ehealth" }, { "exchange", "pkb" }, { "exchange", "conneqt" },
    { "exchange", "ehealth" },
    { "refresh", "pkb" }, { "refresh", "ehealth" }, { "authorize_url", "pkb" }, { "authorize_url", "ehealth" }, { "call", "pkb" },
    { "call", "ehealth" }, { "call", "pkb_system" }, { "logout", "ehealth" }, { "exchange", "pkb_system" }, { "begin", "pkb" },
  }

  it("gets nothing from a verb with a wrong argument", function()
    for _, case in ipairs(POSITIONAL) do
      for _, value in ipairs(VALUES) do
        local session = open(case[2])
        local before = session:tokens()
        local fine = EMPTY[value[1]] and (case[1] == "refresh" or case[1] == "logout" or case[1] == "exchange") and "may send"
          or EMPTY[value[1]] and case[1] == "authorize_url"
        check(("%s %s(%s)"):format(case[2], case[1], value[1]), fine, session[case[1]], session, (value[2]()))
        assert.same(before, session:tokens())
      end
    end
  end)

  local NAMED = {
    { "exchange", "conneqt", "access_code", {} }, { "exchange", "ehealth", "code", { redirect_uri = "https://a.example" } },
    { "exchange", "ehealth", "redirect_uri", { code = "c" } }, { "exchange", "ehealth", "scope", { code = "c" } },
    { "exchange", "pkb", "code", {} }, { "exchange", "pkb", "redirect_uri", { code = "c" } }, { "exchange", "pkb", "callback",
      { pending = {} } },
    { "exchange", "pkb", "callback", {} }, { "exchange", "pkb", "pending", { callback = "code=a&state=b" } }, { "exchange", "pkb",
      "pending", {} },
    { "exchange", "pkb_system", "scope", {} }, { "refresh", "pkb", "refresh_token", {} }, { "refresh", "pkb", "scope", {} },
    { "refresh", "ehealth", "refresh_token", {} }, { "authorize_url", "pkb", "scope", {} }, { "authorize_url", "pkb", "redirect_uri", {} },
    { "authorize_url", "ehealth", "state_in_redirect", {} }, { "call", "pkb", "url", {} }, { "call", "pkb", "method", { url = "/x" } },
    { "call", "pkb", "headers", { url = "/x" } }, { "call", "pkb", "body", { url = "/x" } }, { "call", "pkb", "timeout", { url = "/x" } },
    { "call", "ehealth", "url", {} }, { "logout", "ehealth", "force", {} },
  }
  -- Values that are as good as any other there, so that the request may leave.
  local USABLE = {
    scope = set("a space", "spaces", "@file", "%s", "empty"), state_in_redirect = set("true", "false"), timeout = set "fraction",
    headers = empty_or("a map", "an error"), force = set("true", "false"),
  }

  it("gets nothing from a verb with a wrong member", function()
    for _, case in ipairs(NAMED) do
      for _, value in ipairs(VALUES) do
        local session = open(case[2])
        local before = session:tokens()
        local args, made = {}, value[2]()
        for k, v in pairs(case[4]) do args[k] = v end
        args[case[3]] = made
        local fine = USABLE[case[3]] and USABLE[case[3]][value[1]] and "may send" or case[3] == "body" and type(made) == "string" and
          "may send"
        check(("%s %s{%s = %s}"):format(case[2], case[1], case[3], value[1]), fine, session[case[1]], session, args)
        if case[3] ~= "force" then assert.same(before, session:tokens()) end
      end
    end
  end)

  it("gets nothing from a verb with an unknown name, whatever it is", function()
    for _, case in ipairs { { "exchange", "pkb" }, { "refresh", "pkb" }, { "authorize_url", "pkb" }, { "call", "pkb" }, { "logout",
      "ehealth" } } do
      for _, value in ipairs(VALUES) do
        local made = value[2]()
        if made == made then
          check(("%s, an argument named %s"):format(case[1], value[1]), false, function() return open(case[2])[case[1]](open(case[2]),
            { [made] = 1 }) end)
        end
      end
    end
  end)

  it("gets nothing with a foreign self", function()
    local session = open "pkb"
    local exchange = assert(support.begin(session, "refresh"))
    for _, object in ipairs { session, exchange, healthauth.provider(require "healthauth.providers.pkb") } do
      for _, method in ipairs {
        "authorize_url", "exchange", "refresh", "access_token", "verify", "check", "call", "logout", "tokens", "restore", "close",
        "begin", "request", "finish",
        "fail", "name", "environments",
      } do
        local fn = object[method]
        for _, value in ipairs(VALUES) do
          local made = value[2]()
          if fn and not (object == session and value[1] == "a session") then
            check(("%s of %s"):format(method, value[1]), false, fn, made, {})
          end
        end
      end
    end
  end)

  it("gets nothing from the core's session, provider, sessions, trace and error", function()
    for _, value in ipairs(VALUES) do
      local provider = healthauth.provider(require "healthauth.providers.pkb")
      local store = healthauth.stores.memory {}
      check("provider(" .. value[1] .. ")", false, healthauth.provider, (value[2]()))
      check("session(" .. value[1] .. ")", false, healthauth.session, value[2](), support.options "pkb")
      check("session(provider, " .. value[1] .. ")", false, healthauth.session, provider, (value[2]()))
      check("sessions(" .. value[1] .. ")", false, healthauth.sessions, (value[2]()))
      for _, member in ipairs { "provider", "store", "options" } do
        local options = { provider = "pkb", store = store, options = support.options "pkb" }
        options[member] = value[2]()
        check(("sessions{%s = %s}"):format(member, value[1]), false, healthauth.sessions, options)
      end
      local sessions = healthauth.sessions { provider = "pkb", store = store, options = support.options "pkb" }
      local made = value[2]()
      local key = type(made) == "string" and #made > 0 and #made <= 256
      check("sessions:open(" .. value[1] .. ")", key, sessions.open, sessions, made)
      check("sessions:drop(" .. value[1] .. ")", key, sessions.drop, sessions, made)
      if type(made) ~= "string" then
        check("trace(" .. value[1] .. ")", value[1] == "a file" or value[1] == "a table that changes its answer", healthauth.trace, made)
      end
    end
  end)

  local DECLARATION = {
    "name", "environments", "options", "headers", "issuer", "issuer_required", "scope", "authorize", "operations", "call", "errors",
  }
  local OPERATION = {
    "method", "path", "body", "wrap", "fields", "headers", "auth", "success", "tokens", "resend", "rotation", "life", "grant", "gone",
    "active", "spent", "repeat_scope",
  }

  it("gets no provider from a wrong declaration", function()
    local function declaration()
      return {
        name = "acme", options = { client_id = { required = true } },
        operations = { refresh = { path = "/t", body = "form", tokens = "oauth", fields = { a = "$argument.refresh_token" } } },
      }
    end
    local TEXTS = set "issuer"
    for _, value in ipairs(VALUES) do
      for _, member in ipairs(DECLARATION) do
        local d, made = declaration(), value[2]()
        d[member] = made
        local legal = EMPTY[value[1]] and member ~= "name" or TEXTS[member] and type(made) == "string"
          or member == "issuer_required" and type(made) == "boolean"
          or member == "headers" and (value[1] == "a map" or value[1] == "an error")
        check(("declaration.%s = %s"):format(member, value[1]), legal, healthauth.provider, d)
      end
      for _, member in ipairs(OPERATION) do
        local d, made = declaration(), value[2]()
        d.operations.refresh[member] = made
        local legal = (member == "fields" or member == "headers") and empty_or("a map", "an error")[value[1]]
        check(("operations.refresh.%s = %s"):format(member, value[1]), legal, healthauth.provider, d)
      end
      local d, made = declaration(), value[2]()
      d.operations.refresh.fields.x = made
      local literal = type(made) == "boolean" or type(made) == "string" and #made <= 2048 and not made:find "[%c\127]"
        or type(made) == "number" and made == math.floor(made) and math.abs(made) <= 1e15
      check("operations.refresh.fields.x = " .. value[1], literal, healthauth.provider, d)
    end
  end)

  it("gets nothing from an exchange with a wrong response or failure", function()
    for _, value in ipairs(VALUES) do
      for _, member in ipairs { "status", "headers", "body", "close_delimited" } do
        local session = open "pkb"
        local before = session:tokens()
        local response = { status = 200, headers = { { "Content-Type", "application/json" } }, body = "{}" }
        response[member] = value[2]()
        local exchange = assert(support.begin(session, "refresh"))
        check(("finish{%s = %s}"):format(member, value[1]), "may send", exchange.finish, exchange, response)
        assert.same(before, session:tokens())
      end
      for _, member in ipairs { "kind", "code", "outcome" } do
        local exchange = assert(support.begin(open "pkb", "refresh"))
        local failure = { kind = "network", code = "x", outcome = "unknown" }
        local made = value[2]()
        if type(made) == "string" then made = made:gsub(MARK, "x") end -- a transport's own words
        failure[member] = made
        check(("fail{%s = %s}"):format(member, value[1]), "may send", exchange.fail, exchange, failure)
      end
    end
  end)

  it("was checked at least 2,000 times", function()
    assert.is_true(checks >= 2000, checks .. " checks")
  end)
end)
