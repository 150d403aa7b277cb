-- SPDX-License-Identifier: MIT
--- bearer(session or sessions, options) for access_by_lua: sets Authorization for the upstream from access_token(). A token near its end is
-- renewed in a timer while the old one is handed out, so requests do not wait; an expired one is renewed first, once over all workers.
-- What the client wrote into Authorization never gets through.

local answer = require "healthauth.nginx.answer"
local browser = require "healthauth.nginx.browser"
local core = require "healthauth.core"
local events = require "healthauth.events"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"
local setup = require "healthauth.nginx.setup"

local inside = core.inside

--- Options of bearer (docs/nginx.md).
---@class healthauth.nginx.BearerOptions
---@field browser? healthauth.nginx.BrowserOptions  as login has them: the person is told by their cookie
---@field key? fun(): string|nil  the key of this request's session
---@field login? string           path of the login page, where browsers without session go
---@field realm? string           of WWW-Authenticate
---@field retry_after? number     seconds, where nobody else said; default 5

local KNOWN = {
  key = { "function" }, browser = { "table" }, login = { "string" }, realm = { "string", nil, "healthauth" },
  retry_after = { "number", nil, 5 },
}
local PHASES = { rewrite = true, access = true }

local AGAIN = 10 -- seconds: nginx may not run a timer that it took (lua_max_running_timers), which holds a renewal up no longer
local MARKS_MAX = 10000
local renewing, marks = {}, 0 -- what this worker's timers renew, and since when

local function renewed(mark)
  if renewing[mark] then renewing[mark], marks = nil, marks - 1 end
end

local function refuse(self, code, detail)
  if self.login and ngx.req.get_method() == "GET" and (ngx.var.http_accept or ""):find("text/html", 1, true) then
    local path = ngx.var.request_uri -- where the login could not lead back to it (too long, say), it leads to its own return_to
    return answer.redirect(302, self.login .. (browser.is_local(path) and "?" .. core.form_encode { { "return_to", path } } or ""))
  end
  return answer.problem(401, code, detail, { ["WWW-Authenticate"] = 'Bearer realm="' .. self.realm .. '"' })
end

local function renew(premature, mark, open, close)
  local ok, raised = pcall(function()
    if premature then return end
    local session = open()
    local token, err = session:access_token()
    if not token then metrics.trouble(err.provider or "unknown", "access_token", err) end
    close(session)
  end)
  renewed(mark) -- also after a raise, such as of the owner's clock: the next request has it tried again
  if not ok then error(raised, 0) end
end

-- Renews in a timer, once at a time in this worker; other workers are held off by the store's lease.
local function renew_later(mark, open, close)
  local since, now = renewing[mark], core.monotonic()
  if since and now - since < AGAIN then return end
  if not since then
    if marks >= MARKS_MAX then renewing, marks = {}, 0 end
    marks = marks + 1
  end
  renewing[mark] = now
  if not ngx.timer.at(0, renew, mark, open, close) then renewed(mark) end
end

-- A token for now: one that is still good although due comes at once, and the rest follows in a timer.
local function token_of(session, mark, open, close)
  local ctx = inside.context(session)
  local now = ctx.clock and ctx.clock() or ngx.time()
  if inside.ready(session, now, ctx.margin, 0) then return session:access_token() end
  local old = inside.valid(session, now)
  if not old then return session:access_token() end
  renew_later(mark, open, close)
  return old
end

local function failed(self, err)
  metrics.trouble(err.provider or "unknown", "access_token", err)
  if err.action == "reauthorize" then return refuse(self, err.code, "There is no session that could be used any more.") end
  return answer.problem(503, err.code, "No access token could be had.", { ["Retry-After"] = answer.retry_after(err, self.retry_after) })
end

local function run(self)
  ngx.req.clear_header "Authorization"
  local session, mark, open, close = self.session, self.session, function() return self.session end, function() end
  if not session then
    local key = self.key()
    if key == nil or key == "" then return refuse(self, "no_session", "This request belongs to no session.") end
    mark = key
    open = function() return self.sessions:open(key) end
    close = function(opened) opened:close() end
    session = open()
    local ok, err = session:restore()
    if not ok and err.kind == "store" and err.action ~= "reauthorize" then -- asked again, a store that hangs would cost its timeout again
      session:close()
      return failed(self, err)
    end
  end
  local token, err = token_of(session, mark, open, close)
  if token and metrics.dict then
    local state = inside.state(session)
    metrics.expiry(events.key(inside.context(session)) or state.provider, state.expires_at)
  end
  if not self.session then session:close() end
  if not token then return failed(self, err) end
  ngx.req.set_header("Authorization", "Bearer " .. token)
  return true
end

local function make(subject, given)
  local self = options.read("bearer", given, KNOWN, 3)
  if self.login and not browser.is_local(self.login) then options.refuse("bearer", "login: expected a path of this host", 3) end
  if type(subject) == "userdata" then
    setup.session("bearer", subject, 3)
    if self.key or self.browser then options.refuse("bearer", "key and browser go with a sessions, not with one session", 3) end
    self.session = subject
    metrics.listen(subject)
  elseif type(subject) == "table" and type(subject.open) == "function" then
    setup.sessions("bearer", subject, 3)
    self.sessions = subject
    if self.browser then
      local person = browser.new("bearer", subject, self.browser)
      self.key = self.key or function() return person:key() end
      self.login = self.login or person.login
    end
    if not self.key then options.refuse("bearer", "a sessions needs key = function() ... end, or browser = the options of login", 3) end
    metrics.listen_all(subject)
  else
    options.refuse("bearer", "expected a session or what healthauth.sessions made", 3)
  end
  return function() return run(self) end
end

--- While nginx starts, a checked function for the requests; in a request, runs at once.
---@type fun(subject: healthauth.Session|healthauth.Sessions, options?: healthauth.nginx.BearerOptions): any
local bearer = options.handler("bearer", PHASES, make)

return bearer
