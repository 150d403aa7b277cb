-- SPDX-License-Identifier: MIT
--- Trouble that the gateway's owner must know of, as lines of nginx's error log: each sort once a minute from each worker, however many
-- requests meet it. An error's text holds no secret, and says how to mend what a line of nginx.conf can mend.

local SECONDS = 60
local SORTS_MAX = 100 -- codes may be a provider's words: no stranger makes this table grow

local told, sorts = {}, 0

local M = {}

-- A login that was denied or a session that is over is a person's affair, not the owner's.
local function concerns_owner(err)
  if err.action == "fix_credentials" or err.action == "fix_request" then return true end
  return err.kind ~= "denied" and err.kind ~= "state" and err.action ~= "reauthorize"
end

--- Writes an error that a handler met.
---@param provider string
---@param operation string
---@param err table
function M.trouble(provider, operation, err)
  if not concerns_owner(err) then return end
  local sort, now = table.concat({ provider, operation, err.kind, err.code }, " "), ngx.time()
  if told[sort] and now - told[sort] < SECONDS then return end
  if not told[sort] then
    if sorts >= SORTS_MAX then told, sorts = {}, 0 end
    sorts = sorts + 1
  end
  told[sort] = now
  ngx.log(ngx.ERR, "healthauth: ", tostring(err))
end

return M
