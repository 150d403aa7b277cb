-- SPDX-License-Identifier: MIT
-- What the lifecycle specs share: a PKB-like provider that counts, a clock that is turned by hand, and coroutines that yield in perform.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local M = {}

--- A provider in one table: answers refreshes with rotation, remembers which refresh tokens were seen, and can be told to fail.
---@param clock table  { now = number }
---@param options? table { life = 600 }
function M.provider(clock, options)
  local provider = { refreshes = 0, seen = {}, replays = 0, life = options and options.life or 600, script = {}, yields = 0, clock = clock,
    waits = 0 }
  function provider.perform(_, request)
    local form = core.form_decode(request.body or "") or {}
    for _ = 1, provider.yields do coroutine.yield() end
    provider.refreshes = provider.refreshes + 1
    local step = table.remove(provider.script, 1)
    if step and step.failure then
      if step.failure.outcome ~= "not_sent" then provider.seen[form.refresh_token or ""] = true end
      return nil, step.failure
    end
    if step and step.status then
      return { status = step.status, headers = step.headers or {}, body = step.body or "" }
    end
    if provider.seen[form.refresh_token or ""] then provider.replays = provider.replays + 1 end
    provider.seen[form.refresh_token or ""] = true
    local n = provider.refreshes
    return {
      status = 200, headers = { { "Content-Type", "application/json" } },
      body = core.json_encode {
        access_token = "access-" .. n, token_type = "Bearer", expires_in = provider.life, refresh_token = "refresh-" .. n,
          scope = "PATIENT",
      },
    }
  end
  function provider.wait(_, seconds)
    provider.waits = provider.waits + 1
    if provider.on_wait then provider.on_wait(seconds) end
    if coroutine.running() and M.in_loop then coroutine.yield() end
  end
  return provider
end

--- Runs functions as coroutines, round robin, until all have ended.
---@param functions function[]
---@return table[] results  each { ... } of what the function returned
function M.run(functions)
  local threads, results, left = {}, {}, #functions
  for i, fn in ipairs(functions) do threads[i] = coroutine.create(fn) end
  M.in_loop = true
  local rounds = 0
  while left > 0 do
    rounds = rounds + 1
    if rounds > 100000 then error "the coroutines do not end" end
    for i, thread in ipairs(threads) do
      if coroutine.status(thread) ~= "dead" then
        local ok, first, second, third = coroutine.resume(thread)
        if not ok then
          M.in_loop = false
          error(first, 0)
        end
        if coroutine.status(thread) == "dead" then results[i], left = { first, second, third }, left - 1 end
      end
    end
  end
  M.in_loop = false
  return results
end

--- A session of one person over a store, with a clock that the spec moves and its events in a list.
---@param name string         a provider of ours
---@param clock table         { now = number }
---@param events table        gets what on_event is told
---@param more? table         further options, or others; false takes one away
function M.open(name, clock, store, events, transport, more)
  local given = {
    base_url = "https://provider.example", client_id = "client", transport = transport, clock = function() return clock.now end,
    store = store, key = "patient-1", on_event = function(e) events[#events + 1] = e end,
  }
  if name ~= "pkb" then given.client_secret = "secret" end
  for k, v in pairs(more or {}) do
    if v == false then given[k] = nil else given[k] = v end
  end
  return assert(healthauth[name](given))
end

--- The first record of a store, decoded, and its key; nil where there is none.
function M.stored(store)
  local key, text = store:list()()
  return text and core.json_decode(text), key
end

--- A set as PKB gives it.
---@param now number
---@param life number
function M.tokens(now, life)
  return { access_token = "access-0", token_type = "Bearer", refresh_token = "refresh-0", expires_at = now + life, scope = "PATIENT" }
end

M.LOST = { kind = "network", code = "body_truncated", outcome = "unknown" }
M.REFUSED = { kind = "network", code = "connect_failed", outcome = "not_sent" }

return M
