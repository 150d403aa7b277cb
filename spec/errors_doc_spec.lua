-- SPDX-License-Identifier: MIT
-- docs/errors.md lists every code that the sources can make. The sources are read as text: a code is found where an error is made.

local lfs = require "lfs"

local ROOT = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$"

local LUA_PATTERNS = {
  '%f[%w]code = "([a-z][a-z_]+)"', 'fail%("([a-z][a-z_]+)"', 'fail%("[a-z_]+", *"([a-z][a-z_]+)"', 'unsupported%("([a-z][a-z_]+)"',
  'fail%([%w_.]+, "[a-z_]+", "[a-z_]+", "([a-z_]+)"',
}
local C_PATTERNS = {
  'say%(f, "[a-z_]+", "([a-z_]+)"', 'refuse%(L, x, "[a-z_]+", "([a-z_]+)"', 'broken%(L, x, r, "[a-z_]+", "([a-z_]+)"',
  'return "([a-z]+_[a-z_]+)";',
}
-- Returned as words, but no codes: they stay inside, raise, or are actions.
local NO_CODES = {
  no_memory = true, fix_request = true, fix_credentials = true, give_up = true, operation_outcome = true, step_up = true, not_sent = true,
  too_large = true,
}

local function walk(folder, suffix, visit)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then walk(path, suffix, visit)
      elseif name:sub(-#suffix) == suffix then visit(path) end
    end
  end
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function codes_of(folder, suffix, patterns, found)
  walk(ROOT .. folder, suffix, function(path)
    if path:find("/sandbox/", 1, true) or path:find("/cli/", 1, true) then return end -- a provider's words; a person's
    local text = read(path)
    for _, pattern in ipairs(patterns) do
      for code in text:gmatch(pattern) do found[code] = path end
    end
  end)
end

describe("docs/errors.md", function()
  local text = read(ROOT .. "docs/errors.md")
  local found = {}
  codes_of("lua/healthauth", ".lua", LUA_PATTERNS, found)
  codes_of("src/bind", ".c", C_PATTERNS, found)
  codes_of("src/sys", ".c", C_PATTERNS, found)

  it("is compared with codes from every part", function()
    for _, code in ipairs { "connect_timeout", "state_mismatch", "member_type", "conflict", "code_rejected", "transport_raised" } do
      assert.is_truthy(found[code], code)
    end
  end)

  it("explains every code that the sources make", function()
    local missing = {}
    for code, path in pairs(found) do
      if not NO_CODES[code] and not text:find("`" .. code .. "`", 1, true) then missing[#missing + 1] = code .. " in " .. path end
    end
    table.sort(missing)
    assert.are.equal("", table.concat(missing, "\n"))
  end)

  it("explains every kind and every action", function()
    for _, word in ipairs {
      "argument", "network", "timeout", "tls", "protocol", "too_large", "denied", "http", "state", "store", "unsupported", "retry", "wait",
      "reauthorize", "fix_request", "fix_credentials", "step_up", "give_up",
    } do
      assert.is_truthy(text:find("`" .. word .. "`", 1, true), word)
    end
  end)
end)
