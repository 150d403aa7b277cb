-- SPDX-License-Identifier: MIT
-- Takes the secrets out of requests and answers before a person or a file sees them.
-- A secret is found by the name of its header or member, or by its looks (long, of token bytes, digits among letters) where the name
-- is not one that is known to be harmless. What was found once is masked wherever it comes again, also in later texts of the same
-- masker. The same secret always gets the same placeholder ([secret-1], ...), so that a reader still sees what belongs together.

local core = require "healthauth.core"

-- Parts of names, in lower case and without - and _, that tell a secret.
local SECRET_PARTS = { "token", "secret", "password", "passwd", "psk", "apikey", "credential", "assertion", "cookie", "signed", "session",
  "verifier", "privatekey", "accesscode", "authorization" }
local SECRET_NAMES = { code = true, value = true, otp = true, pin = true, jwt = true, state = true, nonce = true, drfo = true, key = true }
-- They hold one of the parts above, and no secret.
local PLAIN_NAMES = { tokentype = true, tokentypehint = true, granttype = true, clientassertiontype = true, responsetype = true,
  wwwauthenticate = true, tokenendpoint = true }
-- Long values under these names are ids and words for people.
local HARMLESS = { id = true, clientid = true, userid = true, appid = true, requestid = true, xrequestid = true, instance = true,
  traceid = true, type = true, title = true, scope = true, error = true, message = true, url = true, redirecturi = true, name = true,
  entry = true, reason = true, system = true, display = true, etag = true, date = true, contenttype = true, accept = true,
  useragent = true, codechallenge = true, host = true, server = true, personid = true, messageid = true, path = true }
local LONG = 16     -- an unknown value of so many token bytes is taken for a secret
local MEMORABLE = 6 -- what is shorter is masked in its place only, not wherever the same letters come

-- Not string.lower: it follows the locale, and in a Turkish one AUTHORIZATION has no i.
local LOWER = { ["-"] = "", _ = "" }
for byte = 65, 90 do LOWER[string.char(byte)] = string.char(byte + 32) end

local function plain(name)
  return (name:gsub("[A-Z_-]", LOWER))
end

local function tells_secret(name, extra)
  name = plain(name)
  if extra[name] then return true end
  if PLAIN_NAMES[name] then return false end
  if SECRET_NAMES[name] then return true end
  for _, part in ipairs(SECRET_PARTS) do
    if name:find(part, 1, true) then return true end
  end
  return false
end

local function looks_secret(name, value)
  return not HARMLESS[plain(name)] and #value >= LONG and not value:find("[^%w%-%._~%+/=]")
    and value:find("%d") ~= nil and value:find("%a") ~= nil
end

local function escaped(text)
  return (text:gsub("%p", "%%%0"))
end

local Masker = {}
Masker.__index = Masker

--- Makes a masker.
---@param options? table names: further header, member or field names whose values are secret
---@return table masker
local function new(options)
  local self = setmetatable({ places = {}, order = {}, extra = {} }, Masker)
  for _, name in ipairs(options and options.names or {}) do self.extra[plain(name)] = true end
  return self
end

--- The placeholder of a secret; remembers it.
---@param secret string
---@return string
function Masker:placeholder(secret)
  if secret == "" or secret:find("^%[secret%-?%d*%]$") then return secret end
  if not self.places[secret] then
    self.order[#self.order + 1] = secret
    self.places[secret] = "[secret-" .. #self.order .. "]"
    -- longer ones first, or a secret within a secret would leave its rest behind
    table.sort(self.order, function(a, b) return #a > #b end)
  end
  return self.places[secret]
end

-- As JSON strings have it, once and within another; PHP and others write \/ for a slash.
local function escaped_in_json(secret)
  local once = core.json_encode { secret }:sub(3, -3)
  local slashes = once:gsub("/", "\\/")
  return once, slashes, core.json_encode { once }:sub(3, -3), core.json_encode { slashes }:sub(3, -3)
end

--- A text with every secret that is known so far taken out: by its placeholder in its usual spellings, else by [secret].
---@param text string
---@return string
function Masker:text(text)
  local memorable = {}
  for _, secret in ipairs(self.order) do
    if #secret >= MEMORABLE then
      memorable[#memorable + 1] = secret
      local place = self.places[secret]:gsub("%%", "%%%%")
      local coded = core.percent_encode(secret)
      for _, spelling in ipairs { secret, coded, (coded:gsub("%%20", "+")), escaped_in_json(secret) } do
        text = text:gsub(escaped(spelling), place)
      end
    end
  end
  return core.redact(text, memorable)
end

--- name=value&...: the values of secret names are replaced where they stand.
---@param text string
---@return string
function Masker:fields(text)
  return (text:gsub("([^&=?#]+)=([^&#]*)", function(name, value)
    local decoded = core.percent_decode(value, true) or value
    local word = core.percent_decode(name, true) or name
    if value ~= "" and (tells_secret(word, self.extra) or looks_secret(word, decoded)) then
      return name .. "=" .. self:placeholder(decoded)
    end
    return name .. "=" .. value
  end))
end

--- A URL without the secrets of its query.
---@param url string
---@return string
function Masker:url(url)
  local base, query = url:match("^([^?]*)%?(.*)$")
  return self:text(base and base .. "?" .. self:fields(query) or url)
end

--- Collects the strings of a JSON value that are secrets, and in a request the numbers (eHealth's one-time password is one).
---@param value any
---@param name string    the member that holds it
---@param asked boolean  true in a request, where a `code` opens something
---@param found string[]
---@return string[] found
function Masker:collect(value, name, asked, found)
  if type(value) == "table" then
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) -- so that placeholders are numbered the same in every run
    for _, key in ipairs(keys) do self:collect(value[key], type(key) == "string" and key or name, asked, found) end
  elseif type(value) == "string" and value ~= "" then
    local told = tells_secret(name, self.extra)
    local word = plain(name)
    if word == "code" or word == "key" or word == "state" then told = asked end -- an answer's code is a word: invalid_grant
    if told or looks_secret(name, value) then found[#found + 1] = value end
  elseif type(value) == "number" and asked and tells_secret(name, self.extra) and plain(name) ~= "value" then
    found[#found + 1] = core.json_encode({ value }):sub(2, -2) -- nowhere in quotes: the body is written anew with its placeholder
  end
  return found
end

--- A JSON text without its secrets, the rest kept to the byte.
---@param text string
---@param value any      what the text says
---@param asked boolean
---@return string
function Masker:json(text, value, asked)
  for _, secret in ipairs(self:collect(value, "", asked, {})) do
    local token = core.json_encode { secret }:sub(2, -2) -- as a JSON string with its quotes
    text = text:gsub(escaped(token), (core.json_encode { self:placeholder(secret) }:sub(2, -2):gsub("%%", "%%%%")))
  end
  return self:text(text)
end

--- A body without its secrets. What is neither JSON nor a form loses every run of bytes that looks like a token.
---@param body string
---@param asked boolean whether it is a request's body
---@return string
function Masker:body(body, asked)
  local value = body:find("^%s*[%[{]") and core.json_decode(body)
  if value then
    local text = self:json(body, value, asked)
    local again = core.json_decode(text)
    -- a secret that the server spelled with escapes was not found in the text: then the text is written anew
    if again and #self:collect(again, "", asked, {}) == self:count_placed(again, asked) then return text end
    return self:text(core.json_encode(self:tree(value, "", asked)))
  elseif body:find("^[%w%%._~+*-]+=") and not body:find("[%s<>{}\"]") then
    return self:text(self:fields(body))
  end
  return self:text((body:gsub("[%w%-%._~%+/=]+", function(run)
    return looks_secret("", run) and self:placeholder(run) or nil
  end)))
end

--- How many of the secrets that a value holds are placeholders already.
---@param value any
---@param asked boolean
---@return integer
function Masker:count_placed(value, asked)
  local count = 0
  for _, secret in ipairs(self:collect(value, "", asked, {})) do
    if secret:find("^%[secret%-%d+%]$") then count = count + 1 end
  end
  return count
end

--- A copy of a JSON value with its secrets as placeholders.
---@param value any
---@param name string
---@param asked boolean
---@return any
function Masker:tree(value, name, asked)
  if type(value) == "table" then
    local copy = {}
    for key, member in pairs(value) do copy[key] = self:tree(member, type(key) == "string" and key or name, asked) end
    return copy
  end
  local found = self:collect(value, name, asked, {})
  return found[1] and self:placeholder(found[1]) or value
end

--- One header's value. A scheme before the secret stays: Bearer [secret-1].
---@param name string
---@param value string
---@return string
function Masker:header(name, value)
  if plain(name) == "location" then return self:url(value) end
  local word = plain(name)
  if word:find("cookie", 1, true) then
    return (value:gsub("=([^;]*)", function(secret) return "=" .. self:placeholder(secret) end, 1))
  elseif tells_secret(name, self.extra) then
    local scheme, rest = value:match("^(%a+) +(%S+)$")
    if scheme then
      local shown = scheme .. " " .. self:placeholder(rest)
      if plain(scheme) == "basic" then -- the password is remembered by itself too
        local said = core.base64url_decode((rest:gsub("%+", "-"):gsub("/", "_"):gsub("=+$", ""))) or ""
        self:placeholder(core.percent_decode(said:match "^[^:]*:(.*)$" or "", true) or "")
      end
      return shown
    end
    return value ~= "" and self:placeholder(value) or value
  elseif looks_secret(name, value) then
    return self:placeholder(value)
  end
  return self:text(value)
end

--- A list of headers without their secrets.
---@param list string[][]|nil
---@return string[][]
function Masker:headers(list)
  local out = {}
  for index, pair in ipairs(list or {}) do out[index] = { pair[1], self:header(pair[1], pair[2]) } end
  return out
end

--- A copy of a request: method, url, headers and body, no secret in any.
---@param request table
---@return table
function Masker:request(request)
  local headers = self:headers(request.headers) -- first: they teach what else to look for
  local body = request.body and self:body(request.body, true)
  return { method = request.method, url = self:url(request.url), headers = headers, body = body }
end

--- A copy of an answer: status, headers and body, no secret in any.
---@param response table
---@return table
function Masker:response(response)
  local body = self:body(response.body or "", false)
  return { status = response.status, headers = self:headers(response.headers), body = body, close_delimited = response.close_delimited }
end

return { new = new }
