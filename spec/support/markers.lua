-- SPDX-License-Identifier: MIT
-- Planted secrets, and whether a text shows one: as it is, percent-encoded, in base64 and base64url at any offset, in hex, or with JSON
-- or Lua escapes.

local core = require "healthauth.core"

local M = {}

local LEAST = 8 -- bytes of a secret that must not be seen in one piece

-- The letters of a base64 text that are the secret's alone, whatever stands before and behind it.
local function inner_base64(secret, before, url)
  local text = (url and core.base64url or core.base64)(("\0"):rep(before) .. secret)
  local first = math.ceil(before * 8 / 6)
  local last = math.floor((before + #secret) * 8 / 6)
  return text:sub(first + 1, last)
end

local function every(secret, format)
  return (secret:gsub(".", function(byte) return format:format(byte:byte()) end))
end

--- The spellings of a secret.
---@param secret string
---@return table<string, string> name to text
function M.spellings(secret)
  local out = {
    plain = secret, percent = core.percent_encode(secret), ["percent, every byte"] = every(secret, "%%%02X"),
    form = core.percent_encode(secret):gsub("%%20", "+"), hex = core.hex(secret), json = core.json_encode({ secret }):sub(3, -3),
    ["json, every byte"] = every(secret, "\\u%04x"),
    ["a code"] = (secret:lower():gsub("[^%w_]", "_")), ["lua, every byte"] = every(secret, "\\%03d"),
  }
  for before = 0, 2 do
    out["base64 at " .. before] = inner_base64(secret, before)
    out["base64url at " .. before] = inner_base64(secret, before, true)
  end
  return out
end

--- A text together with what its percent escapes and its runs of base64 say.
---@param text string
---@return string
function M.readings(text)
  local out = { text, core.percent_decode(text, true) or "" }
  for run in text:gmatch "[%w+/_-]+" do out[#out + 1] = core.base64url_decode((run:gsub("+", "-"):gsub("/", "_"))) or "" end
  return table.concat(out, "\n")
end

--- A search for these secrets.
---@param secrets string[]
---@return table
function M.new(secrets)
  local wanted = {}
  for _, secret in ipairs(secrets) do
    assert(#secret >= LEAST, "a planted secret is too short to be told from chance")
    for name, text in pairs(M.spellings(secret)) do wanted[#wanted + 1] = { secret = secret, name = name, text = text:lower() } end
  end
  return setmetatable({ wanted = wanted }, { __index = M })
end

--- What a text shows of them: "SECRET (base64 at 1)", or nil. Letters of either case count.
---@param text string
---@return string|nil
function M:seen(text)
  text = text:lower()
  for _, want in ipairs(self.wanted) do
    if text:find(want.text, 1, true) then return want.secret .. " (" .. want.name .. ")" end
  end
end

--- The same for any value: every string in it, keys too, and what tostring says of it.
---@param value any
---@param visited? table
---@return string|nil
function M:within(value, visited)
  local found = self:seen(tostring(value))
  if found or type(value) ~= "table" then return found end
  visited = visited or {}
  if visited[value] then return nil end
  visited[value] = true
  for k, v in next, value do
    found = self:within(k, visited) or self:within(v, visited)
    if found then return found end
  end
end

return M
