-- SPDX-License-Identifier: MIT
--- What belongs to one session in Lua: its transport, store, clock and functions hang on the userdata itself, as one table.
-- Here is how to reach it, and the small decisions made from it.

local core = require "healthauth.core"

local inside = core.inside
local floor = math.floor

local M = {}

local LATEST = 99999999999 -- as the core has it
local SHOWN = 64           -- bytes of a name in a message

--- The table of a session. No secret is in it.
M.of = inside.context

--- The name of an argument or option as a message may show it: no control bytes, not too long.
---@param name any
---@return string
function M.shown(name)
  if type(name) ~= "string" then return "a " .. type(name) end
  return (name:sub(1, SHOWN):gsub("[^\32-\126]", "?"))
end

--- A caller's table of arguments as a plain one: its metatable has no say. Raises for a name that is not known.
---@param level integer   as error counts it, seen from the caller of this function
---@param operation string
---@param args any
---@param known table<string, boolean>
---@return table
function M.arguments(level, operation, args, known)
  if args ~= nil and type(args) ~= "table" then error(operation .. ": expected a table of arguments", level + 1) end
  local plain = {}
  for name, value in next, args or {} do
    if not known[name] then error(operation .. ": unknown argument '" .. M.shown(name) .. "'", level + 1) end
    plain[name] = value
  end
  return plain
end

--- Unix seconds by the session's clock. What is no time is the programmer's mistake and raises.
---@param ctx table
---@param level? integer  as error counts it, seen from the caller of this function; 2 when absent
---@return number
function M.now(ctx, level)
  local clock = ctx.clock
  if not clock then return floor(core.time()) end
  local now = clock()
  if type(now) ~= "number" or not (now >= 0 and now <= LATEST) then
    error("the session's clock did not return unix seconds", (level or 2) + 1)
  end
  return now
end

local function in_nginx()
  local nginx = rawget(_G, "ngx")
  return type(nginx) == "table" and nginx.socket ~= nil
end

local function default_transport()
  if in_nginx() then return require("healthauth.transports.cosocket").shared() end
  return require("healthauth.transports.curl").shared()
end

--- Why nothing can ever be sent with these options of a session, or nil: cosockets leave much to nginx's directives.
---@param ctx table
---@param options table
---@return string|nil
function M.objection(ctx, options)
  if not in_nginx() then return nil end
  return require("healthauth.transports.cosocket").objection(ctx.transport, rawget(options, "tls"), rawget(options, "proxy"))
end

--- The session's transport, or the default one: cosockets inside nginx, libcurl elsewhere.
---@param ctx table
---@return table
function M.transport(ctx)
  return ctx.transport or default_transport()
end

--- Waits for some seconds without stopping others where the transport can; true when it could.
---@param ctx table
---@param seconds number
---@return boolean waited
function M.wait(ctx, seconds)
  local transport = M.transport(ctx)
  if not transport.wait then return false end
  transport:wait(seconds)
  return true
end

--- nil and the error of a verb that the provider has not got.
---@param session userdata
---@param operation string
---@return nil, table err
function M.unsupported(session, operation)
  return nil, core.error {
    kind = "unsupported", code = "operation_unsupported", action = "fix_request", outcome = "not_sent",
    provider = inside.state(session).provider, operation = operation, message = "the provider has no such operation",
  }
end

local function refused(session, code, message)
  return core.error {
    kind = "argument", code = code, action = "fix_credentials", outcome = "not_sent", provider = inside.state(session).provider,
    message = message,
  }
end

-- What a credential's function says: text | nil, err.
local function ask(session, name, fn)
  local ok, value = pcall(fn)
  if ok and type(value) == "string" then return value end
  return nil, refused(session, "credential_failed", "the function for " .. name .. (ok and " did not return a text" or " raised an error"))
end

--- The values of credentials that are functions, or nil, err.
---@param session userdata
---@param ctx table
---@return table|nil values
---@return table|nil err
function M.credentials(session, ctx)
  local values = {}
  for name, fn in next, ctx.credentials do
    local value, err = ask(session, name, fn)
    if not value then return nil, err end
    values[name] = value
  end
  return values
end

--- Gives the session the client_id that a function of its options says: true | nil, err. It is part of whose a record is.
---@param session userdata
---@param ctx table
---@return true|nil
---@return table|nil err
function M.name_client(session, ctx)
  local fn = ctx.credentials and ctx.credentials.client_id
  if not fn then return true end
  local value, err = ask(session, "client_id", fn)
  if not value then return nil, err end
  if inside.name_client(session, value) then return true end
  return nil, refused(session, "credential_malformed", "a credential function did not return a usable text")
end

return M
