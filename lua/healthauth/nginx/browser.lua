-- SPDX-License-Identifier: MIT
--- What login, callback, logout and bearer know of one browser: the options they share, the cookies of login attempts and of the session.
-- The session's key in the store is random, begins with the second of the login, and lives in the sealed cookie alone.

local cookie = require "healthauth.nginx.cookie"
local core = require "healthauth.core"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local setup = require "healthauth.nginx.setup"

--- Options that login, callback and logout share (docs/nginx.md).
---@class healthauth.nginx.BrowserOptions
---@field secret string|string[]       32 random bytes or more; of a list the first seals, all open
---@field secure? boolean              cookies for https only; default as the request's scheme
---@field scope? string                of authorize_url
---@field redirect_uri? string         of authorize_url
---@field state_in_redirect? boolean   of authorize_url
---@field lifetime? number             seconds until a new login, default 28800
---@field attempts? number             logins under way in one browser, 1 to 20, default 5
---@field return_to? string            path after the login, default /
---@field login? string                path of the login page, default /login
---@field after_logout? string         path after the logout, default /
---@field cookie? string               how the cookies' names begin, default ha

local KNOWN = {
  secret = { "string|table", "required" }, secure = { "boolean" }, scope = { "string" }, redirect_uri = { "string" },
  state_in_redirect = { "boolean" }, lifetime = { "number", nil, 8 * 3600 }, attempts = { "number", nil, 5 },
  return_to = { "string", nil, "/" },
  login = { "string", nil, "/login" }, after_logout = { "string", nil, "/" }, cookie = { "string", nil, "ha" },
}
local ATTEMPT_SECONDS = 600 -- as long as a pending is good
local PATH_MAX = 1024
local ATTEMPTS_BYTES = 6000 -- of all attempts' cookies: nginx by default refuses a request with a header line above 8 KiB
local SWEEP_SECONDS = 600

local Browser = {}
Browser.__index = Browser

local M = {}

--- Whether a browser may be sent there: a path of this host, and nothing that a browser reads as another one.
---@param path any
---@return boolean
function M.is_local(path)
  return type(path) == "string" and #path <= PATH_MAX and path:sub(1, 1) == "/" and not path:find("^/[/\\]") and not path:find "[^\33-\126]"
    and not path:find("\\", 1, true)
end

--- Reads the options that the handlers of one login share.
---@param who string
---@param sessions healthauth.Sessions
---@param given healthauth.nginx.BrowserOptions
---@return table
function M.new(who, sessions, given)
  local self = options.read(who, given, KNOWN, 4)
  setup.sessions(who, sessions, 4)
  local why
  self.keys, why = cookie.keys(self.secret)
  if not self.keys then options.refuse(who, why, 4) end
  self.secret = nil
  for _, name in ipairs { "return_to", "login", "after_logout" } do
    if not M.is_local(self[name]) then options.refuse(who, name .. ": expected a path of this host, such as /", 4) end
  end
  if not self.cookie:find "^[%a][%w_-]*$" then options.refuse(who, "cookie: expected a short word", 4) end
  if self.attempts < 1 or self.attempts > 20 then options.refuse(who, "attempts: expected 1 to 20", 4) end
  if self.lifetime < 1 then options.refuse(who, "lifetime: expected seconds", 4) end
  self.sessions = sessions
  metrics.listen_all(sessions)
  return setmetatable(self, Browser)
end

--- Whether cookies are for https only.
---@return boolean
function Browser:is_secure()
  if self.secure ~= nil then return self.secure end
  return ngx.var.scheme == "https"
end

--- The error where the system gives no random bytes: nothing was asked, and the same request may go well a moment later.
---@param operation string
---@return healthauth.Error
function Browser:no_random(operation)
  return core.error {
    kind = "argument", code = "random_failed", message = "the system gives no random bytes", action = "retry", outcome = "not_sent",
    provider = self.sessions.provider:name(), operation = operation,
  }
end

--- A session key that nobody can guess; nil when the system gives no random bytes.
---@return string|nil
function Browser:new_key() -- luacheck: ignore 212
  local random = core.random(20)
  return random and string.format("%d.%s", ngx.time(), core.hex(random))
end

--- The name of the cookie that holds the session key.
---@return string
function Browser:session_cookie()
  return cookie.name(self.cookie .. "_session", self:is_secure())
end

--- The store's key of this browser's session, or nil.
---@return string|nil
function Browser:key()
  local name = self:session_cookie()
  local held = cookie.open(self.keys, name, cookie.all()[name])
  if not held or type(held.k) ~= "string" or type(held.t) ~= "number" or ngx.time() >= held.t + self.lifetime then return nil end
  return held.k
end

--- A new session key and the line of its cookie; nil when the system gives no random bytes.
---@return string|nil key
---@return string|nil line  for remember
function Browser:new_session()
  local key = self:new_key()
  local line = key and cookie.line(self.keys, self:session_cookie(), { k = key, t = ngx.time() }, self.lifetime, self:is_secure())
  if line then return key, line end
end

--- Gives the browser its session key.
---@param line string  of new_session
function Browser:remember(line) -- luacheck: ignore 212
  cookie.add(line)
end

--- Whether the request brings a session's cookie, good or not.
---@return boolean
function Browser:has_cookie()
  return (ngx.var.http_cookie or ""):find(self:session_cookie() .. "=", 1, true) ~= nil
end

--- Takes the session key from the browser.
function Browser:forget()
  cookie.drop(self:session_cookie(), self:is_secure())
end

local function attempt_prefix(self)
  return cookie.name(self.cookie .. "_login_", self:is_secure())
end

--- The name of the cookie of one login attempt: told by its state, so that every tab finds its own.
---@param state string
---@return string
function Browser:attempt_name(state)
  return attempt_prefix(self) .. core.hex(core.sha256(state)):sub(1, 16)
end

-- The attempts that the browser has sent, the youngest first: { name, time, bytes }. Those whose time is over are dropped.
local function attempts(self, secure)
  local prefix, kept = attempt_prefix(self), {}
  for name, value in next, cookie.all() do
    if name:sub(1, #prefix) == prefix then
      local held = cookie.open(self.keys, name, value)
      local time = held and type(held.t) == "number" and held.t or 0
      if ngx.time() - time >= ATTEMPT_SECONDS then cookie.drop(name, secure) else kept[#kept + 1] = { name, time, #name + #value } end
    end
  end
  table.sort(kept, function(a, b) return a[2] > b[2] end)
  return kept
end

--- Keeps an attempt in the browser; the oldest give way above the limits of number and bytes.
---@param pending table
---@param return_to string
---@return true|nil
---@return string|nil why  too_long or random_failed
function Browser:keep_attempt(pending, return_to)
  local secure = self:is_secure()
  local attempt = { p = pending, r = return_to, t = ngx.time() }
  local line, bytes = cookie.line(self.keys, self:attempt_name(pending.state), attempt, ATTEMPT_SECONDS, secure)
  if not line then return nil, bytes end
  cookie.add(line)
  for i, one in ipairs(attempts(self, secure)) do
    bytes = bytes + one[3]
    if i >= self.attempts or bytes > ATTEMPTS_BYTES then cookie.drop(one[1], secure) end
  end
  return true
end

--- The attempt that waits for this state: { p = pending, r = return_to } | nil.
---@param state string
---@return table|nil
function Browser:attempt(state)
  local name = self:attempt_name(state)
  local held = cookie.open(self.keys, name, cookie.all()[name])
  if not held or type(held.p) ~= "table" or not M.is_local(held.r) or type(held.t) ~= "number" then return nil end
  return held
end

--- Takes one login attempt from the browser.
---@param state string
function Browser:drop_attempt(state)
  cookie.drop(self:attempt_name(state), self:is_secure())
end

local swept = {} -- by sessions object: when this worker swept last

-- Sessions whose cookie has expired cannot be used by anybody: their records go, and so do marks of old logins (list removes those).
local function sweep(premature, sessions, lifetime)
  if premature then return end
  local list = sessions:list()
  for _, one in ipairs(list or {}) do
    local born = tonumber(one.key:match "^(%d+)%.%x+$")
    if born and ngx.time() >= born + lifetime then sessions:drop(one.key) end
  end
end

--- Now and then, in a timer: forgets what no browser can reach any more.
function Browser:tidy()
  local now = ngx.time()
  if swept[self.sessions] and now - swept[self.sessions] < SWEEP_SECONDS then return end
  swept[self.sessions] = now
  ngx.timer.at(0, sweep, self.sessions, self.lifetime)
end

return M
