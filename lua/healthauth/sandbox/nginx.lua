-- SPDX-License-Identifier: MIT
-- The sandbox inside nginx (Debian's, with the Lua module). One worker holds one sandbox; tools/sandbox-server writes the configuration.
-- nginx.answer() is the content handler of the providers, nginx.control() that of /control/: faults, codes, revocation, counts.
-- What a fault does to an answer on its way is done to real bytes here: a closed connection, a cut body, a late one.

local core = require "healthauth.core"
local http = require "healthauth.sandbox.http"
local sandbox = require "healthauth.sandbox"

local SLICES = 20 -- a slow body leaves in so many pieces
local REASONS = { [200] = "OK", [201] = "Created", [302] = "Found", [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden" }

local nginx = {}
local box

-- The worker's own sandbox, made at the first request: seed and settings come from the environment that nginx passes on.
local function instance()
  if not box then
    local options = core.json_decode(os.getenv "HEALTHAUTH_SANDBOX_OPTIONS" or "{}") or {}
    box = sandbox.new(options)
  end
  return box
end

local function request()
  ngx.req.read_body()
  local headers = {}
  for name, value in pairs(ngx.req.get_headers(0, true)) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do headers[#headers + 1] = { name, one } end
  end
  local body = ngx.req.get_body_data()
  local url = ngx.var.scheme .. "://" .. ngx.var.http_host .. ngx.var.request_uri
  return { method = ngx.req.get_method(), url = url, headers = headers, body = body }
end

-- Status and headers; the rest of the answer is framed by Content-Length.
local function send_head(response)
  ngx.status = response.status
  local several = {}
  for _, pair in ipairs(response.headers) do
    local seen = several[pair[1]]
    several[pair[1]] = seen and { seen, pair[2] } or pair[2]
    ngx.header[pair[1]] = several[pair[1]]
  end
  ngx.header["Content-Length"] = #response.body
end

-- The head and the first bytes of the body by hand: nginx itself would frame what is left as a whole answer.
local function cut(response, at)
  local raw = assert(ngx.req.socket(true))
  local lines = { "HTTP/1.1 " .. response.status .. " " .. (REASONS[response.status] or "Cut") }
  for _, pair in ipairs(response.headers) do lines[#lines + 1] = pair[1] .. ": " .. pair[2] end
  lines[#lines + 1] = "Content-Length: " .. #response.body
  raw:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. response.body:sub(1, at))
  return ngx.exit(ngx.OK)
end

local function drip(response, seconds)
  send_head(response)
  ngx.send_headers()
  local size = math.max(1, math.ceil(#response.body / SLICES))
  for at = 1, math.max(1, #response.body), size do
    ngx.sleep(seconds / SLICES)
    ngx.print(response.body:sub(at, at + size - 1))
    ngx.flush(true)
  end
end

--- Content handler: answers as the emulated providers.
---@return any  nothing of use
function nginx.answer()
  local response, effect = instance():answer(request())
  effect = effect or {}
  if effect.lost or not response then return ngx.exit(444) end -- closes the connection without a byte
  if effect.truncate and effect.truncate < #response.body then return cut(response, effect.truncate) end
  if effect.delay then ngx.sleep(effect.delay) end
  if effect.slow then return drip(response, effect.slow) end
  send_head(response)
  ngx.print(response.body)
end

-- POST /control/<word> with a JSON object -> the object that is answered
local CONTROL = {
  fault = function(fields)
    if fields.kind == "refused" then error("fault.kind: refused needs the sandbox in process", 0) end
    instance():fault(fields)
    return { ok = true }
  end,
  access_code = function() return { access_code = instance():access_code() } end,
  tethered_token = function() return { refresh_token = instance():tethered_token() } end,
  revoke = function(fields) return { known = instance():revoke(fields.token) } end,
  expire = function(fields) return { known = instance():expire(fields.token) } end,
  advance = function(fields) instance():advance(fields.seconds) return { now = instance():now() } end,
  count = function(fields) return { count = instance():count(fields.operation), replays = instance():replays() } end,
  credentials = function() return instance().credentials end,
}

--- Content handler of /control/: plays the operator. Only on the loopback listeners that tools/sandbox-server makes.
function nginx.control()
  local seen = request()
  local action = CONTROL[ngx.var.uri:match("^/control/([%a_]+)$") or ""]
  local fields = core.json_decode(seen.body ~= "" and seen.body or "{}")
  local status, answer
  if not action or seen.method ~= "POST" then
    status, answer = 404, { error = "POST /control/ and one of: fault access_code tethered_token revoke expire advance count credentials" }
  elseif type(fields) ~= "table" then
    status, answer = 400, { error = "the body must be a JSON object" }
  else
    local ok, value = pcall(action, fields)
    status, answer = ok and 200 or 400, ok and value or { error = (tostring(value):gsub("^[^%s]+:%d+: ", "")) }
  end
  local response = http.json(status, answer)
  send_head(response)
  ngx.print(response.body)
end

return nginx
