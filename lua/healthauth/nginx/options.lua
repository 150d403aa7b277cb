-- SPDX-License-Identifier: MIT
--- What the handlers share at their edge: options are checked with their names, phases are checked, and a handler made while nginx starts
-- is a function for later, while one that is asked for inside a request runs at once.

local M = {}

local STARTING = { init = true, init_worker = true }

--- Raises the same way everywhere: who, what, and what to do.
---@param who string
---@param why string
---@param level integer as error counts it, from the caller
function M.refuse(who, why, level)
  error("healthauth.nginx." .. who .. ": " .. why, (level or 1) + 1)
end

--- Checks options against { name = { type, default | "required" } }; a type may be "a|b".
---@param who string
---@param options any
---@param known table
---@param level integer as error counts it, from the caller
---@return table copy
function M.read(who, options, known, level)
  if options == nil then options = {} end
  if type(options) ~= "table" then M.refuse(who, "expected a table of options", level + 1) end
  local out = {}
  for name, value in next, options do
    local want = known[name]
    if not want then M.refuse(who, "unknown option '" .. tostring(name) .. "'", level + 1) end
    if not ("|" .. want[1] .. "|"):find("|" .. type(value) .. "|", 1, true) then
      M.refuse(who, name .. ": expected a " .. want[1]:gsub("|", " or a ") .. ", got a " .. type(value), level + 1)
    end
    if type(value) == "number" and not (value >= 0 and value < 1e9) then M.refuse(who, name .. ": out of range", level + 1) end
    out[name] = value
  end
  for name, want in next, known do
    if out[name] == nil then
      if want[2] == "required" then M.refuse(who, "option '" .. name .. "' is required", level + 1) end
      out[name] = want[3]
    end
  end
  return out
end

--- Whether a table is a list and nothing else: what stands under a name, or behind a hole, would be passed over without a word.
---@param list table
---@return boolean
function M.is_list(list)
  local members = 0
  for _ in next, list do members = members + 1 end
  for i = 1, members do
    if list[i] == nil then return false end
  end
  return true
end

-- Where lua_check_client_abort is on, a client that goes away would end the request at once: in the middle of a refresh, whose new tokens
-- nobody would then keep, or of a question that others wait for. This has it go on; where the directive is off, nginx answers so.
local function go_on() end

--- Turns make(subject, options) -> function into what users call.
---@param who string
---@param phases table  where it may run
---@param make fun(subject: any, options: table|nil): function
---@return function
function M.handler(who, phases, make)
  return function(subject, options)
    local run = make(subject, options)
    local function checked()
      local phase = ngx.get_phase()
      if not phases[phase] then
        local names = {}
        for name in next, phases do names[#names + 1] = name .. "_by_lua" end
        table.sort(names)
        M.refuse(who, "cannot work in the phase " .. phase .. "; call it in " .. table.concat(names, " or "), 2)
      end
      ngx.on_abort(go_on)
      return run()
    end
    if STARTING[ngx.get_phase()] then return checked end
    return checked()
  end
end

return M
