-- SPDX-License-Identifier: MIT
-- What init_by_lua cannot know: no resolver, no authority, no thread pool, no Redis, a refused key, a handler in the wrong place. It stands
-- in nginx's error log with the line that mends it, at the start (probe) or when it is met, once however many requests meet it.

local nginx = require "spec.nginx.server"
local sandbox = require "spec.nginx.sandbox"

describe("a running nginx", function()
  local box, server
  setup(function() box = sandbox.start {} end)
  teardown(function() if box then box:stop() end end)
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  -- One worker, a guard made from the Lua given, further locations; and what its log says in the end.
  local function guarded(lua, http)
    server = nginx.start { workers = 1, values = { CA = box.ca, BOX = box.https }, http = [[
      lua_shared_dict sessions 1m; resolver_timeout 2s; ]] .. (http or "") .. [[
      init_by_lua_block {
        local healthauth, hn = require "healthauth", require "healthauth.nginx"
        ]] .. lua .. [[
      }
      server { listen 127.0.0.1:$PORT;
        location = /gate { access_by_lua_block { require("healthauth.nginx").app.gate() } content_by_lua_block { ngx.print "in" } }
        location = /login { access_by_lua_block { require("healthauth.nginx").app.login() } }
        location = /status { content_by_lua_block { require("healthauth.nginx").status() } }
        location = /init { content_by_lua_block { require("healthauth.nginx").init { dict = "sessions" } } }
        location = /probe { content_by_lua_block { require("healthauth.nginx").probe() } }
      }
    ]] }
  end
  local function conneqt(url, more)
    return 'healthauth.conneqt { base_url = "' .. url .. '", api_key = "sandbox-conneqt-api-key" ' .. (more or "") .. " }"
  end
  local PEOPLE = 'local people = healthauth.sessions { provider = "pkb", store = %s, '
    .. 'options = { base_url = "$BOX/pkb", client_id = "id" } } '
  local TOKEN = { headers = { "Conneqt-Instant-Access-Token: abc" } }
  local PROBE = 'init_worker_by_lua_block { require("healthauth.nginx").probe() }'
  local TRUST = "lua_ssl_trusted_certificate $CA; "

  local function times(text)
    local count = 0
    for line in server:log():gmatch "[^\n]+" do
      if line:find(text, 1, true) then count = count + 1 end
    end
    return count
  end

  -- what is wrong, the Lua, further lines of the http block, the code of the 503, the line of the log
  local LATE = {
    { "there is no resolver", "hn.app.gate = hn.guard(" .. conneqt "https://conneqt.example" .. ")", "", "resolve_failed",
      "network (resolve_failed): nginx has no resolver: write 'resolver ADDRESS;' into nginx.conf" },
    { "no authority is trusted", "hn.app.gate = hn.guard(" .. conneqt "$BOX/conneqt" .. ")", "", "tls_verify_failed",
      "lua_ssl_trusted_certificate" }, -- which sentence it stands in depends on how fast the handshake ends
    { "the thread pool is missing", "hn.app.gate = hn.guard("
      .. conneqt("$BOX/conneqt", ', transport = hn.worker_thread { pool = "nowhere" }') .. ")", TRUST, "thread_pool_missing",
      "write 'thread_pool nowhere threads=4;' at the main level of nginx.conf" },
    { "Redis is away", PEOPLE:format "healthauth.stores.redis { port = 1 }"
      .. 'hn.app.gate = hn.bearer(people, { key = function() return "a" end })', TRUST, "store_unavailable",
      "store (store_unavailable): redis connect: connection refused" },
  }
  for _, case in ipairs(LATE) do
    it("says once in its log that " .. case[1], function()
      guarded(case[2], case[3])
      for _ = 1, 5 do
        local response = server:get("/gate", TOKEN)
        assert.equal(503, response.status, response.body)
        assert.truthy(response.body:find('"code":"' .. case[4] .. '"', 1, true), response.body)
      end
      assert.equal(1, times(case[5]), server:log())
    end)

    local can_probe = case[4] ~= "thread_pool_missing" -- a thread's transport has no sockets to try
    if can_probe then
      it("says at its start, asked to probe, that " .. case[1], function()
        guarded(case[2], case[3] .. PROBE)
        assert.is_true(nginx.wait_for(60, function() return times(case[5]) == 1 end), server:log())
      end)
    end
  end

  it("says once in its log that the provider is in trouble, also where a problem document says so", function()
    guarded("hn.app.gate = hn.guard(" .. conneqt "$BOX/conneqt" .. ")", TRUST)
    box:control("fault", { kind = "answer", provider = "conneqt", operation = "verify", times = 2, status = 500,
      headers = { ["Content-Type"] = "application/problem+json" }, body = '{"type":"about:blank","title":"Out of order","status":500}' })
    for _ = 1, 2 do assert.equal(503, server:get("/gate", TOKEN).status) end
    assert.equal(1, times "healthauth: conneqt verify: denied (http_500): Out of order")
  end)

  it("probes in silence what is right", function()
    guarded("hn.app.gate = hn.guard(" .. conneqt "$BOX/conneqt" .. ") "
      .. PEOPLE:format 'healthauth.stores.shared_dict { name = "sessions" }'
      .. 'hn.app.login = hn.login(people, { secret = ("s"):rep(32) })',
      TRUST .. PROBE)
    local before = box:count "pkb.other"
    local function both() return times "conneqt can be reached" == 1 and times "pkb can be reached" == 1 end
    assert.is_true(nginx.wait_for(60, both), server:log())
    assert.is_nil(server:log():find("[error]", 1, true) or server:log():find("[warn]", 1, true))
    assert.same({ 0, before, 0 }, { box:count "pkb.refresh", box:count "pkb.other", box:count "pkb.exchange" }) -- connected, nothing sent
  end)

  it("says at its start that the API key is refused", function()
    guarded('hn.app.gate = hn.guard(healthauth.conneqt { base_url = "$BOX/conneqt", api_key = "not-the-key" })',
      TRUST .. PROBE)
    assert.is_true(nginx.wait_for(60, function() return times "[error]" == 1 end), server:log())
    assert.truthy(server:log():find("healthauth: conneqt check: denied", 1, true), server:log())
    assert.is_nil(server:log():find("not-the-key", 1, true))
  end)

  local PHASES = {
    { "/login", "login: cannot work in the phase access; call it in content_by_lua" },
    { "/status", 'status: write hn.init { dict = "NAME" } into init_by_lua, with a zone of that name' },
    { "/init", "init: call it in init_by_lua: in the phase content one worker alone would know" },
    { "/probe", "probe: call it in init_worker_by_lua, not in the phase content" },
  }
  for _, case in ipairs(PHASES) do
    it("answers 500 where a handler stands in the wrong place: " .. case[1], function()
      guarded(PEOPLE:format 'healthauth.stores.shared_dict { name = "sessions" }'
        .. 'hn.app.login = hn.login(people, { secret = ("s"):rep(32) })', TRUST)
      assert.equal(500, server:get(case[1]).status)
      assert.truthy(server:log():find(case[2], 1, true), server:log())
    end)
  end
end)
