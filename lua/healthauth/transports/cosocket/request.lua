-- SPDX-License-Identifier: MIT
--- What a caller may ask of the cosocket transport, and the bytes that ask a server for it. No socket here.
-- The rules are those of the libcurl transport (src/sys/curl_request.c): a request that breaks them raises, nothing was sent then.

local core = require "healthauth.core"

local METHODS = { GET = true, HEAD = true, POST = true, PUT = true, PATCH = true, DELETE = true, OPTIONS = true }
local READS = { GET = true, HEAD = true }
local BODIED = { POST = true, PUT = true, PATCH = true } -- Content-Length: 0 where there is none
-- Framing and routing are the transport's: a caller's word on them could make two readers disagree.
local OURS = {
  host = true, ["content-length"] = true, ["transfer-encoding"] = true, connection = true, expect = true, ["keep-alive"] = true, te = true,
  trailer = true, upgrade = true, ["proxy-connection"] = true, ["proxy-authorization"] = true, ["http2-settings"] = true, range = true,
}
local TLS = { ca_file = 1, ca_path = 1, min_version = 1, cert_file = 2, key_file = 2, key_password = 2 }
local DIRECTIVES = {
  ca_file = "write 'lua_ssl_trusted_certificate FILE;' into nginx.conf instead",
  ca_path = "write 'lua_ssl_trusted_certificate FILE;' into nginx.conf instead (nginx takes one file with all authorities)",
  min_version = "write 'lua_ssl_protocols TLSv1.2 TLSv1.3;' or 'TLSv1.3;' into nginx.conf instead",
}
local TIMEOUT, CONNECT_TIMEOUT, TIMEOUT_MAX = 15, 5, 86400
local BODY_LIMIT, HEADER_LIMIT = 1024 * 1024, 64 * 1024
local HEADERS_MAX, HEADER_BYTES_MAX, BODY_MAX = 64, 128 * 1024, 16 * 1024 * 1024
local PROXY_FORM = "proxy: expected http://[user:password@]host:port (cosockets cannot speak TLS to a proxy)"

local M = {}

local function refuse(why)
  error("cosocket: " .. why, 0)
end

local function number(value, name, otherwise, most)
  if value == nil then return otherwise end
  if type(value) ~= "number" then refuse(name .. ": expected a number") end
  if not (value > 0 and value <= most) then refuse(name .. ": out of range") end
  return value
end

--- Checks tls = {...}; what nginx decides raises with the directive's name.
---@param tls any
---@return table|nil
function M.tls(tls)
  if tls == nil then return nil end
  if type(tls) ~= "table" then refuse "tls: expected a table" end
  for name, value in next, tls do
    if not TLS[name] then refuse("tls: unknown member '" .. tostring(name) .. "'") end
    if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
      refuse("tls." .. name .. ": expected a text without NUL that is not empty")
    end
    if DIRECTIVES[name] then refuse("tls." .. name .. " is nginx's to decide: " .. DIRECTIVES[name]) end
  end
  if tls.key_file and not tls.cert_file then refuse "tls.key_file needs cert_file" end
  if tls.key_password then refuse "tls.key_password: nginx reads no locked key; give a key_file without password" end
  return next(tls) and tls or nil
end

--- Checks proxy = "http://user:password@host:port".
---@param text any
---@return table|nil  { host, port, loopback, authorization }
function M.proxy(text)
  if text == nil then return nil end
  if type(text) ~= "string" then refuse "proxy: expected a text" end
  local scheme, rest = text:match "^(%a+://)(.*)$"
  if not scheme or scheme:lower() ~= "http://" then refuse(PROXY_FORM) end
  local userinfo, host = rest:match "^([^/?#@]*)@([^@]*)$"
  local url = core.url(scheme .. (host or rest))
  if not url or url.path ~= "/" or url.query then refuse(PROXY_FORM) end
  local out = { host = url.host, port = url.port, loopback = url.loopback }
  if userinfo then
    local user, password = userinfo:match "^([^:]*):?(.*)$"
    user, password = core.percent_decode(user), core.percent_decode(password)
    if not user or not password or user == "" or (user .. password):find "%c" or user:find(":", 1, true) then
      refuse "proxy: the credentials cannot be read"
    end
    out.authorization = "Basic " .. core.base64(user .. ":" .. password)
  end
  return out
end

local function headers_of(list, out)
  if list == nil then return end
  if type(list) ~= "table" then refuse "headers: expected a list of {name, value}" end
  if #list > HEADERS_MAX then refuse "headers: too many" end
  local bytes = 0
  for _, pair in ipairs(list) do
    local name, value
    if type(pair) == "table" then name, value = pair[1], pair[2] end
    if type(name) ~= "string" or type(value) ~= "string" then refuse "headers: name and value must be strings" end
    local low = name:lower()
    local first, last = value:byte(1), value:byte(-1)
    if not name:find "^[%w!#$%%&'*+%-.^_`|~]+$" then refuse "headers: a header name must be a token" end
    if value:find "[^\t\32-\126]" or first == 32 or first == 9 or last == 32 or last == 9 then
      refuse "headers: a header value must be visible ASCII without CR, LF or NUL"
    end
    if OURS[low] then refuse "headers: a header is one that the transport sets itself" end
    bytes = bytes + #name + #value + 3
    if bytes > HEADER_BYTES_MAX then refuse "headers: too long" end
    if low == "accept-encoding" then
      if value:lower() ~= "identity" then refuse "headers: accept-encoding can only be identity" end
    else
      out[#out + 1] = name .. ": " .. value .. "\r\n"
    end
  end
end

local function url_of(text)
  if type(text) ~= "string" then refuse "url: expected a text" end
  local url, why = core.url(text)
  if not url then refuse("url: " .. why) end
  if url.scheme == "http" and not url.loopback then refuse "url: http is for loopback only" end
  url.name = url.host:find(":", 1, true) and "[" .. url.host .. "]" or url.host
  return url
end

--- Reads a request of the transport contract; raises for what it cannot mean.
---@param request table
---@return table  { url, method, reads, head, body, timeout, connect_timeout, limits, tls, proxy }
function M.read(request)
  if type(request) ~= "table" then refuse "expected a request" end
  local method, body = request.method, request.body
  if not METHODS[method] then refuse "method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS" end
  if body ~= nil and type(body) ~= "string" then refuse "body: expected a string" end
  if body and READS[method] then refuse "GET and HEAD have no body" end
  if body and #body > BODY_MAX then refuse "body: too long" end
  local limits = request.limits
  if limits ~= nil and type(limits) ~= "table" then refuse "limits: expected a table" end
  limits = limits or {}
  local url = url_of(request.url)
  local tls, proxy = M.tls(request.tls), M.proxy(request.proxy)
  if proxy and url.scheme == "http" and not proxy.loopback then refuse "http goes through a loopback proxy only" end
  local authority = url.origin:match "^%a+://(.*)$"
  local lines = { method .. " " .. url.path .. (url.query and "?" .. url.query or "") .. " HTTP/1.1\r\nHost: " .. authority .. "\r\n" }
  headers_of(request.headers, lines)
  lines[#lines + 1] = "Accept-Encoding: identity\r\n"
  if body or BODIED[method] then lines[#lines + 1] = "Content-Length: " .. #(body or "") .. "\r\n" end
  return {
    url = url, method = method, reads = READS[method] or false, head = table.concat(lines), body = body or "", tls = tls, proxy = proxy,
    proxy_text = request.proxy,
    timeout = number(request.timeout, "timeout", TIMEOUT, TIMEOUT_MAX),
    connect_timeout = number(request.connect_timeout, "connect_timeout", CONNECT_TIMEOUT, TIMEOUT_MAX),
    body_limit = number(limits.body, "limits.body", BODY_LIMIT, 1024 * BODY_LIMIT),
    header_limit = number(limits.headers, "limits.headers", HEADER_LIMIT, 4 * HEADER_LIMIT),
  }
end

return M
