-- SPDX-License-Identifier: MIT
-- Scenarios of the sweep for what is around the core: the modules of libcurl, SQLite and hiredis with their stores and transport, sessions
-- over them, and the Lua layer's other doors. SWEEP_FOLDER and SWEEP_PORT (test/c/sweep_server.c) come from sweep.c.
-- What such an act has done may stay done when a later step has no memory; so `again` says "fine" when the next call works.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local PORT, FOLDER = rawget(_G, "SWEEP_PORT"), rawget(_G, "SWEEP_FOLDER")
local NOW = 1700000000
local OLD = "old-record"
local LEASE = 0.02 -- seconds; one that was left behind is soon over

for _, name in ipairs {
  "curl", "sqlite", "hiredis", "stores.sqlite", "stores.redis", "stores.redis_driver_hiredis", "stores.sealed", "transports.curl",
  "transports.replay", "sessions", "trace", "mask", "events",
} do require("healthauth." .. name) end

---@param add fun(name: string, prepare: function, act: function, expect: string?)
---@param scenarios table[]
---@param provider fun(name: string): userdata
return function(add, scenarios, provider)
  -- A scenario whose next call works when its result, or its error, is another call's as well.
  local function lasting(name, prepare, act, expect, again)
    add(name, prepare, act, expect)
    scenarios[#scenarios].again = again or function(state)
      local ok, err = act(state)
      if ok ~= nil then return "fine" end
      return type(err) == "table" and "fine: " .. err.code or tostring(err)
    end
  end

  -- ---- the transport ----

  local function url(path) return ("http://127.0.0.1:%d%s"):format(PORT, path) end
  local function transport() return { transport = healthauth.transports.curl {} } end
  local function perform(request)
    return function(s) return s.transport:perform(request) end
  end
  lasting("curl: every option, nobody listens", transport, perform {
    method = "POST", url = "https://localhost:1/x?y=z", headers = { { "X-One", "1" }, { "Content-Type", "text/plain" } }, body = "body",
    timeout = 5, connect_timeout = 5, limits = { body = 1000, headers = 1000, depth = 9 }, proxy = "http://user:pass%20word@localhost:1",
    tls = { ca_file = "/nowhere", ca_path = "/nowhere", cert_file = "/nowhere", key_file = "/nowhere", key_password = "secret-0123456789",
      min_version = "1.3" },
  }, "proxy_failed")
  for _, row in ipairs { { "/", "status=200" }, { "/chunked", "status=200" }, { "/until-close", "close_delimited=true" },
    { "/cut", "body_truncated" }, { "/garbage", "header_malformed" } } do
    lasting("curl: GET " .. row[1], transport, perform { method = "GET", url = url(row[1]), headers = {}, timeout = 5 }, row[2])
  end
  for _, row in ipairs {
    { "a header", { method = "GET", url = url "/", headers = { { "X", "a\r\nb" } } } },
    { "a URL", { method = "GET", url = "http://a.example/" } }, { "a method", { method = "TRACE", url = url "/" } },
    { "tls", { method = "GET", url = url "/", tls = { odd = 1 } } },
  } do
    add("curl: refuses " .. row[1], transport, function(s)
      local ok, why = pcall(s.transport.perform, s.transport, row[2])
      if not ok and tostring(why):find "memory" then error(why, 0) end
      return tostring(ok) .. tostring(why)
    end, "false")
  end

  -- ---- stores ----

  local function sqlite() return assert(healthauth.stores.sqlite { path = FOLDER .. "/sweep.db" }) end
  local function sealed() return healthauth.stores.sealed { store = sqlite(), key = function() return ("k"):rep(32) end } end
  local function redis() return assert(healthauth.stores.redis { host = "127.0.0.1", port = PORT, prefix = "p:", timeout = 5 }) end

  -- The file in its first state, by a store of its own.
  local function fresh(open, store)
    if open == redis then return end
    for key in store:list() do store:delete(key) end
    assert(store:save("key", OLD))
    local lease = store:acquire("key", LEASE)
    while not lease do -- a failed run before this one kept it
      core.sleep(0.005)
      lease = store:acquire("key", LEASE)
    end
    store:release(lease)
  end
  local OPERATIONS = {
    { "load", function(s) return s.store:load "key" end, OLD },
    { "save", function(s)
      local version, err = s.store:save("key", "new-record", s.version)
      return version and "saved", err
    end, "saved" },
    { "lease", function(s)
      local lease, err = s.store:acquire("key", LEASE)
      if not lease then return lease, err end
      local released, why = s.store:release(lease)
      return released ~= nil and "leased" or nil, why
    end, "leased" },
    { "delete", function(s) return s.store:delete "key" end, "true" },
    { "list", function(s)
      local out = ""
      for key, record, err in s.store:list() do
        if not record then return nil, err end
        out = out .. key .. "=" .. record
      end
      return out
    end, "key=" },
  }
  for _, kind in ipairs { { "sqlite", sqlite }, { "sealed", sealed }, { "redis", redis } } do
    local name, open = kind[1], kind[2]
    for _, row in ipairs(OPERATIONS) do
      for _, warm in ipairs { false, true } do
        lasting(("%s: %s%s"):format(name, row[1], warm and ", again" or ""), function()
          local first = open()
          fresh(open, first)
          local version = select(2, first:load "key")
          if warm then return { store = first, version = version } end
          first:close()
          return { store = open(), version = version }
        end, row[2], row[3], function(s)
          local version = select(2, s.store:load "key")
          s.version = version
          local value, err = row[2](s)
          if value ~= nil then return "fine" end
          return tostring(err)
        end)
      end
    end
  end
  lasting("redis: refused", function() return { store = redis() } end, function(s) return s.store:save("refused", "x") end, "store_full")
  lasting("redis: nobody listens", function()
    return { store = assert(healthauth.stores.redis { host = "127.0.0.1", port = 1, timeout = 1 }) }
  end, function(s) return s.store:load "key" end, "store_unavailable")

  -- ---- sessions over them ----

  local function answered(body) return { status = 200, headers = { { "Content-Type", "application/json" } }, body = body } end
  local TOKENS = '{"access_token":"new-access-1234567","refresh_token":"new-refresh-1234567","token_type":"Bearer","expires_in":600}'
  local EXPIRED = { access_token = "old-access-1234567", refresh_token = "old-refresh-1234567", expires_at = NOW - 5, scope = "PATIENT" }
  local function session(options)
    local all = {
      base_url = "https://pkb.example", client_id = "client", redirect_uri = "https://app.example.org/cb", key = options.store and "sam",
      transport = { perform = function() return answered(TOKENS) end }, lease = LEASE, max_wait = 1, clock = function() return NOW end,
    }
    for k, v in pairs(options) do all[k] = v end
    return assert(healthauth.session(provider "pkb", all))
  end
  lasting("curl: a session's refresh", function()
    return { session = session { base_url = url "/base", transport = healthauth.transports.curl {}, tokens = EXPIRED } }
  end, function(s) return s.session:refresh() end, "new-access", function(s)
    local ok, err = s.session:refresh()
    return ok and "fine" or tostring(err)
  end)
  local VERBS = {
    { "access_token", function(s) return s.session:access_token() end, "new-access" },
    { "restore", function(s) return s.session:restore { access_token = "restored-1234567" } end, "true" },
    { "logout", function(s) return s.session:logout() end, "true" },
    { "exchange by callback", function(s)
      return s.session:exchange { callback = "/cb?code=abc-1234&state=" .. s.pending.state, pending = s.pending }
    end, "new-access" },
  }
  for _, kind in ipairs { { "memory", function() return healthauth.stores.memory {} end }, { "sqlite", sqlite } } do
    local name, open = kind[1], kind[2]
    for _, row in ipairs(VERBS) do
      lasting(("%s: session, %s"):format(name, row[1]), function()
        local store = open()
        for key in store:list() do store:delete(key) end
        local s = { store = store, session = session { store = store } }
        assert(s.session:restore(EXPIRED))
        if row[1]:find "callback" then s.pending = select(2, assert(s.session:authorize_url {})) end
        return s
      end, row[2], row[3])
    end
  end

  -- ---- other doors ----

  lasting("sessions: list and drop", function()
    local store = healthauth.stores.memory {}
    local all = healthauth.sessions { provider = provider "pkb", store = store, options = {
      base_url = "https://pkb.example", client_id = "client", clock = function() return NOW end,
    } }
    assert(all:open("kim"):restore { access_token = "kim-1234567", expires_at = NOW + 60 })
    return { all = all }
  end, function(s)
    local list, err = s.all:list()
    if not list then return nil, err end
    local dropped, drop_err = s.all:drop "sam"
    if not dropped then return nil, drop_err end
    return #list .. tostring(list[1] and list[1].key) .. tostring(dropped)
  end, "1kimtrue")
  lasting("trace and events", function()
    local s = { text = {} }
    local file = { write = function(_, text) s.text[#s.text + 1] = text end }
    s.trace = healthauth.trace(file, { perform = function() return answered(TOKENS) end })
    s.session = session { transport = s.trace, tokens = EXPIRED, on_event = healthauth.events.jsonl(file) }
    return s
  end, function(s) return s.session:refresh() end, "new-access")
  lasting("replay", function()
    local recorded = { request = { method = "POST", url = "https://pkb.example/apiToken.action" }, response = answered(TOKENS) }
    local transport_of_three = healthauth.transports.replay { exchanges = { recorded, recorded, recorded } }
    return { session = session { transport = transport_of_three, tokens = EXPIRED } }
  end, function(s) return s.session:refresh() end, "new-access")
  lasting("conneqt: check", function()
    return { session = assert(healthauth.session(provider "conneqt", {
      environment = "integration", api_key = "key-0123456789", transport = { perform = function() return answered "{}" end },
    })) }
  end, function(s) return s.session:check() end, "true")
  for _, failure in ipairs {
    { kind = "tls", code = "tls_verify_failed", outcome = "not_sent", message = "no" },
    { kind = "too_large", code = "body_too_large", outcome = "unknown", message = "no" },
    { kind = "protocol", code = "header_malformed", outcome = "unknown", message = "no" },
  } do
    lasting("a failure: " .. failure.kind, function()
      return { session = session { transport = { perform = function() return nil, failure end }, tokens = EXPIRED } }
    end, function(s) return s.session:refresh() end, failure.code)
  end
  lasting("unsupported", function()
    return { session = assert(healthauth.session(provider "conneqt", { environment = "integration", api_key = "key-0123456789" })) }
  end, function(s) return s.session:refresh() end, "operation_unsupported")
  lasting("random bytes and ids", function() return { store = healthauth.stores.memory {} } end, function(s)
    return #core.random(9) .. tostring(s.store:acquire("key", LEASE) ~= nil)
  end, "9true")
end
