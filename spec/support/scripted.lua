-- SPDX-License-Identifier: MIT
-- What the specs of sessions share: transports that answer by script, sessions with planted secrets, a clock that stands still.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local support = { NOW = 1700000000 }

function support.clock() return support.NOW end

--- An answer with a JSON body; `value` is a table or the text itself.
function support.json(status, value, headers)
  local list = { { "Content-Type", "application/json" } }
  for name, text in pairs(headers or {}) do list[#list + 1] = { name, text } end
  return { status = status, headers = list, body = type(value) == "string" and value or core.json_encode(value) }
end

--- An answer with a body of another type (nil: no Content-Type at all).
function support.plain(status, body, media)
  return { status = status, headers = media and { { "Content-Type", media } } or {}, body = body or "" }
end

local Scripted = {}
Scripted.__index = Scripted

--- A transport that gives its answers in turn: a response, a function(request) -> response | nil, failure, or { failure = ... }.
function support.script(...)
  return setmetatable({ answers = { ... }, sent = {} }, Scripted)
end

function Scripted:perform(request)
  self.sent[#self.sent + 1] = request
  local answer = self.answers[#self.sent]
  if answer == nil then error("the script has no answer to request " .. #self.sent) end
  if type(answer) == "function" then return answer(request) end
  if answer.failure then return nil, answer.failure end
  return answer
end

local OPTIONS = {
  conneqt = { base_url = "https://conneqt.example", api_key = "planted-api-key-1" },
  ehealth = {
    base_url = "https://ehealth.example", client_id = "client-1", client_secret = "planted-client-secret-1", api_key = "planted-api-key-1",
    psk = "planted-psk-1", redirect_uri = "https://client.example/cb",
  },
  pkb = { base_url = "https://pkb.example", client_id = "client-1", redirect_uri = "https://client.example/cb" },
  pkb_system = { base_url = "https://pkb.example", client_id = "client-1", client_secret = "planted-client-secret-1" },
}
support.PROVIDERS = { "conneqt", "ehealth", "pkb", "pkb_system" }

--- The options of a provider with some replaced; false takes one away.
function support.options(name, changes)
  local out = { clock = support.clock }
  for k, v in pairs(OPTIONS[name]) do out[k] = v end
  for k, v in pairs(changes or {}) do
    if v == false then out[k] = nil else out[k] = v end
  end
  return out
end

function support.open(name, changes)
  return assert(healthauth[name](support.options(name, changes)))
end

function support.tokens(changes)
  local out = {
    access_token = "planted-access-token-1", refresh_token = "planted-refresh-token-1", expires_at = support.NOW + 3600,
      scope = "old scope",
  }
  for k, v in pairs(changes or {}) do
    if v == false then out[k] = nil else out[k] = v end
  end
  return out
end

--- The value of a header of a request or response, and how often it is there.
function support.header(message, name)
  local found, count = nil, 0
  for _, pair in ipairs(message.headers) do
    if pair[1]:lower() == name:lower() then found, count = pair[2], count + 1 end
  end
  return found, count
end

--- Names of headers, sorted, lower case.
function support.header_names(request)
  local out = {}
  for i, pair in ipairs(request.headers) do out[i] = pair[1]:lower() end
  table.sort(out)
  return out
end

--- What fn raises, as a text. fn stands on one line: the text must begin with that line's position.
function support.raised_here(fn)
  local ok, message = pcall(fn)
  assert(not ok, "nothing was raised")
  assert(type(message) == "string", "something else than a text was raised")
  local info = debug.getinfo(fn, "S")
  local where = info.short_src .. ":" .. info.linedefined .. ": "
  if message:sub(1, #where) ~= where then error("expected a message at " .. where .. " but got: " .. message, 2) end
  return message:sub(#where + 1)
end

--- Begins an operation at the fixed time.
function support.begin(session, operation, args)
  local all = { now = support.NOW }
  for k, v in pairs(args or {}) do all[k] = v end
  return session:begin(operation, all)
end

--- One exchange from begin to finish without a transport: result, err, request.
function support.run(session, operation, args, response)
  local exchange = assert(support.begin(session, operation, args))
  local request = exchange:request()
  local result, err = exchange:finish(response)
  return result, err, request
end

--- The parts of an error that programs go by.
function support.brief(err)
  return { err.kind, err.code, err.action, err.outcome }
end

return support
