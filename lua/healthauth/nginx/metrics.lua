-- SPDX-License-Identifier: MIT
--- Counters in a shared dictionary, for all workers, and their text for Prometheus. Without hn.init nothing is counted.
-- Also what the status page shows: the last outcome of each session by fingerprint, the last errors, refreshes by the minute.

local core = require "healthauth.core"
local log = require "healthauth.nginx.log"
local prometheus = require "healthauth.nginx.prometheus"

local inside = core.inside

local M = { dict = nil } -- the zone, set by hn.init

M.BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }
local DAY, HISTORY = 86400, 3600
local MINUTE = 60

local SEEN_MAX = 1000
local seen, seen_count = {}, 0 -- expiry by fingerprint that this worker has written already

local LABELS_MAX = 1000
local cleaned, cleaned_count = {}, 0 -- few words come again and again

local function label(value)
  value = tostring(value)
  local known = cleaned[value]
  if known then return known end
  known = value:gsub("[^%w%-_.:/]", "_")
  if cleaned_count >= LABELS_MAX then cleaned, cleaned_count = {}, 0 end
  cleaned[value], cleaned_count = known, cleaned_count + 1
  return known
end

-- {a="b",c="d"} of an ordered list of pairs
local function labels_of(pairs_of)
  if not pairs_of then return "" end
  local out = {}
  for i = 1, #pairs_of, 2 do
    if pairs_of[i + 1] ~= nil then out[#out + 1] = pairs_of[i] .. '="' .. label(pairs_of[i + 1]) .. '"' end
  end
  return #out > 0 and "{" .. table.concat(out, ",") .. "}" or ""
end

--- Adds to a counter.
---@param name string
---@param pairs_of? table  { name, value, name, value, ... }
---@param by? number
function M.count(name, pairs_of, by)
  if M.dict then M.dict:incr("c:" .. name .. labels_of(pairs_of), by or 1, 0) end
end

--- Puts a time into a histogram.
---@param name string
---@param pairs_of? table
---@param seconds number
function M.observe(name, pairs_of, seconds)
  if not M.dict then return end
  local text = labels_of(pairs_of)
  local bucket = "+Inf"
  for _, most in ipairs(M.BUCKETS) do
    if seconds <= most then
      bucket = tostring(most)
      break
    end
  end
  M.dict:incr("h:" .. name .. text .. " " .. bucket, 1, 0)
  M.dict:incr("s:" .. name .. text, seconds, 0)
end

local verdict_series = {} -- verdict and how -> the counter's full name: put together once, since every request at a guard counts

--- A guard's verdict.
---@param verdict string  valid, gone, unknown, refused
---@param how string      hit, miss, joined, stale, none
function M.verified(verdict, how)
  local dict = M.dict
  if not dict then return end
  local of = verdict_series[verdict]
  if not of then
    of = {}
    verdict_series[verdict] = of
  end
  local name = of[how]
  if not name then
    name = "c:healthauth_verify_total" .. labels_of { "verdict", verdict, "cache", how }
    of[how] = name
  end
  dict:incr(name, 1, 0)
end

--- The series that counts such an error.
---@param provider string
---@param operation string
---@param kind string
---@param code string
---@return string
function M.error_series(provider, operation, kind, code)
  return "healthauth_errors_total" .. labels_of { "provider", provider, "operation", operation, "kind", kind, "code", code }
end

--- An error that a handler met: counted, and written to the error log where it is the owner's to mend.
---@param provider string
---@param operation string
---@param err table
---@param aside? boolean  the request's line has a secret in it, which is to stay out of the log
function M.trouble(provider, operation, err, aside)
  log.trouble(provider, operation, err, aside)
  if not M.dict then return end
  M.dict:incr("c:" .. M.error_series(provider, operation, err.kind, err.code), 1, 0)
  M.dict:set("e:" .. label(provider) .. " " .. label(operation) .. " " .. label(err.kind) .. " " .. label(err.code), ngx.time(), DAY)
end

-- The last that is known of a session, for the status page.
local function note(key, provider, name, operation, code)
  M.dict:set("k:" .. label(key), table.concat({ label(provider), label(name), label(operation), label(code), ngx.time() }, " "), DAY)
end

--- Counts an event of the lifecycle (DESIGN 2.8).
---@param event table
function M.event(event)
  local dict = M.dict
  if not dict then return end
  M.count("healthauth_events_total",
    { "provider", event.provider, "event", event.name, "operation", event.operation, "outcome", event.outcome, "code", event.code })
  if event.latency then
    local name = event.name == "joined" and "healthauth_lock_wait_seconds" or "healthauth_provider_seconds"
    M.observe(name, { "provider", event.provider, "operation", event.operation }, event.latency)
  end
  if event.name == "refreshed" or (event.name == "refused" and event.operation == "refresh") then
    local minute = math.floor(ngx.time() / MINUTE) * MINUTE
    dict:incr("r:" .. minute .. (event.name == "refreshed" and ":ok" or ":failed"), 1, 0, HISTORY)
  end
  if event.name ~= "verified" then
    note(event.key or event.provider, event.provider, event.name, event.operation or "-", event.code or "-")
  end
end

--- A person has left: whatever the provider said, the session has no token any more.
---@param fingerprint string
---@param provider string
function M.left(fingerprint, provider)
  if not M.dict then return end
  note(fingerprint, provider, "logged_out", "logout", "-")
  M.dict:delete("x:" .. label(fingerprint))
end

--- Hears the events of a session; a listener of the owner's hears them too.
---@param session userdata
function M.listen(session)
  local ctx = inside.context(session)
  if ctx.on_event == M.event or ctx.nginx_listening then return end
  local own = ctx.on_event
  ctx.nginx_listening = true
  if not own then
    ctx.on_event = M.event
    return
  end
  ctx.on_event = function(event)
    M.event(event)
    own(event)
  end
end

--- The same for every session that a `sessions` will open.
---@param sessions table
function M.listen_all(sessions)
  local list = sessions.options
  if list.on_event == M.event or sessions.nginx_listening then return end
  local own, copy = list.on_event, {}
  for name, value in next, list do copy[name] = value end
  copy.on_event = not own and M.event or function(event)
    M.event(event)
    own(event)
  end
  sessions.options, sessions.nginx_listening = copy, true
end

--- Notes when the token of a session expires, once for each new expiry.
---@param fingerprint string
---@param expires_at number|nil
function M.expiry(fingerprint, expires_at)
  if not M.dict or not expires_at or seen[fingerprint] == expires_at then return end
  M.dict:set("x:" .. label(fingerprint), expires_at, math.max(1, expires_at - ngx.time() + MINUTE))
  if seen_count >= SEEN_MAX then seen, seen_count = {}, 0 end
  if not seen[fingerprint] then seen_count = seen_count + 1 end
  seen[fingerprint] = expires_at
end

--- All that is kept, by its first letter: c counters, h buckets, s sums, x expiries, k last events, e last errors, r refreshes by minute.
---@return table<string, table<string, any>>
function M.all()
  local all = setmetatable({}, { __index = function(self, letter)
    self[letter] = {}
    return self[letter]
  end })
  for _, name in ipairs(M.dict:get_keys(0)) do
    local letter, rest = name:match "^(%l):(.*)$"
    local value = letter and M.dict:get(name)
    if value ~= nil then all[letter][rest] = value end
  end
  return all
end

--- The whole in the text format of Prometheus.
---@return string
function M.text()
  return prometheus.text(M.all(), M.BUCKETS)
end

return M
