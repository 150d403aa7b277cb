-- SPDX-License-Identifier: MIT
-- The configurations of examples/nginx as they stand, in a real nginx against the sandbox over https. What they include (site.conf,
-- listen.conf) is the spec's, as it would be the owner's: our authority, an API that says what it was sent, an address of the moment.

local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local people = require "spec.nginx.people"
local process = require "spec.support.process"
local redis_server = require "spec.support.redis_server"
local sandbox = require "spec.nginx.sandbox"

local credentials = require("healthauth.sandbox").credentials

local HEADER = "Conneqt-Instant-Access-Token: "
local CLIENT, CALLBACK = credentials.pkb.client_id, "https://client.example.com/callback"
local SECRET = "a secret of these examples, at least 32 bytes"

local BESIDE = {
  ["site.conf"] = [[
    lua_ssl_trusted_certificate $CA;
    client_body_temp_path $FOLDER/b; proxy_temp_path $FOLDER/p; fastcgi_temp_path $FOLDER/f; uwsgi_temp_path $FOLDER/u;
    scgi_temp_path $FOLDER/s;
    upstream api { server unix:$FOLDER/api; }
    server {
      listen unix:$FOLDER/api;
      access_log off;
      location / {
        content_by_lua_block {
          local out = {}
          for name, value in pairs(ngx.req.get_headers(0)) do out[name] = value end
          ngx.print(require("healthauth.core").json_encode { path = ngx.var.request_uri, headers = out })
        }
      }
    }
  ]],
  ["listen.conf"] = "listen 127.0.0.1:$PORT $LISTEN access_log $FOLDER/access.log;",
}

describe("examples/nginx", function()
  local box, servers

  setup(function() box = sandbox.start { credentials = { pkb = { client_id = CLIENT, redirect_uri = CALLBACK } } } end)
  teardown(function() if box then box:stop() end end)
  before_each(function() servers = {} end)
  after_each(function()
    for _, server in ipairs(servers) do server:stop() end
  end)

  local function start(name, more, https)
    local env = {
      HEALTHAUTH_CONNEQT_URL = box.https .. "/conneqt", HEALTHAUTH_CONNEQT_API_KEY = credentials.conneqt.api_key,
      HEALTHAUTH_PKB_URL = box.https .. "/pkb", HEALTHAUTH_PKB_CLIENT_ID = CLIENT,
      HEALTHAUTH_PKB_REDIRECT_URI = CALLBACK, HEALTHAUTH_COOKIE_SECRET = SECRET,
    }
    for variable, value in pairs(more or {}) do env[variable] = value end
    local certificates = box.ca:match "^(.*)/" -- the sandbox's own serve for localhost
    local listen = https and "ssl; ssl_certificate $CERTIFICATES/server.pem; ssl_certificate_key $CERTIFICATES/server.key;" or ";"
    local server = nginx.start { file = "examples/nginx/" .. name, beside = BESIDE, env = env, ca = https and box.ca,
      values = { CA = box.ca, LISTEN = listen:gsub("%$CERTIFICATES", certificates) } }
    servers[#servers + 1] = server
    return server
  end

  for _, name in ipairs { "guard.conf", "login.conf", "redis.conf" } do
    it(name .. " is well formed with the site.conf and listen.conf beside it", function()
      local folder = process.folder()
      local _, _, said = process.run({ "nginx", "-t", "-c", nginx.root .. "/examples/nginx/" .. name, "-g",
        "pid " .. folder .. "/pid; error_log stderr;" }, { PATH = os.getenv "PATH" .. ":/usr/sbin" })
      process.remove(folder)
      assert.truthy(said:find("syntax is ok", 1, true), said)
      assert.is_nil(said:find("[warn]", 1, true), said)
    end)
  end

  local function token()
    local code = box:control("access_code").access_code
    local _, out = process.run { "curl", "-sS", "-H", "ApiKey: " .. credentials.conneqt.api_key, "-H", "Content-Type: application/json",
      "--data-binary", core.json_encode { accessCode = code }, box.http .. "/conneqt/api/v1/messages/instant/access/token" }
    return assert(core.json_decode(out).token, out)
  end

  local function is_guarded(server, path)
    local good, gone = token(), token()
    box:control("revoke", { token = gone })
    local before = box:count "conneqt.verify"
    for _ = 1, 8 do
      local response = server:get(path, { headers = { HEADER .. good } })
      assert.equal(200, response.status)
      assert.equal(path, core.json_decode(response.body).path)
    end
    local function refused(code, ...)
      local response = server:get(path, { headers = { ... } })
      assert.same({ 401, code }, { response.status, core.json_decode(response.body).code })
      assert.truthy(response.headers["www-authenticate"]:find "^Bearer ")
    end
    refused("token_gone", HEADER .. gone)
    refused("token_missing")
    refused("token_repeated", HEADER .. good, HEADER .. good)
    assert.equal(before + 2, box:count "conneqt.verify")
    assert.equal(200, server:get("/healthauth/status").status)
  end

  it("guard.conf lets valid tokens through to the API, and nothing else", function()
    local server = start "guard.conf"
    assert.equal(4, #server:workers())
    is_guarded(server, "/records?of=today")
    assert.is_true(nginx.wait_for(60, function() return server:log():find("conneqt can be reached", 1, true) end))
    assert.truthy(server:get("/healthauth/metrics").body:find('verify_total{verdict="gone",cache="miss"} 1', 1, true))
    box:control("fault", { kind = "unavailable", provider = "conneqt", operation = "verify", retry_after = 7 })
    local response = server:get("/records", { headers = { HEADER .. token() } })
    assert.same({ 503, "7" }, { response.status, response.headers["retry-after"] })
  end)

  -- A person's way from a page to the login and back to it.
  local function come_in(server)
    local person = people.browser(server, box)
    local asked = person:get("/record", { headers = { "Accept: text/html" } })
    assert.same({ 302, "/login?return_to=%2Frecord" }, { asked.status, asked.headers.location })
    local gone_to = person:get(asked.headers.location)
    local answer = assert(box:consent(gone_to.headers.location, "allow"))
    assert.equal(CALLBACK, answer:match "^[^?]*")
    local back = person:get("/callback" .. answer:match "%?.*$")
    assert.same({ 302, "/record" }, { back.status, back.headers.location })
    return person, answer
  end

  local function api_saw(person)
    local response = person:get("/record", { headers = { "Authorization: Bearer forged" } })
    assert.equal(200, response.status, response.body)
    local headers = core.json_decode(response.body).headers
    assert.is_nil(headers.cookie)
    return assert(headers.authorization:match "^Bearer (%S+)$")
  end

  -- The token opens the provider's own API, which the person's record is in.
  local function opens(access_token)
    local _, out = process.run { "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer " .. access_token,
      box.http .. "/pkb/fhir/Patient/1" }
    return out
  end

  it("login.conf leads a person through the login, and gives the API their own token", function()
    local server = start("login.conf", nil, true)
    assert.equal(4, #server:workers())
    assert.equal(401, server:get("/record").status)
    local person, answer = come_in(server)
    local mine = api_saw(person)
    assert.equal("200", opens(mine))
    assert.same({ "__Host-ha_session" }, person:cookies())
    assert.not_equal(mine, api_saw((come_in(server))))
    for file, words in pairs { ["/access.log"] = "GET /record ", ["/error.log"] = "start worker process" } do
      local text = process.read(server.folder .. file)
      assert.truthy(text:find(words, 1, true), file)
      for _, secret in ipairs { mine, answer:match "code=([^&]+)", answer:match "state=([^&]+)" } do
        assert.is_nil(text:find(secret, 1, true), file)
      end
    end
    local out = person:get("/logout", { method = "POST", body = "" })
    assert.same({ 303, "/" }, { out.status, out.headers.location })
    assert.equal(401, person:get("/record").status)
  end)

  it("redis.conf serves a person from either of two machines", function()
    local redis = redis_server.start { port = true, auth = { "-a", "redis password" }, config = { 'requirepass "redis password"' } }
    local ok, why = pcall(function()
      local env = { HEALTHAUTH_REDIS_HOST = "127.0.0.1", HEALTHAUTH_REDIS_PORT = tostring(redis.port),
        HEALTHAUTH_REDIS_PASSWORD = "redis password" }
      local one, two = start("redis.conf", env), start("redis.conf", env)
      local person = come_in(one)
      local mine = api_saw(person)
      person.server = two
      assert.equal(mine, api_saw(person))
      is_guarded(two, "/api/records")
      assert.equal(303, person:get("/logout", { method = "POST", body = "" }).status)
      person.server = one
      assert.equal(401, person:get("/record").status)
      assert.truthy(redis:cli("KEYS", "*"):find("healthauth:record:spent.", 1, true)) -- the callback's mark: no machine takes it again
    end)
    redis:stop()
    if not ok then error(why, 0) end
  end)
end)
