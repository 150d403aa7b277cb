-- SPDX-License-Identifier: MIT
-- How a Lua program speaks with test/faults/shim.c, and which faults are worth trying.

local M = {}

local function say(words) return os.getenv("faults:" .. words) end

-- Linux's numbers.
local E = {
  EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EBUSY = 16, EXDEV = 18, ENODEV = 19, EINVAL = 22,
  ENFILE = 23, EMFILE = 24, EFBIG = 27, ENOSPC = 28, EROFS = 30, EPIPE = 32, EDEADLK = 35, ENOLCK = 37, ENOSYS = 38, ELOOP = 40,
  EOVERFLOW = 75, ENOPROTOOPT = 92, EAFNOSUPPORT = 97, EADDRNOTAVAIL = 99, ENETDOWN = 100, ENETUNREACH = 101, ECONNRESET = 104,
  ENOBUFS = 105, ENOTCONN = 107, ETIMEDOUT = 110, ECONNREFUSED = 111, EHOSTUNREACH = 113, EDQUOT = 122,
  EAI_NONAME = 2, EAI_AGAIN = 3, EAI_FAIL = 4, EAI_MEMORY = 10, EAI_SYSTEM = 11, short = "short", eof = "eof", nothing = "eof", no = "no",
}

-- What may plausibly happen to each call. A pair in one word: one short, the rest fails.
local PLAUSIBLE = {
  socket = "EMFILE ENFILE ENOMEM EACCES ENOBUFS EAFNOSUPPORT",
  connect = "ECONNREFUSED ETIMEDOUT EINTR EAGAIN ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL EACCES EPERM ENETDOWN",
  send = "EPIPE ECONNRESET ETIMEDOUT EINTR EAGAIN ENOBUFS ENOMEM EHOSTUNREACH ENETDOWN short short+EPIPE short+ECONNRESET",
  recv = "ECONNRESET ETIMEDOUT EINTR EAGAIN ENOMEM ECONNREFUSED EHOSTUNREACH eof short short+ECONNRESET",
  poll = "EINTR ENOMEM EAGAIN EINVAL nothing",
  getsockopt = "ENOBUFS ENOMEM", setsockopt = "ENOMEM ENOPROTOOPT ENOBUFS", getpeername = "ENOTCONN ENOBUFS ECONNRESET",
  getsockname = "ENOBUFS ENOMEM", socketpair = "EMFILE ENFILE ENOMEM",
  getaddrinfo = "EAI_NONAME EAI_AGAIN EAI_FAIL EAI_MEMORY EAI_SYSTEM",
  open = "EACCES EMFILE ENFILE ENOMEM ENOSPC EROFS EIO EINTR ENOENT ELOOP EDQUOT EOVERFLOW",
  read = "EIO EINTR EAGAIN ENOMEM short short+EIO",
  write = "ENOSPC EIO EDQUOT EFBIG EINTR EAGAIN EPERM short short+ENOSPC short+EIO",
  pread = "EIO EINTR ENOMEM short short+EIO",
  pwrite = "ENOSPC EIO EDQUOT EFBIG EINTR short short+ENOSPC short+EIO",
  fsync = "EIO ENOSPC EDQUOT EROFS", ftruncate = "EIO EINTR ENOSPC EFBIG EPERM EACCES",
  rename = "EACCES ENOSPC EROFS EIO EXDEV EDQUOT EPERM", unlink = "EACCES EROFS EIO EPERM EBUSY",
  fcntl = "EINVAL EAGAIN EMFILE", close = "EIO EINTR ENOSPC EDQUOT",
  lock = "EAGAIN EACCES ENOLCK EIO", unlock = "", -- one's own lock can always be given back on Linux; SQLite relies on it
  stat = "EACCES EIO ENOMEM ENOENT ELOOP EOVERFLOW", access = "EACCES EROFS EIO", fchmod = "EPERM EROFS EIO EINTR",
  getcwd = "ENOENT ENOMEM EACCES", mmap = "ENOMEM EAGAIN ENODEV EACCES EPERM",
  getentropy = "ENOSYS EIO EINTR EAGAIN", random = "no",
}
local PASSING = { EINTR = true, EAGAIN = true, short = true, nothing = true } -- no call meets them for ever
local SHORTLY = { lock = { 1, 3 } } -- SQLite tries for ten seconds before it gives up: not often, please
local MOST = 12 -- places of one call in one operation

--- Counts the calls until disarm; with a fault, it comes to pass.
---@param fault? table  { call, at, count, how }
function M.arm(fault)
  local words = "arm"
  if fault then
    local first, second = fault.how:match("^(%w+)%+(%w+)$")
    local how = first and first .. " " .. E[second] or tostring(E[fault.how])
    words = ("arm %s %d %d %s"):format(fault.call, fault.at, fault.count, how)
  end
  local answer = say(words)
  assert(answer == "armed", answer)
end

--- How many calls failed, and how often each call was made while armed.
---@return integer hits, table<string, integer> calls
function M.disarm()
  local calls, text = {}, say "disarm"
  for name, times in text:gmatch "(%w+)=(%d+)" do calls[name] = tonumber(times) end
  return tonumber(text:match "^%d+"), calls
end

--- The process ends, saying these words, when the next guard is more than so many seconds away; 0: none is due.
function M.guard(seconds, words) say(("guard %d %s"):format(seconds, words or "")) end

function M.descriptors() return tonumber(say "descriptors") end

function M.reseed() return say "reseed" == "yes" end

function M.present() return say "descriptors" ~= nil end

local function places(times)
  local out, step = {}, math.max(1, times / MOST)
  local at = 1
  while at <= times do
    out[#out + 1] = math.floor(at)
    at = at + step
  end
  if out[#out] ~= times then out[#out + 1] = times end
  return out
end

--- Every fault worth trying where each call is made so often.
---@param calls table<string, integer>
---@return table[] faults
function M.faults(calls)
  local out, names = {}, {}
  for name in pairs(calls) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for how in assert(PLAUSIBLE[name], name):gmatch "%S+" do
      for _, at in ipairs(places(calls[name])) do
        for _, count in ipairs(SHORTLY[name] or PASSING[how] and { 1, 3 } or { 1, 0 }) do
          out[#out + 1] = { call = name, at = at, count = count, how = how, text = ("%s %d %s%s"):format(name, at, how,
            count == 0 and " from then on" or count > 1 and " x" .. count or "") }
        end
      end
    end
  end
  return out
end

return M
