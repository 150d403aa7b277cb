-- SPDX-License-Identifier: MIT
--- Which pendings are spent. A pending is used once: its mark is SHA-256(state), in the session's store where it has one (so that every
-- process sees it), else in this process. Marks are dropped when the pending has expired anyway: in the process now and then, in a store
-- by about one login in 256 and by sessions:list().

local core = require "healthauth.core"
local record = require "healthauth.lifecycle.record"

local M = {}

local SWEEP = 1000 -- look for old marks after so many new ones

local PREFIX = "spent."
local SWEEPER = "^00" -- a mark that begins so makes its login look through the store

local spent, count = {}, 0

local function mark_of(pending)
  return core.hex(core.sha256(pending.state))
end

local function sweep(now)
  count = 0
  for mark, expires_at in next, spent do
    if now >= expires_at then spent[mark] = nil end
  end
end

local function in_process(mark, pending, now)
  if spent[mark] then return nil, "used" end
  spent[mark] = pending.expires_at
  count = count + 1
  if count >= SWEEP then sweep(now) end
  return true
end

--- Whether what stands in a store is the mark of a pending that has expired, and whether it is a mark at all.
---@param store_key string
---@param text string|nil
---@param now number
---@return boolean expired
---@return boolean mark
function M.expired(store_key, text, now)
  local mark = text and store_key:sub(1, #PREFIX) == PREFIX and core.json_decode(text)
  if type(mark) ~= "table" or type(mark.spent_until) ~= "number" then return false, false end
  return mark.spent_until < now, true
end

-- What cannot be listed or removed now is met again by a later login.
local function sweep_store(store, now)
  for store_key, text in store:list() do
    if not store_key then return end
    if M.expired(store_key, text, now) then store:delete(store_key) end
  end
end

--- Marks a pending as spent: true, or nil, err (`state` / `state_used`, or the store's own error).
---@param ctx table
---@param pending table  judged by the core before
---@param now number
---@return true|nil
---@return table|nil err
function M.spend(ctx, pending, now)
  local mark = mark_of(pending)
  local ok, err
  if ctx.store then
    local sound
    sound, ok, err = pcall(ctx.store.save, ctx.store, PREFIX .. mark, record.spent(pending.expires_at), nil)
    if not sound or (ok == nil and not core.is_error(err)) then
      return nil, core.error {
        kind = "store", code = "store_raised", action = "retry", outcome = "not_sent", provider = pending.provider, operation = "exchange",
        message = "the store raised an error",
      }
    end
    if ok == nil and err.code ~= "conflict" then
      err.provider, err.operation, err.outcome = pending.provider, "exchange", "not_sent"
      return nil, err
    end
    if ok and mark:find(SWEEPER) then pcall(sweep_store, ctx.store, now) end
  else
    ok = in_process(mark, pending, now)
  end
  if ok then return true end
  return nil, core.error {
    kind = "state", code = "state_used", action = "reauthorize", outcome = "not_sent", provider = pending.provider, operation = "exchange",
    message = "the callback was used before",
  }
end

--- Takes the mark back: nothing was sent, the code still works.
---@param ctx table
---@param pending table
function M.unspend(ctx, pending)
  local mark = mark_of(pending)
  if ctx.store then pcall(ctx.store.delete, ctx.store, PREFIX .. mark) else spent[mark] = nil end
end

return M
