-- SPDX-License-Identifier: MIT
-- What a gateway's owner may build beyond the plain login: other ways to name a session, changed secrets, eHealth, a system client; and
-- what time does to cookies, attempts and records.

local nginx = require "spec.nginx.server"
local people = require "spec.nginx.people"
local process = require "spec.support.process"
local sandbox = require "spec.nginx.sandbox"

local credentials = require("healthauth.sandbox").credentials

local HTTP = [[
  lua_shared_dict healthauth 1m; lua_shared_dict sessions 4m; lua_shared_dict clock 64k;
  init_by_lua_block {
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    local app, store = hn.app, healthauth.stores.shared_dict { name = "sessions" }
    hn.init { dict = "healthauth" }
    local function clock() return ngx.time() + (ngx.shared.clock:get "skew" or 0) end
    local function pkb()
      return healthauth.sessions { provider = "pkb", store = store, options = { base_url = "$SANDBOX/pkb", scope = "PATIENT", timeout = 3,
        client_id = "sandbox-pkb-client", redirect_uri = "https://client.example.com/cb", clock = clock } }
    end
    local sessions, save = pkb(), store.save
    function store:save(key, record, expected) -- no room while the owner of this spec says so, for marks of spent logins or for records
      local full = ngx.shared.clock:get "full"
      if full and (full == "mark") == (record:find("spent_until", 1, true) ~= nil) then
        return nil, require("healthauth.stores.common").error("store_full", "full")
      end
      return save(self, key, record, expected)
    end
    local old, new = "an old secret of this spec, at least 32 bytes", "a new secret of this spec, at least 32 bytes"
    local plain = { secret = old }
    local load = store.load
    function store:load(key)
      if not ngx.shared.clock:get "away" then return load(self, key) end
      ngx.shared.clock:incr("loads", 1, 0)
      return nil, require("healthauth.stores.common").error("store_unavailable", "away")
    end
    app.login, app.callback = hn.login(sessions, plain), hn.callback(sessions, plain)
    app.app = hn.bearer(sessions, { browser = plain })
    app.rotated = hn.bearer(sessions, { browser = { secret = { new, old } } })
    app.foreign = hn.bearer(sessions, { browser = { secret = new } })
    app.short = hn.bearer(sessions, { browser = { secret = old, lifetime = 1 } })
    app.tidy = hn.login(pkb(), { secret = old, lifetime = 6 })
    app.keyed = hn.bearer(sessions, { key = function() return ngx.var.arg_who end, realm = "keyed" })
    app.sessions = sessions
    local core = require "healthauth.core"
    for _, name in ipairs { "random", "seal" } do -- without randomness while the owner of this spec says so
      local real = core[name]
      core[name] = function(...)
        if ngx.shared.clock:get(name) then return nil end
        return real(...)
      end
    end
    app.system = hn.bearer(healthauth.pkb_system { base_url = "$SANDBOX/pkb_system", client_id = "$SYSTEM_ID",
      client_secret = "$SYSTEM_SECRET", store = store, key = "the system" })
    local doctors = healthauth.sessions { provider = "ehealth", store = store, options = { base_url = "$SANDBOX/ehealth",
      client_id = "$EHEALTH_ID", client_secret = "$EHEALTH_SECRET", api_key = "$EHEALTH_KEY", psk = "$EHEALTH_PSK",
      redirect_uri = "$EHEALTH_URI", scope = "person:read", timeout = 3 } }
    local apart = { secret = new, cookie = "doctor", login = "/doctor/login" }
    app.doctor_login, app.doctor_cb, app.doctor_logout = hn.login(doctors, apart), hn.callback(doctors, apart), hn.logout(doctors, apart)
    app.doctor = hn.bearer(doctors, { browser = apart })
  }
  server {
    listen 127.0.0.1:$PORT;
    location / { return 404; }
    location = /cb { content_by_lua_block { require("healthauth.nginx").app.callback() } }
    location ~ ^/(login|tidy)$ { content_by_lua_block { require("healthauth.nginx").app[ngx.var[1] ]() } }
    location ~ ^/(app|rotated|foreign|short|keyed|system|doctor)$ {
      access_by_lua_block { require("healthauth.nginx").app[ngx.var[1] ]() }
      content_by_lua_block { ngx.print(ngx.req.get_headers()["Authorization"]) }
    }
    location = /direct {
      access_by_lua_block { local hn = require "healthauth.nginx"
        hn.bearer(hn.app.sessions, { key = function() return ngx.var.arg_who end }) }
      content_by_lua_block { ngx.print(ngx.req.get_headers()["Authorization"]) }
    }
    location = /adopt { content_by_lua_block { local session = require("healthauth.nginx").app.sessions:open(ngx.var.arg_who)
      ngx.print(tostring(session:restore { access_token = ngx.var.arg_token, expires_at = ngx.time() + 1000 })) } }
    location ~ ^/doctor/(login|cb|logout)$ { content_by_lua_block { require("healthauth.nginx").app["doctor_" .. ngx.var[1] ]() } }
    location = /lack { content_by_lua_block { ngx.shared.clock:set(ngx.var.arg_what, ngx.var.arg_on)
      ngx.print(ngx.shared.clock:get "loads" or 0) } }
    location = /skew { content_by_lua_block { ngx.shared.clock:set("skew", tonumber(ngx.var.arg_by)) ngx.print "ok" } }
  }
]]

describe("a gateway in nginx", function()
  local server, box, person

  setup(function()
    box = sandbox.start {}
    local doctor, system = credentials.ehealth, credentials.pkb_system
    server = nginx.start { http = HTTP, values = { SANDBOX = box.http, SYSTEM_ID = system.client_id, SYSTEM_SECRET = system.client_secret,
      EHEALTH_ID = doctor.client_id, EHEALTH_SECRET = doctor.client_secret, EHEALTH_KEY = doctor.api_key, EHEALTH_PSK = doctor.psk,
      EHEALTH_URI = doctor.redirect_uri } }
  end)

  teardown(function()
    if server then server:stop() end
    if box then box:stop() end
  end)

  before_each(function() person = people.browser(server, box) end)

  it("keeps people logged in while the secret of the cookies changes", function()
    assert.equal(302, person:login().status)
    assert.equal(200, person:get("/app").status)
    assert.equal(200, person:get("/rotated").status)
    assert.equal(401, person:get("/foreign").status)
  end)

  it("ends a login when the cookie's life is over, also where the browser keeps the cookie", function()
    assert.equal(302, person:login().status)
    local cookie = { "Cookie: ha_session=" .. process.read(person.jar):match "ha_session\t(%S+)" }
    process.sleep(1.1)
    assert.equal(401, server:get("/short", { headers = cookie }).status)
    assert.equal(200, server:get("/app", { headers = cookie }).status)
  end)

  it("takes no answer of a login that began more than ten minutes ago", function()
    local callback = assert(box:consent((person:begin())))
    local before = box:count "pkb.exchange"
    server:get "/skew?by=601"
    local response = person:finish(callback)
    server:get "/skew?by=0"
    assert.equal(400, response.status)
    assert.truthy(response.body:find("<code>state_expired</code>", 1, true), response.body)
    assert.equal(before, box:count "pkb.exchange")
  end)

  for _, what in ipairs { "random", "seal" } do
    it("says 503 while the system gives no random bytes for a " .. (what == "random" and "key" or "cookie")
      .. ", and a callback goes on afterwards", function()
      finally(function() server:get("/lack?what=" .. what) end)
      local callback = assert(box:consent((person:begin())))
      local before, jar = box:count "pkb.exchange", process.read(person.jar)
      server:get("/lack?on=1&what=" .. what)
      for _, response in ipairs { person:get "/login", person:finish(callback) } do
        assert.same({ 503, "5" }, { response.status, response.headers["retry-after"] })
        assert.truthy(response.body:find("<code>random_failed</code>", 1, true), response.body)
        assert.is_nil(response.headers["set-cookie"])
      end
      assert.same({ before, jar }, { box:count "pkb.exchange", process.read(person.jar) })
      server:get("/lack?what=" .. what)
      assert.equal(302, person:finish(callback).status)
    end)
  end

  it("says 503 where the store has no room for a login, spends no code in vain and leaves an older session alone", function()
    finally(function() server:get "/lack?what=full" end)
    assert.equal(302, person:login().status)
    for _, case in ipairs { { "mark", 0, 302 }, { "record", 1, 400 } } do
      local callback, before = assert(box:consent((person:begin()))), box:count "pkb.exchange"
      server:get("/lack?what=full&on=" .. case[1])
      local response = person:finish(callback)
      assert.same({ 503, "5" }, { response.status, response.headers["retry-after"] })
      assert.truthy(response.body:find("This site could not keep it: <code>store_full</code>", 1, true), response.body)
      assert.equal(before + case[2], box:count "pkb.exchange")
      assert.equal(200, person:get("/app").status)
      server:get "/lack?what=full"
      assert.equal(case[3], person:finish(callback).status)
      assert.equal(200, person:get("/app").status)
    end
  end)

  it("forgets the records of people whose cookie is over, and nobody else's", function()
    assert.equal(302, person:login().status)
    local late = people.browser(server, box)
    process.sleep(6.2)
    assert.equal(302, late:login().status)
    assert.equal(200, person:get("/app").status)
    assert.equal(302, server:get("/tidy").status)
    assert.is_true(nginx.wait_for(60, function() return person:get("/app").status == 401 end))
    assert.equal(200, late:get("/app").status)
  end)

  it("asks a store that is away once for a request, and says 503", function()
    server:get "/lack?what=away&on=1"
    local response = server:get "/keyed?who=somebody"
    local loads = server:get("/lack?what=away").body
    assert.same({ 503, "5", "1" }, { response.status, response.headers["retry-after"], loads })
    assert.truthy(response.body:find('"code":"store_unavailable"', 1, true), response.body)
  end)

  it("takes the session's key from wherever the owner says, and keeps keys apart", function()
    assert.equal("true", server:get("/adopt?who=one&token=token-of-one").body)
    assert.equal("true", server:get("/adopt?who=two&token=token-of-two").body)
    for _ = 1, 4 do
      assert.equal("Bearer token-of-one", server:get("/keyed?who=one").body)
      assert.equal("Bearer token-of-two", server:get("/direct?who=two").body)
    end
    local nobody, stranger = server:get "/keyed", server:get "/keyed?who=three"
    assert.same({ 401, 401 }, { nobody.status, stranger.status })
    assert.equal('Bearer realm="keyed"', nobody.headers["www-authenticate"])
    assert.truthy(nobody.body:find("no_session", 1, true) and stranger.body:find("no_token", 1, true))
  end)

  it("gives every request the token of one system client, fetched once over all workers", function()
    local before = box:count "pkb_system.exchange"
    assert.same({ ["200"] = 100 }, server:burst("/system", 100))
    assert.equal(before + 1, box:count "pkb_system.exchange")
    assert.truthy(server:get("/system").body:find "^Bearer %S+$")
  end)

  it("logs doctors in through eHealth, and tells it when they leave", function()
    local function enter()
      local url = assert(person:get("/doctor/login?return_to=/doctor")).headers.location
      local callback = assert(box:consent(url))
      local back = person:get("/doctor/cb" .. callback:match "%?.*$")
      assert.same({ 302, "/doctor" }, { back.status, back.headers.location }, back.body)
      local token = person:get("/doctor").body:match "^Bearer (%S+)$"
      return assert(token)
    end
    enter()
    local before = box:count "ehealth.logout"
    local out = person:get("/doctor/logout", { method = "POST", body = "" })
    assert.equal(303, out.status)
    assert.equal(before + 1, box:count "ehealth.logout")
    assert.equal(401, person:get("/doctor").status)
    enter()
    box:control("fault", { kind = "unavailable", provider = "ehealth", operation = "logout" })
    local jar = process.read(person.jar)
    assert.equal(303, person:get("/doctor/logout", { method = "POST", body = "" }).status) -- leaving works without the provider
    process.write(person.jar, jar)
    assert.equal(401, person:get("/doctor").status)
  end)
end)
