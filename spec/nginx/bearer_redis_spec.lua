-- SPDX-License-Identifier: MIT
-- Two machines, here two nginx with four workers each, share their people's sessions over one Redis.

local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local people = require "spec.nginx.people"
local process = require "spec.support.process"
local redis_server = require "spec.support.redis_server"
local sandbox = require "spec.nginx.sandbox"

local LIFE = 1000

describe("the bearer in two nginx over Redis", function()
  local redis, box, one, two, person

  setup(function()
    redis = redis_server.start {}
    box = sandbox.start { pkb = { access_lifetime = LIFE } }
    local options = { http = people.HTTP, values = { SANDBOX = box.http, MORE = "",
      STORE = ('assert(healthauth.stores.redis { socket = "%s" })'):format(redis.socket) } }
    one, two = nginx.start(options), nginx.start(options)
    person = people.browser(one, box)
  end)

  teardown(function()
    if two then two:stop() end
    if one then one:stop() end
    if box then box:stop() end
    if redis then redis:stop() end
  end)

  local function cookie()
    return "Cookie: ha_session=" .. process.read(person.jar):match "ha_session\t(%S+)"
  end

  it("knows in one who logged in through the other", function()
    assert.equal(302, person:login().status)
    local mine, theirs = one:get("/app", { headers = { cookie() } }), two:get("/app", { headers = { cookie() } })
    assert.equal(200, mine.status)
    assert.same(mine.body, theirs.body)
  end)

  it("sends one refresh for 400 requests at once, half of them at each", function()
    local before = box:count "pkb.refresh"
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 0.5 })
    for _, server in ipairs { one, two } do assert.equal("ok", server:get("/skew?by=" .. LIFE + 1).body) end
    local started = core.monotonic()
    local _, out = process.run { "curl", "-sS", "-q", "-Z", "--parallel-immediate", "--parallel-max", "300", "--max-time", "60",
      "-H", cookie(), "-o", redis.folder .. "/body-#1-#2", "-w", "%{http_code} %{remote_port}\n",
      "http://127.0.0.1:{" .. one.port .. "," .. two.port .. "}/app?n=[1-200]" }
    local took = core.monotonic() - started
    print(("Redis, 2 nginx with 4 workers: 400 requests on an expired session, 1 refresh of 0.5 s, all answered after %.1f s"):format(took))
    local count, tokens, ports = 0, {}, {}
    for status, port in out:gmatch "(%d+) (%d+)" do
      assert.equal("200", status)
      count, ports[port] = count + 1, (ports[port] or 0) + 1
    end
    assert.same({ 400, { [one.port] = 200, [two.port] = 200 } }, { count, ports })
    for _, server in ipairs { one, two } do
      for n = 1, 200 do tokens[process.read(redis.folder .. "/body-" .. server.port .. "-" .. n)] = true end
    end
    assert.equal(one:get("/app", { headers = { cookie() } }).body, (next(tokens)))
    assert.is_nil(next(tokens, (next(tokens))), "more than one token was handed out")
    assert.equal(before + 1, box:count "pkb.refresh")
    assert.equal(0, box:control("count", { operation = "pkb.refresh" }).replays)
    assert.is_true(took < 25) -- nobody waited for max_wait, 30 s
  end)

  it("ends a session for both", function()
    assert.equal(303, one:get("/logout", { method = "POST", body = "", headers = { cookie() } }).status)
    assert.equal(401, two:get("/app", { headers = { cookie() } }).status)
  end)
end)
