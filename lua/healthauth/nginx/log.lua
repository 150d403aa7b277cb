-- SPDX-License-Identifier: MIT
--- Trouble that the gateway's owner must know of, as lines of nginx's error log: each sort once a minute from each worker, however many
-- requests meet it. An error's text holds no secret, and says how to mend what a line of nginx.conf can mend.

local SECONDS = 60
local SORTS_MAX = 100 -- codes may be a provider's words: no stranger makes this table grow

local told, sorts = {}, 0

local M = {}

local OWNERS = { fix_credentials = true, fix_request = true, retry = true, wait = true }

-- A login that was denied or a session that is over is a person's affair, not the owner's. A provider in trouble is the owner's, however it
-- words that; an answer that was lost or makes no sense also where the person must log in again because of it.
local function concerns_owner(err)
  if OWNERS[err.action] then return true end
  return err.kind ~= "denied" and err.kind ~= "state" and not (err.kind == "argument" and err.action == "reauthorize")
end

local function write(_, text)
  ngx.log(ngx.ERR, "healthauth: ", text)
end

--- Writes an error that a handler met. nginx adds the request's line to whatever is logged while it serves one; aside keeps that line out,
--- for a request that has a secret in it: a timer writes.
---@param provider string
---@param operation string
---@param err table
---@param aside? boolean
function M.trouble(provider, operation, err, aside)
  if not concerns_owner(err) then return end
  local sort, now = table.concat({ provider, operation, err.kind, err.code }, " "), ngx.time()
  if told[sort] and now - told[sort] < SECONDS then return end
  if not told[sort] then
    if sorts >= SORTS_MAX then told, sorts = {}, 0 end
    sorts = sorts + 1
  end
  told[sort] = now
  if aside then ngx.timer.at(0, write, tostring(err)) else write(nil, tostring(err)) end
end

return M
