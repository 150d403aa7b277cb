-- SPDX-License-Identifier: MIT
-- Carries a request of a spec into nginx, performs it there over cosockets, and carries the answer back: a transport for the spec.
-- M.serve() is the content handler; M.new(url) is the spec's end.

local core = require "healthauth.core"

local M = {}

--- Inside nginx: the request as JSON in, response or failure as JSON out. Bodies travel as base64url.
function M.serve()
  local cosocket = require "healthauth.transports.cosocket"
  ngx.req.read_body()
  local request = assert(core.json_decode(assert(ngx.req.get_body_data())))
  if request.body then request.body = core.base64url_decode(request.body) end
  local ok, response, failure = pcall(function() return cosocket.shared():perform(request) end)
  if not ok then
    ngx.print(core.json_encode { raised = tostring(response) })
  elseif response then
    local headers = {}
    for i, pair in ipairs(response.headers) do headers[i] = { pair[1], core.base64url(pair[2]) } end
    ngx.print(core.json_encode { status = response.status, headers = headers, body = core.base64url(response.body),
      close_delimited = response.close_delimited })
  else
    ngx.print(core.json_encode { failure = failure })
  end
end

local Relay = {}
Relay.__index = Relay

function Relay:perform(request)
  local copy = {}
  for name, value in pairs(request) do copy[name] = value end
  if copy.body then copy.body = core.base64url(copy.body) end
  local tls = {}
  for name, value in pairs(copy.tls or {}) do
    if name ~= "ca_file" or value ~= self.ca_file then tls[name] = value end -- nginx.conf names that one
  end
  copy.tls = next(tls) and tls or nil
  if copy.headers and #copy.headers == 0 then copy.headers = nil end
  local response, failure = self.curl:perform { method = "POST", url = self.url, headers = {}, body = core.json_encode(copy), timeout = 60,
    limits = { body = 64 * 1024 * 1024, headers = 65536 } }
  if not response then error("nginx did not answer: " .. failure.message) end
  local answer = assert(core.json_decode(response.body), response.body)
  if answer.raised then error(answer.raised, 0) end
  if answer.failure then return nil, answer.failure end
  for _, pair in ipairs(answer.headers) do pair[2] = core.base64url_decode(pair[2]) end
  answer.body = core.base64url_decode(answer.body)
  return answer
end

--- The spec's end. ca_file: the authority that nginx.conf trusts.
function M.new(url, ca_file)
  return setmetatable({ url = url, ca_file = ca_file, curl = require("healthauth.transports.curl").new() }, Relay)
end

return M
