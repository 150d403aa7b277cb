-- SPDX-License-Identifier: MIT
-- Cassettes: files of requests and what came back, as a Lua table that a person can read and edit.
--   return { version = 1, { request = { method, url, headers, body }, response = { status, headers, body } | failure = {...} }, ... }
-- A cassette is loaded as text with an empty environment, and checked before it is used.

local VERSION = 1
local FAILURE_FIELDS = { "kind", "code", "message", "outcome" }

local cassette = {}

-- A Lua literal of a text: in long brackets where that reads better, else quoted with every odd byte as a number.
local function quoted(text)
  if text:find('"', 1, true) and not text:find("[%c\127-\255]") then
    local level = ""
    while text:find("]" .. level .. "]", 1, true) or text:sub(-#level - 1) == "]" .. level do level = level .. "=" end
    return "[" .. level .. "[" .. text .. "]" .. level .. "]"
  end
  return '"' .. text:gsub('[%c"\\\127]', function(byte) return ("\\%03d"):format(byte:byte()) end) .. '"'
end

local function header_lines(headers, indent)
  if #headers == 0 then return "{}" end
  local lines = {}
  for _, pair in ipairs(headers) do lines[#lines + 1] = indent .. "  { " .. quoted(pair[1]) .. ", " .. quoted(pair[2]) .. " }," end
  return "{\n" .. table.concat(lines, "\n") .. "\n" .. indent .. "}"
end

local function entry(item)
  local request, out = item.request, {}
  local function line(text) out[#out + 1] = text end
  line "  {"
  line("    request = { method = " .. quoted(request.method) .. ", url = " .. quoted(request.url) .. ",")
  line("      headers = " .. header_lines(request.headers, "      ") .. ",")
  if request.body then line("      body = " .. quoted(request.body) .. ",") end
  line "    },"
  if item.response then
    line(("    response = { status = %d,"):format(item.response.status))
    line("      headers = " .. header_lines(item.response.headers, "      ") .. ",")
    if item.response.close_delimited then line "      close_delimited = true," end
    line("      body = " .. quoted(item.response.body) .. ",")
    line "    },"
  else
    local fields = {}
    for _, name in ipairs(FAILURE_FIELDS) do
      if item.failure[name] then fields[#fields + 1] = name .. " = " .. quoted(item.failure[name]) end
    end
    line("    failure = { " .. table.concat(fields, ", ") .. " },")
  end
  line "  },"
  return table.concat(out, "\n")
end

--- The text of a cassette.
---@param items table list of {request, response | failure}
---@return string
function cassette.format(items)
  local out = { "-- A healthauth cassette: what was asked and what came back. Secrets are masked.", "return {", "  version = 1," }
  for _, item in ipairs(items) do out[#out + 1] = entry(item) end
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end

local function loaded(text, name)
  if text:sub(1, 1) == "\27" then return nil, "compiled code" end
  local set_environment = rawget(_G, "setfenv")
  if set_environment then -- 5.1, LuaJIT
    local chunk, why = rawget(_G, "loadstring")(text, name)
    return chunk and set_environment(chunk, {}), why
  end
  return load(text, name, "t", {})
end

local function headers_fit(headers)
  if type(headers) ~= "table" then return false end
  for _, pair in ipairs(headers) do
    if type(pair) ~= "table" or type(pair[1]) ~= "string" or type(pair[2]) ~= "string" then return false end
  end
  return true
end

--- Checks a list of requests and answers.
---@param items any
---@return string|nil wrong the path of the first member that does not fit
function cassette.check(items)
  if type(items) ~= "table" then return "a table" end
  if items.version ~= nil and items.version ~= VERSION then return "version" end
  for index, item in ipairs(items) do
    local at = "[" .. index .. "]"
    if type(item) ~= "table" or type(item.request) ~= "table" then return at .. ".request" end
    if type(item.request.method) ~= "string" then return at .. ".request.method" end
    if type(item.request.url) ~= "string" then return at .. ".request.url" end
    local response, failure = item.response, item.failure
    if type(response) == "table" then
      if type(response.status) ~= "number" then return at .. ".response.status" end
      if not headers_fit(response.headers or {}) then return at .. ".response.headers" end
      if response.body ~= nil and type(response.body) ~= "string" then return at .. ".response.body" end
    elseif type(failure) ~= "table" or type(failure.kind) ~= "string" then
      return at .. ".response"
    end
  end
  return nil
end

--- Reads a cassette from a file.
---@param path string
---@return table|nil items
---@return string|nil why
function cassette.read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text = file:read("*a")
  file:close()
  local chunk
  chunk, why = loaded(text or "", "@" .. path)
  if not chunk then return nil, path .. ": " .. tostring(why) end
  local ok, items = pcall(chunk)
  if not ok then return nil, path .. ": " .. tostring(items) end
  local wrong = cassette.check(items)
  if wrong then return nil, path .. ": expected " .. wrong end
  return items
end

--- Writes a cassette: a new file beside it takes its place, so that a reader never sees half of one.
---@param path string
---@param items table
---@return true|nil
---@return string|nil why
function cassette.write(path, items)
  local beside = path .. ".new"
  local file, why = io.open(beside, "wb")
  if not file then return nil, why end
  local written, problem = file:write(cassette.format(items))
  local closed, closing = file:close()
  local done = written and closed
  if done then done, problem = os.rename(beside, path) end
  if done then return true end
  os.remove(beside)
  return nil, problem or closing or "cannot write"
end

return cassette
