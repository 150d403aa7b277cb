-- SPDX-License-Identifier: MIT
-- Runs hostile cases through a session: what the verb answers, that it changed nothing, told no secret, asked once, and works the next
-- time. Knows no particular transport.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local memory = require "spec.hostile.memory"

local inside = core.inside
local PATIENCE = 2
local NOW = 1700000000

-- Planted in every place that a session has, with bytes that JSON, forms and headers write otherwise.
local SECRETS = {
  api_key = "planted-api/key+1", client_secret = 'planted-client-"secret/1=', psk = "planted\\psk'1",
  access_token = "planted-access~token/1+",
  refresh_token = "planted-refresh%token&1", code = "planted-code/1=", access_code = "PLANTEDC0DE1", token = "planted-verify-token/1+",
}

local M = { SECRETS = SECRETS }

local OPTIONS = {
  conneqt = { api_key = SECRETS.api_key },
  ehealth = { client_id = "client-1", client_secret = SECRETS.client_secret, api_key = SECRETS.api_key, psk = SECRETS.psk,
    redirect_uri = "https://client.example/cb" },
  pkb = { client_id = "client-1", redirect_uri = "https://client.example/cb" },
  pkb_system = { client_id = "client-1", client_secret = SECRETS.client_secret },
}

-- How a verb is called.
local VERBS = {
  exchange = function(session, provider)
    if provider == "conneqt" then return session:exchange { access_code = SECRETS.access_code } end
    if provider == "pkb_system" then return session:exchange {} end
    return session:exchange { code = SECRETS.code, redirect_uri = "https://client.example/cb" }
  end,
  refresh = function(session) return session:refresh() end,
  verify = function(session) return session:verify(SECRETS.token) end,
  check = function(session) return session:check() end,
  logout = function(session) return session:logout() end,
  call = function(session, _, path) return session:call { method = "GET", url = path } end,
}

local function json_escaped(text)
  return (text:gsub('[\\"/]', "\\%0"))
end

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- Every spelling in which a secret could be seen.
local SPELLINGS = {}
for name, secret in pairs(SECRETS) do
  for _, spelled in ipairs { secret, core.percent_encode(secret), (core.base64(secret):gsub("=+$", "")), core.base64url(secret),
    hex(secret), hex(secret):upper(), json_escaped(secret), (json_escaped(secret):gsub("\\/", "/")) } do
    SPELLINGS[spelled] = name
  end
end

local function secret_in(text)
  for spelled, name in pairs(SPELLINGS) do
    if text:find(spelled, 1, true) then return name end
  end
end

-- Where a secret stands in a value, keys too: a word for it, or nil.
local function shown(value, where, depth)
  if type(value) == "string" then
    local name = secret_in(value)
    return name and ("%s is shown in %s"):format(name, where) or nil
  end
  if type(value) ~= "table" or depth > 40 then return nil end
  for k, v in pairs(value) do
    local found = shown(k, where, depth + 1) or shown(v, where .. "." .. tostring(k), depth + 1)
    if found then return found end
  end
end

-- A table as text, members in order: two sets are the same when their texts are.
local function text_of(value)
  if type(value) ~= "table" then return type(value) .. ":" .. tostring(value) end
  local keys, out = {}, {}
  for k in pairs(value) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for i, k in ipairs(keys) do out[i] = ("%q=%s"):format(k, text_of(value[k] == nil and value[tonumber(k)] or value[k])) end
  return "{" .. table.concat(out, ",") .. "}"
end

local function open(run, case, listener, transport, said)
  local provider = case.operation:match "^%S+"
  local verb = case.operation:match "%S+$"
  local options = {
    base_url = run:url(listener, "", case.scheme), endpoints = verb ~= "call" and { [verb] = "/case/" .. case.name } or nil,
    tokens = { access_token = SECRETS.access_token, refresh_token = SECRETS.refresh_token, expires_at = NOW + 3600, scope = "old scope",
      extra = { note = "kept" } },
    timeout = case.timeout or 5, connect_timeout = case.connect_timeout or 5, limits = case.limits, tls = run:tls(case.tls),
    clock = function() return NOW end, on_event = function(event) said[#said + 1] = event end,
    transport = healthauth.trace({ write = function(_, ...) said[#said + 1] = table.concat { ... } end },
      { perform = function(_, request) return transport:perform(request) end }),
  }
  for name, value in pairs(OPTIONS[provider]) do options[name] = value end
  return healthauth[provider](options), VERBS[verb], provider -- its end closes the trace, and not the transport, which others use too
end

local function snapshot(session)
  return text_of(inside.export(session))
end

local function is_failure(expect, err)
  return err.kind == expect.kind and err.code == expect.code and err.outcome == expect.outcome
end

local function brief(err)
  return ("%s / %s / %s / %s: %s"):format(err.kind, err.code, err.action, err.outcome, err.message)
end

-- What the verb answered against what was expected.
local function differs(case, result, err)
  local expect = case.expect
  if not (expect.kind or expect.any) then
    if err then return "failed: " .. brief(err) end
    if expect.status then return result.status ~= expect.status and "status " .. tostring(result.status) or nil end
    if expect.tokens then return type(result) ~= "table" and "no tokens" or nil end
    return result ~= expect.result and "result " .. tostring(result) or nil
  end
  if result ~= nil then return "passed: " .. tostring(result) end
  if not healthauth.is_error(err) then return "not an error of ours: " .. tostring(err) end
  local found = false
  for _, wanted in ipairs(expect.any or { expect }) do found = found or is_failure(wanted, err) end
  if not found then return brief(err) end
  if expect.action and err.action ~= expect.action then return "action " .. tostring(err.action) end
  -- What works once may be spent when nobody knows: no program may be told to send it again.
  local once = case.operation == "pkb refresh" or (case.operation:find "exchange" and case.operation ~= "pkb_system exchange")
  if err.outcome == "unknown" and once and err.action ~= "reauthorize" then return "action " .. err.action .. " for a single-use grant" end
  if #tostring(err) > 700 or type(err.message) ~= "string" or err.message == "" then return "no good message" end
end

-- The case answers well from now on: the same session goes on. A listener that is bad for good has a good one beside it.
local function next_call(run, case, session, verb, provider, transport, control)
  if case.on ~= "http" or case.scheme then
    local good, why = run:get(transport, "/good")
    return not good and "the next good request fails: " .. why.message or nil
  end
  local healed = run:get(control, "/heal/" .. case.name)
  if not healed then return "the server does not heal" end
  local before = run:count(control, case.name)
  local result, err = verb(session, provider, "/case/" .. case.name)
  if not result then return "the next good call fails: " .. (err and brief(err) or tostring(result)) end
  local seen = run:count(control, case.name) - before
  if seen ~= 1 then return ("the next good call was seen %d times"):format(seen) end
end

local function play(run, case, listener, transport, control, meter)
  local said = {}
  local session, verb, provider = open(run, case, listener, transport, said)
  local before = run:count(control, case.name)
  local tokens = snapshot(session)
  local started, growth = core.monotonic(), meter and meter()
  local result, err = verb(session, provider, "/case/" .. case.name)
  local took, grown = core.monotonic() - started, growth and growth()
  local wrong = differs(case, result, err)
  if wrong then return wrong end
  if took > (case.timeout or 5) + PATIENCE then return ("took %.1f s"):format(took) end
  local seen = run:count(control, case.name) - before
  local most = case.count or (case.operation == "conneqt verify" and 2 or 1)
  if seen > most or (case.expect.outcome == "answered" and seen == 0) then return ("seen %d times"):format(seen) end
  if case.trap and run:count(control, case.trap) ~= 0 then return "a redirect was followed" end
  if err and snapshot(session) ~= tokens then return "the failure changed the session" end
  wrong = err and (shown(err, "err", 0) or shown(tostring(err), "tostring(err)", 0)) or shown(said, "an event or a trace", 0)
    or shown(tostring(session), "tostring(session)", 0) or memory.too_much(grown, case)
  if wrong then return wrong end
  if err then wrong = next_call(run, case, session, verb, provider, transport, control) end
  session:close()
  return wrong
end

--- Runs one case on one listener; nil, or what is wrong. meter: measures memory (spec/hostile/memory.lua), or nil.
---@return string|nil
function M.case(run, ...)
  return run.patiently(play, run, ...)
end

return M
