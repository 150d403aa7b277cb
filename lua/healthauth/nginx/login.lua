-- SPDX-License-Identifier: MIT
--- login(sessions, options) for content_by_lua: sends the browser to the provider's login, and keeps what the callback needs in one sealed
-- cookie for each attempt, so that several tabs log in side by side. ?return_to=/path says where the person goes afterwards.

local answer = require "healthauth.nginx.answer"
local browser = require "healthauth.nginx.browser"
local core = require "healthauth.core"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local PHASES = { content = true }

local function wrong(text)
  return answer.page(400, "This login link is wrong", "<p>" .. text .. "</p>")
end

local function cannot(err)
  metrics.trouble(err.provider or "unknown", "authorize_url", err)
  local passing = err.action == "retry"
  return answer.page(passing and 503 or 500, "The login cannot begin", "<p>" .. (passing and "The system lacks something at the moment"
    or "The configuration of this site is not complete") .. ": <code>" .. answer.escape(err.code) .. "</code>.</p>",
    passing and { ["Retry-After"] = answer.retry_after(err, 5) } or nil)
end

local function run(self)
  local method = ngx.req.get_method()
  if method ~= "GET" and method ~= "HEAD" then
    return answer.page(405, "Not here", "<p>A login begins with a plain link.</p>", { Allow = "GET, HEAD" })
  end
  local query = core.form_decode(ngx.var.args or "")
  if not query then return wrong "Its parameters cannot be read, or one comes twice." end
  local return_to = query.return_to or self.return_to
  if not browser.is_local(return_to) then return wrong "It would lead to another site afterwards." end
  local key = self:new_key()
  if not key then return cannot(self:no_random "authorize_url") end
  local session = self.sessions:open(key)
  local url, pending = session:authorize_url {
    scope = self.scope, redirect_uri = self.redirect_uri, state_in_redirect = self.state_in_redirect,
  }
  session:close()
  if not url then return cannot(pending) end
  local kept, why = self:keep_attempt(pending, return_to)
  if why == "too_long" then return wrong "It is too long." end
  if not kept then return cannot(self:no_random "authorize_url") end
  self:tidy()
  return answer.redirect(302, url)
end

--- While nginx starts, a checked function for the requests; in a request, runs at once.
---@type fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
local login = options.handler("login", PHASES, function(sessions, given)
  local self = browser.new("login", sessions, given)
  return function() return run(self) end
end)

return login
