-- SPDX-License-Identifier: MIT
-- The curl transport's request: what is refused before anything is sent, and what exactly goes out.

local curl = require "healthauth.transports.curl"
local run = require "spec.hostile.run"
local script = require "spec.hostile.script"

local cases = { script.case("plain", { script.GOOD, { "keep" } }, { status = 200, body = "{}" }) }

describe("the curl transport's request", function()
  local hostile, transport

  setup(function()
    hostile = run.start(cases)
    transport = curl {}
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if transport then transport:close() end
  end)

  local function request(changes)
    local out = hostile:request(cases[1], "http")
    for name, value in pairs(changes or {}) do
      if value == "nil" then value = nil end
      out[name] = value
    end
    return out
  end

  local function seen(changes)
    local response, failure = transport:perform(request(changes))
    assert.are.equal("", failure and failure.message or "")
    assert.are.equal(200, response.status)
    return assert(transport:perform(request { url = hostile:url("http", "/seen/plain"), limits = { body = 4 * 1024 * 1024 } })).body
  end

  local function lines(...)
    return table.concat({ ... }, "\r\n")
  end

  local function host() return "localhost:" .. hostile.server.ports.http end

  -- What goes out: the first line, the two headers that are always there, then these lines.
  local function head(first, ...)
    return lines(first .. " HTTP/1.1", "Host: " .. host(), "Accept-Encoding: identity", ...)
  end

  describe("bytes", function()
    it("are those of the caller and nothing that libcurl adds by itself", function()
      assert.are.equal(head("GET /case/plain", "", ""), seen { headers = {} })
    end)

    it("hold headers in the caller's order, empty ones too", function()
      local headers = { { "Authorization", "Bearer x" }, { "X-Empty", "" }, { "Accept", "application/json" }, { "X-Two", "a b\tc: d;e" } }
      assert.are.equal(head("GET /case/plain", "Authorization: Bearer x", "X-Empty:",
        "Accept: application/json", "X-Two: a b\tc: d;e", "", ""), seen { headers = headers })
    end)

    it("of a POST hold length and body, no Expect and no invented type", function()
      assert.are.equal(head("POST /case/plain", "Content-Length: 5", "", "a=b\0c"),
        seen { method = "POST", headers = {}, body = "a=b\0c" })
    end)

    it("of a large POST are sent without asking first", function()
      local big = ("x"):rep(2 * 1024 * 1024)
      local top = head("POST /case/plain", "Content-Type: text/plain",
        "Content-Length: 2097152", "", "")
      local sent = seen { method = "POST", headers = { { "Content-Type", "text/plain" } }, body = big, timeout = 10 }
      assert.are.equal(top, sent:sub(1, #top))
      assert.is_true(sent:sub(#top + 1) == big)
    end)

    for _, method in ipairs { "POST", "PUT", "PATCH" } do
      it("of a " .. method .. " without body say that its length is 0", function()
        local expected = head(method .. " /case/plain", "Content-Length: 0", "", "")
        assert.are.equal(expected, seen { method = method, headers = {} })
        assert.are.equal(expected, seen { method = method, headers = {}, body = "" })
      end)
    end

    for _, method in ipairs { "DELETE", "OPTIONS" } do
      it("of a " .. method .. " without body have no length, with one they do", function()
        assert.are.equal(head(method .. " /case/plain", "", ""), seen { method = method, headers = {} })
        assert.are.equal(head(method .. " /case/plain", "Content-Length: 2", "", "{}"), seen { method = method, headers = {}, body = "{}" })
      end)
    end

    for _, target in ipairs { "/case/plain?", "/case/plain?a=%2F%2f+b&c=~'()*!$,;:@", "/case/plain/%7E/%20x", "/case/plain//twice",
      "/case/plain?x=/../y" } do
      it("keep the target " .. target .. " as it is", function()
        local line = seen { url = "http://" .. host() .. target, headers = {} }:match("^[^\r]*")
        assert.are.equal("GET " .. target .. " HTTP/1.1", line)
      end)
    end
  end)

  describe("addresses", function()
    it("are loopback by every spelling that the grammar has", function()
      local port = hostile.server.ports.http
      for _, name in ipairs { "localhost", "LOCALHOST", "127.0.0.1" } do
        local response = assert(transport:perform(request { url = ("http://%s:%s/good"):format(name, port) }))
        assert.are.equal("{}", response.body)
      end
    end)

    for number, url in ipairs {
      "http://example.org/", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://user@localhost/",
      "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
      "http://10.0.0.1/", "ftp://localhost/", "file:///etc/passwd", "https://local\\host/", "https://a%2eb/", "https://localhost:0/",
      "https://localhost:99999/", "https://localhost/#f", "https:///x", "localhost", "", "https://localhost/\r\nX: y",
      "https://localhost/ x", "https://loc\0alhost/",
    } do
      it(("are refused, number %d: %s"):format(number, url:gsub("%c", "?")), function()
        local good, why = pcall(transport.perform, transport, request { url = url })
        assert.is_false(good)
        assert.matches("url: ", why, 1, true)
      end)
    end
  end)

  describe("members", function()
    local wrong = {
      { "method", { method = "nil" }, "method: is missing" },
      { "method of another type", { method = 7 }, "method: expected a string" },
      { "method unknown", { method = "TRACE" }, "method: method must be" },
      { "method in lower case", { method = "get" }, "method: method must be" },
      { "method with CR LF", { method = "GET / HTTP/1.1\r\nX: y\r\n\r\n" }, "method: method must be" },
      { "url", { url = "nil" }, "url: is missing" },
      { "url of another type", { url = {} }, "url: expected a string" },
      { "body of another type", { method = "POST", body = 12 }, "body: expected a string" },
      { "body of a GET", { body = "x" }, "GET and HEAD have no body" },
      { "body of a HEAD", { method = "HEAD", body = "" }, "GET and HEAD have no body" },
      { "body too long", { method = "POST", body = ("x"):rep(16 * 1024 * 1024 + 1) }, "body: the body is too long" },
      { "timeout zero", { timeout = 0 }, "timeout: out of range" },
      { "timeout negative", { timeout = -1 }, "timeout: out of range" },
      { "timeout nan", { timeout = 0 / 0 }, "timeout: out of range" },
      { "timeout inf", { timeout = math.huge }, "timeout: out of range" },
      { "timeout text", { timeout = "5" }, "timeout: expected a number" },
      { "connect_timeout negative", { connect_timeout = -0.5 }, "connect_timeout: out of range" },
      { "limits of another type", { limits = 5 }, "limits: expected a table" },
      { "limits.body negative", { limits = { body = -1 } }, "body: out of range" },
      { "limits.headers too large", { limits = { headers = 1e9 } }, "headers: out of range" },
      { "limits.body text", { limits = { body = "5" } }, "body: expected a number" },
      { "headers of another type", { headers = "X: y" }, "headers: expected a list" },
      { "headers as a map of strings", { headers = { "X: y" } }, "headers: expected a list" },
      { "header without value", { headers = { { "X" } } }, "name and value must be strings" },
      { "header with a number", { headers = { { "X", 5 } } }, "name and value must be strings" },
      { "header name with a colon", { headers = { { "X:", "y" } } }, "a header name must be a token" },
      { "header name with CR LF", { headers = { { "X\r\nY", "y" } } }, "a header name must be a token" },
      { "header name with NUL", { headers = { { "X\0", "y" } } }, "a header name must be a token" },
      { "header name empty", { headers = { { "", "y" } } }, "a header name must be a token" },
      { "header value with CR LF", { headers = { { "X", "y\r\nZ: z" } } }, "a header value must be" },
      { "header value with LF", { headers = { { "X", "y\n" } } }, "a header value must be" },
      { "header value with NUL", { headers = { { "X", "y\0z" } } }, "a header value must be" },
      { "header value with DEL", { headers = { { "X", "y\127" } } }, "a header value must be" },
      { "header value not ASCII", { headers = { { "X", "\195\169" } } }, "a header value must be" },
      { "header value with a space at its end", { headers = { { "X", "y " } } }, "a header value must be" },
      { "header Host", { headers = { { "Host", "evil.example" } } }, "the transport sets itself" },
      { "header Content-Length", { headers = { { "content-length", "5" } } }, "the transport sets itself" },
      { "header Transfer-Encoding", { headers = { { "Transfer-Encoding", "chunked" } } }, "the transport sets itself" },
      { "header Connection", { headers = { { "Connection", "close" } } }, "the transport sets itself" },
      { "header Expect", { headers = { { "Expect", "100-continue" } } }, "the transport sets itself" },
      { "header Proxy-Authorization", { headers = { { "Proxy-Authorization", "Basic eA==" } } }, "the transport sets itself" },
      { "header Accept-Encoding", { headers = { { "Accept-Encoding", "gzip" } } }, "can only be identity" },
      { "header too long", { headers = { { "X", ("y"):rep(128 * 1024) } } }, "the headers are too long" },
      { "tls of another type", { tls = "yes" }, "tls: expected a table" },
      { "tls with an unknown member", { tls = { ca_fil = "x" } }, "unknown member 'ca_fil'" },
      { "tls with a numbered member", { tls = { "x" } }, "tls: unknown member" },
      { "tls.verify", { tls = { verify = false } }, "unknown member 'verify'" },
      { "tls.ca_file of another type", { tls = { ca_file = true } }, "ca_file: expected a string" },
      { "tls.ca_file with NUL", { tls = { ca_file = "/x\0y" } }, "ca_file: expected a string without NUL" },
      { "tls.ca_file empty", { tls = { ca_file = "" } }, "ca_file: expected a string without NUL" },
      { "tls.min_version", { tls = { min_version = "1.1" } }, "min_version: expected" },
      { "tls.min_version as number", { tls = { min_version = 1.2 } }, "min_version: expected a string" },
      { "tls.key_file alone", { tls = { key_file = "/x" } }, "key_file needs cert_file" },
      { "proxy of another type", { proxy = false }, "proxy: expected a string" },
      { "proxy without scheme", { proxy = "localhost:1" }, "proxy: proxy must be an http or https URL" },
      { "proxy socks", { proxy = "socks5://localhost:1" }, "proxy: " },
      { "proxy with a path", { proxy = "http://localhost:1/x" }, "proxy: proxy must not hold a path" },
      { "proxy with an empty user", { proxy = "http://:x@localhost:1" }, "proxy: the proxy's user name is empty" },
      { "proxy with two at signs", { proxy = "http://a:b@c@localhost:1" }, "proxy: " },
      { "proxy with a coded line end", { proxy = "http://a%0d%0a:b@localhost:1" }, "proxy: the proxy's credentials cannot be read" },
      { "proxy afar for http", { proxy = "http://proxy.example:1" }, "http goes through a loopback proxy only" },
    }
    for _, row in ipairs(wrong) do
      it("are refused: " .. row[1], function()
        local before = hostile:count(transport, "plain")
        local good, why = pcall(transport.perform, transport, request(row[2]))
        assert.is_false(good)
        assert.matches(row[3], why, 1, true)
        assert.are.equal(before, hostile:count(transport, "plain"))
      end)
    end

    it("are refused: more headers than there may be", function()
      local headers = {}
      for i = 1, 65 do headers[i] = { "X", "y" } end
      local good, why = pcall(transport.perform, transport, request { headers = headers })
      assert.is_false(good)
      assert.matches("headers: too many", why, 1, true)
    end)

    it("are read without running the caller's code", function()
      local ran = false
      local function run_me() ran = true; error("ran") end
      local plain = request()
      local tricky = setmetatable(plain, { __index = run_me, __len = run_me, __pairs = run_me })
      assert.are.equal(200, assert(transport:perform(tricky)).status)
      assert.is_false(ran)
    end)

    it("never appear in an error with their value", function()
      local secret = "planted-secret-5b1d"
      for _, changes in ipairs {
        { headers = { { "Authorization", secret .. "\r\n" } } }, { url = "https://localhost/\n" .. secret }, { body = secret },
        { tls = { key_password = secret, ca_file = "" } }, { proxy = "http://user:" .. secret .. "%0a@localhost:1" }, { method = secret },
      } do
        local good, why = pcall(transport.perform, transport, request(changes))
        assert.is_false(good)
        assert.is_nil(why:find(secret, 1, true))
      end
    end)
  end)
end)
