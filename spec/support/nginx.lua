-- SPDX-License-Identifier: MIT
-- A real nginx (Debian's, with its Lua module) for specs: in a folder of its own, on a free loopback port, stopped by its pid.
-- start { http = "lines of the http block", server = "lines of the server block", main = "...", workers = 4, env = {...} }
--   -> { port, folder, pid, get(path, ...) -> body, status; log(); reload(); kill(); stop() }
-- The modules under lua/ and build/luajit and the repository's root are on its Lua path, whatever runtime runs the spec.

local process = require "spec.support.process"

local Nginx = {}
Nginx.__index = Nginx

local FRAME = [[
daemon off;
master_process on;
worker_processes %d;
worker_shutdown_timeout 5s;
user root;
pid nginx.pid;
error_log error.log info;
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
%s
events { worker_connections 1024; }
http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  access_log off;
  lua_package_path "%s";
  lua_package_cpath "%s";
  %s
  server {
    listen 127.0.0.1:%d reuseport;
    location = /ping { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
    %s
  }
}
]]

local function free_port()
  local line = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
  return assert(tonumber(process.capture("python3 -c " .. process.quote(line))), "no free port")
end

local function alive(pid)
  local stat = process.read("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find(") Z ", 1, true)
end

--- Asks for a path; the body and the status. Further words go to curl.
function Nginx:get(path, ...)
  local words = { "curl", "-s", "--max-time", "30", "-w", "\n%{http_code}", ... }
  words[#words + 1] = "http://127.0.0.1:" .. self.port .. path
  for i, word in ipairs(words) do words[i] = process.quote(word) end
  local answer = process.capture(table.concat(words, " "))
  local body, status = answer:match("^(.*)\n(%d+)$")
  return body, tonumber(status)
end

--- Asks for several paths at the same time, each over a connection of its own; the bodies in order.
function Nginx:together(paths)
  local pipes, bodies = {}, {}
  for i, path in ipairs(paths) do
    pipes[i] = assert(io.popen("curl -s --max-time 60 " .. process.quote("http://127.0.0.1:" .. self.port .. path), "r"))
  end
  for i, pipe in ipairs(pipes) do
    bodies[i] = pipe:read("*a")
    pipe:close()
  end
  return bodies
end

function Nginx:log()
  return process.read(self.folder .. "/error.log") or ""
end

--- Pids of the workers.
function Nginx:workers()
  local pids = {}
  for pid in process.capture("cat /proc/" .. self.pid .. "/task/" .. self.pid .. "/children"):gmatch("%d+") do pids[#pids + 1] = pid end
  return pids
end

function Nginx:reload()
  os.execute("kill -HUP " .. self.pid)
end

--- Ends it and removes its folder; may be called again.
function Nginx:stop()
  if self.pid then
    local workers = self:workers()
    os.execute("kill -TERM " .. self.pid .. " 2>/dev/null")
    for _ = 1, 100 do
      if not alive(self.pid) then break end
      process.sleep(0.02)
    end
    if alive(self.pid) then os.execute("kill -9 " .. self.pid .. " " .. table.concat(workers, " ") .. " 2>/dev/null") end
  end
  self.pid = nil
  if self.folder then process.remove(self.folder) end
  self.folder = nil
end

local function start(options)
  local root, why = process.capture "pwd", nil
  local path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;"):format(root, root, root)
  local cpath = process.nginx_modules(root) .. "/?.so;;"
  for _ = 1, 5 do -- another may take the port first
    local self = setmetatable({ folder = process.folder(), port = free_port() }, Nginx)
    local conf = FRAME:format(options.workers or 4, options.main or "", path, cpath, options.http or "", self.port, options.server or "")
    process.write(self.folder .. "/nginx.conf", conf)
    self.pid = process.capture(("env -u LUA_PATH -u LUA_CPATH nginx -p %s -e error.log -c nginx.conf </dev/null >%s/out 2>&1 & echo $!")
      :format(self.folder, self.folder))
    for _ = 1, 200 do
      local _, status = self:get "/ping"
      if status == 200 then return self end
      if not alive(self.pid) then break end
      process.sleep(0.05)
    end
    why = (process.read(self.folder .. "/out") or "") .. self:log()
    self:stop()
    if not why:find("Address already in use", 1, true) then break end
  end
  error("nginx did not start: " .. tostring(why))
end

return { start = start }
