-- SPDX-License-Identifier: MIT
-- What nginx adds to the cosocket transport: phases, pools, proxies, client certificates; and libcurl, which must not wait in a request.

local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local hostile = require "spec.hostile.run"
local nginx = require "spec.nginx.server"
local process = require "spec.support.process"
local relay = require "spec.nginx.relay"
local script = require "spec.hostile.script"

local FINE = { status = 200, body = "{}" }
local IDLE = { script.GOOD, { "sleep", 0.03 } }
local cases = {
  script.case("plain", { script.GOOD, { "keep" } }, FINE),
  script.case("slow", { { "sleep", 3 }, script.GOOD, { "keep" } }, FINE),
  script.case("dies", { IDLE[1], IDLE[2], { "reset" } }, FINE),
}

local HTTP = [[
  lua_ssl_trusted_certificate $CA; lua_shared_dict said 64k;
  init_by_lua_block {
    phases = require "spec.nginx.phases"
    phases.open("http://localhost:$HTTP", "https://localhost:$HTTPS", "$CA")
    phases.say "init"
  }
  init_worker_by_lua_block { if ngx.worker.id() == 0 then phases.say "init_worker" phases.timer() end }
  upstream balanced { server 127.0.0.1:1; balancer_by_lua_block { phases.say "balancer"
    require("ngx.balancer").set_current_peer("127.0.0.1", $PORT) } }
  server {
    listen 127.0.0.1:$PORT; listen 127.0.0.1:$PORT2 ssl; ssl_certificate $CERTIFICATES/good.pem; ssl_certificate_key $CERTIFICATES/good.key;
    ssl_certificate_by_lua_block { phases.say "ssl_cert" }
    location = /ping { content_by_lua_block { ngx.print "pong" } }
    location = /said { content_by_lua_block { ngx.print(ngx.shared.said:get(ngx.var.arg_phase)) } }
    location = /all {
      set_by_lua_block $phase { phases.say "set" return "" }
      rewrite_by_lua_block { phases.say "rewrite" }
      access_by_lua_block { phases.say "access" }
      content_by_lua_block { phases.say "content" ngx.print "done" }
      header_filter_by_lua_block { phases.say "header_filter" }
      body_filter_by_lua_block { phases.say "body_filter" }
      log_by_lua_block { phases.say "log" }
    }
    location = /balanced { proxy_pass http://balanced/ping; }
    location = /relay { content_by_lua_block { require("spec.nginx.relay").serve() } }
    location = /stale { content_by_lua_block { phases.stale(ngx.var.arg_method) } }
    location = /default { content_by_lua_block { phases.default() } }
    location = /objections { content_by_lua_block { phases.objections() } }
    location = /thread { content_by_lua_block { phases.thread(ngx.var.arg_pool, ngx.var.arg_path) } }
    location = /muted { resolver 127.0.0.1:9; resolver_timeout 20s; content_by_lua_block { require("spec.nginx.relay").serve() } }
    location = /nowhere { content_by_lua_block { phases.nowhere() } }
  }
]]

describe("the cosocket transport in nginx", function()
  local run, server, transport, control

  setup(function()
    run = hostile.start(cases)
    server = nginx.start { workers = 1, http = HTTP, main = "thread_pool healthauth threads=2;", values = {
      CA = run.folder .. "/ca.pem", CERTIFICATES = run.folder, HTTP = run.server.ports.http, HTTPS = run.server.ports.https } }
    transport = relay.new(server:url "/relay", run.folder .. "/ca.pem")
    control = curl.new()
  end)

  teardown(function()
    if server then server:stop() end
    if run then run:stop() end
  end)

  local function link(listener, more)
    local request = { method = "GET", url = run:url(listener, "/link"), headers = {}, timeout = 5, connect_timeout = 5 }
    for name, value in pairs(more or {}) do request[name] = value end
    local response, failure = transport:perform(request)
    return response and response.body or failure
  end

  -- Phase, what a session's verify over cosockets answered, and over libcurl.
  local REFUSED, BLOCKS = "argument phase_unsupported not_sent", "argument would_block not_sent"
  local PHASES = {
    { "init", REFUSED, "true" }, { "init_worker", REFUSED, "true" }, { "timer", "true", BLOCKS }, { "set", REFUSED, BLOCKS },
    { "rewrite", "true", BLOCKS }, { "access", "true", BLOCKS }, { "content", "true", BLOCKS }, { "header_filter", REFUSED, BLOCKS },
    { "body_filter", REFUSED, BLOCKS }, { "log", REFUSED, BLOCKS }, { "balancer", REFUSED, BLOCKS }, { "ssl_cert", "true", BLOCKS },
  }
  for _, case in ipairs(PHASES) do
    it(("%s in the phase %s, where libcurl %s"):format(case[2] == "true" and "works" or "says that it cannot work", case[1],
      case[3] == "true" and "harms nobody" or "is refused"), function()
      assert.equal("done", server:get("/all").body)
      server:get "/balanced"
      server:get("https://localhost:" .. server.port2 .. "/ping", { args = { "--cacert", run.folder .. "/ca.pem" } })
      local said
      nginx.wait_for(60, function()
        said = server:get("/said?phase=" .. case[1]).body
        return said ~= "nil"
      end)
      assert.equal(case[2] .. " | " .. case[3], said)
    end)
  end

  it("is what a session without a transport sends through", function()
    assert.equal("healthauth.transports.cosocket true", server:get("/default").body)
  end)

  it("raises when a session is made with what nginx decides, and names the directive", function()
    for line in server:get("/objections").body:gmatch "[^\n]+" do
      local name, said = line:match "^(%S+) (.*)$"
      local directive = ({
        ca_file = "lua_ssl_trusted_certificate", ca_path = "lua_ssl_trusted_certificate", min_version = "lua_ssl_protocols",
        key_password = "key_password", proxy = "http://[user:password@]host:port", fine = "ok", curl = "ok",
      })[name]
      assert.truthy(said:find(directive, 1, true), line)
    end
  end)

  it("names the missing resolver, and needs none for localhost", function()
    assert.truthy(server:get("/nowhere").body:find("^network resolve_failed not_sent .*write 'resolver ADDRESS;'"))
    assert.truthy(tonumber(link "http"))
  end)

  -- OpenSSL would ask for the password at the terminal of nginx, and the worker would wait for it.
  it("asks nobody for the password of a locked key", function()
    local folder = run.folder
    process.run { "openssl", "pkcs8", "-topk8", "-in", folder .. "/client.key", "-passout", "pass:key-password",
      "-out", folder .. "/client_p8.key" }
    for _, key in ipairs { "client_locked.key", "client_p8.key" } do
      local failure = link("https", { tls = { cert_file = folder .. "/client.pem", key_file = folder .. "/" .. key } })
      assert.same({ "tls", "tls_client_certificate", "not_sent" }, { failure.kind, failure.code, failure.outcome })
    end
    assert.is_nil(server:log():find("pass phrase", 1, true))
  end)

  it("waits for a resolver that does not answer no longer than connect_timeout", function()
    local muted = relay.new(server:url "/muted", run.folder .. "/ca.pem")
    local plain = run:url("https", "/case/plain")
    for _, way in ipairs { { url = "https://service.example/" }, { url = plain, proxy = "http://proxy.example:1" } } do
      local started = core.monotonic()
      local _, failure = muted:perform { method = "POST", body = "a=b", url = way.url, proxy = way.proxy, headers = {}, timeout = 5,
        connect_timeout = 0.3 }
      assert.same({ "timeout", "connect_timeout", "not_sent" }, { failure.kind, failure.code, failure.outcome })
      local took = core.monotonic() - started
      assert.is_true(took < 10, "took " .. took)
    end
  end)

  describe("keeps connections", function()
    it("for the next request to the same origin", function()
      for _, listener in ipairs { "http", "https" } do
        local first = link(listener)
        assert.truthy(tonumber(first))
        for _ = 1, 3 do assert.equal(first, link(listener)) end
      end
    end)

    it("apart by client certificate, by proxy and by the proxy's user", function()
      local folder, seen = run.folder, {}
      local proxy = "127.0.0.1:" .. run.server.ports.proxy
      local ways = {
        {}, { tls = { cert_file = folder .. "/client.pem", key_file = folder .. "/client.key" } },
        { tls = { cert_file = folder .. "/good.pem", key_file = folder .. "/good.key" } },
        { proxy = "http://" .. proxy }, { proxy = "http://one:a@" .. proxy }, { proxy = "http://one:b@" .. proxy },
      }
      for i, way in ipairs(ways) do
        local one = link("https", way)
        assert.truthy(tonumber(one), "way " .. i .. ": " .. tostring(one.code))
        assert.is_nil(seen[one], "way " .. i .. " rode on the connection of way " .. tostring(seen[one]))
        seen[one] = i
      end
      for one, i in pairs(seen) do assert.equal(one, link("https", ways[i])) end
    end)

    it("shows the server behind a proxy nothing of it, and the proxy nothing but where to", function()
      local proxy = "http://us%20er:pa%3Ass@127.0.0.1:" .. run.server.ports.proxy
      local response = assert(transport:perform { method = "GET", url = run:url("https", "/case/plain"), headers = {}, proxy = proxy })
      assert.equal(200, response.status)
      local told = assert(run:get(control, "/seen/proxy")).body
      local expected = "^CONNECT localhost:%d+ HTTP/1.1\r\nHost: localhost:%d+\r\nProxy%-Authorization: Basic dXMgZXI6cGE6c3M="
      assert.truthy(told:find(expected), told)
      assert.is_nil(assert(run:get(control, "/seen/plain")).body:find("Proxy-", 1, true))
    end)

    for name in ("proxy_407 proxy_502 proxy_redirect proxy_garbage proxy_cut proxy_stall closes refused"):gmatch "%S+" do
      it("nowhere when the proxy does not make one: " .. name, function()
        local before = run:count(control, "plain")
        local failure = link("https", { proxy = "http://127.0.0.1:" .. run.server.ports[name],
          connect_timeout = name == "proxy_stall" and 0.5 or 5 })
        local expected = name == "proxy_stall" and { "timeout", "connect_timeout", "not_sent" } or { "network", "proxy_failed", "not_sent" }
        if name == "refused" then expected[2] = "connect_failed" end
        assert.same(expected, { failure.kind, failure.code, failure.outcome })
        assert.equal(before, run:count(control, "plain"))
      end)
    end
  end)

  for _, method in ipairs { "POST", "GET", "DELETE" } do
    it("sends a " .. method .. " over a new connection when the kept one had died before anything was sent", function()
      local before = run:count(control, "dies")
      assert.equal("200 200", server:get("/stale?method=" .. method).body)
      assert.equal(before + 2, run:count(control, "dies"))
    end)
  end

  describe("leaves to a thread with libcurl", function()
    it("what only libcurl has", function()
      assert.equal("true", server:get("/thread?pool=healthauth&path=/case/plain").body)
    end)

    it("the waiting: the only worker answers others meanwhile", function()
      local out = server.folder .. "/thread.out"
      os.execute(("curl -s '%s' >%s &"):format(server:url "/thread?pool=healthauth&path=/case/slow", out))
      nginx.wait_for(60, function() return (run:count(control, "slow") or 0) > 0 end)
      local took = tonumber(process.capture("curl -s -o /dev/null -w '%{time_total}' " .. server:url "/ping"))
      assert.equal("", process.read(out)) -- it still waits
      assert.is_true(took < 2, "/ping took " .. took)
      assert.is_true(nginx.wait_for(60, function() return process.read(out) == "true" end))
    end)

    it("a request that a reload does not end", function()
      local out, before, old = server.folder .. "/reload.out", run:count(control, "slow"), server:workers()[1]
      os.execute(("curl -s '%s' >%s &"):format(server:url "/thread?pool=healthauth&path=/case/slow", out))
      assert.is_true(nginx.wait_for(60, function() return run:count(control, "slow") > before end))
      server:signal "HUP"
      assert.is_true(nginx.wait_for(60, function() return process.read(out) == "true" end), "said " .. tostring(process.read(out)))
      assert.is_true(nginx.wait_for(60, function() return #server:workers() == 1 and server:workers()[1] ~= old end))
    end)

    it("nothing where the pool is missing, and says what to write", function()
      local said = server:get("/thread?pool=nobody&path=/case/plain").body
      assert.truthy(said:find("^argument thread_pool_missing not_sent .*thread_pool nobody threads="), said)
    end)

    it("nothing in a timer", function()
      assert.equal("argument phase_unsupported not_sent", server:get("/said?phase=thread_in_timer").body)
    end)
  end)
end)
