-- SPDX-License-Identifier: MIT
-- README.md, docs/providers.md and docs/sandbox.md hold what they promise: their ```lua blocks run, one after the other as one program,
-- in an empty directory and without a network, and print what the comments `--> ...` beside them say. Links between the papers lead
-- somewhere.

local lfs = require "lfs"

local ROOT = debug.getinfo(1, "S").source:match "^@(.*)spec/docs_spec%.lua$"
ROOT = (ROOT:sub(1, 1) == "/" and ROOT or lfs.currentdir() .. "/" .. ROOT)
local RUN = { ["README.md"] = 5, ["docs/providers.md"] = 3, ["docs/sandbox.md"] = 1 } -- blocks, at least
local PAPERS = {
  "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/dependencies.md", "docs/errors.md", "docs/nginx.md",
  "docs/providers.md", "docs/sandbox.md", "docs/security.md",
}

local function read(path)
  local file = assert(io.open(ROOT .. path))
  local text = file:read "*a"
  file:close()
  return text
end

-- The Lua of a paper with every other line blank, so that an error shows the paper's own line; and what it should print.
local function program_of(text)
  local lines, wanted, inside, blocks = {}, {}, false, 0
  for line in (text .. "\n"):gmatch "(.-)\n" do
    if line:match "^```" then
      inside = line == "```lua"
      if inside then blocks = blocks + 1 end
      lines[#lines + 1] = ""
    else
      lines[#lines + 1] = inside and line or ""
      wanted[#wanted + 1] = inside and line:match "%-%-> (.*)$" or nil
    end
  end
  return table.concat(lines, "\n"), wanted, blocks
end

local function compile(text, name, env)
  local set_environment = rawget(_G, "setfenv") -- 5.1 and LuaJIT
  if not set_environment then return assert(load(text, name, "t", env)) end
  return set_environment(assert(rawget(_G, "loadstring")(text, name)), env)
end

-- Runs fn in a fresh directory, which is removed afterwards, and goes back.
local function in_fresh_directory(fn)
  local name = os.tmpname()
  os.remove(name)
  assert(lfs.mkdir(name))
  local home = lfs.currentdir()
  assert(lfs.chdir(name))
  local ok, problem = pcall(fn)
  lfs.chdir(home)
  for entry in lfs.dir(name) do os.remove(name .. "/" .. entry) end
  lfs.rmdir(name)
  if not ok then error(problem, 0) end
end

for path, least in pairs(RUN) do
  describe("the Lua in " .. path, function()
    local text, wanted, blocks = program_of(read(path))

    it("is there", function()
      assert.is_true(blocks >= least)
      assert.is_true(#wanted >= least)
    end)

    it("runs and prints what it says", function()
      local printed = {}
      local env = setmetatable({
        print = function(...)
          local parts = {}
          for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
          printed[#printed + 1] = table.concat(parts, "\t")
        end,
      }, { __index = _G })
      in_fresh_directory(function() compile(text, "@" .. path, env)() end)
      assert.are.same(wanted, printed)
    end)

    it("names this module and no global of its own making", function()
      assert.is_truthy(text:find('require "healthauth"', 1, true))
      local env = setmetatable({ print = function() end }, {
        __index = _G, __newindex = function(_, name) error("a snippet makes the global " .. tostring(name), 2) end,
      })
      in_fresh_directory(function() compile(text, "@" .. path, env)() end)
    end)
  end)
end

describe("the papers", function()
  it("link only to files that are there", function()
    local missing = {}
    for _, path in ipairs(PAPERS) do
      local folder = path:match "^(.*/)" or ""
      for target in read(path):gmatch "%]%(([^)#]+)[^)]*%)" do
        local place = ROOT .. folder .. target
        if not target:find "^%a+:" and not lfs.attributes(place) then missing[#missing + 1] = path .. " -> " .. target end
      end
    end
    assert.are.same({}, missing)
  end)

  it("name only files of the source that are there", function()
    local missing = {}
    for _, path in ipairs(PAPERS) do
      for name in read(path):gmatch "`([%w_./-]+/[%w_./-]+%.%a+)`" do
        local own = name:match "^src/" or name:match "^lua/" or name:match "^spec/" or name:match "^tools/" or name:match "^test/"
        if own and not lfs.attributes(ROOT .. name) then missing[#missing + 1] = path .. ": " .. name end
      end
    end
    assert.are.same({}, missing)
  end)
end)

describe("docs/security.md", function()
  local rows = {}
  for line in read("docs/security.md"):gmatch "[^\n]+" do
    local number, rule, enforced, proved = line:match "^| (%d+) | (.-) | (.-) | (.-) |$"
    if number then rows[#rows + 1] = { number = tonumber(number), rule = rule, enforced = enforced, proved = proved } end
  end

  it("has a row for each of the 25 rules, in order, with no empty cell", function()
    assert.are.equal(25, #rows)
    for i, row in ipairs(rows) do
      assert.are.equal(i, row.number)
      assert.is_true(#row.rule > 10)
      assert.is_truthy(row.enforced:find("`", 1, true) or row.enforced:find("src/", 1, true), "rule " .. i)
      assert.is_truthy(row.proved:find "`%w+/[%w/_]+%.%w+`", "rule " .. i)
    end
  end)

  it("cites words that stand in the specs it names", function()
    local wrong, count = {}, 0
    for _, row in ipairs(rows) do
      for path, hints in row.proved:gmatch "`([%w/_]+%.%w+)` %(([^)]+)%)" do
        local text = read(path):lower()
        for hint in (hints .. ";"):gmatch "%s*(.-);" do
          count = count + 1
          if not text:find(hint:lower(), 1, true) then wrong[#wrong + 1] = ("rule %d: %s: %s"):format(row.number, path, hint) end
        end
      end
    end
    assert.is_true(count > 30)
    assert.are.equal("", table.concat(wrong, "\n"))
  end)
end)
