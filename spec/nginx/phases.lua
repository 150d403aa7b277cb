-- SPDX-License-Identifier: MIT
-- Runs inside nginx for cosocket_spec: asks a provider from every phase, over cosockets, libcurl and a thread with libcurl.

local healthauth = require "healthauth"

local M = {}

local function session(base, transport, more)
  local options = { base_url = base, api_key = "k", endpoints = { verify = "/case/plain" }, transport = transport, timeout = 5 }
  for name, value in pairs(more or {}) do options[name] = value end
  return healthauth.conneqt(options)
end

local function told(valid, err)
  return err and table.concat({ err.kind, err.code, err.outcome }, " ") or tostring(valid)
end

--- In init_by_lua: the sessions.
function M.open(http, https, ca)
  M.http, M.https, M.ca = http, https, ca
  M.sockets, M.blocking = session(http), session(http, healthauth.transports.curl {})
end

--- Notes what both transports answer in the phase that this is.
function M.say(phase)
  ngx.shared.said:set(phase, told(M.sockets:verify "token") .. " | " .. told(M.blocking:verify "token"))
end

--- The same from a timer; a thread cannot be had there.
function M.timer()
  ngx.timer.at(0, function()
    M.say "timer"
    local threaded = session(M.http, require("healthauth.nginx").worker_thread { pool = "healthauth" })
    ngx.shared.said:set("thread_in_timer", told(threaded:verify "token"))
  end)
end

--- Two requests, and between them the worker is stopped, so that it cannot notice that the server resets the connection.
function M.stale(method)
  local transport = healthauth.transports.cosocket {}
  local request = { method = method, url = M.http .. "/case/dies", headers = {}, body = method ~= "GET" and "a=b" or nil, timeout = 5 }
  local statuses = {}
  for i = 1, 2 do
    local response, failure = transport:perform(request)
    statuses[i] = response and response.status or failure.code .. " " .. failure.outcome
    if i == 1 then os.execute "sleep 1" end
  end
  ngx.print(table.concat(statuses, " "))
end

function M.default()
  ngx.print(tostring(require("healthauth.context").transport {}), " ", told(M.sockets:verify "token"))
end

--- One line for each option that nginx decides: its name and what making a session with it raised.
function M.objections()
  local curl = healthauth.transports.curl {}
  local function try(name, options, transport)
    local ok, why = pcall(session, M.https, transport, options)
    ngx.say(name, " ", ok and "ok" or why)
  end
  for _, name in ipairs { "ca_file", "ca_path", "min_version" } do
    try(name, { tls = { [name] = name == "min_version" and "1.3" or M.ca } })
  end
  try("key_password", { tls = { cert_file = M.ca, key_file = M.ca, key_password = "p" } }, healthauth.transports.cosocket {})
  try("proxy", { proxy = "https://127.0.0.1:1" })
  try("fine", { tls = { cert_file = M.ca, key_file = M.ca }, proxy = "http://127.0.0.1:1" })
  try("curl", { tls = { ca_file = M.ca } }, curl)
end

--- Through a thread of the pool, with an authority of its own.
function M.thread(pool, path)
  local threaded = session(M.https, require("healthauth.nginx").worker_thread { pool = pool },
    { endpoints = { verify = path }, tls = { ca_file = M.ca } })
  local valid, err = threaded:verify "token"
  ngx.print(told(valid, err), err and " " .. err.message or "")
end

--- A host whose name somebody would have to look up.
function M.nowhere()
  local valid, err = session("https://provider.example"):verify "token"
  ngx.print(told(valid, err), " ", err and err.message or "")
end

return M
