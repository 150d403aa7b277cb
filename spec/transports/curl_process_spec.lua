-- SPDX-License-Identifier: MIT
-- The curl transport and its process: fork, signals, memory. Each runs in a child of its own.

local process = require "spec.support.process"
local run = require "spec.hostile.run"
local script = require "spec.hostile.script"

local MIB = 1024 * 1024
local huge = {}
for _, case in ipairs(require "spec.hostile.cases.size_time") do
  if not case.name:find("^si?low") and not case.name:find("^silence") then huge[#huge + 1] = case end
end
local cases = { script.case("dies", { { "early" }, { "reset" } }, script.LOST) }
for _, case in ipairs(huge) do cases[#cases + 1] = case end

local PRELUDE = [[
local base, secure, ca_file, pid = ...
local curl = require "healthauth.transports.curl"
local transport = curl {}
local function get(t, path, origin)
  local r, f = t:perform { method = "GET", url = (origin or base) .. path, timeout = 5, tls = { ca_file = ca_file } }
  return r and r.body or f.code
end
]]

-- Needs fork, which the standard libraries have not got: LuaJIT's ffi has. It runs whichever runtime runs this spec.
local FORK = PRELUDE .. [[
local ffi = require "ffi"
ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int); int getpid(void);"
local plain, tls = get(transport, "/link"), get(transport, "/link", secure)
local spare = curl {}
local spare_link = get(spare, "/link", secure)
local child = ffi.C.fork()
if child == 0 then
  local code = 0
  local function want(bit, good) if not good then code = code + bit end end
  local mine, mine_tls = get(transport, "/link"), get(transport, "/link", secure)
  want(1, tonumber(mine) and mine ~= plain and mine ~= tls)
  want(2, tonumber(mine_tls) and mine_tls ~= tls)
  want(4, get(transport, "/link", secure) == mine_tls)
  spare:close()
  spare, transport = nil, nil
  collectgarbage() collectgarbage()
  ffi.C._exit(code)
end
local status = ffi.new "int[1]"
assert(ffi.C.waitpid(child, status, 0) == child)
io.write("child ", status[0], " parent ", tostring(get(transport, "/link") == plain), " ",
  tostring(get(transport, "/link", secure) == tls), " ", tostring(get(spare, "/link", secure) == spare_link))
]]

-- A peer that resets while a large body is sent: SIGPIPE must neither end the program nor stay behind.
local PIPE = PRELUDE .. [[
for _ = 1, 5 do
  for _, origin in ipairs { base, secure } do
    local body = ("x"):rep(4 * 1024 * 1024)
    transport:perform { method = "POST", url = origin .. "/case/dies", body = body, timeout = 5, tls = { ca_file = ca_file } }
  end
end
local function signals(name)
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("*a")
  file:close()
  return text:match(name .. ":%s*(%x+)")
end
io.write("alive ", signals "SigPnd", " ", signals "ShdPnd", " ", signals "SigBlk")
]]

-- What a program starts must not get the connections. (It does get the socket pair with which libcurl wakes its own poll.)
local CHILDREN = PRELUDE .. [[
local function read(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end
local function connections(descriptors)
  local count, tcp = 0, read("cat /proc/self/net/tcp")
  for inode in descriptors:gmatch("socket:%[(%d+)%]") do
    if tcp:find(" " .. inode .. " ", 1, true) then count = count + 1 end
  end
  return count
end
get(transport, "/good") get(transport, "/good", secure)
-- ls may find that one of the files it has read about is closed meanwhile
local ours, inherited = read "ls -l /proc/$PPID/fd 2>/dev/null", read "ls -l /proc/self/fd 2>/dev/null"
io.write("ours ", connections(ours), ", inherited ", connections(inherited))
]]

-- A program without standard streams (a cron job, a daemon): what it prints must not go to a server.
local STREAMLESS = PRELUDE .. [[
local found = {}
for i, origin in ipairs { base, secure } do
  local t = curl {}
  local link = get(t, "/link", origin)
  for _, stream in ipairs { io.stdout, io.stderr } do
    stream:write("PRINTED / HTTP/1.1\r\n\r\n")
    stream:flush()
  end
  found[i] = tostring(tonumber(link) and get(t, "/link", origin) == link)
end
local file = assert(io.open(pid, "w"))
file:write(table.concat(found, " "))
file:close()
]]

local LOCKED = PRELUDE .. [[
local folder = ca_file:match "^(.*)/"
local _, f = transport:perform { method = "POST", url = secure .. "/good", body = "a=b", timeout = 5,
  tls = { ca_file = ca_file, cert_file = folder .. "/client.pem", key_file = folder .. "/client_locked.key" } }
io.write(f.code, " ", f.outcome, " ", tostring(io.read "*a"))
]]

local MEMORY = PRELUDE .. [[
local function peak()
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("VmHWM:%s*(%d+)")) * 1024
end
get(transport, "/good") get(transport, "/good", secure)
local before = peak()
for name in pid:gmatch("%S+") do
  for _, origin in ipairs { base, secure } do get(transport, "/case/" .. name, origin) collectgarbage() end
end
io.write(("%d"):format(peak() - before))
]]

describe("the curl transport in its process", function()
  local hostile, folder

  setup(function()
    hostile = run.start(cases)
    folder = process.folder()
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if folder then process.remove(folder) end
  end)

  local function go(runtime, text, last, env)
    process.write(folder .. "/child.lua", text)
    local status, out, err = process.run({ runtime, folder .. "/child.lua", hostile:url("http", ""), hostile:url("https", ""),
      hostile.folder .. "/ca.pem", last or "" }, env)
    assert.are.equal("", err)
    assert.are.equal(0, status)
    return out
  end

  it("never uses a forked connection twice, and leaves the parent's alone", function()
    local env = { LUA_CPATH = (os.getenv("LUA_CPATH") or ""):gsub("/lua5%.%d/", "/luajit/") }
    assert.are.equal("child 0 parent true true true", go("luajit", FORK, nil, env))
  end)

  it("survives peers that go away while it writes", function()
    assert.are.equal("alive 0000000000000000 0000000000000000 0000000000000000", go(process.runtime, PIPE))
  end)

  it("gives no connection to a program that it starts", function()
    assert.are.equal("ours 2, inherited 0", go(process.runtime, CHILDREN))
  end)

  -- OpenSSL would take what the program has to read for the password; with a terminal it would ask there and wait.
  it("asks nobody for the password of a locked key", function()
    process.write(folder .. "/child.lua", LOCKED)
    local _, out, err = process.run { "sh", "-c", 'echo planted | "$@"', "sh", process.runtime, folder .. "/child.lua",
      hostile:url("http", ""), hostile:url("https", ""), hostile.folder .. "/ca.pem" }
    assert.are.equal("tls_client_certificate not_sent planted\n", out)
    assert.are.equal("", err)
  end)

  it("sends nothing of what the program prints when its standard streams are closed", function()
    local child, result = folder .. "/child.lua", folder .. "/result"
    process.write(child, STREAMLESS)
    process.run { "sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", process.runtime, child, hostile:url("http", ""), hostile:url("https", ""),
      hostile.folder .. "/ca.pem", result }
    assert.are.equal("true true", process.read(result))
  end)

  if not (os.getenv("HEALTHAUTH_BUILD") or ""):find("asan", 1, true) then -- the sanitizer's own memory would be measured
    it("takes no more memory than the limits allow, whatever is sent", function()
      local names = {}
      for _, case in ipairs(huge) do names[#names + 1] = case.name end
      assert.is_true(#names > 20)
      local grown = tonumber(go(process.runtime, MEMORY, table.concat(names, " ")))
      assert.is_true(grown <= MIB + 8 * MIB, ("grown by %d bytes"):format(grown))
    end)
  end
end)
