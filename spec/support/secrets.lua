-- SPDX-License-Identifier: MIT
-- Uses every operation of every provider with planted secrets, against a server that gives them back in every spelling, and shows all that
-- a program, a log or a person could be shown of it. run(folder, show): show(what, value).

local core = require "healthauth.core"
local healthauth = require "healthauth"
local markers = require "spec.support.markers"
local support = require "spec.support.scripted"

local M = {}

-- Every secret begins alike, so that a search for this alone finds them all.
M.MARK = "planted-secret-"
local function planted(name) return M.MARK .. name .. "-0123456789" end

local API_KEY, CLIENT_SECRET, PSK, EXTRA = planted "api-key", planted "client-secret", planted "psk", planted "extra-header"
local ACCESS, REFRESH, CODE, TOKEN = planted "access", planted "refresh", planted "code", planted "token"
local PROXY, KEY_PASSWORD = planted "proxy", planted "key-password"

local OPTIONS = {
  conneqt = { api_key = API_KEY },
  ehealth = { client_id = "client-1", client_secret = CLIENT_SECRET, api_key = API_KEY, psk = PSK, redirect_uri = "https://c.example/cb" },
  pkb = { client_id = "client-1", redirect_uri = "https://c.example/cb", pkce = true },
  pkb_system = { client_id = "client-1", client_secret = CLIENT_SECRET },
}
local ALL = { API_KEY, CLIENT_SECRET, PSK, EXTRA, ACCESS, REFRESH, CODE, TOKEN, PROXY, KEY_PASSWORD }

-- The secrets that a request carries, each in every spelling, in one text.
local function echo(request)
  local out, carried = {}, { request.url, request.body or "" }
  for _, pair in ipairs(request.headers) do carried[#carried + 1] = pair[2] end
  carried = markers.readings(table.concat(carried, "\n"))
  for _, secret in ipairs(ALL) do
    if carried:find(secret, 1, true) then
      for _, spelling in ipairs {
        secret, core.percent_encode(secret), (secret:gsub(".", function(c) return ("%%%02x"):format(c:byte()) end)), core.hex(secret),
        core.hex(secret):upper(), core.base64(secret), core.base64("a:" .. secret), core.base64("ab:" .. secret), core.base64url(secret),
        core.base64url("a:" .. secret .. "?"), (secret:gsub(".", function(c) return ("\\u%04x"):format(c:byte()) end)),
      } do out[#out + 1] = spelling end
    end
  end
  return table.concat(out, " ")
end

-- How a request may end: each gets all that the server has seen, and answers, fails or raises.
local json, plain = support.json, support.plain
local function failure(text) return nil, { kind = "network", code = text, message = text, outcome = "unknown" } end
local ENDS = {
  function(text)
    return json(400, { error = text, error_description = text, error_uri = text, [text] = { text } }, { ["X-Request-ID"] = text })
  end,
  function(text)
    return json(401, { error = "invalid_token", error_description = text }, { ["WWW-Authenticate"] = 'Bearer error="' .. text .. '"' })
  end,
  function(text)
    return json(410, { type = "https://x.example/" .. text, title = text, detail = text, instance = text,
      ["invalid-params"] = { { name = text, reason = text } } })
  end,
  function(text)
    return json(422, { meta = { code = 422, request_id = text }, error = { type = text, message = text,
      invalid = { { entry = text, rules = { { rule = text, description = text } } } } } })
  end,
  function(text)
    return json(401, { resourceType = "OperationOutcome", issue = { { diagnostics = text, details = { text = text,
      coding = { { code = "acc_token_expired", display = text } } } } } })
  end,
  function(text) return json(500, { fault = { faultstring = text, detail = { errorcode = text } } }) end,
  function(text) return plain(500, "<html>" .. text, "text/html") end,
  function(text) return plain(200, text, text) end,
  function(text) return json(200, '{"a":"' .. text:gsub("\\", "") .. '","a":1}') end,
  function(text) return json(200, { access_token = 5, token = { text }, token_type = text, data = text }) end,
  function(text) return { status = 302, headers = { { "Location", "https://x.example/?x=" .. text } }, body = "" } end,
  failure,
  function(text) error("the transport says " .. text, 0) end,
  function(text) return text, text end,
}

local function good(name, fresh)
  if name == "conneqt" then return json(200, { token = fresh }) end
  if name == "ehealth" then return json(201, { data = { value = fresh, details = { refresh_token = REFRESH } } }) end
  return json(200, { access_token = fresh, refresh_token = name == "pkb" and REFRESH or nil, token_type = "Bearer", expires_in = 600 })
end

local OPERATIONS = {
  { "conneqt", function(s) return s:exchange { access_code = CODE } end },
  { "conneqt", function(s) return s:verify(TOKEN) end },
  { "conneqt", function(s) return s:check() end },
  { "ehealth", function(s) return s:exchange { code = CODE } end },
  { "ehealth", function(s) return s:refresh() end },
  { "ehealth", function(s) return s:logout() end },
  { "ehealth", function(s) return s:call { url = "/x", headers = { ["X-Mine"] = TOKEN } } end },
  { "pkb", function(s)
    local _, pending = s:authorize_url()
    return s:exchange { callback = "/cb?code=" .. CODE .. "&state=" .. pending.state, pending = pending }
  end },
  { "pkb", function(s) return s:refresh { refresh_token = TOKEN } end },
  { "pkb", function(s) return s:call { method = "POST", url = "/x", body = "x" } end },
  { "pkb_system", function(s) return s:exchange() end },
  { "pkb_system", function(s) return s:access_token() end },
}

-- A session whose requests all end in one way; its transport is traced and recorded.
local function open(name, perform, folder, file)
  local traced = healthauth.trace(file, { perform = perform })
  local options = {
    base_url = "https://server.example", transport = healthauth.transports.record { transport = traced, file = folder .. "/cassette.lua" },
    headers = { ["X-Extra"] = EXTRA }, proxy = "http://user:" .. PROXY .. "@proxy.example:3128",
    tls = { cert_file = "/c.pem", key_file = "/k.pem", key_password = KEY_PASSWORD }, clock = support.clock,
    on_event = healthauth.events.jsonl(file),
    tokens = (name == "ehealth" or name == "pkb") and { access_token = ACCESS, refresh_token = REFRESH } or nil,
  }
  for k, v in pairs(OPTIONS[name]) do options[k] = v end
  return assert(healthauth[name](options))
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function operations(folder, show, file, every)
  for _, row in ipairs(OPERATIONS) do
    local name, act = row[1], row[2]
    for number = 1, #ENDS, every do
      local finish = ENDS[number]
      local session = open(name, function(_, request) return finish(echo(request)) end, folder, file)
      local ok, value, err = pcall(act, session)
      local what = ("%s, end %d"):format(name, number)
      if not ok then show(what .. ", raised", value) end
      if ok and value == nil then show(what, err) end
      show(what .. ", session", session)
      session:close()
      show(what .. ", closed", session)
      show(what .. ", cassette", read(folder .. "/cassette.lua"))
    end
    local session = open(name, function() return good(name, planted "fresh") end, folder, file)
    act(session)
    show(name .. ", good", session)
    show(name .. ", cassette", read(folder .. "/cassette.lua"))
    session:close()
  end
end

-- Values that cannot be used, each with a secret in it: what is raised or answered.
local function mistakes(show)
  local function option(name, changes)
    local options = { base_url = "https://server.example" }
    for k, v in pairs(OPTIONS[name]) do options[k] = v end
    for k, v in pairs(changes) do options[k] = v end
    return function() return healthauth[name](options) end
  end
  local pkb = healthauth.pkb { base_url = "https://server.example", client_id = "c", redirect_uri = "https://c.example/cb", pkce = true }
  local _, pending = pkb:authorize_url()
  for what, fn in pairs {
    ["a key with CR LF"] = option("conneqt", { api_key = API_KEY .. "\r\n" }),
    ["a key that is a table"] = option("conneqt", { api_key = { API_KEY } }),
    ["a header"] = option("conneqt", { headers = { ["X-A"] = EXTRA .. "\n" } }),
    ["a proxy"] = option("pkb", { proxy = "http://user:" .. PROXY .. "@" }),
    ["a password"] = option("pkb", { tls = { key_password = KEY_PASSWORD .. "\0" } }),
    ["a base_url with userinfo"] = option("pkb", { base_url = "https://user:" .. TOKEN .. "@server.example" }),
    ["tokens"] = option("pkb", { tokens = { access_token = ACCESS .. " x" } }), ["a credential's function"] = function()
      local api_key = function() error(API_KEY) end
      return healthauth.conneqt({ base_url = "https://server.example", api_key = api_key, transport = { perform = print } }):check()
    end,
    ["a token"] = function() return healthauth.conneqt({ base_url = "https://server.example", api_key = "k" }):verify(TOKEN .. "\n") end,
    ["a set"] = function() return pkb:restore { access_token = ACCESS, refresh_token = REFRESH .. "\n" } end,
    ["a code"] = function() return pkb:exchange { code = CODE .. "\n" } end,
    ["a callback"] = function()
      return pkb:exchange { callback = "/cb?code=" .. CODE .. "&code=x&state=" .. pending.state, pending = pending }
    end,
    ["another state"] = function() return pkb:exchange { callback = "/cb?code=" .. CODE .. "&state=" .. TOKEN, pending = pending } end,
    ["a refused callback"] = function()
      local said = ("error=x_%s&error_description=%s&state=%s"):format(pending.state, pending.state, pending.state)
      return pkb:exchange { callback = "/cb?" .. said, pending = pending }
    end,
    ["a URL"] = function() return pkb:call { url = "https://user:" .. TOKEN .. "@server.example/" } end,
    ["a redis password"] = function() return healthauth.stores.redis { socket = "/nowhere", password = TOKEN, timeout = 0.1 }:load "x" end,
    ["a sealing key"] = function()
      return healthauth.stores.sealed { store = healthauth.stores.memory {}, key = function() return TOKEN end }:save("x", "y")
    end,
    ["an argument"] = function() return pkb:exchange { code = { CODE } } end,
  } do
    local ok, value, err = pcall(fn)
    if ok then show(what, value == nil and err or tostring(value)) else show(what .. ", raised", value) end
  end
  return { pending.state, pending.code_verifier }
end

--- Does all of it.
---@param folder string
---@param show fun(what: string, value: any)
---@param every? integer  only every so many of the ends
---@return string[] drawn  secrets that were drawn on the way
---@return any err  one of the errors
function M.run(folder, show, every)
  local log = { text = {} }
  function log.write(_, ...)
    for i = 1, select("#", ...) do log.text[#log.text + 1] = (select(i, ...)) end
    return log
  end
  operations(folder, show, log, every or 1)
  show("trace and events", table.concat(log.text))
  local drawn = mistakes(show)
  local session = open("pkb", function(_, request)
    return json(400, { error = "invalid_grant", error_description = echo(request) })
  end, folder, log)
  return drawn, select(2, session:refresh())
end

return M
