-- SPDX-License-Identifier: MIT
--- Which pendings are spent. A pending is used once: its mark is SHA-256(state), in the session's store where it has one (so that every
-- process sees it), else in this process. Marks in the process are dropped when the pending has expired anyway.

local core = require "healthauth.core"
local record = require "healthauth.lifecycle.record"

local M = {}

local SWEEP = 1000 -- look for old marks after so many new ones

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
    sound, ok, err = pcall(ctx.store.save, ctx.store, "spent." .. mark, record.spent(pending.expires_at), nil)
    if not sound or (ok == nil and not core.is_error(err)) then
      return nil, core.error {
        kind = "store", code = "store_raised", action = "retry", outcome = "not_sent", provider = pending.provider, operation = "exchange",
        message = "the store raised an error",
      }
    end
    if ok == nil and err.code ~= "conflict" then return nil, err end
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
  if ctx.store then pcall(ctx.store.delete, ctx.store, "spent." .. mark) else spent[mark] = nil end
end

return M
