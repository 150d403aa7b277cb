-- SPDX-License-Identifier: MIT
-- Mistakes in a gateway's configuration, each made in a real nginx: what can be known in init_by_lua ends the start with a sentence that
-- says what to write, at its line.

local nginx = require "spec.nginx.server"
local process = require "spec.support.process"

-- Everything right, but for what a case changes. $INIT comes last.
local HTTP = [[
  $ZONES
  init_by_lua_block {
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    local function conneqt(more)
      local options = { base_url = "https://localhost:1/conneqt", api_key = "key" }
      for name, value in pairs(more or {}) do options[name] = value end
      return healthauth.conneqt(options)
    end
    local function people(store, more)
      local options = { base_url = "https://localhost:1/pkb", client_id = "id" }
      for name, value in pairs(more or {}) do options[name] = value end
      return healthauth.sessions { provider = "pkb", store = store, options = options }
    end
    local function zone() return healthauth.stores.shared_dict { name = "sessions" } end
    local secret = ("s"):rep(32)
    local function no_redis()
      for _, name in ipairs { "resty.redis", "nginx.redis" } do package.preload[name] = function() error "" end end
    end
    $INIT
  }
  server { listen 127.0.0.1:$PORT; location = /ping { return 204; } }
]]
local ZONES = "lua_shared_dict counters 1m; lua_shared_dict verdicts 1m; lua_shared_dict sessions 1m; lua_shared_dict small 32k;"

-- what is wrong, the Lua, what the log says, further options
local CASES = {
  { "the zone of the counters is missing", 'hn.init { dict = "counter" }',
    "init: there is no zone 'counter': write 'lua_shared_dict counter 10m;' into the http block" },
  { "the zone of the counters is too small", 'hn.init { dict = "small" }', "init: the zone 'small' has 32768 bytes, fewer than the 65536" },
  { "no zone is named", "hn.init {}", "init: option 'dict' is required" },
  { "the zone of the verdicts is missing", 'hn.guard(conneqt(), { cache = { dict = "verdict" } })',
    "guard: there is no zone 'verdict': write 'lua_shared_dict verdict 10m;'" },
  { "the zone of the verdicts is too small", 'hn.guard(conneqt(), { cache = { dict = "small" } })',
    "guard: the zone 'small' has 32768 bytes" },
  { "the zone of the sessions is missing", 'people(healthauth.stores.shared_dict { name = "session" })',
    "no such zone; write 'lua_shared_dict session 10m;' into the http block" },
  { "the zone of the sessions is too small",
    'hn.login(people(healthauth.stores.shared_dict { name = "small" }), { secret = secret })',
    "login: the zone 'small' has 32768 bytes, fewer than the 65536 that make sense: make its lua_shared_dict larger" },
  { "one zone holds counters and verdicts", 'hn.init { dict = "counters" } hn.guard(conneqt(), { cache = { dict = "counters" } })',
    "guard: the zone 'counters' holds counters already: write another lua_shared_dict for verdicts" },
  { "one zone holds verdicts and sessions",
    'hn.guard(conneqt(), { cache = { dict = "sessions" } }) hn.bearer(people(zone()), { key = function() end })',
    "bearer: the zone 'sessions' holds verdicts already: write another lua_shared_dict for sessions" },
  { "a sealed store is over the counters' zone",
    'hn.init { dict = "sessions" } local sealed = healthauth.stores.sealed { store = zone(), key = function() end } '
      .. "hn.logout(people(sealed), { secret = secret })",
    "logout: the zone 'sessions' holds counters already" },
  { "the cookies' secret is too short", 'hn.login(people(zone()), { secret = "short" })',
    "login: secret: 32 random bytes or more, the same in every worker and machine (openssl rand -base64 32)" },
  { "one of several secrets is too short", 'hn.callback(people(zone()), { secret = { secret, "old" } })',
    "callback: secret: 32 random bytes" },
  { "the cookies have no secret", 'hn.logout(people(zone()), { secret = os.getenv "HEALTHAUTH_NO_SUCH_VARIABLE" })',
    "logout: option 'secret' is required" },
  { "the sessions are in one worker's memory", "hn.login(people(healthauth.stores.memory {}), { secret = secret })",
    "login: each worker has a memory of its own, and this nginx has several: use healthauth.stores.shared_dict, or" },
  { "the sessions are in SQLite",
    'hn.bearer(people(assert(healthauth.stores.sqlite { path = "$FOLDER/db" })), { key = function() end })',
    "bearer: SQLite waits for the disk and for other processes, which stops the worker: use healthauth.stores.shared_dict" },
  { "a session goes through libcurl", "hn.guard(conneqt { transport = healthauth.transports.curl() })",
    "guard: the session's transport is libcurl, which stops the worker while it waits: leave 'transport' out, or use" },
  { "a traced session goes through libcurl",
    'hn.guard(conneqt { transport = healthauth.trace("$FOLDER/trace", healthauth.transports.curl()) })',
    "guard: the session's transport is libcurl" },
  { "the sessions go through libcurl", "hn.callback(people(zone(), { transport = healthauth.transports.curl() }), { secret = secret })",
    "callback: the session's transport is libcurl" },
  { "a session brings its own authorities", 'conneqt { tls = { ca_file = "/etc/ssl/certs/ca-certificates.crt" } }',
    "tls.ca_file is nginx's to decide: write 'lua_ssl_trusted_certificate FILE;' into nginx.conf instead" },
  { "the sessions choose a TLS version", 'people(zone(), { tls = { min_version = "1.3" } })',
    "tls.min_version is nginx's to decide: write 'lua_ssl_protocols" },
  { "Redis has no client",
    "no_redis() hn.must(healthauth.stores.redis {})",
    "no_redis_client): neither resty.redis nor nginx.redis is there: install lua-nginx-redis (Debian) or lua-resty-redis" },
  { "a store's constructor failed and nobody looked",
    "no_redis() people(healthauth.stores.redis {})",
    "sessions: store: expected a store (where its constructor answered nil, err: assert it)" },
  { "the Redis options make no sense", 'healthauth.stores.redis { host = "localhost", socket = "/s" }',
    "either option 'socket' or 'host' and 'port', not both" },
  { "an option is misspelt", "hn.guard(conneqt(), { cach = {} })", "guard: unknown option 'cach'" },
  { "an option of the cache is misspelt", 'hn.guard(conneqt(), { cache = { dict = "verdicts", vaild = 5 } })',
    "guard: unknown option 'vaild'" },
  { "an option has another type", 'hn.guard(conneqt(), { cache = "verdicts" })', "guard: cache: expected a table, got a string" },
  { "a provider has nothing to verify with", "hn.guard(people(zone()):open 'x')", "guard: the provider pkb has no verify" },
  { "one session would serve many people", "hn.login(conneqt(), { secret = secret })",
    "login: expected what healthauth.sessions made: one session must never serve two people" },
  { "a bearer does not know whose request it is", "hn.bearer(people(zone()))",
    "bearer: a sessions needs key = function() ... end, or browser = the options of login" },
  { "a session is closed", "local closed = conneqt() closed:close() hn.guard(closed)", "guard: expected a session that is open" },
  { "a page is on another site", 'hn.login(people(zone()), { secret = secret, return_to = "https://elsewhere.example/" })',
    "login: return_to: expected a path of this host, such as /" },
  { "a header has no name", 'hn.guard(conneqt(), { header = "Not a name" })', "guard: header: expected the name of a header" },
  { "headers to clear are no list", 'hn.guard(conneqt(), { clear = { ["X-Person"] = true } })',
    "guard: clear: expected a list of header names" },
  { "headers to clear have a hole", 'hn.guard(conneqt(), { clear = { "X-Person", nil, "X-Role" } })',
    "guard: clear: expected a list of header names" },
  { "one of the cookies' secrets has a name", "hn.login(people(zone()), { secret = { secret, old = secret } })",
    "login: secret: expected a text or a list of texts" },
  { "the provider's address is missing", 'healthauth.conneqt { base_url = os.getenv "HEALTHAUTH_NO_SUCH_VARIABLE", api_key = "key" }',
    "conneqt: exactly one of the options 'environment' and 'base_url' is required" },
  { "the provider's address is http", 'healthauth.conneqt { base_url = "http://conneqt.example", api_key = "key" }',
    "option 'base_url': expected an https URL (http only to loopback)" },
  { "a handler runs while nginx starts", "hn.status()()", "status: cannot work in the phase init; call it in content_by_lua" },
  { "the thread pool has no name", "hn.worker_thread {}", "worker_thread: expected { pool = NAME }" },
}

describe("nginx does not start when", function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      local server, said = nginx.start { http = HTTP, values = { INIT = case[2], ZONES = ZONES }, expect_failure = true }
      if server then server:stop() end
      assert.is_nil(server, "it started")
      assert.truthy(said:find(case[3], 1, true), said)
      assert.truthy(said:find "init_by_lua error: init_by_lua%(nginx%.conf:%d+%):18: ", "not said at the line that is wrong: " .. said)
    end)
  end

  it("a file of authorities is not there", function()
    local server, said = nginx.start { http = "lua_ssl_trusted_certificate $FOLDER/nowhere.pem; " .. HTTP,
      values = { INIT = "", ZONES = ZONES }, expect_failure = true }
    if server then server:stop() end
    assert.is_nil(server)
    assert.truthy(said:find "nowhere%.pem", said)
  end)
end)

describe("nginx -t", function()
  local folder
  before_each(function() folder = process.folder() end)
  after_each(function() process.remove(folder) end)

  local function test(http)
    process.write(folder .. "/nginx.conf", nginx.fill([[
      user root; pid $FOLDER/pid; error_log stderr;
      load_module /usr/lib/nginx/modules/ndk_http_module.so; load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
      events {}
      http { access_log off; client_body_temp_path $FOLDER/b; proxy_temp_path $FOLDER/p; fastcgi_temp_path $FOLDER/f;
        uwsgi_temp_path $FOLDER/u; scgi_temp_path $FOLDER/s; ]] .. http .. "server { listen unix:$FOLDER/sock; } }", { FOLDER = folder }))
    local status, _, said = process.run({ "nginx", "-t", "-p", folder .. "/", "-c", "nginx.conf" },
      { PATH = os.getenv "PATH" .. ":/usr/sbin" })
    return status, said
  end

  it("finds a file of authorities that is missing, and does not run init_by_lua", function()
    local status, said = test "lua_ssl_trusted_certificate $FOLDER/nowhere.pem; "
    assert.equal(1, status)
    assert.truthy(said:find("nowhere.pem", 1, true), said)
    status, said = test 'init_by_lua_block { error "never seen" } '
    assert.equal(0, status)
    assert.is_nil(said:find("never seen", 1, true))
  end)
end)

describe("nginx starts when", function()
  it("nothing is wrong", function()
    local server = nginx.start { http = HTTP, values = { ZONES = ZONES, INIT = [[
      hn.init { dict = "counters" }
      hn.guard(conneqt(), { cache = { dict = "verdicts" } }) hn.guard(conneqt(), { cache = { dict = "verdicts", valid = 1 } })
      local all = people(zone())
      hn.login(all, { secret = secret }) hn.callback(all, { secret = secret }) hn.logout(all, { secret = secret })
      hn.bearer(all, { browser = { secret = secret } }) hn.bearer(conneqt())
    ]] } }
    local response = server:get "/ping"
    server:stop()
    assert.equal(204, response.status)
  end)

  it("one worker keeps its sessions in its memory", function()
    local server = nginx.start { http = HTTP, workers = 1, values = { ZONES = ZONES,
      INIT = "hn.login(people(healthauth.stores.memory {}), { secret = secret })" } }
    server:stop()
  end)
end)

describe("a running nginx", function()
  it("goes on with the old configuration when a reload finds a mistake", function()
    local server = nginx.start { http = HTTP, values = { ZONES = ZONES, INIT = "hn.guard(conneqt())" } }
    finally(function() server:stop() end)
    local path = server.folder .. "/nginx.conf"
    process.write(path, (process.read(path):gsub("hn.guard%(conneqt%(%)%)", "hn.guard(conneqt(), { cach = {} })")))
    server:signal "HUP"
    assert.is_true(nginx.wait_for(60, function() return server:log():find("unknown option 'cach'", 1, true) end))
    assert.equal(204, server:get("/ping").status)
  end)
end)
