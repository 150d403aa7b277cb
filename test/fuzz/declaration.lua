-- SPDX-License-Identifier: MIT
-- One input: a byte that chooses one of our declarations, then changes: a byte that says which of its tables (in a fixed order), one
-- for the member, one for what is put there, and where that is a text or a name, a byte for its length and its bytes.

local core = require "healthauth.core"

local NAMES = { "conneqt", "ehealth", "pkb", "pkb_system" }
local BASE = {}
for i, name in ipairs(NAMES) do BASE[i] = require("healthauth.providers." .. name) end

local function copy(v, all)
  if type(v) ~= "table" then return v end
  local out, keys = {}, {}
  all[#all + 1] = out
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(keys) do out[k] = copy(v[k], all) end
  return out
end

local WORDS = {
  "form", "json", "none", "never", "safe", "replace", "keep", "oauth", "bearer", "basic", "GET", "POST", "DELETE", "$option.client_id",
  "$argument.code", "$argument.scope?", "$pending.state", "$option.nobody", "$", "$option.", "https://x.example/y", "/path",
  "//evil.example", "http://127.0.0.1:1/", "a.b.c", "invalid_grant", "ehealth", "problem", "reauthorize", "ignore_case",
  "client_credentials", "access_token", "body", "fields", "path", "method", "tokens",
}
local PLAIN = { true, false, 0, 1, -1, 200, 410, 1e9, 0.5, 1 / 0, 0 / 0, 2 ^ 53 }

local function value_of(kind, word, all)
  if kind < 60 then return WORDS[kind % #WORDS + 1] end
  if kind < 80 then return PLAIN[kind % #PLAIN + 1] end
  if kind < 100 then return nil end
  if kind < 110 then return {} end
  if kind < 114 then return print end
  if kind < 116 then return setmetatable({}, { __index = function() error "a metamethod ran" end }) end
  if kind < 160 then return all[kind % #all + 1] end
  return word
end

local function change(d, all, input)
  local at = 2
  while at + 3 <= #input and at < 100 do
    local t, member, kind, len = input:byte(at, at + 3)
    local word = input:sub(at + 4, at + 3 + len % 32)
    at = at + 4 + (kind >= 160 and #word or 0)
    local target = all[t % #all + 1]
    local keys = {}
    for k in pairs(target) do keys[#keys + 1] = k end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    local key = member < 200 and keys[member % (#keys + 1) + 1] or WORDS[member % #WORDS + 1]
    if key == nil then key = #target + 1 end
    target[key] = value_of(kind, word, all)
  end
  return d
end

-- Whatever compiles must be usable without any error but the announced ones.
local OPTIONS = { "client_id", "client_secret", "api_key", "psk", "redirect_uri", "scope" }
local function use(provider, d)
  local options = { base_url = "https://api.example.org" }
  if type(d.options) == "table" then
    for _, name in ipairs(OPTIONS) do
      if rawget(d.options, name) ~= nil then options[name] = "https://v.example/" end
    end
  end
  options.tokens = { access_token = "a", refresh_token = "r" }
  local ok, session = pcall(core.session, provider, options)
  if not ok then return end
  for _, verb in ipairs { "exchange", "refresh", "verify", "check", "logout", "call" } do
    local arguments = verb == "call" and { method = "GET", url = "/x" } or verb == "verify" and { token = "t" } or verb == "exchange" and
      { code = "c" } or {}
    local begun, exchange = pcall(session.begin, session, verb, arguments)
    if begun and exchange then
      local request = exchange:request()
      assert(request.url:find "^https?://", "url")
      for _, header in ipairs(request.headers) do
        assert(not (header[1] .. header[2]):find "[%z\r\n]", "a header with a line break")
      end
      local result, err = exchange:finish { status = 400, headers = {}, body = '{"error":"invalid_grant"}' }
      assert(result ~= nil or core.is_error(err), "finish")
    end
  end
  pcall(core.authorize_url, session, {})
  session:close()
end

return function(input)
  if #input < 1 then return end
  local all = {}
  local d = change(copy(BASE[input:byte(1) % #BASE + 1], all), all, input)
  local ok, provider = pcall(core.provider, d)
  if ok then
    use(provider, d)
  else
    assert(type(provider) == "string" and #provider > 0 and #provider < 2000, "a message")
    assert(not provider:find("metamethod", 1, true), "a metamethod ran")
  end
end
