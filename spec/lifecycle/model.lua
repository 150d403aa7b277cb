-- SPDX-License-Identifier: MIT
-- Random sequences of operations, faults and clock jumps, on real sessions and on the reference model; both must agree at every step about
-- the answer, the session's tokens, the stored record, and what the server has seen. Everything is drawn from one seed.
-- run(sequences, seed) -> { sequences, steps, posts, replays } or raises with the sequence's seed and its steps.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local lost = require "spec.lifecycle.lost"
local record = require "healthauth.lifecycle.record"
local reference = require "spec.lifecycle.reference"

local START, LIFE, PROCESSES, STEPS = 1700000000, 600, 3, 20
local OPERATIONS = {
  "access_token", "access_token", "access_token", "access_token", "access_token", "access_token", "access_token", "access_token", "refresh",
  "restore", "exchange", "reload", "logout", "crash", "hold", "free", "free", "tear", "drop", "jump", "jump", "jump", "jump", "jump",
}
local NESTED = { "access_token", "access_token", "refresh", "restore", "exchange" }
local JUMPS = { 1, 5, 30, 300, 545, 560, 600, 700, -50 }
local WIRE = { "fine", "fine", "fine", "fine", "refused", "lost_answer", "lost_request", "busy", "bad_gateway", "garbage",
  "arrives_expired" }
local FAILURES = {
  refused = { kind = "network", code = "connect_failed", outcome = "not_sent" },
  lost_answer = { kind = "network", code = "body_truncated", outcome = "unknown" },
  lost_request = { kind = "network", code = "body_truncated", outcome = "unknown" },
}
local JSON = { { "Content-Type", "application/json" } }

-- The provider: a refresh token works once; one that comes twice ends its family.
local function new_server()
  return { minted = 0, posts = 0, replays = 0, family = 0, tokens = {} }
end

local function mint(server, family, life)
  server.minted = server.minted + 1
  local refresh = "r" .. server.minted
  server.tokens[refresh] = { family = family }
  return { access = "a" .. server.minted, refresh = refresh, life = life }
end

local function login(server)
  server.family = server.family + 1
  return mint(server, { dead = false }, LIFE)
end

-- What the wire and the server make of a POST: set | nil, name of what happened instead.
local function serve(server, refresh, how)
  server.posts = server.posts + 1
  if how == "refused" or how == "lost_request" or how == "busy" then return nil, how end
  local token = server.tokens[refresh]
  if token.spent then
    token.family.dead = true
    server.replays = server.replays + 1
  end
  local set
  if not token.family.dead then
    token.spent = true
    set = mint(server, token.family, how == "arrives_expired" and 0 or LIFE)
  end
  if how == "lost_answer" or how == "bad_gateway" or how == "garbage" then return nil, how end
  if not set then return nil, "denied" end
  return set
end

-- What a step will meet, drawn before it is taken: a fault of the store at the nth call of a kind, the wire, and what another process does
-- while this one hangs (its lease having run out) before its first save or while it waits for the answer.
local function draw(random)
  local plan = { wire = {}, counts = {} }
  for i = 1, 3 do plan.wire[i] = WIRE[random(#WIRE) + 1] end
  if random(4) == 0 then
    plan.fault = { call = ({ "load", "save", "save", "save", "acquire" })[random(5) + 1], nth = random(3) + 1, how = random(2) == 0 and
      "fail" or "lost" }
  end
  if random(6) == 0 then
    plan.nested = { at = random(2) == 0 and "save" or "post", operation = NESTED[random(#NESTED) + 1], process = random(PROCESSES - 1) + 1 }
  end
  return plan
end

-- One player of a plan: the real thing or the model. meanwhile(nested) does what another process does.
local function player(plan, meanwhile)
  local counts, posts, nested_done, inside = {}, 0, false, false
  local self = {}
  local function hang(at)
    local nested = plan.nested
    if not nested or nested.at ~= at or nested_done or inside then return end
    nested_done, inside = true, true
    meanwhile(nested)
    inside = false
  end
  function self.step(call)
    if call == "save" then hang "save" end
    counts[call] = (counts[call] or 0) + 1
    local fault = plan.fault
    if fault and fault.call == call and counts[call] == fault.nth then return call == "save" and fault.how or "fail" end
  end
  function self.wire()
    hang "post"
    posts = posts + 1
    return plan.wire[posts] or "fine"
  end
  return self
end

local CODES = { denied = "invalid_grant", busy = "http_503", bad_gateway = "http_502", garbage = "media_type" }
local LOSING = { lost_answer = true, lost_request = true, bad_gateway = true, garbage = true }

local function set_text(set) return set and (tostring(set.access) .. "/" .. tostring(set.refresh)) or "none" end

-- ---- the model's side ----

local function model_side()
  local side = { now = START, server = new_server(), processes = {} }
  local world = {}
  function world.now() return side.now end
  function world.step(call) return side.player.step(call) end
  function world.post(refresh)
    local how = side.player.wire()
    local set, what = serve(side.server, refresh, how)
    if set then return { access = set.access, refresh = set.refresh, expires = side.now + set.life, life = set.life } end
    return nil, CODES[what] or FAILURES[what].code, LOSING[what] or false, what == "denied"
  end
  side.model = reference.new(world)
  for i = 1, PROCESSES do side.processes[i] = reference.process() end
  function side.apply(operation, i)
    local model, p = side.model, side.processes[i]
    if operation == "restore" or operation == "exchange" then
      local set = login(side.server)
      return model[operation](model, p, { access = set.access, refresh = set.refresh, expires = side.now + LIFE })
    end
    return model[operation](model, p)
  end
  function side.crash(i) side.processes[i] = reference.process() end
  function side.expire_lease() side.model.lease = nil end
  function side.hold() side.model.lease = side.model.lease or { since = side.now, till = side.now + 30, foreign = true } end
  function side.free() if side.model.lease and side.model.lease.foreign then side.model.lease = nil end end
  function side.tear()
    local old = side.model.record
    if not old then return end
    side.model.version = side.model.version + 1
    side.model.record = { torn = true, version = side.model.version, login = 0, n = 0 }
  end
  function side.drop() side.model.record = nil end
  function side.look()
    local out = {}
    for i = 1, PROCESSES do out[i] = set_text(side.processes[i].set) end
    local found, text = side.model.record, "none"
    if found and found.torn then text = "torn"
    elseif found then
      local journal = found.journal
      text = set_text(found.set) .. " " .. (journal and (journal.refused and "refused " or "sent ") .. journal.mark or "clean")
    end
    return table.concat(out, " ") .. " | " .. text .. " | " .. side.server.posts .. " " .. side.server.replays
  end
  return side
end

-- ---- the real side ----

local function real_side()
  local side = { now = START, server = new_server(), processes = {} }
  local inner = healthauth.stores.memory { clock = function() return side.now end }
  local store = setmetatable({}, { __index = function(_, name) return function(_, ...) return inner[name](inner, ...) end end })
  local function trouble(code) return nil, core.error { kind = "store", code = code } end
  function store.load(_, key)
    if side.player.step "load" then return trouble "store_unavailable" end
    return inner:load(key)
  end
  function store.save(_, key, text, expected)
    local fault = side.player.step "save"
    if fault == "fail" then return trouble "store_full" end
    local version, err = inner:save(key, text, expected)
    if version and fault == "lost" then return trouble "store_full" end
    return version, err
  end
  function store.acquire(_, key, ttl)
    if side.player.step "acquire" then return trouble "store_unavailable" end
    return inner:acquire(key, ttl)
  end
  local function answer(set, what)
    if set then
      return { status = 200, headers = JSON,
        body = ('{"access_token":"%s","token_type":"Bearer","expires_in":%d,"refresh_token":"%s"}'):format(
        set.access, set.life, set.refresh) }
    elseif what == "denied" then return { status = 400, headers = JSON, body = '{"error":"invalid_grant"}' }
    elseif what == "busy" then return { status = 503, headers = {}, body = "" }
    elseif what == "bad_gateway" then return { status = 502, headers = {}, body = "" }
    elseif what == "garbage" then return { status = 200, headers = {}, body = "<html>" } end
    return nil, FAILURES[what]
  end
  local transport = {}
  function transport:perform(request)
    local form = core.form_decode(request.body)
    if form.grant_type == "authorization_code" then return answer(login(side.server)) end
    return answer(serve(side.server, form.refresh_token, side.player.wire()))
  end
  local function open()
    return assert(healthauth.pkb {
      base_url = "https://pkb.example", client_id = "c", transport = transport, store = store, key = "k", margin = 60, max_wait = 0,
      lease = 20, clock = function() return side.now end,
    })
  end
  for i = 1, PROCESSES do side.processes[i] = open() end
  local key = record.store_key(side.processes[1], "k")
  local function judge(value, err)
    if not value then return nil, err and err.code end
    return type(value) == "table" and value.access_token or value == true and "ok" or value
  end
  function side.apply(operation, i)
    local session = side.processes[i]
    if operation == "restore" then
      local set = login(side.server)
      return judge(session:restore { access_token = set.access, refresh_token = set.refresh, expires_at = side.now + LIFE })
    elseif operation == "exchange" then
      return judge(session:exchange { code = "code", redirect_uri = "https://c.example/cb" })
    elseif operation == "reload" then
      return judge(session:restore())
    end
    return judge(session[operation](session))
  end
  function side.crash(i) side.processes[i] = open() end
  function side.expire_lease() inner.leases[key] = nil end
  function side.hold()
    if not inner.leases[key] then side.foreign = inner:acquire(key, 30) end
  end
  function side.free()
    if side.foreign then inner:release(side.foreign) end
    side.foreign = nil
  end
  function side.tear()
    local text, version = inner:load(key)
    if text then assert(inner:save(key, text:sub(1, 30), version)) end
  end
  function side.drop() inner:delete(key) end
  function side.look()
    local out = {}
    for i = 1, PROCESSES do
      local tokens = side.processes[i]:tokens()
      out[i] = set_text(tokens and { access = tokens.access_token, refresh = tokens.refresh_token })
    end
    local raw, text = inner:load(key), "none"
    if raw then
      local found = record.decode(side.processes[1], "k", raw)
      text = "torn"
      if found then
        local journal, mark = found.journal, ""
        for token in pairs(journal and side.server.tokens or {}) do
          if core.hex(core.sha256(token)) == journal.fingerprint then mark = token end
        end
        text = set_text { access = found.tokens.access_token, refresh = found.tokens.refresh_token } .. " "
          .. (journal and journal.state .. " " .. mark or "clean")
      end
    end
    return table.concat(out, " ") .. " | " .. text .. " | " .. side.server.posts .. " " .. side.server.replays
  end
  return side
end

local function take(side, plan, operation, i)
  local nested_says
  side.player = player(plan, function(nested)
    side.expire_lease()
    local other = (i + nested.process - 1) % PROCESSES + 1
    local value, code = side.apply(nested.operation, other)
    nested_says = nested.operation .. " " .. other .. ": " .. tostring(value) .. " " .. tostring(code)
  end)
  local value, code = side.apply(operation, i)
  return tostring(value) .. " " .. tostring(code) .. (nested_says and " (meanwhile " .. nested_says .. ")" or "") .. " => " .. side.look()
end

local function sequence(seed)
  local random = lost.random(seed)
  for _ = 1, 3 do random(2) end
  local real, model, story = real_side(), model_side(), {}
  local explicit, steps = false, 0
  for _ = 1, STEPS do
    local operation, i, plan = OPERATIONS[random(#OPERATIONS) + 1], random(PROCESSES) + 1, draw(random)
    if steps == 0 and random(10) > 0 then operation = "restore" end
    local jump = JUMPS[random(#JUMPS) + 1]
    steps = steps + 1
    if operation == "refresh" or plan.nested and plan.nested.operation == "refresh" then explicit = true end
    local one, two
    if operation == "jump" then
      real.now, model.now = real.now + jump, model.now + jump
      one, two = "jump " .. jump, "jump " .. jump
    elseif real[operation] then
      real[operation](i)
      model[operation](i)
      one, two = real.look(), model.look()
    else
      one, two = take(real, plan, operation, i), take(model, plan, operation, i)
    end
    story[#story + 1] = ("%2d %s %d [%s%s]\n   real  %s\n   model %s"):format(steps, operation, i, table.concat(plan.wire, ","),
      plan.fault and (", %s %d %s"):format(plan.fault.call, plan.fault.nth, plan.fault.how) or "", one, two)
    if one ~= two then error(("sequence with seed %d differs\n%s"):format(seed, table.concat(story, "\n")), 0) end
    if real.server.replays > 0 and not explicit then
      error(("sequence with seed %d: a refresh token was sent twice\n%s"):format(seed, table.concat(story, "\n")), 0)
    end
  end
  return steps, real.server
end

local M = {}

function M.run(sequences, seed)
  local out = { sequences = 0, steps = 0, posts = 0, replays = 0 }
  for i = 1, sequences do
    local steps, server = sequence((seed * 1000003 + i * 7919) % 2147483646)
    out.sequences, out.steps, out.posts, out.replays = out.sequences + 1, out.steps + steps, out.posts + server.posts,
      out.replays + server.replays
  end
  return out
end

--- One sequence again, by the seed that an error names.
M.sequence = sequence

return M
