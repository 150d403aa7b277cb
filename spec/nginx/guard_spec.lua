-- SPDX-License-Identifier: MIT
-- guard in a real nginx with four workers, against the served sandbox.

local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local process = require "spec.support.process"
local sandbox = require "spec.nginx.sandbox"

local HTTP = [[
  lua_shared_dict healthauth 1m; lua_shared_dict verdicts 1m; lua_shared_dict small 64k;
  init_by_lua_block {
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    hn.init { dict = "healthauth" }
    local function session(base, timeout)
      return healthauth.conneqt { base_url = base, api_key = "sandbox-conneqt-api-key", timeout = timeout or 5 }
    end
    local live = session "$SANDBOX/conneqt"
    hn.app.gate = hn.guard(live, { cache = { dict = "verdicts", valid = 30, gone = 300 }, identity = "X-Person", clear = { "X-Role" } })
    hn.app.plain = hn.guard(live)
    hn.app.either = hn.guard(live, { authorization = true, strip = true })
    hn.app.bearer = hn.guard(live, { header = "Authorization" })
    hn.app.down = hn.guard(session("http://127.0.0.1:1/conneqt"), { cache = { dict = "verdicts" } })
    hn.app.short = hn.guard(live, { cache = { dict = "verdicts", valid = 0.2, gone = 0.2, stale_if_error = 30 }, realm = "short" })
    hn.app.brief = hn.guard(live, { cache = { dict = "verdicts", valid = 0.1, gone = 30, stale_if_error = 3 } })
    hn.app.lasting = hn.guard(live, { cache = { dict = "small", valid = 30, gone = 0.2 } })
    hn.app.mortal = hn.guard(session("$SANDBOX/conneqt", 1), { cache = { dict = "small" } })
    hn.app.slow = hn.guard(session("$SANDBOX/conneqt", 2), { cache = { dict = "small", valid = 1 } })
    hn.app.forgetful = hn.guard(live, { cache = { dict = "small", valid = 0, gone = 0 } })
    hn.app.stranger = hn.guard(healthauth.conneqt { base_url = "$SANDBOX/conneqt", api_key = "another" }, { cache = { dict = "verdicts" } })
    hn.app.elsewhere = hn.guard(healthauth.conneqt { base_url = "$SANDBOX/conneqt", api_key = "sandbox-conneqt-api-key",
      endpoints = { verify = "/elsewhere" } }, { cache = { dict = "verdicts" } })
    hn.app.live = live
    local dead = session "$SANDBOX/conneqt"
    hn.app.dead = hn.guard(dead, { cache = { dict = "verdicts" } })
    hn.app.dead_plain = hn.guard(dead)
    dead:close()
  }
  server {
    listen 127.0.0.1:$PORT;
    location / { return 404; }
    location /up { content_by_lua_block { local out = {} for name, value in pairs(ngx.req.get_headers(0)) do out[name] = value end
      ngx.print(require("healthauth.core").json_encode(out)) } }
    underscores_in_headers on;
    location ~ ^/(?<which>gate|plain|either|bearer|down|short|brief|lasting|mortal|slow|forgetful|stranger|elsewhere|dead|dead_plain)$ {
      access_by_lua_block { require("healthauth.nginx").app[ngx.var.which]() }
      rewrite ^ /up break;
      proxy_pass http://127.0.0.1:$PORT;
    }
    location = /direct { access_by_lua_block { local hn = require "healthauth.nginx" hn.guard(hn.app.live, { realm = "direct" }) }
      content_by_lua_block { ngx.print "in" } }
    location = /wrong { access_by_lua_block { local hn = require "healthauth.nginx" hn.guard(hn.app.live, { relm = "x" }) }
      content_by_lua_block { ngx.print "in" } }
    location = /asked { internal; rewrite_by_lua_block { require("healthauth.nginx").app.gate() } content_by_lua_block { ngx.exit(204) } }
    location = /by_request { auth_request /asked; content_by_lua_block { ngx.print "in" } }
    location = /captured { rewrite_by_lua_block { require("healthauth.nginx").app.gate() } content_by_lua_block { ngx.print "in" } }
    location = /capture { content_by_lua_block { local inner = ngx.location.capture "/captured" ngx.status = inner.status
      ngx.print(inner.body) } }
    location = /late { content_by_lua_block { ngx.print "in" } log_by_lua_block { require("healthauth.nginx").app.gate() } }
    location = /keys { content_by_lua_block { ngx.print(table.concat(ngx.shared[ngx.var.arg_zone]:get_keys(0), "\n")) } }
    location = /metrics { content_by_lua_block { require("healthauth.nginx").metrics() } }
  }
]]

local HEADER = "Conneqt-Instant-Access-Token: "

describe("the guard in nginx", function()
  local server, box

  setup(function()
    box = sandbox.start { seed = "guard" }
    server = nginx.start { http = HTTP, values = { SANDBOX = box.http } }
  end)

  teardown(function()
    if server then server:stop() end
    if box then box:stop() end
  end)

  local function token()
    local code = box:control("access_code").access_code
    local _, out = process.run { "curl", "-sS", "-H", "ApiKey: sandbox-conneqt-api-key", "-H", "Content-Type: application/json",
      "--data-binary", core.json_encode { accessCode = code }, box.http .. "/conneqt/api/v1/messages/instant/access/token" }
    return assert(core.json_decode(out).token, out)
  end

  local function verifies()
    return box:count "conneqt.verify"
  end

  local function problem(response, status, code)
    assert.equal(status, response.status, response.body)
    assert.equal("application/problem+json", response.headers["content-type"])
    local document = core.json_decode(response.body)
    assert.same({ status, code }, { document.status, document.code })
    return document
  end

  it("lets a valid token pass, and asks the provider once over all workers", function()
    local good, before = token(), verifies()
    for _ = 1, 20 do assert.equal(200, server:get("/gate", { headers = { HEADER .. good } }).status) end
    assert.equal(before + 1, verifies())
  end)

  it("asks once when many ask at the same moment", function()
    local good, before = token(), verifies()
    box:control("fault", { kind = "delay", provider = "conneqt", operation = "verify", seconds = 1 })
    assert.same({ ["200"] = 60 }, server:burst("/gate", 60, { HEADER .. good }))
    assert.equal(before + 1, verifies())
  end)

  it("shares a verdict among those who waited for it where none is kept, and gives it to nobody later", function()
    local good, gone = token(), token()
    box:control("revoke", { token = gone })
    for text, status in pairs { [good] = "200", [gone] = "401" } do
      local before = verifies()
      box:control("fault", { kind = "delay", provider = "conneqt", operation = "verify", seconds = 2.5 })
      assert.same({ [status] = 60 }, server:burst("/forgetful", 60, { HEADER .. text }))
      local asked = verifies() - before
      assert.is_true(asked >= 1 and asked < 10, "asked " .. asked .. " times") -- who came after the answer asks again
      for i = 1, 2 do
        assert.equal(tonumber(status), server:get("/forgetful", { headers = { HEADER .. text } }).status)
        assert.equal(before + asked + i, verifies())
      end
    end
  end)

  it("refuses a gone token with 401, and remembers that", function()
    local gone = token()
    box:control("revoke", { token = gone })
    local before = verifies()
    for _ = 1, 5 do
      local response = server:get("/gate", { headers = { HEADER .. gone } })
      problem(response, 401, "token_gone")
      assert.equal('Bearer realm="healthauth", error="invalid_token"', response.headers["www-authenticate"])
      assert.equal("no-store", response.headers["cache-control"])
      assert.is_nil(response.body:find(gone, 1, true))
    end
    assert.equal(before + 1, verifies())
  end)

  local REFUSED = {
    { "no token", {}, "token_missing", "gate" },
    { "an empty token", { "Conneqt-Instant-Access-Token;" }, "token_missing", "gate" },
    { "two tokens", { HEADER .. "a", HEADER .. "b" }, "token_repeated", "gate" },
    { "the same token twice", { HEADER .. "a", HEADER .. "a" }, "token_repeated", "gate" },
    { "a token with a space", { HEADER .. "a b" }, "token_malformed", "gate" },
    { "a token with other bytes", { HEADER .. "a\195\164" }, "token_malformed", "gate" },
    { "a token that is too long", { HEADER .. ("a"):rep(4097) }, "token_malformed", "gate" },
    { "Authorization where it is not configured", { "Authorization: Bearer abc" }, "token_missing", "gate" },
    { "both headers", { HEADER .. "a", "Authorization: Bearer a" }, "token_repeated", "either" },
    { "two tokens where Authorization is taken as well", { HEADER .. "a", HEADER .. "b" }, "token_repeated", "either" },
    { "two tokens and Authorization", { HEADER .. "a", HEADER .. "b", "Authorization: Bearer a" }, "token_repeated", "either" },
    { "another scheme", { "Authorization: Basic YTpi" }, "token_malformed", "either" },
    { "a scheme without token", { "Authorization: Bearer" }, "token_malformed", "bearer" },
    { "two words", { "Authorization: Bearer a b" }, "token_malformed", "bearer" },
    { "no Authorization", { HEADER .. "a" }, "token_missing", "bearer" },
  }
  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1] .. " without asking the provider", function()
      local before = verifies()
      local response = server:get("/" .. case[4], { headers = case[2] })
      problem(response, 401, case[3])
      assert.truthy(response.headers["www-authenticate"]:find('^Bearer realm="healthauth"'))
      assert.equal(before, verifies())
    end)
  end

  it("never sees two Authorizations: nginx refuses them itself, or the guard does", function()
    local before = verifies()
    local status = server:get("/either", { headers = { "Authorization: Bearer a", "Authorization: Bearer b" } }).status
    assert.is_true(status == 400 or status == 401)
    assert.equal(before, verifies())
  end)

  it("finds the token behind a hundred other headers", function()
    local headers = {}
    for i = 1, 150 do headers[i] = "X-Filler-" .. i .. ": " .. i end
    headers[151] = HEADER .. token()
    assert.equal(200, server:get("/gate", { headers = headers }).status)
    headers[151], headers[152] = HEADER .. "a", HEADER .. "b"
    assert.equal(401, server:get("/gate", { headers = headers }).status)
  end)

  it("takes either header where both are configured, and strips them where asked", function()
    local good = token()
    local response = server:get("/either", { headers = { "Authorization: bearer " .. good } })
    assert.equal(200, response.status)
    local seen = core.json_decode(response.body)
    assert.is_nil(seen.authorization)
    assert.equal(200, server:get("/either", { headers = { HEADER .. good } }).status)
    assert.equal(200, server:get("/bearer", { headers = { "Authorization: Bearer " .. good } }).status)
  end)

  it("clears forged identity headers and writes its own", function()
    local good = token()
    local response = server:get("/gate", { headers = { HEADER .. good, "X-Person: admin", "X-ROLE: root", "x-person: second" } })
    local seen = core.json_decode(response.body)
    assert.equal(core.hex(core.sha256(good)):sub(1, 16), seen["x-person"])
    assert.is_nil(seen["x-role"])
  end)

  it("clears forged headers in the spelling of CGI variables too, and refuses the token's own header in it", function()
    local good = token()
    local seen = core.json_decode(server:get("/gate", { headers = { HEADER .. good, "X_Person: admin", "x_role: root" } }).body)
    assert.same({}, { seen["x_person"], seen["x_role"] })
    assert.equal(core.hex(core.sha256(good)):sub(1, 16), seen["x-person"])
    local before = verifies()
    for _, name in ipairs { "Conneqt_Instant_Access_Token", "conneqt-instant_access-token" } do
      problem(server:get("/gate", { headers = { HEADER .. good, name .. ": other" } }), 401, "token_repeated")
    end
    assert.equal(before, verifies())
  end)

  it("keeps each verdict as long as it was told to", function()
    local good, gone = token(), token()
    box:control("revoke", { token = gone })
    local function ask(path, value) return server:get(path, { headers = { HEADER .. value } }).status end
    local before = verifies()
    assert.same({ 200, 401 }, { ask("/brief", good), ask("/brief", gone) })
    assert.same({ 200, 401 }, { ask("/lasting", good), ask("/lasting", gone) })
    assert.equal(before + 4, verifies())
    process.sleep(0.25)
    assert.same({ 401, 200 }, { ask("/brief", gone), ask("/lasting", good) }) -- still known
    assert.equal(before + 4, verifies())
    assert.same({ 200, 401 }, { ask("/brief", good), ask("/lasting", gone) }) -- no longer
    assert.equal(before + 6, verifies())
  end)

  it("keeps no token in the zones, and no verdict of another provider, API key or endpoint", function()
    local good = token()
    assert.equal(200, server:get("/gate", { headers = { HEADER .. good } }).status)
    for _, other in ipairs { "/down", "/stranger", "/elsewhere" } do
      assert.equal(503, server:get(other, { headers = { HEADER .. good } }).status)
    end
    for _, zone in ipairs { "verdicts", "healthauth" } do
      local keys = server:get("/keys?zone=" .. zone).body
      assert.is_true(#keys > 40)
      assert.is_nil(keys:find(good, 1, true) or keys:lower():find(good:gsub("%-", ""), 1, true))
    end
  end)

  it("answers 503 with Retry-After when it cannot tell, and never remembers that", function()
    local response = server:get("/down", { headers = { HEADER .. "abc" } })
    problem(response, 503, "connect_failed")
    assert.equal("5", response.headers["retry-after"])
    local good = token()
    box:control("fault", { kind = "rate_limit", provider = "conneqt", operation = "verify", retry_after = 17 })
    response = server:get("/gate", { headers = { HEADER .. good } })
    problem(response, 503, "http_429")
    assert.equal("17", response.headers["retry-after"])
    assert.equal(200, server:get("/gate", { headers = { HEADER .. good } }).status)
    for _, fault in ipairs { { kind = "lost_answer" }, { kind = "html", status = 200 }, { kind = "truncate", at = 0 },
      { kind = "answer", status = 204 }, { kind = "unavailable" } } do
      fault.provider, fault.operation = "conneqt", "verify"
      box:control("fault", fault)
      assert.not_equal(200, server:get("/plain", { headers = { HEADER .. "not-a-token-at-all" } }).status, fault.kind)
    end
  end)

  it("serves a stale valid verdict while the provider is down, where the owner asks for it", function()
    local good = token()
    assert.equal(200, server:get("/short", { headers = { HEADER .. good } }).status)
    process.sleep(0.3)
    box:control("fault", { kind = "unavailable", provider = "conneqt", operation = "verify" })
    assert.equal(200, server:get("/short", { headers = { HEADER .. good } }).status)
    box:control("revoke", { token = good })
    process.sleep(0.3)
    assert.equal(401, server:get("/short", { headers = { HEADER .. good } }).status)
  end)

  it("serves it for a bounded time only", function()
    local good = token()
    local function ask() return server:get("/brief", { headers = { HEADER .. good } }).status end
    assert.equal(200, ask())
    box:control("fault", { kind = "unavailable", provider = "conneqt", operation = "verify", times = 2 })
    process.sleep(0.15)
    assert.equal(200, ask())
    process.sleep(3.2)
    assert.equal(503, ask())
    assert.equal(200, ask())
  end)

  it("shares one failure among those who waited for it", function()
    local good, before = token(), verifies()
    box:control("fault", { kind = "delay", provider = "conneqt", operation = "verify", seconds = 4 })
    assert.same({ ["503"] = 20 }, server:burst("/slow", 20, { HEADER .. good }))
    assert.equal(before + 1, verifies())
  end)

  it("waits for a verdict no longer than asking may take, when the worker that asks is killed", function()
    local good, before = token(), verifies()
    box:control("fault", { kind = "delay", provider = "conneqt", operation = "verify", seconds = 3 })
    os.execute(("curl -s -o /dev/null -H '%s' %s >/dev/null 2>&1 &"):format(HEADER .. good, server:url "/mortal"))
    assert.is_true(nginx.wait_for(60, function() return verifies() == before + 1 end))
    for _, pid in ipairs(server:workers()) do server:signal("KILL", pid) end
    assert.is_true(nginx.wait_for(60, function() return #server:workers() == 4 end))
    local started = core.monotonic()
    assert.equal(200, server:get("/mortal", { headers = { HEADER .. good } }).status)
    local took = core.monotonic() - started
    assert.is_true(took < 8, "waited " .. took) -- asking may take 1 s and one more; a busy machine its time
    assert.equal(before + 2, verifies())
  end)

  it("works in one line inside a request", function()
    local response = server:get("/direct")
    assert.equal('Bearer realm="direct"', response.headers["www-authenticate"])
    assert.equal("in", server:get("/direct", { headers = { HEADER .. token() } }).body)
  end)

  it("guards subrequests from rewrite_by_lua, since they have no access phase", function()
    local good = token()
    for _, path in ipairs { "/by_request", "/capture" } do
      assert.equal(401, server:get(path).status)
      assert.equal(401, server:get(path, { headers = { HEADER .. "gone" } }).status)
      local response = server:get(path, { headers = { HEADER .. good } })
      assert.same({ 200, "in" }, { response.status, response.body })
    end
  end)

  it("does not let a request pass when it is configured wrongly", function()
    assert.equal(500, server:get("/wrong", { headers = { HEADER .. token() } }).status)
    assert.truthy(server:log():find("guard: unknown option 'relm'", 1, true))
    server:get "/late"
    assert.is_true(nginx.wait_for(60, function() return server:log():find("guard: cannot work in the phase log", 1, true) end))
  end)

  it("lets nothing pass when its session is closed, the first time and later", function()
    for _, which in ipairs { "dead", "dead_plain" } do
      for _ = 1, 2 do assert.equal(500, server:get("/" .. which, { headers = { HEADER .. "abcdef" } }).status) end
    end
    assert.truthy(server:log():find("the session is closed", 1, true))
  end)

  it("counts verdicts and how they were come by", function()
    local text = server:get("/metrics").body
    for _, line in ipairs { 'healthauth_verify_total{verdict="valid",cache="hit"}', 'healthauth_verify_total{verdict="valid",cache="miss"}',
      'healthauth_verify_total{verdict="valid",cache="joined"}', 'healthauth_verify_total{verdict="valid",cache="stale"}',
      'healthauth_verify_total{verdict="gone",cache="hit"}', 'healthauth_verify_total{verdict="unknown",cache="miss"}',
      'healthauth_verify_total{verdict="refused",cache="none"}',
      'healthauth_provider_seconds_bucket{provider="conneqt",operation="verify",le="+Inf"}',
      "healthauth_lock_wait_seconds_count", 'code="http_429"',
      'healthauth_errors_total{provider="conneqt",operation="verify",kind="network",code="connect_failed"}' } do
      assert.truthy(text:find(line, 1, true), line .. " is not in\n" .. text)
    end
  end)

  it("writes no token into a log", function()
    assert.is_nil(server:log():find("not-a-token-at-all", 1, true))
  end)
end)
