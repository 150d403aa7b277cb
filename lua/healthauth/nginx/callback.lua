-- SPDX-License-Identifier: MIT
--- callback(sessions, options) for content_by_lua: takes the provider's answer back, once, for the browser that asked. The session gets a
-- new id; an older one of this browser is forgotten. What the provider denies is shown as what it is.

local answer = require "healthauth.nginx.answer"
local browser = require "healthauth.nginx.browser"
local core = require "healthauth.core"
local events = require "healthauth.events"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local PHASES = { content = true }
local PASSING = { network = true, timeout = true, tls = true }
local STATE_WORDS = {
  state_missing = "The answer does not say which login it belongs to.",
  state_mismatch = "No login of this browser waits for this answer. It may have expired, have been used, or belong to another browser.",
  state_expired = "The login took longer than ten minutes.",
  state_used = "This answer was used before.",
  parameter_repeated = "A part of the answer comes twice.",
  issuer_mismatch = "The answer comes from somebody else than the login went to.",
}

local function again(self)
  return '<p><a class="button" href="' .. answer.escape(self.login) .. '">Log in again</a></p>'
end

local function state_page(self, code)
  return answer.page(400, "The login did not succeed", "<p>" .. (STATE_WORDS[code] or STATE_WORDS.state_mismatch) .. "</p><p><code>"
    .. answer.escape(code) .. "</code></p>" .. again(self))
end

local function denied_page(self, err)
  return answer.page(403, "The login was refused", "<p>The provider did not let you in. It answered:</p><p><code>"
    .. answer.escape(err.code) .. "</code> " .. answer.escape(err.message or "") .. "</p>" .. again(self))
end

local function passes(err)
  return PASSING[err.kind] or err.action == "retry" or err.action == "wait"
end

local function trouble_page(self, err)
  local what = "The provider gave no usable answer"
  if err.kind == "store" then what = "This site could not keep it"
  elseif passes(err) and err.outcome == "not_sent" then what = "The provider could not be asked" end
  local status = (passes(err) or err.kind == "store") and 503 or 502
  return answer.page(status, "The login could not be finished", "<p>" .. what .. ": <code>" .. answer.escape(err.code) .. "</code>.</p>"
    .. again(self), status == 503 and { ["Retry-After"] = answer.retry_after(err, 5) } or nil)
end

local function failed(self, state, err)
  metrics.trouble(err.provider or "unknown", "exchange", err, true) -- the request's line has the code, which may be unspent
  -- Nothing was sent, so the code still works: the page may be loaded again.
  if not (err.outcome == "not_sent" and passes(err)) then self:drop_attempt(state) end
  if err.kind == "state" then return state_page(self, err.code) end
  if err.kind == "denied" then return denied_page(self, err) end
  return trouble_page(self, err)
end

-- The store failed after the code was spent. A cookie whose session no store has would lead nowhere: once more, or no login.
local function keep(session, tokens)
  local ok, err = session:restore(tokens)
  if ok then return tokens end
  err.outcome = "answered"
  return nil, err
end

local function run(self)
  if ngx.req.get_method() ~= "GET" then
    return answer.page(405, "Not here", "<p>The provider sends the browser here.</p>", { Allow = "GET" })
  end
  local query = core.form_decode(ngx.var.args or "")
  if not query then return state_page(self, "parameter_repeated") end
  local state = query.state
  if not state or state == "" then return state_page(self, "state_missing") end
  local attempt = self:attempt(state)
  if not attempt then return state_page(self, "state_mismatch") end
  local old, key, line = self:key(), self:new_session() -- all that may lack random bytes comes before the code is spent
  if not key then return failed(self, state, self:no_random "exchange") end
  local session = self.sessions:open(key)
  local ctx = core.inside.context(session)
  local tokens, err = session:exchange { callback = ngx.var.request_uri, pending = attempt.p }
  if tokens and ctx.dirty then tokens, err = keep(session, tokens) end
  if tokens then metrics.expiry(events.key(ctx), tokens.expires_at) end
  session:close()
  if not tokens then return failed(self, state, err) end
  if old then self.sessions:drop(old) end
  self:remember(line)
  self:drop_attempt(state)
  return answer.redirect(302, attempt.r)
end

--- While nginx starts, a checked function for the requests; in a request, runs at once.
---@type fun(sessions: healthauth.Sessions, options: healthauth.nginx.BrowserOptions): any
local callback = options.handler("callback", PHASES, function(sessions, given)
  local self = browser.new("callback", sessions, given)
  return function() return run(self) end
end)

return callback
