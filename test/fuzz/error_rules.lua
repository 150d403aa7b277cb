-- SPDX-License-Identifier: MIT
-- What holds for every error, whoever wrote the texts in it.

local core = require "healthauth.core"

local function set(text)
  local out = {}
  for word in text:gmatch "%S+" do out[word] = true end
  return out
end
local KINDS = set "argument network timeout tls protocol too_large denied http state store unsupported"
local ACTIONS = set "retry wait reauthorize fix_request fix_credentials step_up give_up"
local OUTCOMES = set "not_sent answered unknown"

local function text_fine(text, secrets)
  assert(type(text) == "string" and #text <= 512, "a text is too long")
  assert(not text:find "[%z\1-\31\127]", "a control byte is shown")
  for _, secret in ipairs(secrets) do assert(not text:find(secret, 1, true), "a secret is shown") end
end

local function no_secret(value, secrets, depth)
  if type(value) == "string" then
    for _, secret in ipairs(secrets) do assert(not value:find(secret, 1, true), "a secret is in a document") end
  elseif type(value) == "table" then
    for k, v in pairs(value) do
      no_secret(k, secrets, depth + 1)
      no_secret(v, secrets, depth + 1)
    end
  end
end

--- Raises unless err is as every error must be.
---@param err any
---@param secrets string[]  none of which may be in it
return function(err, secrets)
  assert(core.is_error(err), "not an error of ours")
  assert(KINDS[err.kind], "kind")
  assert(ACTIONS[err.action], "action")
  assert(OUTCOMES[err.outcome], "outcome")
  assert(type(err.code) == "string" and #err.code > 0 and not err.code:find "[^a-z0-9_]", "code")
  text_fine(tostring(err), secrets)
  for _, name in ipairs { "message", "title", "detail", "request_id", "error_uri" } do
    if err[name] ~= nil then text_fine(err[name], secrets) end
  end
  for _, v in ipairs(err.invalid or {}) do
    for _, text in pairs(v) do text_fine(text, secrets) end
  end
  if err.retry_after ~= nil then assert(err.retry_after >= 0 and err.retry_after % 1 == 0, "retry_after") end
  no_secret(err.document, secrets, 0)
end
