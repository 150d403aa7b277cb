-- SPDX-License-Identifier: MIT
-- bearer in a real nginx with four workers: one refresh whatever happens, and nobody waits longer than the lease.

local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local people = require "spec.nginx.people"
local process = require "spec.support.process"
local sandbox = require "spec.nginx.sandbox"

local LIFE = 1000

describe("the bearer in nginx", function()
  local server, box, person

  setup(function()
    box = sandbox.start { pkb = { access_lifetime = LIFE } }
    server = nginx.start { http = people.HTTP, values = { SANDBOX = box.http, MORE = "",
      STORE = 'healthauth.stores.shared_dict { name = "sessions" }' } }
  end)

  teardown(function()
    if server then server:stop() end
    if box then box:stop() end
  end)

  local skew = 0
  -- The sessions' clock goes on; the sandbox's need not.
  local function pass(seconds)
    skew = skew + seconds
    assert.equal("ok", server:get("/skew?by=" .. skew).body)
  end

  before_each(function()
    person = people.browser(server, box)
    assert.equal(302, person:login().status)
  end)

  local function refreshes()
    return box:count "pkb.refresh"
  end

  local function cookie()
    return { "Cookie: ha_session=" .. process.read(person.jar):match "ha_session\t(%S+)" }
  end

  it("sends one refresh for 400 requests at once on an expired session", function()
    local before = refreshes()
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 0.5 })
    pass(LIFE + 1)
    local started = core.monotonic()
    local statuses = server:burst("/app", 400, cookie())
    local took = core.monotonic() - started
    print(("shared_dict, 4 workers: 400 requests on an expired session, 1 refresh of 0.5 s, all answered after %.1f s"):format(took))
    assert.same({ ["200"] = 400 }, statuses)
    assert.equal(before + 1, refreshes())
    assert.equal(0, box:control("count", { operation = "pkb.refresh" }).replays)
    assert.is_true(took < 25) -- nobody waited for max_wait, 30 s
  end)

  it("renews ahead in a timer, so that no request waits", function()
    local before, old = refreshes(), person:get("/app").body
    pass(LIFE - 10) -- within the margin of 60 s
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 3 })
    local took = tonumber(process.capture(("curl -s -o /dev/null -w '%%{time_total}' -H '%s' %s"):format(cookie()[1], server:url "/app")))
    assert.is_true(took < 2, "waited " .. took)
    assert.equal(old, person:get("/app").body)
    assert.is_true(nginx.wait_for(60, function() return person:get("/app").body ~= old end))
    assert.equal(before + 1, refreshes())
    assert.equal(200, person:get("/app").status)
  end)

  it("ends a refresh well although the client that it is for goes away", function()
    local before = refreshes()
    pass(LIFE + 1)
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 1 })
    os.execute(("curl -s -o /dev/null --max-time 0.4 -H '%s' %s"):format(cookie()[1], server:url "/app"))
    assert.equal(200, person:get("/app").status)
    assert.equal(before + 1, refreshes())
  end)

  it("tries a renewal ahead again after one that raised", function()
    local before, old = refreshes(), person:get("/app").body
    pass(LIFE - 10)
    server:get "/stop?on=1"
    assert.is_true(nginx.wait_for(60, function()
      assert.same({ ["200"] = 40 }, server:burst("/app", 40, cookie()))
      local workers, raised = 0, {}
      for pid in server:log():gmatch " (%d+)#%d+: [^\n]*the clock has stopped" do
        if not raised[pid] then workers, raised[pid] = workers + 1, true end
      end
      return workers == 4
    end))
    assert.equal(before, refreshes())
    server:get "/stop"
    assert.is_true(nginx.wait_for(60, function() return person:get("/app").body ~= old end))
    assert.equal(before + 1, refreshes())
  end)

  it("renews ahead although nginx once had no timer left for it", function()
    local few = nginx.start { workers = 1, values = { SANDBOX = box.http, MORE = "",
      STORE = 'healthauth.stores.shared_dict { name = "sessions" }' }, http = "lua_max_running_timers 1;" .. people.HTTP .. [[
      server { listen 127.0.0.1:$PORT2; location = / { content_by_lua_block { -- a minute later
        local core = require "healthauth.core" local real = core.monotonic core.monotonic = function() return real() + 60 end } } }
    ]] }
    finally(function() few:stop() end)
    local both = { people.browser(few, box), people.browser(few, box) }
    for _, one in ipairs(both) do assert.equal(302, one:login().status) end
    local old = {}
    for i, one in ipairs(both) do old[i] = one:get("/app").body end
    local function renewed(i) return nginx.wait_for(60, function() return both[i]:get("/app").body ~= old[i] end) end
    few:get("/skew?by=" .. LIFE - 20)
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 3 })
    for _, one in ipairs(both) do assert.equal(200, one:get("/app").status) end
    assert.is_true(nginx.wait_for(60, function() return few:log():find("1 lua_max_running_timers are not enough", 1, true) end))
    assert.is_true(renewed(1))
    few:get("/", { port = few.port2 })
    assert.is_true(renewed(2))
  end)

  it("serves the old token while it is good and the provider is down, and says so", function()
    local before, old = refreshes(), person:get("/app").body
    pass(LIFE - 10)
    box:control("fault", { kind = "unavailable", provider = "pkb", operation = "refresh" })
    assert.same({ 200, old }, { person:get("/app").status, person:get("/app").body })
    assert.is_true(nginx.wait_for(60, function() return refreshes() > before and person:get("/app").body ~= old end))
    local counted = 'event="served_stale",operation="access_token",outcome="answered",code="http_503"'
    assert.truthy(server:get("/metrics").body:find(counted, 1, true))
  end)

  it("answers 401 when the session is over at the provider", function()
    local token = person:get("/app").body:match "^Bearer (%S+)$"
    box:control("revoke", { token = token })
    pass(LIFE + 1)
    local response = person:get "/app"
    assert.equal(401, response.status)
    assert.truthy(response.body:find("invalid_grant", 1, true), response.body)
    local page = person:get("/app", { headers = { "Accept: text/html" } })
    assert.same({ 302, "/login?return_to=%2Fapp" }, { page.status, page.headers.location })
  end)

  it("answers 503 while the provider is down, and goes on afterwards", function()
    pass(LIFE + 1)
    box:control("fault", { kind = "rate_limit", provider = "pkb", operation = "refresh", retry_after = 3, times = 1 })
    local response = person:get "/app"
    assert.equal(503, response.status)
    assert.equal("3", response.headers["retry-after"])
    assert.equal(200, person:get("/app").status)
  end)

  it("delays nobody beyond the lease's life when the worker that held it is killed", function()
    pass(LIFE + 1)
    local before = refreshes()
    box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 5 })
    local stranded = person.jar .. ".out"
    os.execute(("curl -s -o /dev/null -H '%s' %s >%s 2>&1 &"):format(cookie()[1], server:url "/app", stranded))
    assert.is_true(nginx.wait_for(60, function() return refreshes() == before + 1 end))
    local other = people.browser(server, box)
    for _, pid in ipairs(server:workers()) do server:signal("KILL", pid) end -- the holder is one of them; the master starts others
    assert.is_true(nginx.wait_for(60, function() return #server:workers() == 4 end))
    local started = core.monotonic()
    local statuses = server:burst("/app", 20, cookie())
    local took = core.monotonic() - started
    print(("the worker that held a lease of 9 s was killed: 20 requests answered after %.1f s"):format(took))
    -- The refresh left and its answer is lost: PKB's token may be spent, so it is never sent again.
    assert.same({ ["401"] = 20 }, statuses)
    assert.is_true(took < 20, "waited longer than the lease of 9 s") -- max_wait is 30 s: it did not end the waiting
    assert.equal(before + 1, refreshes())
    assert.equal(0, box:control("count", { operation = "pkb.refresh" }).replays)
    assert.equal(302, other:login().status) -- and nobody else is touched
    assert.equal(200, other:get("/app").status)
    process.sleep(1.5)
  end)

  it("loses no session and no request when nginx reloads under load, in the middle of refreshes", function()
    local out, before, old = person.jar .. ".load", refreshes(), person:get("/app").body
    process.write(out .. ".sh", ([[
      while [ -e %s ] && [ ! -e %s.stop ]; do
        curl -s -Z --parallel-immediate --parallel-max 20 --max-time 60 -o /dev/null -w '%%{http_code}\n' -H '%s' '%s?n=[1-200]'
      done >%s 2>/dev/null
      echo end >>%s
    ]]):format(person.jar, out, cookie()[1], server:url "/app", out, out))
    os.execute("sh " .. out .. ".sh &")
    for _, seconds in ipairs { LIFE - 10, LIFE + 1 } do -- one renewed ahead in a timer, one that requests wait for
      box:control("fault", { kind = "delay", provider = "pkb", operation = "refresh", seconds = 1 })
      local sent = refreshes()
      pass(seconds)
      assert.is_true(nginx.wait_for(60, function() return refreshes() == sent + 1 end))
      server:signal "HUP"
      assert.is_true(nginx.wait_for(60, function()
        local now = person:get("/app").body
        local new = now ~= old
        if new then old = now end
        return new
      end))
    end
    process.write(out .. ".stop", "")
    assert.is_true(nginx.wait_for(60, function() return (process.read(out) or ""):find "end" end))
    local statuses, others = 0, {}
    for line in process.read(out):gmatch "[^\n]+" do
      if line == "200" then statuses = statuses + 1
      elseif line ~= "end" then others[#others + 1] = line end
    end
    assert.equal("", table.concat(others, "\n"):sub(1, 400))
    assert.is_true(statuses >= 400)
    assert.equal(200, person:get("/app").status)
    assert.equal(before + 2, refreshes())
    assert.equal(0, box:control("count", { operation = "pkb.refresh" }).replays)
    assert.is_true(nginx.wait_for(60, function() return #server:workers() == 4 end))
    print(("reload under load: %d requests, 2 HUP, each in the middle of a refresh, nothing lost"):format(statuses))
  end)

  it("shows metrics and the status page, without any secret", function()
    local token = person:get("/app").body:match "^Bearer (%S+)$"
    local text = server:get("/metrics").body
    for _, line in ipairs { 'event="issued",operation="exchange",outcome="answered"', 'event="refreshed",operation="refresh"',
      'event="joined"',
      'event="refused",operation="refresh"', "healthauth_seconds_to_expiry{key=", 'code="invalid_grant"' } do
      assert.truthy(text:find(line, 1, true), line .. " is not in\n" .. text)
    end
    for line in text:gmatch "[^\n]+" do
      local comment, plain = line:find "^# %u+ [%w_]+ ?", line:find "^[%w_]+ [%d.e+-]+$"
      assert.truthy(comment or plain or line:find '^[%w_]+{[%w_]+="[^"]*".*} [%d.e+-]+$', line)
    end
    local expiries = 0
    for key in text:gmatch 'healthauth_seconds_to_expiry{key="([^"]*)"}' do
      assert.truthy(key:find("^" .. ("%x"):rep(16) .. "$"), key) -- each session's own, by fingerprint
      expiries = expiries + 1
    end
    assert.is_true(expiries > 3, "expiries of " .. expiries)
    assert.truthy(text:find('healthauth_lock_wait_seconds_count{provider="pkb",operation="refresh"} %d'))
    local page = server:get "/status"
    assert.equal("text/html; charset=utf-8", page.headers["content-type"])
    for _, words in ipairs { "<h2>Sessions</h2>", "<svg role=\"img\"", "<rect class=\"ok\"", "<rect class=\"failed\"",
      "invalid_grant", "pkb" } do
      assert.truthy(page.body:find(words, 1, true), words)
    end
    assert.is_nil(page.body:find("<script", 1, true) or page.body:find("http://", 1, true) or page.body:find("https://", 1, true))
    for _, secret in ipairs { token, cookie()[1]:match "=(.*)" } do
      assert.is_nil(text:find(secret, 1, true) or page.body:find(secret, 1, true) or server:log():find(secret, 1, true))
    end
  end)
end)
