-- SPDX-License-Identifier: MIT
-- The providers emulated as a pure function: request -> response. No I/O; everything that is remembered lies in one table
-- (`sandbox.state`); the clock and the seed are options, so that a run can be repeated to the byte.
-- lua/healthauth/transports/sandbox.lua carries it in process, nginx.lua inside nginx.

local core = require "healthauth.core"
local browser = require "healthauth.sandbox.browser"
local faults = require "healthauth.sandbox.faults"
local http = require "healthauth.sandbox.http"
local known = require "healthauth.sandbox.credentials"

local PROVIDERS = {
  conneqt = require "healthauth.sandbox.conneqt",
  ehealth = require "healthauth.sandbox.ehealth",
  pkb = require "healthauth.sandbox.pkb",
  pkb_system = require "healthauth.sandbox.pkb_system",
}
local NAMES = { "conneqt", "ehealth", "pkb", "pkb_system" }
-- The hosts of the providers' environments; a request to any other host must name its provider by a path prefix.
local HOSTS = {
  ["int.conneqt.health"] = "conneqt",
  ["api.ehealth.gov.ua"] = "ehealth", ["api-preprod.ehealth.gov.ua"] = "ehealth", ["api-demo.ehealth.gov.ua"] = "ehealth",
  ["auth-preprod.ehealth.gov.ua"] = "ehealth", ["auth-demo.ehealth.gov.ua"] = "ehealth",
  ["my.ehealth.gov.ua"] = "ehealth", ["my-preprod.ehealth.gov.ua"] = "ehealth", ["my-demo.ehealth.gov.ua"] = "ehealth",
  ["sandbox.patientsknowbest.com"] = "pkb",
  ["oauth2.sandbox.patientsknowbest.com"] = "pkb_system",
}
local OPTIONS = { seed = "string", clock = "function", provider = "string", person = "string", credentials = "table",
  conneqt = "table", ehealth = "table", pkb = "table", pkb_system = "table" }

local function merged(base, over, path)
  local out = {}
  for name, value in pairs(base) do out[name] = value end
  for name, value in pairs(over or {}) do
    if base[name] == nil then error("unknown option '" .. path .. "." .. tostring(name) .. "'", 4) end
    if type(value) ~= type(base[name]) then error(path .. "." .. name .. ": expected a " .. type(base[name]), 4) end
    out[name] = value
  end
  return out
end

local function register(own, specimens)
  local clients = { [own.client_id] = own }
  for _, client in pairs(specimens) do clients[client.client_id] = client end
  return clients
end

-- provider module and the request as it sees it, or nil: by host, by the first path segment, or the only one there is
local function route(self, request)
  local parts = http.parts(request.url)
  local name = parts.host and HOSTS[(parts.host:gsub(":443$", ""))] or self.settings.provider
  if not name then
    local prefix, rest = parts.path:match("^/([%w_]+)(/?.*)$")
    if prefix and PROVIDERS[prefix] and (rest == "" or rest:sub(1, 1) == "/") then
      name, parts.path = prefix, rest == "" and "/" or rest
    end
  end
  if not name then return nil end
  return PROVIDERS[name], {
    method = request.method, url = request.url, headers = request.headers, body = request.body,
    path = parts.path, query = parts.query, origin = parts.origin,
  }
end

local Sandbox = {}
Sandbox.__index = Sandbox
Sandbox.__name = "healthauth.sandbox"

--- Makes a sandbox with nothing in it but its clients.
---@param options? table seed, clock (function -> unix seconds), provider (answers every host), person, credentials (by provider),
---  conneqt, ehealth, pkb, pkb_system (lifetimes and habits: the `defaults` of each file)
---@return table sandbox
local function new(options)
  options = options or {}
  for name, value in pairs(options) do
    if not OPTIONS[name] then error("unknown option '" .. tostring(name) .. "'", 2) end
    if type(value) ~= OPTIONS[name] then error(name .. ": expected a " .. OPTIONS[name], 2) end
  end
  if options.provider and not PROVIDERS[options.provider] then error("provider: no such provider", 2) end
  local self = {
    state = {
      seed = options.seed or core.hex(assert(core.random(16), "the system gives no random bytes")),
      minted = 0, counts = {}, replays = 0, faults = {}, skew = 0,
    },
    settings = { provider = options.provider, person = options.person or "sam" },
    credentials = {}, specimens = known.specimens, clock = options.clock or core.time,
  }
  for name in pairs(options.credentials or {}) do
    if not PROVIDERS[name] then error("unknown option 'credentials." .. tostring(name) .. "'", 2) end
  end
  for _, name in ipairs(NAMES) do
    self.state[name] = PROVIDERS[name].state()
    self.settings[name] = merged(PROVIDERS[name].defaults, options[name], name)
    self.credentials[name] = merged(known.credentials[name], (options.credentials or {})[name], "credentials." .. name)
  end
  self.clients = {
    ehealth = register(self.credentials.ehealth, known.specimens.ehealth),
    pkb = register(self.credentials.pkb, known.specimens.pkb),
  }
  return setmetatable(self, Sandbox)
end

--- Unix seconds by the sandbox's clock, whole.
---@return integer
function Sandbox:now()
  return math.floor(self.clock()) + self.state.skew
end

--- Sets the sandbox's clock forward.
---@param seconds integer
function Sandbox:advance(seconds)
  self.state.skew = self.state.skew + math.floor(seconds)
end

--- Whether a URL leads to one of the emulated providers.
---@param url string
---@return boolean
function Sandbox:plays(url)
  return route(self, { url = url }) ~= nil
end

--- Answers one request. Where a fault works, the second value says what is to happen to the answer on its way
--- ({lost = "answer"|"request"|"connection"}, {delay = s}, {slow = s}, {truncate = n}); the response may then be nil.
---@param request table {method, url, headers, body}
---@return table|nil response
---@return table|nil effect
function Sandbox:answer(request)
  local provider, seen = route(self, request)
  if not provider then return http.answer(404, "text/plain", "The sandbox plays no provider at this address.\n") end
  local operation = provider.operation(seen)
  local fault = faults.take(self.state.faults, provider.name, operation)
  if not fault or faults.arrives(fault) then
    local counts = self.state.counts
    for _, name in ipairs { operation, provider.name .. "." .. operation } do counts[name] = (counts[name] or 0) + 1 end
  end
  if not fault then return provider.answer(self, seen) end
  return faults.apply(fault, provider.name, function() return provider.answer(self, seen) end)
end

--- Orders a fault; see faults.lua for the kinds. Without provider or operation it waits for any.
---@param spec table {kind, provider?, operation?, times?, after?, seconds?, at?, status?, retry_after?, headers?, body?}
function Sandbox:fault(spec)
  local list = self.state.faults
  list[#list + 1] = faults.check(spec)
end

--- How many requests of an operation ("refresh" or "pkb.refresh") have arrived, also at a gateway that refused them.
---@param operation string
---@return integer
function Sandbox:count(operation)
  return self.state.counts[operation] or 0
end

--- How often a spent PKB refresh token came again. A client that works well keeps this at 0.
---@return integer
function Sandbox:replays()
  return self.state.replays
end

--- A fresh Conneqt access code.
---@return string
function Sandbox:access_code()
  return PROVIDERS.conneqt.access_code(self)
end

--- A PKB refresh token for a client with a Tethered Token (scope SITE), as it is handed over by hand.
---@return string
function Sandbox:tethered_token()
  return PROVIDERS.pkb.tethered_token(self)
end

--- Plays the person: opens the authorize_url, allows or denies, and returns the callback URL.
---@param url string
---@param decision? "allow"|"deny" default: allow
---@param person? string
---@return string|nil callback
---@return string|nil why where the browser never comes back
function Sandbox:consent(url, decision, person)
  decision = decision or "allow"
  if type(url) ~= "string" then error("consent: expected the URL that authorize_url gave", 2) end
  if decision ~= "allow" and decision ~= "deny" then error("consent: expected allow or deny", 2) end
  return browser.consent(url, decision, function(request) return self:answer(request) end, person)
end

--- Revokes a token: Conneqt's is gone, eHealth's approval and PKB's session end.
---@param token string
---@return boolean known
function Sandbox:revoke(token)
  for _, name in ipairs(NAMES) do
    if PROVIDERS[name].revoke(self, token) then return true end
  end
  return false
end

--- Lets a token or code expire now.
---@param token string
---@return boolean known
function Sandbox:expire(token)
  for _, name in ipairs(NAMES) do
    if PROVIDERS[name].expire(self, token) then return true end
  end
  return false
end

return { new = new, credentials = known.credentials, specimens = known.specimens }
