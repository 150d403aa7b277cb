-- SPDX-License-Identifier: MIT
-- The reference model of a session over a store: what access_token, refresh, restore and logout must answer, and what then stands in memory
-- and in the store, whatever the wire, the store, the clock and other processes do. No JSON, no bytes, no coroutines: sets and rules.
-- A world gives now(), step(name) (a fault of the store, or something that happens first) and post(refresh_token) (the wire).

local MARGIN = 60

local M = {}
M.__index = M

function M.new(world)
  return setmetatable({ world = world, record = nil, version = 0, lease = nil, journals = 0 }, M)
end

function M.process()
  return { n = 0, login = 0 }
end

local function valid(self, p) return p.set and p.set.access and self.world.now() < p.set.expires and p.set.access or nil end

-- A new token is good for ten seconds or a tenth of its life, whatever the margin.
local function ready(self, p)
  local set = p.set
  if not set or not set.access then return nil end
  local margin = set.life and math.min(MARGIN, set.life - math.min(set.life / 10, 10)) or MARGIN
  return self.world.now() + margin < set.expires and set.access or nil
end

-- ---- the store ----

function M:load()
  if self.world.step "load" then return nil, "store_unavailable" end
  if self.record and self.record.torn then return nil, "record_invalid" end
  return self.record
end

function M:swap(p, journal, expected)
  local fault = self.world.step "save"
  if fault == "fail" then return nil, "store_full" end
  if (self.record and self.record.version) ~= expected then return nil, "conflict" end
  self.version = self.version + 1
  self.record = { set = p.set, journal = journal, version = self.version, login = p.login, n = p.n }
  if fault == "lost" then return nil, "store_full" end
  p.version, p.dirty = self.version, nil
  return true
end

function M:acquire()
  if self.world.step "acquire" then return nil, "store_unavailable" end
  local lease, now = self.lease, self.world.now()
  if lease and now >= lease.since and now < lease.till then return false end
  self.lease = { since = now, till = now + 20 }
  return self.lease
end

function M:release(lease)
  if self.lease == lease then self.lease = nil end
end

-- ---- sets and their age ----

local function adopt(p, found)
  p.set, p.unknown, p.loaded, p.version, p.dirty, p.login, p.n = found.set, false, true, found.version, nil, found.login, found.n
end

local function ours_newer(p, found)
  return p.dirty and (p.login > found.login or (p.login == found.login and p.n > found.n))
end

function M:catch_up(p)
  local found, err = self:load()
  if err then return nil, err end
  if found and found.version ~= p.version and not ours_newer(p, found) then adopt(p, found) end
  p.loaded = true
  return found
end

function M:first_load(p)
  local found, err = self:load()
  if err then return nil, err end
  p.loaded = true
  if found and not ours_newer(p, found) then adopt(p, found) end
  return found ~= nil
end

-- again: it could not be saved before, and a newer login wins.
function M:overwrite(p, now, again)
  p.loaded, p.dirty = true, "login"
  if not again then p.login, p.n = now, 0 end
  local err
  for _ = 1, 8 do
    if self.world.step "load" then return nil, "store_unavailable" end
    local found = self.record
    if again and found and not found.torn and not ours_newer(p, found) then
      adopt(p, found)
      return true
    end
    p.login, p.n = now, 0
    if found and not found.torn and found.login >= now then p.login, p.n = found.login, found.n + 1 end
    local saved
    saved, err = self:swap(p, nil, found and found.version)
    if saved then return true end
    if err ~= "conflict" then -- perhaps only its answer was lost
      local there = self:load()
      if not there or there.set ~= p.set then return nil, err end
      p.version, p.dirty = there.version, nil
      return true
    end
  end
  return nil, err
end

function M:settle(p, expected)
  local saved, err = self:swap(p, nil, expected)
  for _ = 1, 8 do
    if saved or err ~= "conflict" then return end
    local found, load_err = self:load()
    if load_err then return end
    if not found then
      p.dirty = nil
      return
    end
    if not ours_newer(p, found) then return adopt(p, found) end
    saved, err = self:swap(p, nil, found.version)
  end
end

-- ---- the refresh ----

local function may_send(p, found)
  local mark, journal = p.set.refresh, found and found.journal
  if p.denied == mark then return false, "invalid_grant" end
  local same = journal and journal.mark == mark
  if same and journal.refused then return false, "invalid_grant" end
  if same and journal.id == p.unposted then return true end
  if same then p.unknown = true end
  if p.unknown then return false, "refresh_outcome_unknown" end
  if p.version and not found and p.dirty ~= "login" then return false, "no_token" end -- dropped elsewhere: perhaps spent elsewhere
  return true
end

function M:send(p, found, doubt)
  self.journals = self.journals + 1
  local journal = { mark = p.set.refresh, id = self.journals }
  local sent, err = self:swap(p, journal, found and found.version)
  if not sent then
    if err == "conflict" then return "again" end
    p.unposted = journal.id
    return nil, err
  end
  local version = p.version
  local set, code, lost, final = self.world.post(journal.mark)
  if set then
    p.set, p.unknown, p.denied, p.n, p.dirty = set, false, nil, p.n + 1, "refresh"
    self:settle(p, version)
    return p.set.access
  end
  p.unknown = p.unknown or lost
  if final then p.denied = journal.mark end
  if not lost then
    local left = doubt
    if final then left = { mark = journal.mark, refused = true } end
    local cleared, why = self:swap(p, left, version)
    if not cleared then
      p.unposted = journal.id
      if why ~= "conflict" and not left then p.dirty = "refresh" end
    end
  end
  return nil, code
end

function M:under_lease(p, forced)
  local found, err = self:catch_up(p)
  if err then return nil, err end
  if not forced and ready(self, p) then return ready(self, p) end
  if not p.set or not p.set.refresh then return nil, "no_token" end
  local fine, why = may_send(p, found)
  if not fine and not forced then return nil, why end
  return self:send(p, found, not fine and found and found.journal or nil)
end

function M:renew(p, forced, patient)
  for _ = 1, 8 do
    local lease, err = self:acquire()
    if lease == nil then return nil, err end
    if not lease then
      if patient then return nil, "lease_timeout" end
      return nil
    end
    local result, code = self:under_lease(p, forced)
    self:release(lease)
    if result ~= "again" then return result, code end
  end
  return nil, "conflict"
end

-- ---- the verbs ----

function M:save_again(p)
  if p.dirty ~= "login" then return self:settle(p, p.version) end
  self:overwrite(p, p.login, true)
end

function M:access_token(p)
  local asked
  if not p.loaded then
    local found, err = self:first_load(p)
    if found == nil then return nil, err end
    asked = true
  end
  if p.dirty then self:save_again(p) end
  if ready(self, p) then return ready(self, p) end
  local old = valid(self, p)
  if not p.set or not p.set.refresh then
    if old then return old end
    if asked then return nil, "no_token" end
    local _, err = self:catch_up(p)
    if err then return nil, err end
    if valid(self, p) then return valid(self, p) end
    if not p.set or not p.set.refresh then return nil, "no_token" end
  end
  if old and p.not_before and self.world.now() < p.not_before then return old end
  local result, err = self:renew(p, false, old == nil)
  if err then
    p.failures = (p.failures or 0) + 1
    p.not_before = self.world.now() + (p.failures > 1 and math.min(30, 2 ^ math.min(p.failures - 2, 6)) or 0)
    old = valid(self, p)
    if old then return old end
    return nil, err
  end
  if result == nil then return valid(self, p) end
  p.failures, p.not_before = nil, nil
  if valid(self, p) then return valid(self, p) end
  return nil, "expired_on_arrival"
end

function M:refresh(p)
  if not p.loaded and not (p.set and p.set.access) then
    local found, err = self:first_load(p)
    if found == nil then return nil, err end
  end
  return self:renew(p, true, true)
end

function M:restore(p, set)
  local before = { set = p.set, unknown = p.unknown, login = p.login, n = p.n, dirty = p.dirty }
  p.set, p.unknown = set, false
  local saved, err = self:overwrite(p, self.world.now())
  if saved then return "ok" end
  p.set, p.unknown, p.login, p.n, p.dirty = before.set, before.unknown, before.login, before.n, before.dirty
  return nil, err
end

-- A login at the provider: it holds even when it cannot be saved.
function M:exchange(p, set)
  p.set, p.unknown = set, false
  self:overwrite(p, self.world.now())
  return set.access
end

function M:reload(p)
  local found, err = self:first_load(p)
  if found then return "ok" end
  return nil, err or "no_token"
end

function M:logout(p)
  p.set, p.unknown, p.denied, p.version, p.dirty, p.loaded = nil, false, nil, nil, nil, true
  self.record = nil
  return "ok"
end

return M
