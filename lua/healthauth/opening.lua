-- SPDX-License-Identifier: MIT
--- Opens sessions: of a compiled declaration, or of one of our own providers by its name, which is compiled once.

require "healthauth.verbs" -- from here on every session has them
local context = require "healthauth.context"
local core = require "healthauth.core"
local vault = require "healthauth.lifecycle.vault"

local M = {}
local compiled = {}

--- Our own provider of that name, compiled once; nil when there is none.
---@param name string
---@return healthauth.Provider|nil
function M.provider(name)
  local provider = compiled[name]
  if not provider and name:match "^[%l_]+$" then
    local ok, declaration = pcall(require, "healthauth.providers." .. name)
    if not ok then return nil end
    provider = core.provider(declaration)
    compiled[name] = provider
  end
  return provider
end

--- Opens a session; a programmer's mistake raises at the caller's position.
---@param level integer  as error counts it, seen from the caller of this function
---@param provider healthauth.Provider|string
---@param options healthauth.Options
---@return healthauth.Session|nil, healthauth.Error?
function M.session(level, provider, options)
  if type(provider) == "string" then
    provider = M.provider(provider)
    if not provider then error("session: no provider of healthauth's has that name", level + 1) end
  end
  local ok, session, err = pcall(core.session, provider, options)
  if not ok then error(session, level + 1) end
  if not session then return nil, err end
  local ctx = context.of(session)
  local objection = context.objection(ctx, options)
  if objection then
    session:close()
    error(objection, level + 1)
  end
  vault.prepare(session, ctx)
  return session
end

return M
