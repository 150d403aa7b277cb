-- SPDX-License-Identifier: MIT
-- Faults on the way to a provider: every provider's operations through libcurl, http and https, against test/faults/server.py.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local judge = require "test.faults.judge"
local process = require "spec.support.process"

local M = {}

local OPTIONS = {
  conneqt = { api_key = "planted-marker-api-key" },
  ehealth = {
    client_id = "client-1", client_secret = "planted-marker-client-secret", api_key = "planted-marker-api-key", psk = "planted-marker-psk",
    redirect_uri = "https://app.example.org/cb", scope = "a",
  },
  pkb = { client_id = "client-1", redirect_uri = "https://app.example.org/cb" },
  pkb_system = { client_id = "client-1", client_secret = "planted-marker-client-secret" },
}
local CODE = { code = "planted-marker-code-1", redirect_uri = "https://app.example.org/cb" }

local function tokens(life)
  return { access_token = "planted-marker-old-access", refresh_token = "planted-marker-old-refresh", expires_at = os.time() + life }
end

-- One server for all; what it counted is asked over a connection that no fault meets.
local server, control

--- Starts the server.
---@param folder string  the process's own
function M.start(folder)
  local root = process.capture "pwd"
  assert(process.run { root .. "/spec/support/make_ca.sh", folder } == 0, "the certificates could not be made")
  server = process.start { "python3", root .. "/test/faults/server.py", folder }
  control, M.folder = healthauth.transports.curl {}, folder
end

function M.stop()
  if control then control:close() end
  if server then server:stop() end
end

--- bytes, token_posts, requests, serial since the server started.
function M.counts()
  local response, failure = control:perform {
    method = "GET", url = "http://127.0.0.1:" .. server.ports.control .. "/", headers = {}, timeout = 20, connect_timeout = 20,
    limits = { body = 65536, headers = 65536 },
  }
  if not response then error("the server does not count: " .. tostring(failure.message)) end
  return assert(core.json_decode(response.body))
end

local function issued(state, tokens_or_token)
  local token = type(tokens_or_token) == "table" and tokens_or_token.access_token or tokens_or_token
  return token == "planted-marker-access-" .. state.after.serial
end
local function is_text(_, value) return type(value) == "string" end
local function is_true(_, value) return value == true end
local function fine_answer(_, response)
  return type(response) == "table" and response.status == 200 and response.body:find('"path"', 1, true) ~= nil
end

local function refresh_anew(state) return issued, state.session:refresh { refresh_token = "planted-marker-other-refresh" } end

-- provider, name, tokens' life or nil, act, what a good result is, then the next call: a function that answers another test and its result.
local OPERATIONS = {
  { "conneqt", "exchange", nil, function(s) return s.session:exchange { access_code = "planted-marker-code" } end, issued, "same" },
  { "conneqt", "verify", nil, function(s) return s.session:verify "planted-marker-token" end, is_true, "same" },
  { "conneqt", "check", nil, function(s) return s.session:check() end, is_true, "same" },
  { "pkb", "exchange", nil, function(s) return s.session:exchange(CODE) end, issued, "same" },
  { "pkb", "refresh", 600, function(s) return s.session:refresh() end, issued, refresh_anew },
  { "pkb", "access_token", -5, function(s) return s.session:access_token() end, issued, function(s)
    if not s.err then return is_text, s.session:access_token() end
    if s.err.outcome == "not_sent" then return issued, s.session:access_token() end
    local token, err = s.session:access_token() -- the refresh token may be spent: it is not sent again by itself
    if token or err.code ~= "refresh_outcome_unknown" then return function() return false end, token, err end
    return refresh_anew(s)
  end },
  { "pkb", "refused", 600, function(s) return s.session:refresh { refresh_token = "planted-marker-refuse-1" } end, "invalid_grant",
    refresh_anew },
  { "pkb", "call", 600, function(s) return s.session:call { method = "GET", url = "/fhir/Patient/1" } end, fine_answer, "same" },
  { "pkb", "call with a body", 600, function(s) return s.session:call { method = "POST", url = "/fhir/x", body = ("x"):rep(3000) } end,
    fine_answer, "same" },
  { "ehealth", "exchange by callback", nil, function(s) return s.session:exchange { callback = s.callback, pending = s.pending } end,
    issued, function(s) -- a pending is spent unless nothing was sent
      local again, err = s.session:exchange { callback = s.callback, pending = s.pending }
      if s.err and s.err.outcome == "not_sent" then return issued, again, err end
      if again or err.code ~= "state_used" then return function() return false end, again, err end
      return issued, s.session:exchange(CODE)
    end },
  { "ehealth", "refresh", 600, function(s) return s.session:refresh() end, issued, "same" },
  { "ehealth", "logout", 600, function(s) return s.session:logout() end, is_true, function(s)
    if s.err then return is_true, s.session:logout() end
    return issued, s.session:exchange(CODE)
  end },
  { "pkb_system", "access_token", nil, function(s) return s.session:access_token() end, issued, function(s)
    return s.err and issued or is_text, s.session:access_token()
  end },
}

local function open(row, scheme)
  local options = {
    base_url = scheme .. "://127.0.0.1:" .. server.ports[scheme], transport = healthauth.transports.curl {}, timeout = 5,
    tls = scheme == "https" and { ca_file = M.folder .. "/ca.pem" } or nil, tokens = row[3] and tokens(row[3]),
  }
  for k, v in pairs(OPTIONS[row[1]]) do options[k] = v end
  local state = { transport = options.transport, events = {} }
  options.on_event = function(event) state.events[#state.events + 1] = event end
  state.session = assert(healthauth[row[1]](options))
  return state
end

local function scenario(row, scheme, warm)
  local again = row[6] == "same" and function(s) return row[5], row[4](s) end or row[6]
  return {
    name = ("%s, %s: %s%s"):format(scheme, row[1], row[2], warm and " on a connection in use" or ""),
    open = function()
      local state = open(row, scheme)
      if row[2] == "exchange by callback" then
        local url, pending = assert(state.session:authorize_url())
        state.pending = pending
        state.callback = "/cb?code=planted-marker-code&state=" .. pending.state
        assert(url)
      end
      if warm then -- the same connection is used again
        local other = open(row[1] == "pkb" and { "pkb", nil, 600 } or row, scheme)
        other.transport:close()
        other.session:close()
        warm(state)
        state.events = {}
      end
      state.held, state.before = judge.held(state.session), M.counts()
      return state
    end,
    act = row[4], refused = type(row[5]) == "string", -- a good end without a value
    judge = function(state, value, err)
      state.after, state.err = M.counts(), err
      return judge.sent(state, value, err, row[5])
    end,
    again = function(state)
      local good, value, err = again(state)
      state.after = M.counts()
      if not good(state, value) then return "the next call: " .. judge.shown(value, err) end
    end,
    close = function(state)
      state.session:close()
      state.transport:close()
    end,
  }
end

local function warm_by_check(state) assert(state.session:check()) end
local function warm_by_call(state) assert(state.session:call { method = "GET", url = "/warm" }) end

--- The scenarios.
---@return table[]
function M.scenarios()
  local list = {}
  for _, scheme in ipairs { "http", "https" } do
    for _, row in ipairs(OPERATIONS) do
      list[#list + 1] = scenario(row, scheme)
      if row[1] == "conneqt" and row[2] ~= "check" then list[#list + 1] = scenario(row, scheme, warm_by_check) end
      if row[2] == "refresh" and row[1] == "pkb" or row[2] == "call" then list[#list + 1] = scenario(row, scheme, warm_by_call) end
    end
  end
  return list
end

return M
