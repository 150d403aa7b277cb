-- SPDX-License-Identifier: MIT
-- A site whose people log in through PKB, for the specs of login and bearer: its nginx configuration, and a browser that uses it.

local process = require "spec.support.process"

local M = {}

-- $STORE is a Lua expression; $LIFE, $MORE complete tables. The clock of the sessions can be set forward.
M.HTTP = [[
  lua_shared_dict healthauth 1m; lua_shared_dict sessions 4m; lua_shared_dict clock 64k;
  init_by_lua_block {
    local healthauth, hn = require "healthauth", require "healthauth.nginx"
    hn.init { dict = "healthauth" }
    local function clock()
      if ngx.get_phase() == "timer" and ngx.shared.clock:get "stopped" then error "the clock has stopped" end
      return ngx.time() + (ngx.shared.clock:get "skew" or 0)
    end
    local sessions = healthauth.sessions {
      provider = "pkb", store = $STORE,
      options = { base_url = "$SANDBOX/pkb", client_id = "sandbox-pkb-client", redirect_uri = "https://client.example.com/cb",
        scope = "PATIENT", timeout = 8, lease = 9, max_wait = 30, clock = clock },
    }
    local shared = { secret = "a secret of this spec, at least 32 bytes", attempts = 4, after_logout = "/bye" $MORE }
    local safe = { secret = shared.secret, secure = true, cookie = "safe" }
    local app = hn.app
    app.login, app.callback, app.logout = hn.login(sessions, shared), hn.callback(sessions, shared), hn.logout(sessions, shared)
    app.safe_login = hn.login(sessions, safe)
    app.bearer = hn.bearer(sessions, { browser = shared, login = "/login" })
  }
  server {
    listen 127.0.0.1:$PORT;
    location / { return 404; }
    location = /login { content_by_lua_block { require("healthauth.nginx").app.login() } }
    location = /safe_login { content_by_lua_block { require("healthauth.nginx").app.safe_login() } }
    location = /cb { content_by_lua_block { require("healthauth.nginx").app.callback() } }
    location = /logout { content_by_lua_block { require("healthauth.nginx").app.logout() } }
    location = /app { lua_check_client_abort on; access_by_lua_block { require("healthauth.nginx").app.bearer() }
      content_by_lua_block { ngx.print(ngx.req.get_headers()["Authorization"]) } }
    location = /metrics { content_by_lua_block { require("healthauth.nginx").metrics() } }
    location = /status { content_by_lua_block { require("healthauth.nginx").status() } }
    location = /skew { content_by_lua_block { ngx.shared.clock:set("skew", tonumber(ngx.var.arg_by)) ngx.print "ok" } }
    location = /stop { content_by_lua_block { ngx.shared.clock:set("stopped", ngx.var.arg_on) } }
    location = /plain { content_by_lua_block { ngx.print "plain" } }
  }
]]

local Browser = {}
Browser.__index = Browser

--- A browser with a jar of its own.
function M.browser(server, box)
  local jar = process.capture("mktemp -p " .. server.folder .. " jar.XXXXXX")
  return setmetatable({ server = server, box = box, jar = jar }, Browser)
end

function Browser:get(path, options)
  options = options or {}
  options.jar = self.jar
  return self.server:get(path, options)
end

--- Begins a login: the provider's address.
function Browser:begin(return_to)
  local response = assert(self:get("/login" .. (return_to and "?return_to=" .. return_to or "")))
  return response.headers.location, response
end

--- Brings the provider's answer back.
function Browser:finish(callback)
  return self:get("/cb" .. callback:match "%?.*$")
end

--- A whole login; the response of the callback.
function Browser:login(return_to, decision)
  local callback = assert(self.box:consent((self:begin(return_to)), decision))
  return self:finish(callback), callback
end

--- The names of the cookies in the jar.
function Browser:cookies()
  local names = {}
  for line in (process.read(self.jar) or ""):gmatch "[^\n]+" do
    local name = line:match "\t([%w_-]+)\t%S+$"
    if name then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return M
