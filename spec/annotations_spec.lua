-- SPDX-License-Identifier: MIT
-- Every function that a Lua file hands out has a sentence and its types beside it (LuaLS), and the file for editors describes what the
-- C modules really have.

local core = require "healthauth.core"
local healthauth = require "healthauth"
local lfs = require "lfs"

local ROOT = debug.getinfo(1, "S").source:match "^@(.*)spec/annotations_spec%.lua$"

local function files_under(folder, found)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then files_under(path, found)
      elseif name:find "%.lua$" then found[#found + 1] = path end
    end
  end
  table.sort(found)
  return found
end

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

-- What a file returns when that is a function under its own name.
local function returned(lines)
  for i = #lines, 1, -1 do
    local name = lines[i]:match "^return (%w+)$" or lines[i]:match "^return .*{ new = (%w+) }"
    if name then return name end
    if lines[i]:match "^return" then return nil end
  end
end

-- The parameters of the function that this line begins, when it is one that is handed out: a field of a module or class whose name does
-- not begin with an underscore, or the function that the file returns.
local function exported(line, result)
  local owner, name, params = line:match "^function ([%w_]+)[.:]([%w_]+)%((.-)%)"
  if owner then return name:sub(1, 1) ~= "_" and params or nil, name end
  name, params = line:match "^local function ([%w_]+)%((.-)%)"
  if name and name == result then return params, name end
end

-- The comment right above a line.
local function comment_above(lines, at)
  local out = {}
  while at > 1 and lines[at - 1]:match "^%-%-" do
    at = at - 1
    table.insert(out, 1, lines[at])
  end
  return out
end

-- Whether the function that begins at a line answers a value, as its own statements say (two spaces further in than itself, or in a block).
local function answers(lines, at)
  if lines[at]:match " return [^e].* end$" then return true end
  if lines[at]:match " end$" then return false end
  local depth = 0
  for i = at + 1, #lines do
    local line = lines[i]
    if line == "end" then return false end
    if line:match "function ?%(.-%)%s*$" then depth = depth + 1 end -- a function inside: its returns are not ours
    if depth > 0 and line:match "^%s*end[%),]*" and line:match "^(%s*)" == lines[i]:match "^(%s*)end" then
      depth = line:match "^  end" and 0 or depth
    elseif depth == 0 and line:match "%f[%w]return [^%s]" and not line:match "%f[%w]return end" and not line:match "return ngx%.[er]" then
      return true
    end
  end
  return false
end

local function has_sentence(comment)
  for _, line in ipairs(comment) do
    local text = line:match "^%-+%s*(.*)$"
    if text:sub(1, 1) ~= "@" and text:match "%w+ %w+" then return true end
  end
  return false
end

local function has_line(comment, pattern)
  for _, line in ipairs(comment) do
    if line:match(pattern) then return true end
  end
  return false
end

-- What is missing beside one function; nil when nothing is.
local function missing(lines, at, params)
  local comment = comment_above(lines, at)
  if not has_sentence(comment) then return "a sentence" end
  for param in params:gmatch "[^,%s]+" do
    local name = param == "..." and "%.%.%." or param
    local needed = param ~= "self" and param:sub(1, 1) ~= "_"
    if needed and not has_line(comment, "^%-%-%-@param " .. name .. "%??%f[%s]") then return "@param " .. param end
  end
  if answers(lines, at) and not has_line(comment, "^%-%-%-@return ") then return "@return" end
end

describe("annotations", function()
  local paths = files_under(ROOT .. "lua", {})

  it("stand beside every function that a file hands out", function()
    local wrong, count = {}, 0
    for _, path in ipairs(paths) do
      local lines = lines_of(path)
      local result = returned(lines)
      for at, line in ipairs(lines) do
        local params, name = exported(line, result)
        if params then
          count = count + 1
          local lacks = missing(lines, at, params)
          if lacks then wrong[#wrong + 1] = ("%s:%d: %s lacks %s"):format(path:sub(#ROOT + 1), at, name, lacks) end
        end
      end
    end
    assert.is_true(count > 150)
    assert.are.equal("", table.concat(wrong, "\n"))
  end)

  it("are missed where they are missing", function()
    local function judge(text)
      local lines = {}
      for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
      return missing(lines, #lines - 2, (exported(lines[#lines - 2])))
    end
    assert.are.equal("a sentence", judge "---@param a string\nfunction M.f(a)\n  g(a)\nend")
    assert.are.equal("@param a", judge "--- Does a thing.\nfunction M.f(a)\n  g(a)\nend")
    assert.are.equal("@return", judge "--- Does a thing.\n---@param a string\nfunction M.f(a)\n  return g(a)\nend")
    assert.is_nil(judge "--- Does a thing.\n---@param a? string\n---@return string\nfunction M.f(a)\n  return g(a)\nend")
    assert.is_nil(judge "--- Does a thing.\nfunction M:f()\n  g()\nend")
  end)
end)

-- The names of functions that a file for editors gives an object.
local function described(file, object)
  local names = {}
  for line in io.lines(ROOT .. "lua/healthauth/meta/" .. file .. ".lua") do
    local name = line:match("^function " .. object .. "[.:]([%w_]+)%(")
    if name then names[name] = true end
  end
  return names
end

local function functions_of(object)
  local names = {}
  for name, value in pairs(object) do
    if type(value) == "function" then names[name] = true end
  end
  return names
end

describe("lua/healthauth/meta", function()
  it("describes every function of healthauth.core, and no other", function()
    assert.are.same(functions_of(core), described("core", "core"))
  end)

  it("describes the methods that a session, a provider and an exchange have from C", function()
    local provider = healthauth.provider { name = "acme", operations = { check = { path = "/" } } }
    for name in pairs(described("core", "Provider")) do assert.is_function(provider[name], name) end
    local session = assert(healthauth.session(provider, { base_url = "https://acme.example" }))
    for name in pairs(described("core", "Session")) do assert.is_function(session[name], name) end
    local exchange = assert(session:begin "check")
    local names = described("core", "Exchange")
    assert.are.same({ request = true, finish = true, fail = true }, names)
    for name in pairs(names) do assert.is_function(exchange[name], name) end
    local reader = core.http1_reader { method = "GET" }
    names = described("core", "Http1Reader")
    for _, name in ipairs { "feed", "eof", "started", "headed", "extra", "reusable", "response", "close" } do
      assert.is_function(reader[name], name)
      assert.is_true(names[name], name)
      names[name] = nil
    end
    assert.is_nil(next(names))
  end)

  for _, case in ipairs {
    { "curl", "Handle", function(module) return module.new() end },
    { "sqlite", "File", function(module) return assert(module.open("/nonexistent/x.db", 0)) end },
    { "hiredis", "Connection", function(module) return module.new() end },
  } do
    it("describes healthauth." .. case[1], function()
      local module = require("healthauth." .. case[1])
      assert.are.same(functions_of(module), described(case[1], case[1]))
      local object, count = case[3](module), 0
      for name in pairs(described(case[1], case[2])) do
        assert.is_function(object[name], name)
        count = count + 1
      end
      assert.is_true(count >= 2)
    end)
  end
end)

-- The names of the fields that a file for editors gives a class.
local function fields_of(file, class)
  local names, inside = {}, false
  for line in io.lines(ROOT .. "lua/healthauth/meta/" .. file .. ".lua") do
    if line:find "^%-%-%-@class" then inside = line:match "^%-%-%-@class healthauth%.(%w+)" == class end
    local name = inside and line:match "^%-%-%-@field ([%w_]+)"
    if name then names[name] = true end
  end
  return names
end

describe("lua/healthauth/meta/parts.lua", function()
  -- A file of the folder is a constructor where it can be called: a function, or a table that is one, too. What only nginx can load counts.
  for folder, class in pairs { transports = "Transports", stores = "Stores" } do
    it("has every constructor of healthauth." .. folder .. ", and no other", function()
      local made = {}
      for name in lfs.dir(ROOT .. "lua/healthauth/" .. folder) do
        local part = name:match "^(.*)%.lua$"
        if part and part ~= "redis_driver_resty" then
          local module = healthauth[folder][part]
          if type(module) == "function" or getmetatable(module) and getmetatable(module).__call then made[part] = true end
        end
      end
      assert.are.same(made, fields_of("parts", class))
    end)
  end

  it("has what the sandbox's transport can do", function()
    local transport = healthauth.transports.sandbox {}
    local count = 0
    for name in pairs(fields_of("parts", "SandboxTransport")) do
      count = count + 1
      assert.is_truthy(transport[name], name)
    end
    for name, value in pairs(getmetatable(transport)) do
      local known = name:find "^_" or name == "perform" or name == "close" -- those of every transport
      if type(value) == "function" and not known then assert.is_true(fields_of("parts", "SandboxTransport")[name], name) end
    end
    assert.is_true(count > 8)
  end)
end)

describe("a type that an annotation names", function()
  it("is declared by some file", function()
    local declared, used = {}, {}
    for _, path in ipairs(files_under(ROOT .. "lua", {})) do
      for at, line in ipairs(lines_of(path)) do
        local name = line:match "^%-%-%-@class ([%w_.]+)" or line:match "^%-%-%-@alias ([%w_.]+)"
        if name then declared[name] = true end
        if line:match "^%-%-%-@[pfrac]" then
          for word in line:gmatch "healthauth%.[%w_.]*[%w_]" do used[word] = used[word] or path:sub(#ROOT + 1) .. ":" .. at end
        end
      end
    end
    local unknown = {}
    for name, where in pairs(used) do
      if not declared[name] and name:match "^healthauth%.[A-Z]" then unknown[#unknown + 1] = name .. " in " .. where end
    end
    table.sort(unknown)
    assert.is_true(declared["healthauth.Error"])
    assert.are.equal("", table.concat(unknown, "\n"))
  end)
end)
