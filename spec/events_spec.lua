-- SPDX-License-Identifier: MIT
-- Events: what happened to tokens, told without any secret (DESIGN 2.8).

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local json, plain = support.json, support.plain
local LOST = { failure = { kind = "network", code = "connection_lost", outcome = "unknown" } }

local function session_of(name, changes, ...)
  local events = {}
  local all = { tokens = support.tokens(), on_event = function(event) events[#events + 1] = event end, transport = support.script(...) }
  for k, v in pairs(changes or {}) do
    if v == false then all[k] = nil else all[k] = v end
  end
  return support.open(name, all), events
end

local GOOD = json(200, { access_token = "fresh-access-token", token_type = "bearer", expires_in = 600,
  refresh_token = "fresh-refresh-token" })

describe("an event", function()
  for _, case in ipairs {
    { "issued", "exchange", "pkb", function(s) return s:exchange { code = "planted-code-1" } end, "answered", nil, GOOD },
    { "refused", "exchange", "pkb", function(s) return s:exchange { code = "planted-code-1" } end, "answered", "invalid_grant",
      json(400, { error = "invalid_grant" }) },
    { "refreshed", "refresh", "pkb", function(s) return s:refresh() end, "answered", nil, GOOD },
    { "refused", "refresh", "pkb", function(s) return s:refresh() end, "unknown", "connection_lost", LOST },
    { "verified", "verify", "conneqt", function(s) return s:verify "planted-verify-token" end, "valid", nil, plain(200) },
    { "verified", "verify", "conneqt", function(s) return s:verify "planted-verify-token" end, "gone", nil, plain(410) },
    { "verified", "verify", "conneqt", function(s) return s:verify "planted-verify-token" end, "answered", "http_500", plain(500) },
    { "called", "call", "pkb", function(s) return s:call { url = "/x" } end, "answered", nil, plain(500) },
    { "called", "call", "pkb", function(s) return s:call { url = "/x" } end, "unknown", "connection_lost", LOST },
    { "logged_out", "logout", "ehealth", function(s) return s:logout() end, "answered", nil, plain(200) },
    { "refused", "logout", "ehealth", function(s) return s:logout() end, "answered", "http_500", plain(500) },
  } do
    it(("tells %s: %s %s"):format(case[2], case[1], case[6] or case[5]), function()
      local session, events = session_of(case[3], nil, case[7])
      case[4](session)
      assert.equal(1, #events)
      local event = events[1]
      assert.same({ case[1], case[2], case[3], case[5], support.NOW }, { event.name, event.operation, event.provider, event.outcome,
        event.time })
      assert.equal(case[6], event.code)
      assert.is_true(type(event.latency) == "number" and event.latency >= 0)
      assert.is_nil(event.key)
      for name, value in pairs(event) do
        assert.is_truthy(({ name = 1, time = 1, provider = 1, operation = 1, key = 1, latency = 1, outcome = 1, code = 1 })[name], name)
        assert.is_nil(tostring(value):find("planted", 1, true))
        assert.is_nil(tostring(value):find("fresh-", 1, true))
      end
    end)
  end

  it("has the key as a fingerprint, the same for the same key", function()
    local store = healthauth.stores.memory {}
    local keys = {}
    for i, key in ipairs { "sam@example.org", "sam@example.org", "kim" } do
      local session, events = session_of("pkb", { store = store, key = key }, GOOD)
      assert.is_truthy(session:refresh())
      keys[i] = events[#events].key
      assert.matches("^%x+$", keys[i])
    end
    assert.equal(keys[1], keys[2])
    assert.not_equal(keys[1], keys[3])
  end)

  it("whose function raises is swallowed and counted", function()
    local before = healthauth.events.swallowed
    local session = session_of("pkb", { on_event = function() error "audit log is down" end }, GOOD, plain(200))
    assert.equal("fresh-access-token", assert(session:refresh()).access_token)
    assert.is_truthy(session:call { url = "/x" })
    assert.equal(before + 2, healthauth.events.swallowed)
  end)

  it("cannot be used to change what happened", function()
    local session = session_of("pkb", { on_event = function(event) for k in pairs(event) do event[k] = nil end end }, json(400,
      { error = "x" }))
    local _, err = session:refresh()
    assert.same({ "denied", "x" }, { err.kind, err.code })
  end)

  it("tells of a store in trouble", function()
    local store = healthauth.stores.memory {}
    local session, events = session_of("pkb", { store = store, key = "sam", tokens = false }, GOOD)
    function store.save() return nil, core.error { kind = "store", code = "disk_full", action = "retry", outcome = "not_sent" } end
    assert.equal("fresh-access-token", assert(session:exchange { code = "c" }).access_token)
    local names = {}
    for i, event in ipairs(events) do names[i] = event.name end
    assert.same({ "issued", "store_trouble" }, names)
    assert.same({ "save", "disk_full" }, { events[2].operation, events[2].code })
  end)
end)

describe("healthauth.events.jsonl", function()
  it("writes each event as one line of JSON", function()
    local lines = {}
    local file = { write = function(_, ...) lines[#lines + 1] = table.concat { ... } end }
    local session = session_of("pkb", { on_event = healthauth.events.jsonl(file) }, GOOD)
    assert.is_truthy(session:refresh())
    assert.equal(1, #lines)
    assert.matches("^[^\n]*\n$", lines[1])
    local event = core.json_decode(lines[1])
    assert.same({ "refreshed", "refresh", "pkb", support.NOW }, { event.name, event.operation, event.provider, event.time })
  end)

  it("that cannot be written is counted, and does no harm", function()
    local before, errors = healthauth.events.swallowed, 0
    local full = healthauth.events.jsonl "/dev/full"
    local session = session_of("pkb", { on_event = full }, GOOD, plain(200))
    assert.equal("fresh-access-token", assert(session:refresh()).access_token)
    assert.is_truthy(session:call { url = "/x" })
    assert.equal(before + 2, healthauth.events.swallowed)
    for _, file in ipairs {
      { write = function() return nil, "no room" end },
      { write = function(self) return self end, flush = function() return nil, "no room" end },
    } do
      local ok, why = pcall(healthauth.events.jsonl(file), { name = "issued" })
      if not ok and why:find("no room", 1, true) then errors = errors + 1 end
    end
    assert.equal(2, errors)
  end)

  it("counts a line that cannot be written as lost, and begins the next one on a line of its own", function()
    local text, full = "", true
    local file = {
      write = function(self, line)
        if not full then
          text = text .. line
          return self
        end
        text, full = text .. line:sub(1, 5), false
        return nil, "No space left on device"
      end,
    }
    local before = healthauth.events.swallowed
    local session = session_of("pkb", { on_event = healthauth.events.jsonl(file) }, GOOD, plain(200))
    assert.is_truthy(session:refresh())
    assert.equal(before + 1, healthauth.events.swallowed)
    assert.is_truthy(session:call { url = "/x" })
    assert.equal(before + 1, healthauth.events.swallowed)
    local torn, whole = text:match "^([^\n]*)\n([^\n]*)\n$"
    assert.equal(5, #torn)
    assert.equal("called", core.json_decode(whole).name)
  end)

  it("appends to a file by its path", function()
    local path = os.tmpname()
    local write = healthauth.events.jsonl(path)
    write { name = "issued", time = 1, odd = {}, text = "a\nb" }
    write { name = "called", time = 2 }
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    os.remove(path)
    assert.equal('{"name":"issued","text":"a\\nb","time":1}\n{"name":"called","time":2}\n', text)
  end)

  it("raises for what is no file", function()
    for _, value in ipairs { 5, true, {}, "/nowhere/at/all/x" } do
      assert.is_string(support.raised_here(function() healthauth.events.jsonl(value) end))
    end
    assert.is_string(support.raised_here(function() healthauth.events.jsonl() end))
  end)
end)
