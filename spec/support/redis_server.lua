-- SPDX-License-Identifier: MIT
-- A real redis-server for specs: in a folder of its own, on a unix socket (and a loopback port if asked), stopped by its pid.
-- start { port = true, config = { "requirepass x", ... } }; then :stop(), :restart(), :freeze(), :thaw(), :cli(word, ...).

local process = require "spec.support.process"

local Server = {}
Server.__index = Server

-- A port that was free a moment ago; redis-server cannot be told to let the kernel choose.
local function free_port()
  local line = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
  return assert(tonumber(process.capture("python3 -c " .. process.quote(line))), "no free port")
end

function Server:launch()
  local log = self.folder .. "/log"
  os.remove(self.socket)
  self.pid = process.capture(("redis-server %s </dev/null >%s 2>&1 & echo $!"):format(self.folder .. "/redis.conf", log))
  for _ = 1, 1500 do
    if (process.read(log) or ""):find("eady to accept connections", 1, true) and self:cli("PING") ~= "" then
      process.log("redis-server " .. self.folder, log)
      return self
    end
    if not process.alive(self.pid) then break end
    process.sleep(0.02)
  end
  local said = process.read(log) or ""
  self:kill()
  return nil, said
end

--- Runs redis-cli with these words; its output. Authenticates with auth, if that was given at start.
function Server:cli(...)
  local words = { "redis-cli", "-s", self.socket, "--no-auth-warning" }
  for _, word in ipairs(self.auth) do words[#words + 1] = word end
  for _, word in ipairs { ... } do words[#words + 1] = word end
  for i, word in ipairs(words) do words[i] = process.quote(word) end
  return process.capture(table.concat(words, " ") .. " 2>&1")
end

function Server:kill()
  if not self.pid then return end
  os.execute("kill -9 " .. self.pid .. " 2>/dev/null")
  for _ = 1, 200 do
    if not process.alive(self.pid) then break end
    process.sleep(0.01)
  end
  self.pid = nil
end

--- Ends it without saving, and keeps its folder.
Server.down = Server.kill

--- Starts it again, empty unless it saved, at the same socket; at the same port unless somebody has taken that meanwhile.
function Server:up()
  local ok, why
  for _ = 1, 5 do
    ok, why = self:launch()
    if ok then return self end
    if self.port ~= 0 then
      self.port = free_port()
      self:configure()
    end
  end
  error("redis-server did not start again: " .. tostring(why))
end

--- Stops it in its tracks: it accepts and answers nothing until thaw.
function Server:freeze()
  os.execute("kill -STOP " .. self.pid)
end

function Server:thaw()
  os.execute("kill -CONT " .. self.pid)
end

--- Ends it and removes its folder; may be called again.
function Server:stop()
  self:kill()
  if self.folder then
    process.log("redis-server " .. self.folder, nil)
    process.remove(self.folder)
  end
  self.folder = nil
end

function Server:configure()
  local lines = {
    "port " .. self.port, "bind 127.0.0.1", "unixsocket " .. self.socket, "unixsocketperm 700", "dir " .. self.folder,
    'save ""', "appendonly no", "daemonize no",
  }
  for _, line in ipairs(self.config) do lines[#lines + 1] = line end
  process.write(self.folder .. "/redis.conf", table.concat(lines, "\n") .. "\n")
end

local function start(options)
  options = options or {}
  local why
  for _ = 1, 5 do
    local self = setmetatable({ folder = process.folder(), auth = options.auth or {}, config = options.config or {} }, Server)
    self.socket = self.folder .. "/redis.sock"
    self.port = options.port and free_port() or 0
    self:configure()
    local ok
    ok, why = self:launch()
    if ok then return self end
    self:stop()
  end
  error("redis-server did not start: " .. tostring(why))
end

return { start = start }
