-- SPDX-License-Identifier: MIT
--- probe() for init_worker_by_lua: tries, at each start and from one worker, what the handlers will need: their stores, the way to their
-- providers (name, connection, certificate), and the API key where a provider can be asked about it. What init_by_lua cannot know, having
-- no sockets, so stands in the error log before the first person meets it. No handler depends on the outcome.

local context = require "healthauth.context"
local core = require "healthauth.core"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local perform = require "healthauth.perform"
local setup = require "healthauth.nginx.setup"

local inside = core.inside

local KEY = "healthauth probe" -- of nobody
local ATTEMPTS = { { "verify", { token = "probe" } }, { "refresh", { refresh_token = "probe" } }, { "exchange" } }
local UNSENT = { kind = "network", code = "connect_failed", outcome = "not_sent" }

local M = {}

-- An exchange of the session that can be built without a login; it is never sent.
local function any_exchange(session, ctx)
  for _, attempt in ipairs(ATTEMPTS) do
    if inside.has(session, attempt[1]) then
      local ok, exchange = pcall(perform.begin, 1, session, ctx, attempt[1], attempt[2])
      if ok and exchange then return exchange end
    end
  end
end

-- Whether the provider can be reached: true, nil where that cannot be tried, or false and the error.
local function reach(session, ctx)
  local transport = context.transport(ctx)
  if not transport.reach then return nil end
  if inside.has(session, "check") then
    local ok, err = session:check()
    return ok or false, err
  end
  local exchange = any_exchange(session, ctx)
  if not exchange then return nil end
  local ok, failure = transport:reach(exchange:request())
  local _, err = exchange:fail(failure or UNSENT)
  return ok or false, err
end

local function reach_store(store)
  local ok, record, err = pcall(store.load, store, KEY)
  if not ok then
    return false, core.error { kind = "store", code = "store_raised", action = "retry", message = "the store raised an error" }
  end
  return record ~= nil or not core.is_error(err), err
end

local function one(session, store)
  local ctx, provider = inside.context(session), inside.state(session).provider
  local ok, err = reach(session, ctx)
  if ok == false then metrics.trouble(provider, "probe", err) end
  if ok then ngx.log(ngx.NOTICE, "healthauth: ", provider, " can be reached") end
  if not store then return end
  ok, err = reach_store(store)
  if not ok then metrics.trouble(provider, "probe", err) end
end

local function run(premature)
  if premature then return end
  for subject in next, setup.seen do
    if type(subject) == "userdata" then
      one(subject, inside.context(subject).store)
    else
      local session = subject:open(KEY)
      one(session, subject.store)
      session:close()
    end
  end
end

--- Tries it all in a timer; says in the error log what fails.
---@return boolean  whether this worker tries
function M.probe()
  local phase = ngx.get_phase()
  if phase ~= "init_worker" then options.refuse("probe", "call it in init_worker_by_lua, not in the phase " .. phase, 3) end
  return ngx.worker.id() == 0 and ngx.timer.at(0, run) == true
end

return M
