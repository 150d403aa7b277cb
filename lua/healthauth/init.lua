-- SPDX-License-Identifier: MIT
--- healthauth: gets, keeps fresh, verifies and gives up access tokens of health services.
-- This file is the face: it names the parts and loads each when it is first used. No logic lives here.
-- What may raise is not tail called: its caller's place is counted in levels.

local core = require "healthauth.core"
local opening = require "healthauth.opening"

---@class healthauth
---@field _VERSION string
---@field events { jsonl: fun(file: string|table): fun(event: healthauth.Event) }  for on_event: a line of JSON for each event
---@field sandbox { new: fun(options?: healthauth.SandboxOptions): table, credentials: table<string, table> }  docs/sandbox.md
local M = { _VERSION = core.version }

--- Whether a value is an error of healthauth's (docs/errors.md).
---@param value any
---@return boolean
M.is_error = core.is_error

--- Compiles the declaration of a provider (docs/providers.md); many sessions may share it.
--- Raises with the path of the member that is wrong.
---@param declaration table
---@return healthauth.Provider
M.provider = core.provider

--- Opens a session of a provider.
---@param provider healthauth.Provider  made by healthauth.provider
---@param options healthauth.Options    raises for a wrong type, an unknown name or an impossible value
---@return healthauth.Session|nil
---@return healthauth.Error? err  `options.tokens` is a set that cannot be taken
function M.session(provider, options)
  local session, err = opening.session(2, provider, options)
  return session, err
end

--- A Conneqt session: exchange, verify, check (Quicksilva IM1 toolbar). Raises as session does.
---@param options healthauth.Options  environment or base_url, api_key
---@return healthauth.Session|nil, healthauth.Error?
function M.conneqt(options)
  local session, err = opening.session(2, "conneqt", options)
  return session, err
end

--- An eHealth (Ukraine) session: authorize_url, exchange, refresh, access_token, call, logout. Raises as session does.
---@param options healthauth.Options  environment or base_url, client_id, client_secret, api_key?, psk?, redirect_uri?, scope?
---@return healthauth.Session|nil, healthauth.Error?
function M.ehealth(options)
  local session, err = opening.session(2, "ehealth", options)
  return session, err
end

--- A Patients Know Best session of a user client: authorize_url, exchange, refresh, access_token, call. Raises as session does.
---@param options healthauth.Options  environment or base_url, client_id, redirect_uri?, scope?
---@return healthauth.Session|nil, healthauth.Error?
function M.pkb(options)
  local session, err = opening.session(2, "pkb", options)
  return session, err
end

--- A Patients Know Best session of a system client: exchange, access_token, call (client credentials). Raises as session does.
---@param options healthauth.Options  environment or base_url, client_id, client_secret, scope?
---@return healthauth.Session|nil, healthauth.Error?
function M.pkb_system(options)
  local session, err = opening.session(2, "pkb_system", options)
  return session, err
end

--- Many sessions of one provider over one store, told apart by the caller's key. Raises for a wrong or unknown option.
---@param options healthauth.SessionsOptions  provider, store, options
---@return healthauth.Sessions
function M.sessions(options)
  local sessions = require("healthauth.sessions").new(2, options)
  return sessions
end

--- A trace for people: wraps a transport and writes what is asked and answered, every secret masked. Raises for a file that cannot
--- be opened.
---@param file string|table  a path, or an object with a method write
---@param transport? table   what really sends; the default transport otherwise
---@return table transport
function M.trace(file, transport)
  local trace = require("healthauth.trace").new(2, file, transport)
  return trace
end

-- What has a rock of its own, so that it may be missing where the rest is.
local ROCKS = { ["healthauth.stores.sqlite"] = "the rock healthauth-sqlite, and make builds it where libsqlite3 is" }

local function family(name)
  return setmetatable({}, {
    __index = function(self, part)
      if type(part) ~= "string" or not part:match("^[%l_]+$") then return nil end
      local module = "healthauth." .. name .. "." .. part
      local ok, found = pcall(require, module)
      if not ok then
        package.loaded[module] = nil -- 5.1 and LuaJIT would only speak of a previous error next time
        local rock = tostring(found):find "module 'healthauth%.[%w_.]+' not found" and ROCKS[module]
        if rock then error(module .. " is not installed: it is " .. rock, 2) end
        if tostring(found):find("module '" .. module .. "' not found", 1, true) then return nil end
        error(found, 2)
      end
      rawset(self, part, found)
      return found
    end,
  })
end

--- Constructors, one for each way to send: curl, cosocket, replay, record, sandbox (DESIGN 2.3).
---@type healthauth.Transports
M.transports = family "transports"

--- Constructors, one for each place to keep tokens: memory, sqlite, shared_dict, redis, and sealed around any of them.
---@type healthauth.Stores
M.stores = family "stores"

return setmetatable(M, {
  __index = function(self, name)
    if name ~= "sandbox" and name ~= "events" then return nil end
    local part = require("healthauth." .. name)
    rawset(self, name, part)
    return part
  end,
})
