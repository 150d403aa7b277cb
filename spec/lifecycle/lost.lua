-- SPDX-License-Identifier: MIT
-- Answers to a PKB refresh that are lost at random byte offsets, by the sandbox's fault. The refresh token may be spent, so nothing sends
-- it again: not the session, not another one over the same store. Used by lost_spec.lua and tools/lost.lua.

local healthauth = require "healthauth"

local M = {}

-- A generator of our own: the same numbers on every runtime (Park and Miller).
function M.random(seed)
  local state = seed % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n
  end
end

-- The sandbox behind a wire whose far end may take a cut for the end of the body (no Content-Length, or a transport that does not look).
local function wire(box)
  local line = { sent = 0, cut = nil }
  function line.perform(_, request)
    line.sent = line.sent + 1
    local response, failure = box:perform(request)
    local cut = line.cut
    line.cut, line.size = nil, response and #response.body
    if not cut or not response then return response, failure end
    return { status = response.status, headers = response.headers, body = response.body:sub(1, cut), close_delimited = true }
  end
  return line
end

local function expect(what, want, got)
  if want ~= got then error(("%s: expected %s, got %s"):format(what, tostring(want), tostring(got)), 0) end
end

local function new_session(box, line, store)
  local credentials = box.credentials.pkb
  return assert(healthauth.pkb {
    environment = "sandbox", client_id = credentials.client_id, redirect_uri = credentials.redirect_uri, transport = line,
    clock = function() return box:now() end, store = store, key = store and "k" or nil,
  })
end

local function log_in(box, session)
  local url, pending = session:authorize_url { scope = "PATIENT" }
  assert(session:exchange { callback = box:consent(url, "allow"), pending = pending })
end

-- How long the answer to a refresh is: tokens of a sandbox are all of one length.
local function length_of_answer(box, line)
  local session = new_session(box, line)
  log_in(box, session)
  assert(session:refresh())
  return line.size
end

--- Loses `count` answers: { lost, resends, replays }. Raises at the first one that does not end as it must.
---@param count integer
---@param seed integer
---@return table
function M.run(count, seed)
  local random = M.random(seed)
  local out = { lost = 0, resends = 0, replays = 0 }
  local box, line, length
  for i = 1, count do
    if i % 500 == 1 then -- the sandbox remembers every token: a fresh one now and then
      out.replays = out.replays + (box and box:replays() or 0)
      box = healthauth.transports.sandbox { seed = "lost " .. seed .. " " .. i }
      line = wire(box)
      length = length_of_answer(box, line)
    end
    local store = random(2) == 0 and healthauth.stores.memory {} or nil
    local function open() return new_session(box, line, store) end
    local session = open()
    log_in(box, session)
    local old = session:access_token()
    local early = random(2) == 0
    box:advance(early and 595 or 600)
    line.sent = 0
    local at = random(length)
    if random(3) == 0 then line.cut = at else box:fault { kind = "truncate", provider = "pkb", operation = "refresh", at = at } end
    local arrived = box:count "pkb.refresh"
    local token, err = session:access_token()
    out.lost = out.lost + 1
    if early then
      expect("the token after a lost early refresh", old, token)
      box:advance(5)
    else
      expect("the token after a lost refresh", nil, token)
      expect("the outcome", true, err.outcome == "unknown" or err.kind == "protocol")
      expect("the action", "reauthorize", err.action)
    end
    for attempt = 1, 3 do
      local asked = (attempt == 2 and store) and open() or session
      token, err = asked:access_token()
      expect("a later token", nil, token)
      expect("the later code", "refresh_outcome_unknown", err.code)
    end
    expect("what the server saw", line.sent, box:count "pkb.refresh" - arrived)
    out.resends = out.resends + line.sent - 1
  end
  out.replays = out.replays + box:replays()
  return out
end

return M
