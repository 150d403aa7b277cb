-- SPDX-License-Identifier: MIT
-- Faults under randomness: libcrypto gives none, or the system gives libcrypto no entropy. Nothing guessable is ever handed out.

local core = require "healthauth.core"
local door = require "test.faults.door"
local healthauth = require "healthauth"
local judge = require "test.faults.judge"

local M = {}

local function nothing() end

local function refused(value, err)
  if value ~= nil then return "a wrong success: " .. judge.shown(value) end
  local wrong = judge.err(err)
  if wrong then return wrong end
  if err.code ~= "random_failed" then return "code " .. err.code end
  if err.kind == "argument" and (err.outcome ~= "not_sent" or err.action ~= "retry") then return "not the error: " .. judge.sorted(err) end
end

-- good(value) where randomness was had.
local function scenario(name, open, act, good)
  return {
    name = "randomness: " .. name, open = open, act = act,
    judge = function(_, value, err)
      if value ~= nil and good(value, err) then return nil end
      return refused(value, err)
    end,
    again = function(state)
      local value, err = act(state)
      if value == nil or not good(value, err) then return "the next call: " .. judge.shown(value, err) end
    end,
    close = function(state)
      if state and state.session then state.session:close() end
    end,
  }
end

local met = {}
local function unheard(text)
  if met[text] then return false end
  met[text] = true
  return true
end

local function login_url(url, pending)
  return unheard(pending.state) and unheard(pending.code_verifier) and #pending.state == 43 and #pending.code_verifier == 43
    and url:find("state=" .. pending.state, 1, true) ~= nil and not pending.state:find "AAAAAAAA"
end

local function pkce()
  local transport = { perform = function() return { status = 200, headers = {}, body = "" } end }
  return { session = assert(healthauth.pkb {
    base_url = "https://pkb.example", client_id = "client-1", redirect_uri = "https://app.example.org/cb", pkce = true,
    transport = transport,
  }) }
end
local function memory() return { store = assert(healthauth.stores.memory {}) } end

local function is_lease(lease) return type(lease) == "table" and unheard(lease.id) end
local function is_store(store) return type(store) == "table" and type(store.save) == "function" end
local function is_request(request_id) return unheard(request_id) end

--- The scenarios.
---@return table[]
function M.scenarios()
  return {
    scenario("authorize_url", pkce, function(s) return s.session:authorize_url() end, login_url),
    scenario("authorize_url after new entropy", pkce, function(s)
      door.reseed()
      return s.session:authorize_url()
    end, login_url),
    scenario("a request's id", pkce, function(s)
      local args = { code = "abc-1234", redirect_uri = "https://app.example.org/cb", now = 1700000000 }
      local exchange, err = s.session:begin("exchange", args)
      if not exchange then return nil, err end
      local id
      for _, pair in ipairs(exchange:request().headers) do
        if pair[1] == "X-Request-ID" then id = pair[2] end
      end
      exchange:fail { kind = "network", code = "connect_failed", outcome = "not_sent" }
      return id
    end, is_request),
    scenario("a memory store", function() return {} end, function() return healthauth.stores.memory {} end, is_store),
    scenario("a lease", memory, function(s)
      local lease, err = s.store:acquire("key", 5)
      if lease then s.store:release(lease) end
      return lease, err
    end, is_lease),
    scenario("sealing", nothing, function()
      local sealed = core.seal(("k"):rep(32), "planted-marker-record", "x")
      if not sealed then return nil, core.error { kind = "store", code = "random_failed", message = "none" } end
      return sealed
    end, unheard),
    scenario("random bytes", nothing, function()
      local bytes = core.random(32)
      if not bytes then return nil, core.error { kind = "store", code = "random_failed", message = "none" } end
      return bytes
    end, unheard),
  }
end

return M
