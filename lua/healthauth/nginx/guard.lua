-- SPDX-License-Identifier: MIT
--- guard(session, options) for access_by_lua: lets a request pass when the token in its header is valid at the provider.
-- No, a repeated, a malformed or a gone token is 401; "could not tell" is 503, never a pass. Forged identity headers never get through.

local answer = require "healthauth.nginx.answer"
local cache = require "healthauth.nginx.cache"
local core = require "healthauth.core"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local perform = require "healthauth.perform"
local setup = require "healthauth.nginx.setup"

--- Options of guard (docs/nginx.md).
---@class healthauth.nginx.GuardOptions
---@field header? string          that holds the token, default Conneqt-Instant-Access-Token; "Authorization" expects a bearer token there
---@field authorization? boolean  take Authorization: Bearer as well, default false
---@field cache? healthauth.nginx.CacheOptions
---@field realm? string           of WWW-Authenticate
---@field identity? string        a header that gets the token's fingerprint
---@field clear? string[]         further headers that a client must not forge
---@field strip? boolean          take the token away before the request goes on, default false
---@field retry_after? number     seconds, where the provider did not say; default 5

local KNOWN = {
  header = { "string", nil, "Conneqt-Instant-Access-Token" }, authorization = { "boolean", nil, false }, cache = { "table" },
  realm = { "string", nil, "healthauth" }, identity = { "string" }, clear = { "table", nil, {} }, strip = { "boolean", nil, false },
  retry_after = { "number", nil, 5 },
}
local UNSENT = { kind = "network", code = "connect_failed", outcome = "not_sent" }
local PHASES = { rewrite = true, access = true, content = true }

local inside = core.inside
local find, next, token_key = string.find, next, core.token_key

-- "X_User" and "x-user" are one name to whatever reads CGI variables behind us.
local function plain(name)
  return (name:lower():gsub("_", "-"))
end

local function token_name(text, who)
  if not text:find "^[%w!#$%%&'*+%-.^_`|~]+$" then options.refuse("guard", who .. ": expected the name of a header", 4) end
  return text
end

local function refuse(self, code, detail, bearer_error)
  metrics.verified("refused", "none")
  local challenge = 'Bearer realm="' .. self.realm .. '"'
  if bearer_error then challenge = challenge .. ', error="' .. bearer_error .. '"' end
  return answer.problem(401, code, detail, { ["WWW-Authenticate"] = challenge })
end

local function one(value)
  if type(value) == "table" then return nil, true end
  return value
end

-- The token of the request: token, key | nil, code, detail, word for the challenge. misspelt: its header came in another spelling, too.
local function take(self, headers, misspelt)
  local own, repeated = one(headers[self.header_low])
  local bearer
  if self.authorization and self.header_low ~= "authorization" then
    local value, twice = one(headers.authorization)
    repeated = repeated or twice
    if value and own then repeated = true end
    bearer = value
  elseif self.header_low == "authorization" then
    bearer, own = own, nil
  end
  if repeated or misspelt then return nil, "token_repeated", "The request carries more than one token.", "invalid_request" end
  local token = own
  if bearer then
    token = type(bearer) == "string" and bearer:match "^[Bb][Ee][Aa][Rr][Ee][Rr] +([^ ]+)$"
    if not token then return nil, "token_malformed", "Authorization holds no bearer token.", "invalid_request" end
  end
  if token == nil or token == "" then return nil, "token_missing", "The request carries no token." end
  local key = type(token) == "string" and token_key(self.whose, token)
  if not key then return nil, "token_malformed", "The token has bytes or a length that no token has.", "invalid_token" end
  return token, key
end

-- Whatever claims to say who the caller is, in any spelling, was not written by us. True where the token's own header is spelt otherwise:
-- who reads CGI variables behind us could take that one.
local function clear(self, headers)
  local forged, misspelt = self.forged, self.header_plain ~= self.header_low and headers[self.header_plain] ~= nil
  for name in next, headers do
    if forged[name] then
      ngx.req.clear_header(name)
    elseif find(name, "_", 1, true) then
      local known = plain(name)
      if forged[known] then ngx.req.clear_header(name) end
      misspelt = misspelt or known == self.header_plain and name ~= self.header_low
    end
  end
  return misspelt
end

local function ask(session, token)
  return session:verify(token)
end

local function run(self)
  local headers = ngx.req.get_headers(0) -- all of them: the default stops at 100
  local token, key, detail, word = take(self, headers, clear(self, headers))
  if not token then return refuse(self, key, detail, word) end
  local valid, err, how
  if self.cache then
    valid, err, how = self.cache:verdict(key, ask, self.session, token)
  else
    valid, err = ask(self.session, token)
    how = "none"
  end
  if valid == nil and err and err.kind == "argument" and err.code:find("token", 1, true) then
    return refuse(self, err.code, "The token has bytes or a length that no token has.", "invalid_token")
  end
  metrics.verified(valid and "valid" or valid == false and "gone" or "unknown", how)
  if valid == false then return refuse(self, "token_gone", "The token is not valid any more.", "invalid_token") end
  if valid == nil then
    metrics.trouble(self.provider, "verify", err)
    return answer.problem(503, err.code, "The provider could not tell whether the token is valid.",
      { ["Retry-After"] = answer.retry_after(err, self.retry_after) })
  end
  if self.strip then
    ngx.req.clear_header(self.header)
    if self.authorization then ngx.req.clear_header "Authorization" end
  end
  if self.identity then ngx.req.set_header(self.identity, core.hex(core.sha256(token)):sub(1, 16)) end
  return true
end

-- How this session asks about a token, but for token and request id: where, and with which API key. "" where that cannot be said now, as
-- when a function of the owner's gives the key and works in requests alone.
local function manner(session)
  local ok, exchange = pcall(perform.begin, 1, session, inside.context(session), "verify", { token = "healthauth" })
  if not ok or not exchange then return "" end
  local request = exchange:request()
  exchange:fail(UNSENT)
  local parts = { request.method, request.url }
  for _, header in ipairs(request.headers) do
    if header[1]:lower() ~= "x-request-id" then parts[#parts + 1] = header[1] .. ": " .. header[2] end
  end
  return table.concat(parts, "\n")
end

local function make(session, given)
  local self = options.read("guard", given, KNOWN, 3)
  setup.session("guard", session, 3)
  local provider, base_url, client_id = inside.identity(session)
  if not inside.has(session, "verify") then options.refuse("guard", "the provider " .. provider .. " has no verify", 3) end
  self.session, self.provider = session, provider
  -- Verdicts of one provider and client never answer for another's.
  self.whose = core.sha256(table.concat({ "healthauth verdict", provider, base_url, client_id or "", manner(session) }, "\0"))
  self.header_low = token_name(self.header, "header"):lower()
  self.header_plain = plain(self.header)
  self.forged = {}
  if self.identity then self.forged[plain(token_name(self.identity, "identity"))] = true end
  if not options.is_list(self.clear) then options.refuse("guard", "clear: expected a list of header names", 3) end
  for _, name in ipairs(self.clear) do
    if type(name) ~= "string" then options.refuse("guard", "clear: expected a list of header names", 3) end
    self.forged[plain(token_name(name, "clear"))] = true
  end
  if self.forged[plain(self.header)] then options.refuse("guard", "clear: the token's own header", 3) end
  if self.realm:find '["\\%c]' then options.refuse("guard", "realm: expected a text without quotes", 3) end
  self.cache = self.cache and cache.new(self.cache, inside.timeout(session) + 1, provider)
  metrics.listen(session)
  return function() return run(self) end
end

--- While nginx starts, a checked function for the requests; in a request, runs at once.
---@type fun(session: healthauth.Session, options?: healthauth.nginx.GuardOptions): any
local guard = options.handler("guard", PHASES, make)

return guard
