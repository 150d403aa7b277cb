-- SPDX-License-Identifier: MIT
--- What is wrong with the parts that a handler is made of, found when it is made: a zone that is missing, small or used twice, a transport
-- that would stop the worker, a store that other workers do not see. Each complaint says what to write instead.

local core = require "healthauth.core"
local options = require "healthauth.nginx.options"

local inside = core.inside

local CURL = "healthauth.transports.curl"
local LEAST = 64 * 1024 -- bytes of a zone that make sense
local CURL_BLOCKS = "the session's transport is libcurl, which stops the worker while it waits: leave 'transport' out, or use "
  .. "require(\"healthauth.nginx\").worker_thread"
local STORES = {
  ["healthauth.stores.sqlite"] = "SQLite waits for the disk and for other processes, which stops the worker: ",
  ["healthauth.stores.memory"] = "each worker has a memory of its own, and this nginx has several: ",
}
local USE_INSTEAD = "use healthauth.stores.shared_dict, or healthauth.stores.redis for several machines"

local uses = {} -- what each zone holds, by its name

local M = {
  --- Sessions and `sessions` that handlers use, as keys.
  seen = setmetatable({}, { __mode = "k" }),
}

-- One zone, one use: what counters and verdicts drop when it is full must not be a session.
local function claim(who, name, use, level)
  local other = uses[name]
  if other and other ~= use then
    options.refuse(who, ("the zone '%s' holds %s already: write another lua_shared_dict for %s"):format(name, other, use), level + 1)
  end
  uses[name] = use
end

local function check_size(who, name, dict, level)
  if dict.capacity and dict:capacity() < LEAST then
    options.refuse(who, ("the zone '%s' has %d bytes, fewer than the %d that make sense: make its lua_shared_dict larger"):format(
      name, dict:capacity(), LEAST), level + 1)
  end
end

--- The shared dictionary of that name; raises with the line that is missing in nginx.conf.
---@param who string
---@param name string
---@param use "counters"|"verdicts"
---@param level integer  as error counts it, from the caller
---@return table
function M.zone(who, name, use, level)
  local dict = ngx.shared and ngx.shared[name]
  if not dict then
    options.refuse(who, "there is no zone '" .. name .. "': write 'lua_shared_dict " .. name .. " 10m;' into the http block of nginx.conf",
      level + 1)
  end
  check_size(who, name, dict, level + 1)
  claim(who, name, use, level + 1)
  return dict
end

local function class_of(object)
  local class = type(object) == "table" and getmetatable(object)
  return type(class) == "table" and rawget(class, "__name") or nil
end

local function check_transport(who, transport, level)
  while type(transport) == "table" and rawget(transport, "inner") do transport = transport.inner end -- a trace around it
  if class_of(transport) == CURL then options.refuse(who, CURL_BLOCKS, level + 1) end
end

local function check_store(who, store, level)
  while class_of(store) == "healthauth.stores.sealed" do store = store.store end
  local class = class_of(store)
  if class == "healthauth.stores.shared_dict" then
    check_size(who, store.name, store.dict, level + 1)
    claim(who, store.name, "sessions", level + 1)
  elseif STORES[class] and not (class == "healthauth.stores.memory" and ngx.worker.count() == 1) then
    options.refuse(who, STORES[class] .. USE_INSTEAD, level + 1)
  end
end

--- Checks what a handler was given to work with: a session that is open, whose parts fit into nginx.
---@param who string
---@param session any
---@param level integer
function M.session(who, session, level)
  local ok, ctx = pcall(inside.context, session)
  if type(session) ~= "userdata" or not ok or not pcall(inside.state, session) then
    options.refuse(who, "expected a session that is open", level + 1)
  end
  check_transport(who, ctx.transport, level + 1)
  if ctx.store then check_store(who, ctx.store, level + 1) end
  M.seen[session] = true
end

--- The same for many sessions.
---@param who string
---@param sessions any
---@param level integer
function M.sessions(who, sessions, level)
  if type(sessions) ~= "table" or type(sessions.open) ~= "function" or type(sessions.options) ~= "table" then
    options.refuse(who, "expected what healthauth.sessions made: one session must never serve two people", level + 1)
  end
  check_transport(who, sessions.options.transport, level + 1)
  check_store(who, sessions.store, level + 1)
  M.seen[sessions] = true
end

return M
