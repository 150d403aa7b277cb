-- SPDX-License-Identifier: MIT
-- Programs that specs start: a server in the background that is stopped by its pid, or a child that runs to its end.
-- Only io and os are used, so it works on every runtime. Call stop in teardown, which also runs when a test fails.

local process = {}

--- The program that runs this spec, for children that must be the same.
process.runtime = os.getenv("HEALTHAUTH_RUNTIME") or (type(rawget(_G, "jit")) == "table" and "luajit" or "lua" .. _VERSION:match("%d.%d"))

--- The folder of the modules that an nginx loads: LuaJIT's, counted when the spec's are. The sanitizer's are spec.nginx.server's to load.
function process.nginx_modules(root)
  return root .. ((os.getenv("HEALTHAUTH_BUILD") or ""):match "/cov$" and "/build/cov/luajit" or "/build/luajit")
end

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end
process.quote = quote

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end
process.read = read

function process.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

--- The output of a shell line, without its last line end.
local function capture(line)
  local pipe = assert(io.popen(line, "r"))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end
process.capture = capture

function process.sleep(seconds)
  os.execute(("sleep %.3f"):format(seconds))
end

-- What servers that run write, by their names: name = path or function.
local logs = {}

--- A server's log may be shown when a case fails, until it is nil again.
---@param name string
---@param where string|fun(): string|nil  its path, or what tells it
function process.log(name, where) logs[name] = where end

--- What the servers that run have written so far.
---@return table<string, string> name to text
function process.logs()
  local out = {}
  for name, where in pairs(logs) do out[name] = type(where) == "string" and read(where) or type(where) == "function" and where() or "" end
  return out
end

--- A new folder of this process's own; process.remove takes it away.
function process.folder()
  local path = capture("mktemp -d")
  assert(path:match("^/"), "no temporary folder")
  return path
end

function process.remove(path)
  assert(path:match("^/[^/]+/."), "will not remove " .. path)
  os.execute("rm -rf " .. quote(path))
end

-- env: name = value, or name = false to take it away
local function command_line(command, env)
  local words = { "env" }
  for name, value in pairs(env or {}) do
    if value == false then
      words[#words + 1] = "-u " .. quote(name)
    end
  end
  for name, value in pairs(env or {}) do
    if value ~= false then words[#words + 1] = quote(name .. "=" .. value) end
  end
  for _, word in ipairs(command) do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end

--- Runs a program to its end.
---@param command string[]
---@param env? table  name = value, or false to take a variable away
---@return integer status, string output, string errors
function process.run(command, env)
  local folder = process.folder()
  local status = capture(("%s </dev/null >%s/out 2>%s/err; echo $?"):format(command_line(command, env), folder, folder))
  local out, err = read(folder .. "/out"), read(folder .. "/err")
  process.remove(folder)
  return tonumber(status), out or "", err or ""
end

local Server = {}
Server.__index = Server

--- Whether a process runs.
function process.alive(pid)
  local stat = read("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find(") Z ", 1, true)
end

--- Starts a program and waits until it has printed a line "ready". Lines "name value" before it become server.ports[name].
---@param command string[]
---@param env? table
---@param patience? number seconds to wait, 60
function process.start(command, env, patience)
  local folder = process.folder()
  local self = setmetatable({ folder = folder, ports = {} }, Server)
  self.pid = capture(("cd /; %s </dev/null >%s/out 2>%s/err & echo $!"):format(command_line(command, env), folder, folder))
  local waited, over = 0
  repeat
    over = not process.alive(self.pid)
    local out = read(folder .. "/out") or ""
    if ("\n" .. out):find("\nready\n", 1, true) then
      self.name = command[#command > 1 and command[1]:find "python" and command[2] ~= "-c" and 2 or 1]:match "[^/]*$" .. " " .. self.pid
      process.log(self.name, function() return (("\n" .. self:output()):gsub("^.-\nready\n", "")) end)
      for name, value in out:gmatch("([%w_]+) (%S+)\n") do self.ports[name] = value end
      return self
    end
    process.sleep(0.05)
    waited = waited + 0.05
  until over or waited > (patience or 60)
  local said = (read(folder .. "/out") or "") .. (read(folder .. "/err") or "")
  self:stop()
  error("the server did not get ready: " .. said)
end

--- What the program wrote so far to its standard output and error.
function Server:output()
  return (read(self.folder .. "/out") or "") .. (read(self.folder .. "/err") or "")
end

-- A process whose parent does not collect it stays as a zombie ("Z"): that is gone enough.
local STOP = [[
pid=%s; gone() { case "$(cat /proc/$pid/stat 2>/dev/null)" in ""|*") Z "*) return 0;; esac; return 1; }
kill $pid 2>/dev/null
tries=0; while [ $tries -lt 40 ]; do gone && exit; sleep 0.05; tries=$((tries + 1)); done
kill -9 $pid 2>/dev/null
]]

--- Stops it; may be called again.
function Server:stop()
  if not self.pid then return end
  os.execute(STOP:format(self.pid))
  if self.name then process.log(self.name, nil) end
  self.pid = nil
  process.remove(self.folder)
end

return process
