-- SPDX-License-Identifier: MIT
--- logout(sessions, options) for content_by_lua: gives the tokens up, forgets the session and takes its cookie away. Only a POST does it (a
-- link or image of another site cannot); GET shows the button.

local answer = require "healthauth.nginx.answer"
local browser = require "healthauth.nginx.browser"
local core = require "healthauth.core"
local events = require "healthauth.events"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local PHASES = { content = true }

local function run(self)
  local method = ngx.req.get_method()
  if method == "GET" or method == "HEAD" then
    return answer.page(200, "Log out", '<form method="post" action="' .. answer.escape(ngx.var.uri) .. '"><button>Log out</button></form>')
  elseif method ~= "POST" then
    return answer.page(405, "Not here", "<p>Only a POST logs out.</p>", { Allow = "GET, HEAD, POST" })
  end
  if ngx.var.http_sec_fetch_site == "cross-site" then return answer.page(403, "Not from there", "<p>Another site asked for this.</p>") end
  local key = self:key()
  if key then
    local session = self.sessions:open(key)
    local ok, err = session:logout { force = true }
    local provider = core.inside.state(session).provider
    metrics.left(events.key(core.inside.context(session)), provider)
    session:close()
    if not ok then metrics.trouble(err.provider or "unknown", "logout", err) end
  end
  if self:has_cookie() then self:forget() end -- a form of another site brings none, and takes none away
  return answer.redirect(303, self.after_logout)
end

--- While nginx starts, a checked function for the requests; in a request, runs at once.
---@type fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
local logout = options.handler("logout", PHASES, function(sessions, given)
  local self = browser.new("logout", sessions, given)
  return function() return run(self) end
end)

return logout
