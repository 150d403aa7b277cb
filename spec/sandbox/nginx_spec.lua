-- SPDX-License-Identifier: MIT
-- The served sandbox: nginx with the same code, asked through libcurl over http and https with the CA that was made for it.

local browser = require "healthauth.sandbox.browser"
local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local support = require "spec.sandbox.support"

describe("the served sandbox", function()
  local served, ready, transport, key

  setup(function()
    ready = os.tmpname()
    os.remove(ready)
    local options = core.json_encode { seed = "spec", pkb = { access_lifetime = 700 } }
    os.execute("tools/sandbox-server --ready " .. ready .. " --options '" .. options .. "' >/dev/null 2>&1 &")
    for _ = 1, 1200 do
      local file = io.open(ready)
      if file then
        served = {}
        for name, value in file:read("*a"):gmatch("(%u+)=(%S+)") do served[name] = value end
        file:close()
        break
      end
      os.execute "sleep 0.05"
    end
    assert(served, "the sandbox did not start")
  end)

  teardown(function()
    if served then os.execute("kill " .. served.PID .. " 2>/dev/null") end
    os.remove(ready)
  end)

  before_each(function()
    transport = curl.new()
    key = { "ApiKey", "sandbox-conneqt-api-key" }
  end)
  after_each(function() transport:close() end)

  local function send(method, url, headers, body, timeout)
    return transport:perform { method = method, url = url, headers = headers or {}, body = body, timeout = timeout or 30,
      connect_timeout = 5, limits = { body = 1048576, headers = 65536, depth = 32 }, tls = { ca_file = served.CA } }
  end

  local function control(word, fields)
    local response = assert(send("POST", served.HTTP .. "/control/" .. word, { { "Content-Type", "application/json" } },
      core.json_encode(fields or {})))
    return support.decoded(response), response.status
  end

  local function check(timeout)
    return send("GET", served.HTTPS .. "/conneqt/api/v1/test", { key }, nil, timeout)
  end

  it("answers over https with its own CA and over http, from one state", function()
    assert.equal(200, assert(check()).status)
    local code = control("access_code").access_code
    local headers = { key, { "Content-Type", "application/json" } }
    local body = core.json_encode { accessCode = code }
    local path = "/conneqt/api/v1/messages/instant/access/token"
    assert.equal(200, send("POST", served.HTTPS .. path, headers, body).status)
    local again = send("POST", served.HTTP .. path, headers, body)
    assert.equal(400, again.status)
    assert.equal("application/problem+json", support.header(again, "Content-Type"))
  end)

  it("is not trusted without that CA", function()
    local response, failure = transport:perform { method = "GET", url = served.HTTPS .. "/conneqt/api/v1/test", headers = {}, timeout = 10,
      connect_timeout = 5, limits = { body = 1024, headers = 4096, depth = 8 } }
    assert.is_nil(response)
    assert.equal("tls", failure.kind)
  end)

  it("lets a person consent in the browser, and takes options", function()
    local url = served.HTTPS .. "/pkb/apiAuthorize.action?response_type=code&state=S&client_id=sandbox-pkb-client"
    local callback = assert(browser.consent(url, "allow", function(request)
      return send(request.method, request.url, request.headers)
    end))
    local form = core.form_encode { { "grant_type", "authorization_code" }, { "client_id", "sandbox-pkb-client" },
      { "code", support.callback(callback).code } }
    local answer = send("POST", served.HTTPS .. "/pkb/apiToken.action", { { "Content-Type", "application/x-www-form-urlencoded" } }, form)
    assert.equal(700, support.decoded(answer).expires_in)
  end)

  it("closes the connection without an answer, or in its middle", function()
    for _, case in ipairs { { kind = "lost_answer" }, { kind = "lost_request" }, { kind = "truncate", at = 10 } } do
      control("fault", case)
      local response, failure = send("GET", served.HTTPS .. "/ehealth/api/x")
      assert.is_nil(response)
      assert.same({ "network", "unknown" }, { failure.kind, failure.outcome })
    end
    assert.equal(401, send("GET", served.HTTPS .. "/ehealth/api/x").status)
  end)

  it("answers late, or slowly", function()
    assert.equal(200, check().status) -- connected: a handshake takes a busy machine its time
    control("fault", { kind = "delay", seconds = 3 })
    local _, failure = check(1)
    assert.equal("timeout", failure.kind)
    control("fault", { kind = "slow", seconds = 0.3 })
    local whole = send("GET", served.HTTPS .. "/ehealth/api/x")
    assert.equal(401, support.decoded(whole).meta.code)
    control("fault", { kind = "slow", seconds = 5 })
    _, failure = send("GET", served.HTTPS .. "/ehealth/api/x", nil, nil, 1)
    assert.equal("timeout", failure.kind)
  end)

  it("plays the operator under /control/", function()
    control("fault", { kind = "rate_limit", retry_after = 7 })
    local limited = send("GET", served.HTTPS .. "/ehealth/api/x")
    assert.same({ 429, "API rate limit exceeded", "7" }, { limited.status, limited.body, support.header(limited, "Retry-After") })
    assert.is_nil(support.header(limited, "Content-Type"))
    assert.is_false(control("revoke", { token = "unknown" }).known)
    assert.is_false(control("expire", { token = "unknown" }).known)
    assert.equal("sandbox-conneqt-api-key", control("credentials").conneqt.api_key)
    local before = control("count", { operation = "check" })
    check()
    assert.equal(before.count + 1, control("count", { operation = "check" }).count)
    assert.equal(0, before.replays)
    assert.is_true(control("advance", { seconds = 60 }).now > os.time() + 50)
  end)

  it("says what is wrong with an order", function()
    local answer, status = control("fault", { kind = "refused" })
    assert.same({ 400, "fault.kind: refused needs the sandbox in process" }, { status, answer.error })
    answer, status = control("fault", { kind = "delay" })
    assert.same({ 400, "fault.seconds: needed by delay" }, { status, answer.error })
    assert.equal(404, send("GET", served.HTTP .. "/control/count").status)
    assert.equal(400, send("POST", served.HTTP .. "/control/count", {}, "[").status)
  end)
end)
