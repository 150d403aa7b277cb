-- SPDX-License-Identifier: MIT
-- A real nginx for specs: writes a configuration, starts it on free loopback ports, stops it by its pid. The spec only drives it, so it
-- runs the same under every runtime; inside nginx our LuaJIT build works. Where the specs run with the sanitizer's build, nginx does, too,
-- and what the sanitizer finds in it fails the spec that stops it.

local process = require "spec.support.process"

local MODULES = "/usr/lib/nginx/modules"
local TRIES = 8

local root = process.capture "pwd"
-- Workers that may read the spec's folder; who is not root has no choice, and nginx would warn.
local USER = process.capture "id -u" == "0" and "user root; " or ""

local sanitized = (os.getenv "HEALTHAUTH_BUILD" or ""):find "/asan$" ~= nil
local BUILT = sanitized and root .. "/build/asan/luajit" or process.nginx_modules(root)
local LIBASAN = sanitized and process.capture "gcc -print-file-name=libasan.so"

local Server = {}
Server.__index = Server

local HEAD = [[
daemon off; master_process on; worker_processes $WORKERS; $USER pid $FOLDER/nginx.pid; error_log $FOLDER/error.log notice;
load_module $MODULES/ndk_http_module.so;
load_module $MODULES/ngx_http_lua_module.so;
$MAIN
events { worker_connections 2048; }
http {
  access_log off; client_body_temp_path $FOLDER/b; proxy_temp_path $FOLDER/p; fastcgi_temp_path $FOLDER/f;
  uwsgi_temp_path $FOLDER/u; scgi_temp_path $FOLDER/s;
  lua_package_path "$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;$ROOT/?.lua;;";
  lua_package_cpath "$BUILT/?.so;;";
  lua_socket_log_errors off; client_body_buffer_size 8m; client_max_body_size 16m;
  lua_ssl_verify_depth 3; lua_ssl_protocols TLSv1.2 TLSv1.3;
  $HTTP
}
]]

-- The one server block of specs that need no more.
local SERVER = [[
  server {
    listen 127.0.0.1:$PORT reuseport;
    location = /ping { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
    $SERVER
  }
]]

-- Ports below the range that outgoing connections use, where nobody answers: with reuseport two nginx could share one and not know.
local seed = tonumber(process.capture "od -An -N4 -tu4 /dev/urandom") % 22000
local function next_port()
  repeat
    seed = (seed + 7) % 22000
    local port = 10000 + seed
    local taken = process.capture("bash -c 'exec 3<>/dev/tcp/127.0.0.1/" .. port .. "' 2>/dev/null && echo yes") == "yes"
  until not taken
  return 10000 + seed
end

local function fill(text, values)
  return (text:gsub("%$(%u[%u%d_]*)", function(name) return values[name] end))
end
Server.fill = fill

local function wait_for(seconds, done)
  for _ = 1, seconds * 20 do
    if done() then return true end
    process.sleep(0.05)
  end
  return false
end

-- A file of the repository as it stands, linked into the folder so that what it includes is looked for there: files by name. What the file
-- leaves to the package and to the installation (log, pid, the Lua path) is said from outside. The words for nginx, and its environment.
local function as_it_stands(self, options, values)
  process.run { "ln", "-sf", root .. "/" .. options.file, self.folder .. "/nginx.conf" }
  for name, text in pairs(options.beside or {}) do process.write(self.folder .. "/" .. name, fill(text, values)) end
  local globals = "daemon off; $USER pid $FOLDER/nginx.pid; error_log $FOLDER/error.log notice;"
  return "-g " .. process.quote(fill(globals, values)), {
    "LUA_PATH=" .. process.quote(root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. root .. "/?.lua;;"),
    "LUA_CPATH=" .. process.quote(BUILT .. "/?.so;;"),
  }
end

-- All workers of the configuration are there.
local function complete(self)
  local _, started = self:log():gsub("start worker process ", "")
  return started >= (tonumber((process.read(self.folder .. "/nginx.conf") or ""):match "worker_processes%s+(%d+)") or 1)
end

--- Starts it. options: http (the http block's content, with $PORT, $PORT2, $FOLDER, $ROOT and values) and server (the content of one
--- server block on $PORT, which has a /ping), or config (the whole file), or
--- file (one of the repository, as it stands) with beside (name = text of what it includes), main (further main-level lines), workers (4),
--- values, env, ca (it serves https, and this file verifies it), expect_failure (then: nil, log).
---@param options table
---@return table|nil server
---@return string|nil log
local function start(options)
  local self = setmetatable({ folder = process.folder(), ca = options.ca }, Server)
  for _ = 1, TRIES do
    local values = {
      FOLDER = self.folder, USER = USER, ROOT = root, BUILT = BUILT, MODULES = MODULES,
      WORKERS = tostring(options.workers or 4), MAIN = options.main or "",
      PORT = tostring(next_port()), PORT2 = tostring(next_port()),
    }
    for name, value in pairs(options.values or {}) do values[name] = fill(tostring(value), values) end
    values.MAIN = fill(values.MAIN, values)
    values.SERVER = options.server and fill(options.server, values)
    values.HTTP = fill((options.http or "") .. (options.server and SERVER or ""), values)
    self.port, self.port2, self.values = values.PORT, values.PORT2, values
    process.write(self.folder .. "/error.log", "")
    local more, words = "", {}
    if options.file then more, words = as_it_stands(self, options, values)
    else process.write(self.folder .. "/nginx.conf", fill(options.config or HEAD, values)) end
    if sanitized then -- nginx and LuaJIT end without giving everything back, so leaks are not looked for
      words[#words + 1] = "LD_PRELOAD=" .. process.quote(LIBASAN)
      words[#words + 1] = "ASAN_OPTIONS=" .. process.quote("detect_leaks=0:log_path=" .. self.folder .. "/sanitizer")
      words[#words + 1] = "UBSAN_OPTIONS=" .. process.quote("print_stacktrace=1:log_path=" .. self.folder .. "/sanitizer")
    end
    for name, value in pairs(options.env or {}) do words[#words + 1] = process.quote(name .. "=" .. value) end
    self.pid = process.capture(("cd /; env PATH=\"$PATH:/usr/sbin\" %s nginx -p %s/ -c nginx.conf %s </dev/null >%s/out 2>&1 & echo $!")
      :format(table.concat(words, " "), self.folder, more, self.folder))
    local ready = wait_for(60, function()
      return not process.alive(self.pid) or complete(self)
    end)
    local said = self:log()
    if ready and process.alive(self.pid) and not said:find("Address already in use", 1, true) then
      process.log("nginx " .. self.port, function() return self:log() end)
      return self
    end
    self:kill()
    if not said:find("Address already in use", 1, true) then
      process.remove(self.folder)
      if options.expect_failure then return nil, said end
      error("nginx did not start: " .. said)
    end
  end
  error "no free port for nginx"
end

--- What nginx wrote to its error log and its standard error.
function Server:log()
  return (process.read(self.folder .. "/error.log") or "") .. (process.read(self.folder .. "/out") or "")
end

--- The pids of the workers.
function Server:workers()
  local pids = {}
  for pid in process.capture("pgrep -P " .. self.pid):gmatch "%d+" do pids[#pids + 1] = pid end
  return pids
end

function Server:signal(name, pid)
  os.execute(("kill -%s %s 2>/dev/null"):format(name, pid or self.pid))
end

function Server:kill()
  self:signal "TERM"
  if not wait_for(10, function() return not process.alive(self.pid) end) then
    for _, pid in ipairs(self:workers()) do self:signal("KILL", pid) end
    self:signal "KILL"
  end
end

--- Stops it; may be called again.
function Server:stop()
  if not self.pid then return end
  self:kill()
  process.log("nginx " .. self.port, nil)
  self.pid = nil
  if os.getenv "KEEP_NGINX_LOG" then process.write(os.getenv "KEEP_NGINX_LOG", self:log()) end
  local found = sanitized and process.capture("cat " .. self.folder .. "/sanitizer.* 2>/dev/null") or ""
  process.remove(self.folder)
  if found ~= "" then error("the sanitizer found something in nginx:\n" .. found, 0) end
end

function Server:url(path, port)
  if self.ca then return "https://localhost:" .. (port or self.port) .. path end
  return "http://127.0.0.1:" .. (port or self.port) .. path
end

-- "HTTP/1.1 200 OK\r\nName: value\r\n..." -> status, {name in lower case = value or list}
local function head_of(text)
  local status = tonumber(text:match "^HTTP/[%d.]+ (%d+)")
  local headers = {}
  for name, value in text:gmatch "\n([^:\r\n]+):[ \t]*([^\r\n]*)" do
    name = name:lower()
    local old = headers[name]
    if old == nil then headers[name] = value
    elseif type(old) == "table" then old[#old + 1] = value
    else headers[name] = { old, value } end
  end
  return status, headers
end

--- Asks it with the curl command, as a browser or client would: { status, headers, body }.
---@param path string
---@param options? table  headers (list of "Name: value"), method, body, jar (a file of cookies, read and written), port, args
function Server:get(path, options)
  options = options or {}
  local command = { "curl", "-sS", "-q", "--max-time", "60", "-D", self.folder .. "/head", "-o", self.folder .. "/body" }
  local function add(...) for _, word in ipairs { ... } do command[#command + 1] = word end end
  for _, line in ipairs(options.headers or {}) do add("-H", line) end
  if options.method then add("-X", options.method) end
  if options.body then add("--data-binary", options.body) end
  if options.jar then add("-b", options.jar, "-c", options.jar) end
  for _, word in ipairs(options.args or {}) do add(word) end
  if self.ca then add("--cacert", self.ca) end
  add(path:find("^https?://") and path or self:url(path, options.port))
  process.write(self.folder .. "/body", "")
  local code, _, err = process.run(command)
  if code ~= 0 then return nil, err end
  local status, headers = head_of(process.read(self.folder .. "/head") or "")
  return { status = status, headers = headers, body = process.read(self.folder .. "/body") or "" }
end

--- The body and the status alone; further words go to curl.
---@return string|nil body
---@return integer|nil status
function Server:text(path, ...)
  local response = self:get(path, { args = { ... } })
  if response then return response.body, response.status end
end

--- Asks for several paths at the same moment, each over a connection of its own: the bodies in order.
function Server:together(paths)
  local pipes, bodies = {}, {}
  for i, path in ipairs(paths) do pipes[i] = assert(io.popen("curl -s --max-time 60 " .. process.quote(self:url(path)), "r")) end
  for i, pipe in ipairs(pipes) do
    bodies[i] = pipe:read "*a"
    pipe:close()
  end
  return bodies
end

--- So many requests at the same moment, each on a connection of its own: how often each status came, as { ["200"] = n }.
function Server:burst(path, count, headers)
  local command = { "curl", "-sS", "-q", "-Z", "--parallel-immediate", "--parallel-max", "300", "--max-time", "60", "-o", "/dev/null",
    "-w", "%{http_code}\n" }
  for _, line in ipairs(headers or {}) do
    command[#command + 1] = "-H"
    command[#command + 1] = line
  end
  command[#command + 1] = self:url(path) .. (path:find("?", 1, true) and "&" or "?") .. "n=[1-" .. count .. "]"
  local _, out = process.run(command)
  local statuses = {}
  for status in out:gmatch "%d+" do statuses[status] = (statuses[status] or 0) + 1 end
  return statuses
end

Server.start, Server.root, Server.wait_for = start, root, wait_for
return Server
