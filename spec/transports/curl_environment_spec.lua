-- SPDX-License-Identifier: MIT
-- What the environment says must change nothing: each case runs a child with that environment. And proxies, which only an option names.

local process = require "spec.support.process"
local run = require "spec.hostile.run"
local script = require "spec.hostile.script"

local cases = { script.case("plain", { script.GOOD, { "keep" } }, { status = 200, body = "{}" }) }

-- url, tls.ca_file ("-": none), proxy ("-": none): prints "status body" or "kind code outcome".
local CHILD = [[
local url, ca_file, proxy = ...
local transport = require "healthauth.transports.curl" {}
local response, failure = transport:perform {
  method = "GET", url = url, timeout = 3, headers = { { "X-API-Key", "planted" } },
  tls = ca_file ~= "-" and { ca_file = ca_file } or nil, proxy = proxy ~= "-" and proxy or nil,
}
io.write(response and (response.status .. " " .. response.body) or (failure.kind .. " " .. failure.code .. " " .. failure.outcome))
io.write(" ", os.getenv("SSLKEYLOGFILE") or "-")
]]

describe("the curl transport and the environment", function()
  local hostile, folder, child

  setup(function()
    hostile = run.start(cases)
    folder = process.folder()
    child = folder .. "/child.lua"
    process.write(child, CHILD)
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if folder then process.remove(folder) end
  end)

  local function go(env, listener, ca_file, proxy)
    local url = hostile:url(listener, listener:find("^https?$") and "/case/plain" or "/good")
    local status, out, err = process.run({ process.runtime, child, url, ca_file or hostile.folder .. "/ca.pem", proxy or "-" }, env)
    assert.are.equal("", err)
    assert.are.equal(0, status)
    return out
  end

  local function port(name) return hostile.server.ports[name] end
  local control = require "healthauth.transports.curl" {}
  local function count(name) return hostile:count(control, name) end

  local NAMES = { "http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy" }

  for _, listener in ipairs { "http", "https" } do
    it("ignores proxies that it names, on " .. listener, function()
      local before, env = count("proxy"), {}
      for _, name in ipairs(NAMES) do env[name] = "http://127.0.0.1:" .. port("proxy") end
      assert.are.equal("200 {} -", go(env, listener))
      assert.are.equal(before, count("proxy"))
    end)

    it("ignores exceptions from proxies that it names, on " .. listener, function()
      local before = count("proxy")
      local env = { no_proxy = "*", NO_PROXY = "localhost,127.0.0.1" }
      assert.are.equal("200 {} -", go(env, listener, nil, "http://127.0.0.1:" .. port("proxy")))
      assert.are.equal(before + 1, count("proxy"))
    end)

    it("takes no credentials from .netrc, on " .. listener, function()
      local netrc = folder .. "/.netrc"
      process.write(netrc, "machine localhost login planted password planted\ndefault login planted password planted\n")
      assert.are.equal("200 {} -", go({ HOME = folder, NETRC = netrc, CURL_HOME = folder }, listener))
      local seen = assert(hostile:get(control, "/seen/plain")).body
      assert.matches("X-API-Key: planted\r\n", seen, 1, true)
      assert.is_nil(seen:lower():find("authorization", 1, true))
    end)
  end

  it("writes no TLS keys, and leaves the variable as it is", function()
    local path = folder .. "/keys.log"
    assert.are.equal("200 {} " .. path, go({ SSLKEYLOGFILE = path }, "https"))
    assert.is_nil(process.read(path))
  end)

  for _, name in ipairs { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE" } do
    it("takes no trust from " .. name, function()
      assert.are.equal("tls tls_verify_failed not_sent -", go({ [name] = hostile.folder .. "/ca.pem" }, "https", "-"))
    end)
  end

  it("takes no trust from SSL_CERT_DIR", function()
    assert.are.equal("tls tls_verify_failed not_sent -", go({ SSL_CERT_DIR = hostile.folder .. "/ca_path" }, "https", "-"))
  end)

  describe("with an OPENSSL_CONF that allows everything", function()
    local conf

    setup(function()
      conf = folder .. "/openssl.cnf"
      process.write(conf, "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\n"
        .. "CipherString = ALL:@SECLEVEL=0\nVerifyMode = None\nVerifyCAFile = " .. hostile.folder .. "/other.pem\n")
    end)

    it("which does allow it to others", function()
      local function old(env)
        local status = process.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port("https_11"), "-tls1_1" }, env)
        return status == 0
      end
      assert.is_false(old {})
      assert.is_true(old { OPENSSL_CONF = conf })
    end)

    it("speaks no TLS 1.1 or 1.0", function()
      assert.are.equal("tls tls_failed not_sent -", go({ OPENSSL_CONF = conf }, "https_11"))
      assert.are.equal("tls tls_failed not_sent -", go({ OPENSSL_CONF = conf }, "https_10"))
    end)

    it("speaks none to a proxy, wherever the request goes", function()
      for _, listener in ipairs { "http", "https" } do
        assert.are.equal("tls tls_failed not_sent -", go({ OPENSSL_CONF = conf }, listener, nil, "https://localhost:" .. port "https_11"))
      end
    end)

    it("trusts nobody else", function()
      for _, listener in ipairs { "https_other_ca", "https_expired", "https_self_signed" } do
        assert.are.equal("tls tls_verify_failed not_sent -", go({ OPENSSL_CONF = conf }, listener))
      end
      assert.are.equal("tls tls_host_mismatch not_sent -", go({ OPENSSL_CONF = conf }, "https_wrong_host"))
      assert.are.equal("200 {} -", go({ OPENSSL_CONF = conf }, "https"))
    end)
  end)

  describe("with a proxy given", function()
    local function through(name, listener, userinfo)
      return go({}, listener or "https", nil, ("http://%s127.0.0.1:%s"):format(userinfo or "", port(name)))
    end

    it("goes through it, telling it nothing but where to", function()
      assert.are.equal("200 {} -", through("proxy"))
      local seen = assert(hostile:get(control, "/seen/proxy")).body
      local to = "localhost:" .. port("https")
      assert.are.equal("CONNECT " .. to .. " HTTP/1.1\r\nHost: " .. to .. "\r\nProxy-Connection: Keep-Alive", seen)
    end)

    it("shows it the proxy's credentials and only those", function()
      assert.are.equal("200 {} -", through("proxy", "https", "us%20er:pa%3Ass@"))
      local seen = assert(hostile:get(control, "/seen/proxy")).body
      assert.matches("Proxy-Authorization: Basic dXMgZXI6cGE6c3M=", seen, 1, true)
      assert.is_nil(seen:find("planted", 1, true))
      assert.is_nil(assert(hostile:get(control, "/seen/plain")).body:find("Proxy-", 1, true))
    end)

    it("makes a tunnel for http too", function()
      assert.are.equal("200 {} -", through("proxy", "http"))
      assert.matches("^CONNECT ", assert(hostile:get(control, "/seen/proxy")).body)
    end)

    it("verifies a proxy that is spoken to over TLS by the same trust, wherever the request goes", function()
      for _, listener in ipairs { "http", "https" } do -- the listeners are real, but no proxies
        assert.are.equal("network proxy_failed not_sent -", go({}, listener, nil, "https://localhost:" .. port "https"))
        assert.are.equal("tls tls_verify_failed not_sent -", go({}, listener, nil, "https://localhost:" .. port "https_other_ca"))
        assert.are.equal("tls tls_host_mismatch not_sent -", go({}, listener, nil, "https://localhost:" .. port "https_wrong_host"))
      end
    end)

    it("verifies the server behind it", function()
      assert.are.equal("tls tls_verify_failed not_sent -", through("proxy", "https_other_ca"))
      assert.are.equal("tls tls_host_mismatch not_sent -", through("proxy", "https_wrong_host"))
    end)

    for _, name in ipairs { "proxy_407", "proxy_502", "proxy_redirect", "proxy_garbage", "proxy_cut", "proxy_stall", "closes",
      "refused" } do
      local expected = name == "proxy_stall" and "timeout connect_timeout not_sent -" or "network proxy_failed not_sent -"
      it("says so when nothing was sent: " .. name, function()
        local before = count("plain")
        assert.are.equal(expected, through(name))
        assert.are.equal(before, count("plain"))
      end)
    end
  end)
end)
