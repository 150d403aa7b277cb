-- SPDX-License-Identifier: MIT
--- A connected cosocket for a request: from nginx's pool or new, through a proxy where asked, chain and host name checked under https.
-- Pools are named by all that made the connection (origin, client certificate, proxy): no request rides on another's identity.

local core = require "healthauth.core"

local PROXY_HEAD_LIMIT = 16 * 1024
local LOCALHOST = { "127.0.0.1", "[::1]" } -- by definition, not by what a resolver says

local M = {}

local certificates = {} -- parsed client certificates by file, once a worker

local function fail(kind, code, message)
  return nil, { kind = kind, code = code, message = message, outcome = "not_sent" }
end

local function milliseconds(seconds)
  return math.max(1, math.ceil(seconds * 1000))
end

--- Seconds until a deadline, at least none.
---@param deadline number  by core.monotonic
---@return number
function M.left(deadline)
  return math.max(0, deadline - core.monotonic())
end

local function late()
  return fail("timeout", "connect_timeout", "no connection within the time allowed")
end

local function set_time(sock, deadline)
  local left = M.left(deadline)
  if left <= 0 then return false end
  local ms = milliseconds(left)
  sock:settimeouts(ms, ms, ms)
  return true
end
M.set_time = set_time

local function pool_of(asked)
  local tls = asked.tls
  if not tls and not asked.proxy then return "healthauth:" .. asked.url.origin end
  local who = { asked.url.origin, tls and tls.cert_file or "", tls and tls.key_file or "", asked.proxy_text or "" }
  return "healthauth:" .. core.hex(core.sha256(table.concat(who, "\0")))
end

local function connect_verdict(why)
  why = tostring(why)
  if why:find("timeout", 1, true) then return late() end
  if why:find("no resolver defined", 1, true) then
    return fail("network", "resolve_failed", "nginx has no resolver: write 'resolver ADDRESS;' into nginx.conf")
  end
  if why:find("resolved", 1, true) then return fail("network", "resolve_failed", "the host's name could not be resolved") end
  return fail("network", "connect_failed", "the connection could not be made")
end

local function is_address(host)
  return host:find(":", 1, true) ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

-- nginx waits for its resolver as long as resolver_timeout says (30 s), whatever the socket's own times are. Where a name is to be found,
-- the connection is made in a thread of its own, which is given up when the time is over. A pooled connection is there at once.
local function connect_in_time(sock, host, port, options, deadline)
  if is_address(host) then return sock:connect(host, port, options) end
  local done, ok, why = false, nil, "timeout"
  local connecting = ngx.thread.spawn(function()
    ok, why = sock:connect(host, port, options)
    done = true
  end)
  if done then return ok, why end
  local waiting = ngx.thread.spawn(function() ngx.sleep(M.left(deadline)) end)
  ngx.thread.wait(connecting, waiting)
  ngx.thread.kill(connecting) -- one of them has ended, and does not mind
  ngx.thread.kill(waiting)
  return ok, why
end

local function connect_to(sock, host, port, pool, deadline)
  local hosts = host == "localhost" and LOCALHOST or { host:find(":", 1, true) and "[" .. host .. "]" or host }
  local why
  for _, one in ipairs(hosts) do
    if not set_time(sock, deadline) then return late() end
    local ok
    ok, why = connect_in_time(sock, one, port, { pool = pool }, deadline)
    if ok then return true end
    if why == "timeout" then return late() end
  end
  return connect_verdict(why)
end

-- CONNECT, and the proxy's word on it. What comes behind its head is nobody's.
local function tunnel(sock, asked, deadline)
  local url, proxy = asked.url, asked.proxy
  local authority = url.name .. ":" .. url.port
  local lines = "CONNECT " .. authority .. " HTTP/1.1\r\nHost: " .. authority .. "\r\n"
  if proxy.authorization then lines = lines .. "Proxy-Authorization: " .. proxy.authorization .. "\r\n" end
  local refused = "the proxy did not make the connection"
  if not set_time(sock, deadline) then return late() end
  if not sock:send(lines .. "\r\n") then return fail("network", "proxy_failed", refused) end
  -- Read as the answer to HEAD: a good answer to CONNECT has no body, and a bad one's is of no use.
  local reader = core.http1_reader { method = "HEAD", header_limit = PROXY_HEAD_LIMIT }
  local status
  repeat
    if not set_time(sock, deadline) then return late() end
    local bytes, why = sock:receiveany(4096)
    if not bytes and why == "timeout" then return late() end
    status = bytes and reader:feed(bytes)
    if not status then return fail("network", "proxy_failed", refused) end
  until status == "done"
  local answer, extra = reader:response(), reader:extra()
  reader:close()
  if answer.status < 200 or answer.status > 299 or extra then return fail("network", "proxy_failed", refused) end
  return true
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local function unusable_certificate()
  return fail("tls", "tls_client_certificate", "the client certificate or its key cannot be used")
end

-- The client certificate, where this nginx module can send one.
local function present(sock, tls)
  if not sock.setclientcert then
    return fail("tls", "tls_client_certificate", "this nginx has no tcpsock:setclientcert (lua-resty-core 0.1.24 with ngx_lua 0.10.22 "
      .. "brings it); use healthauth.nginx.worker_thread")
  end
  local name = tls.cert_file .. "\0" .. (tls.key_file or "")
  local found = certificates[name]
  if not found then
    local ssl = require "ngx.ssl"
    local pem, key = read_file(tls.cert_file), read_file(tls.key_file or tls.cert_file)
    local chain = pem and ssl.parse_pem_cert(pem)
    -- Of a locked key OpenSSL would ask the password at nginx's terminal, and the worker would wait.
    local private = key and not key:find("ENCRYPTED", 1, true) and ssl.parse_pem_priv_key(key)
    if not chain or not private then return unusable_certificate() end
    found = { chain, private }
    certificates[name] = found
  end
  if not sock:setclientcert(found[1], found[2]) then return unusable_certificate() end
  return true
end

-- The numbers are X509_V_ERR_..., stable in every libcrypto.
local CHAIN = {
  ["0"] = "the server's certificate cannot be verified, or lua_ssl_trusted_certificate does not name its authority",
  ["9"] = "the server's certificate is not valid yet",
  ["10"] = "the server's certificate has expired",
  ["18"] = "the server's certificate is signed by itself",
  ["19"] = "the server's certificate comes from an authority that is not trusted",
  ["20"] = "the server's certificate comes from an authority that is not trusted (lua_ssl_trusted_certificate names those that are)",
  ["21"] = "the server's certificate comes from an authority that is not trusted (lua_ssl_trusted_certificate names those that are)",
  ["22"] = "the server's certificate chain is longer than lua_ssl_verify_depth allows",
}

local function tls_verdict(why)
  why = tostring(why)
  if why:find("timeout", 1, true) then return late() end
  if why:find("host mismatch", 1, true) then return fail("tls", "tls_host_mismatch", "the server's certificate is for another host") end
  if why:find "ssl %l+ client " then return unusable_certificate() end -- a key of another certificate is noticed here
  local number, said = why:match "^(%d+): ?(.*)$"
  -- lua-resty-core puts the last refusal's number before the words of another socket that fails before or at once in its handshake, too
  if number and said ~= "handshake failed" and said ~= "closed" and not said:find "^[Ss][Ss][Ll]" then
    return fail("tls", "tls_verify_failed", CHAIN[number] or "the server's certificate cannot be verified")
  end
  return fail("tls", "tls_failed", "the TLS handshake failed")
end

-- A handshake that ends at once loses its refusal in ngx_lua before 0.10.31 (their pull request 2506): asked for no session, it would say
-- true; asked for one, lua-resty-core's own assertion fails. nginx has closed the socket then, so nothing can leave through it.
local function handshake(sock, host)
  local ended, ok, why = pcall(sock.sslhandshake, sock, nil, host, true) -- without the name nginx would check the chain alone
  if ended and ok then return true end
  if ended then return tls_verdict(why) end
  local _, text = pcall(function() return require("ffi").string(require("resty.core.base").get_errmsg_ptr()[0]) end)
  return tls_verdict("0: " .. tostring(text))
end

--- A socket that the request can be sent on.
---@param asked table     as request.read gives it
---@param fresh boolean   never one of the pool
---@param deadline number for the connection
---@return table|nil sock
---@return table|boolean reused_or_failure
function M.open(asked, fresh, deadline)
  local sock = ngx.socket.tcp()
  local pool = pool_of(asked)
  local first = asked.proxy or asked.url
  -- A pool that nothing is ever put into gives a new connection.
  local ok, failure = connect_to(sock, first.host, first.port, fresh and pool .. " (fresh)" or pool, deadline)
  if not ok then return nil, failure end
  if (sock:getreusedtimes() or 0) > 0 then return sock, true end
  if asked.proxy then
    ok, failure = tunnel(sock, asked, deadline)
  end
  if ok and asked.url.scheme == "https" then
    if asked.tls and asked.tls.cert_file then ok, failure = present(sock, asked.tls) end
    if ok and not set_time(sock, deadline) then ok, failure = late() end
    if ok then ok, failure = handshake(sock, asked.url.host) end
  end
  if ok then return sock, false end
  sock:close()
  return nil, failure
end

return M
