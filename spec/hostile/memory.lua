-- SPDX-License-Identifier: MIT
-- How much a process grows at most while something runs: the kernel's peak of its resident memory, set back before.

local M = {}

local SLACK = 8 * 1024 * 1024
local BODY = 1024 * 1024 -- limits.body where a case names none

local function pages(pid, name)
  local file = assert(io.open("/proc/" .. pid .. "/status"))
  local text = file:read "*a"
  file:close()
  return tonumber(text:match(name .. ":%s*(%d+)")) * 1024
end

--- A meter of the processes: a function that begins to measure and answers one that tells the bytes that the largest grew by at most.
---@param pids? string[]  "self" where none are given
---@return fun(): fun(): number
function M.meter(pids)
  pids = pids or { "self" }
  return function()
    local before = {}
    for i, pid in ipairs(pids) do
      local file = assert(io.open("/proc/" .. pid .. "/clear_refs", "w"))
      file:write "5" -- VmHWM begins anew
      file:close()
      before[i] = pages(pid, "VmRSS")
    end
    return function()
      local most = 0
      for i, pid in ipairs(pids) do most = math.max(most, pages(pid, "VmHWM") - before[i]) end
      return most
    end
  end
end

--- True in the build that users have: sanitizers keep freed memory, on purpose.
function M.plain_build()
  return (os.getenv "HEALTHAUTH_BUILD" or ""):find "/build$" ~= nil and os.getenv "RUN_UNDER" == nil
end

--- What is wrong with so much growth, or nil: limits.body and 8 MiB are allowed, and what the case itself sends, in the copies on its way.
---@param grown number|nil  bytes
---@param case table
---@return string|nil
function M.too_much(grown, case)
  local most = (case.limits and case.limits.body or BODY) + SLACK + 8 * #(case.body or "")
  if grown and grown > most then return ("memory grew by %.1f MiB"):format(grown / 1024 / 1024) end
end

return M
