-- SPDX-License-Identifier: MIT
--- Verdicts about tokens in a shared dictionary, for all workers. Keys are SHA-256: no token is in it. An entry's value is the second until
-- which it is fresh, its flag the verdict. Only verdicts are kept: "could not tell" is shared with those who waited for it, and forgotten.
-- While one request asks the provider about a token, the others of all workers wait for its answer.

local core = require "healthauth.core"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local setup = require "healthauth.nginx.setup"

--- Options of the guard's cache (docs/nginx.md).
---@class healthauth.nginx.CacheOptions
---@field dict string             a zone of 64 KiB or more
---@field valid? number           seconds that "valid" is believed, default 30
---@field gone? number            seconds that "gone" is believed, default 300
---@field stale_if_error? number  seconds that an old "valid" stands in for "could not tell", default 0

local KNOWN = {
  dict = { "string", "required" }, valid = { "number", nil, 30 }, gone = { "number", nil, 300 }, stale_if_error = { "number", nil, 0 },
}
local VALID, GONE, TROUBLE = 1, 2, 3
local STEP, STEP_MAX = 0.004, 0.05
local TOLD_SECONDS = 2

local Cache = {}
Cache.__index = Cache

--- Opens the cache of a guard.
---@param given healthauth.nginx.CacheOptions
---@param flight number  seconds that asking the provider may take
---@param provider string
---@return table
local function new(given, flight, provider)
  local self = options.read("guard", given, KNOWN, 4)
  self.zone = setup.zone("guard", self.dict, "verdicts", 4)
  self.flight, self.provider = flight, provider
  return setmetatable(self, Cache)
end

-- The verdict under a name: fresh (true, false or nil), and a stale "valid".
local function look(self, name)
  local until_second, flag = self.zone:get(name)
  if type(until_second) ~= "number" then return nil, false end
  if ngx.now() < until_second then return flag == VALID, false end
  return nil, flag == VALID
end

local function put(self, name, valid)
  local life = valid and self.valid or self.gone
  local keep = valid and life + self.stale_if_error or life
  if keep <= 0 then
    self.zone:delete(name)
    return
  end
  local ok, _, forced = self.zone:set(name, ngx.now() + life, keep, valid and VALID or GONE)
  if forced or not ok then metrics.count("healthauth_cache_evictions_total") end
end

local function trouble_of(text)
  local code, retry = text:match "^([%w_]*) ?(%d*)$"
  return core.error {
    kind = "network", code = code ~= "" and code or "transport_failed", action = "retry", outcome = "unknown",
    retry_after = tonumber(retry), message = "another request asked the provider at the same moment, and it could not tell",
  }
end

-- What asking came to, for those who wait for it and find no verdict kept: good for who began to wait before this moment, and no other.
local function tell(self, key, flag, note)
  self.zone:set("ha:t:" .. key, ("%.6f %s"):format(core.monotonic(), note), TOLD_SECONDS, flag)
end

-- What is known since a request began to wait: whether anything is, the verdict, or why there is none.
local function known(self, key, name, started)
  local valid = look(self, name)
  if valid ~= nil then return true, valid end
  local told, flag = self.zone:get("ha:t:" .. key)
  local time, note = tostring(told or ""):match "^(%S+) (.*)$"
  if not time or tonumber(time) < started then return false end
  if flag == VALID or flag == GONE then return true, flag == VALID end
  return true, nil, trouble_of(note)
end

-- We hold the flight: ask, keep, tell the others.
local function fly(self, key, name, flight, ask, session, token)
  local ok, valid, err = pcall(ask, session, token)
  if ok and valid ~= nil then
    put(self, name, valid)
    if (valid and self.valid or self.gone) < TOLD_SECONDS then tell(self, key, valid and VALID or GONE, "") end
  else
    tell(self, key, TROUBLE,
      ok and err and (tostring(err.code) .. (err.retry_after and " " .. math.floor(err.retry_after) or "")) or "")
  end
  self.zone:delete(flight)
  if not ok then error(valid, 0) end
  return valid, err, "miss"
end

-- Another holds it: wait for its verdict, its trouble, or its end.
local function wait(self, key, name, flight, started)
  local step = STEP
  while core.monotonic() - started < self.flight do
    ngx.sleep(step)
    step = math.min(STEP_MAX, step * 1.5)
    local found, valid, trouble = known(self, key, name, started)
    if found then return valid, trouble, "joined" end
    if not self.zone:get(flight) then return nil, nil, "again" end
  end
  return nil, trouble_of "lease_timeout", "joined"
end

--- The verdict about a token: true, false, or nil and why. The third result says how it was come by: hit, miss, joined or stale.
---@param key string           SHA-256, raw
---@param ask fun(session: userdata, token: string): boolean|nil, table|nil  asks the provider
---@param session userdata
---@param token string
---@return boolean|nil valid
---@return table|nil err
---@return string how
function Cache:verdict(key, ask, session, token)
  local name = "ha:v:" .. key
  local valid, stale = look(self, name)
  if valid ~= nil then return valid, nil, "hit" end
  local flight, started = "ha:f:" .. key, core.monotonic()
  local err, how
  repeat
    local mine, why = self.zone:add(flight, true, self.flight)
    if mine then
      local found
      found, valid, err = known(self, key, name, started) -- another's answer may have come just before
      if found then
        self.zone:delete(flight)
        how = "joined"
      else
        valid, err, how = fly(self, key, name, flight, ask, session, token)
      end
    elseif why == "exists" then
      valid, err, how = wait(self, key, name, flight, started)
    else
      valid, err = ask(session, token)
      how = "miss"
    end
  until how ~= "again"
  if how == "joined" then
    metrics.observe("healthauth_lock_wait_seconds", { "provider", self.provider, "operation", "verify" }, core.monotonic() - started)
  end
  if valid == nil and stale then return true, err, "stale" end
  return valid, err, how
end

return { new = new }
