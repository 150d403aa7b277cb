-- SPDX-License-Identifier: MIT
--- Sealed cookies: AES-256-GCM under a key derived from the owner's secret, with the cookie's own name as associated data, so that no value
-- fits another cookie. __Host- where the page is https. What cannot be opened counts as absent.

local core = require "healthauth.core"
local options = require "healthauth.nginx.options"

local SECRET_LEAST = 32
local VALUE_MAX = 3800 -- browsers drop a cookie above 4096 bytes

local M = {}

--- Keys from a secret, or from a list of them: the first seals, all open.
---@param secret string|string[]
---@return string[]|nil keys
---@return string|nil why
function M.keys(secret)
  local keys = {}
  if type(secret) == "table" and not options.is_list(secret) then return nil, "secret: expected a text or a list of texts" end
  for i, one in ipairs(type(secret) == "table" and secret or { secret }) do
    if type(one) ~= "string" or #one < SECRET_LEAST then
      return nil, "secret: " .. SECRET_LEAST .. " random bytes or more, the same in every worker and machine (openssl rand -base64 32)"
    end
    keys[i] = core.hmac_sha256(one, "healthauth nginx cookie 1")
  end
  if #keys == 0 then return nil, "secret: expected a text or a list of texts" end
  return keys
end

--- A cookie's full name.
---@param name string
---@param secure boolean
---@return string
function M.name(name, secure)
  return (secure and "__Host-" or "") .. name
end

--- Every cookie of the request; one that comes twice is none.
---@return table<string, string>
function M.all()
  local found, twice = {}, {}
  for name, value in (ngx.var.http_cookie or ""):gmatch "([^=;%s]+)=([^;]*)" do
    if found[name] then twice[name] = true end
    found[name] = value
  end
  for name in next, twice do found[name] = nil end
  return found
end

--- What a cookie of ours holds, or nil.
---@param keys string[]
---@param name string
---@param value string|nil
---@return table|nil
function M.open(keys, name, value)
  local sealed = value and #value <= VALUE_MAX and core.base64url_decode(value)
  if not sealed then return nil end
  for _, key in ipairs(keys) do
    local text = core.unseal(key, sealed, name)
    local held = text and core.json_decode(text)
    if type(held) == "table" then return held end
  end
  return nil
end

--- Adds such a line to the answer.
---@param line string
function M.add(line)
  local before = ngx.header["Set-Cookie"]
  if before == nil then before = {}
  elseif type(before) == "string" then before = { before } end
  before[#before + 1] = line
  ngx.header["Set-Cookie"] = before
end

--- The line that sets a sealed cookie, and the bytes of its name and value; or nil and why not: too_long for a browser, or random_failed.
---@param keys string[]
---@param name string
---@param held table
---@param seconds integer
---@param secure boolean
---@return string|nil line
---@return integer|string bytes_or_why
function M.line(keys, name, held, seconds, secure)
  local sealed = core.seal(keys[1], core.json_encode(held), name)
  if not sealed then return nil, "random_failed" end
  local value = core.base64url(sealed)
  if #value > VALUE_MAX then return nil, "too_long" end
  return ("%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s"):format(name, value, seconds, secure and "; Secure" or ""), #name + #value
end

--- Takes a cookie away.
---@param name string
---@param secure boolean
function M.drop(name, secure)
  M.add(("%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax%s"):format(name, secure and "; Secure" or ""))
end

return M
