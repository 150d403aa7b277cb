-- SPDX-License-Identifier: MIT
-- The hostile server's whole suite through the cosocket transport inside a real nginx, while another location goes on answering.

local answers = require "spec.hostile.answers"
local cases = require "spec.hostile.cases"
local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local hostile = require "spec.hostile.run"
local memory = require "spec.hostile.memory"
local nginx = require "spec.nginx.server"
local process = require "spec.support.process"
local relay = require "spec.nginx.relay"
local sessions = require "spec.hostile.sessions"

-- What nginx decides by directives, or its module cannot do: such a request raises and says so.
local RAISES = { ca_path = "lua_ssl_trusted_certificate", ca_file = "lua_ssl_trusted_certificate", min_version = "lua_ssl_protocols",
  key_password = "key_password" }

-- Where nginx's sockets show something else: under TLS a cut looks like an end, so an empty body that only the end frames is refused; and a
-- connection that is reset at once may already fail in connect.
local OTHERWISE = {
  ["until_close_empty https"] = { kind = "network", code = "body_truncated", outcome = "unknown" },
  ["until_close_reset https"] = { status = 200, body = "{}", close_delimited = true },
  ["tls_resets resets"] = { any = { { kind = "tls", code = "tls_failed", outcome = "not_sent" },
    { kind = "network", code = "connect_failed", outcome = "not_sent" } } },
}

-- The case as it is expected here.
local function expected(case, listener)
  local other = OTHERWISE[(case.wire or case.name) .. " " .. listener]
  return other and setmetatable({ expect = other }, { __index = case }) or case
end

describe("the hostile suite over cosockets", function()
  local run, server, idle, transport, control, meter

  setup(function()
    local all = {}
    for _, list in ipairs { cases, answers } do
      for _, case in ipairs(list) do all[#all + 1] = case end
    end
    run = hostile.start(all)
    -- One worker each: of several, one that waits would be hidden by those that do not.
    server = nginx.start { workers = 1, values = { CA = run.folder .. "/ca.pem" }, http = [[
      lua_ssl_trusted_certificate $CA;
      server { listen 127.0.0.1:$PORT; location = /relay { content_by_lua_block { require("spec.nginx.relay").serve() } }
        location = /ping { content_by_lua_block { ngx.print("pong") } } }
    ]] }
    idle = nginx.start { workers = 1, server = "" }
    transport = relay.new(server:url "/relay", run.folder .. "/ca.pem")
    control = curl.new()
    meter = memory.plain_build() and memory.meter(server:workers()) or nil
  end)

  teardown(function()
    if server then server:stop() end
    if idle then idle:stop() end
    if run then run:stop() end
  end)

  -- Whether a case's tls options must raise.
  local function refused(case)
    for name in pairs(case.tls or {}) do
      if not (name == "ca_file" and case.tls.ca_file == "$certificates/ca.pem") and RAISES[name] then return true end
    end
    return false
  end

  -- How long each /ping of a server took, sorted.
  local function sorted_times(text, name)
    local times = {}
    for time in text:gmatch(name .. " ([%d.]+)\n") do times[#times + 1] = tonumber(time) end
    table.sort(times)
    return times
  end

  -- How many took longer than a worker that waits for nobody takes.
  local function slow(times)
    local count = 0
    for _, time in ipairs(times) do count = count + (time >= 0.2 and 1 or 0) end
    return count
  end

  it("is told as the libcurl transport tells it, and never blocks a worker", function()
    local pings = server.folder .. "/pings"
    -- An idle server is asked in turn: it shows what the machine is slow in by itself.
    local loop = "while [ -e %s.sh ] && [ ! -e %s.stop ]; do curl -s -o /dev/null -w 'busy %%{time_total}\\n' --max-time 5 %s; "
      .. "curl -s -o /dev/null -w 'idle %%{time_total}\\n' --max-time 5 %s; sleep 0.02; done >>%s; echo end >>%s"
    process.write(pings .. ".sh", loop:format(pings, pings, server:url "/ping", idle:url "/ping", pings, pings))
    os.execute(("sh %s.sh >/dev/null 2>&1 &"):format(pings))
    local wrong, judged, raised = {}, 0, 0
    for _, case in ipairs(cases) do
      local system_trust = case.tls and next(case.tls) == nil -- nginx.conf names ours here
      if not system_trust and refused(case) then
        local ok, why = pcall(transport.perform, transport, run:request(case, case.on or "https"))
        local named = false
        for name in pairs(case.tls) do named = named or RAISES[name] and tostring(why):find(RAISES[name], 1, true) ~= nil end
        if ok or not named then wrong[#wrong + 1] = case.name .. ": did not raise with the directive: " .. tostring(why) end
        raised = raised + 1
      elseif not system_trust then
        for _, listener in ipairs(run.listeners(case)) do
          local ok, why = pcall(run.case, run, expected(case, listener), listener, transport, control, core.monotonic, meter)
          judged = judged + 1
          if not ok or why then wrong[#wrong + 1] = case.name .. " on " .. listener .. ": " .. tostring(why) end
        end
      end
    end
    process.write(pings .. ".stop", "")
    nginx.wait_for(60, function() return (process.read(pings) or ""):find "end" end)
    local said = process.read(pings) or ""
    local times, others = sorted_times(said, "busy"), sorted_times(said, "idle")
    assert.is_true(#times > 20, said:sub(1, 400))
    local p99 = times[math.max(1, math.floor(#times * 0.99))]
    print(("hostile over cosockets: %d exchanges, %d raise with the directive, /ping meanwhile %d times, p99 %.1f ms, %d slow; idle %d")
      :format(judged, raised, #times, p99 * 1000, slow(times), slow(others)))
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(judged > 400)
    -- The relay's own work on bodies of megabytes may be slow. A worker that waited out the silent cases would keep one ping in ten.
    local most = 0.04 * #times + 3 * slow(others)
    assert.is_true(slow(times) <= most,
      ("%d of %d pings were slow, of %d to an idle server %d"):format(slow(times), #times, #others, slow(others)))
  end)

  it("is told by a session as over libcurl", function()
    local wrong, judged = {}, 0
    for _, case in ipairs(answers) do
      local system_trust = case.tls and next(case.tls) == nil
      if not system_trust and not refused(case) then
        local ok, why = pcall(sessions.case, run, expected(case, case.on), case.on, transport, control, meter)
        judged = judged + 1
        if not ok or why then wrong[#wrong + 1] = case.name .. ": " .. tostring(why) end
      end
    end
    print(("sessions over cosockets: %d cases"):format(judged))
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(judged > 1000)
  end)
end)
