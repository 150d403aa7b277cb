-- SPDX-License-Identifier: MIT
-- What the sandbox specs share: short ways to send a request and to read what came back.

local core = require "healthauth.core"
local sandbox = require "healthauth.sandbox"

local support = { NOW = 1700000000 }

--- A sandbox with a fixed seed and a clock that stands still (advance it).
function support.sandbox(options)
  local all = { seed = "spec", clock = function() return support.NOW end }
  for name, value in pairs(options or {}) do all[name] = value end
  return sandbox.new(all)
end

local function headers_of(map)
  local list = {}
  for name, value in pairs(map or {}) do list[#list + 1] = { name, value } end
  return list
end

function support.get(box, url, headers)
  return box:answer { method = "GET", url = url, headers = headers_of(headers) }
end

function support.json(box, url, value, headers)
  local all = { ["Content-Type"] = "application/json", Accept = "application/json" }
  for name, text in pairs(headers or {}) do all[name] = text end
  local body = type(value) == "string" and value or core.json_encode(value)
  return box:answer { method = "POST", url = url, headers = headers_of(all), body = body }
end

function support.form(box, url, fields, headers)
  local all = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  for name, text in pairs(headers or {}) do all[name] = text end
  return box:answer { method = "POST", url = url, headers = headers_of(all), body = core.form_encode(fields) }
end

function support.decoded(response)
  return assert(core.json_decode(response.body))
end

function support.header(response, name)
  for _, pair in ipairs(response.headers) do
    if pair[1]:lower() == name:lower() then return pair[2] end
  end
  return nil
end

--- The query of a callback as a map, and the address before it.
function support.callback(url)
  local base, query = url:match("^([^?]*)%?(.*)$")
  return assert(core.form_decode(query)), base
end

return support
