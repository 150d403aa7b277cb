-- SPDX-License-Identifier: MIT
-- The rockspecs list by hand what the tree has: every Lua file in exactly one of them, every module with the sources that the Makefile
-- gives it, in alphabetical order.

local lfs = require "lfs"

local ROCKS = { "healthauth", "healthauth-redis", "healthauth-sqlite" }
local MODULES = { core = "healthauth", curl = "healthauth", sqlite = "healthauth-sqlite", hiredis = "healthauth-redis" }

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

--- What a rockspec says, as a table.
local function read_rockspec(rock)
  local env = {}
  local text = read_file("rockspec/" .. rock .. "-scm-1.rockspec")
  local load_text = rawget(_G, "loadstring") or load
  local chunk = assert(load_text(text, "=" .. rock, "t", env))
  local set_environment = rawget(_G, "setfenv") -- 5.1 and LuaJIT: load_text took the text alone
  if set_environment then set_environment(chunk, env) end
  chunk()
  return env, text
end

--- Every file under a folder whose name ends so, sorted.
local function files_under(folder, ending, found)
  found = found or {}
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then
        files_under(path, ending, found)
      elseif name:sub(-#ending) == ending then
        found[#found + 1] = path
      end
    end
  end
  table.sort(found)
  return found
end

--- The sources of one shared object, as the Makefile has them.
local function made_of(module)
  local pipe = assert(io.popen("env -u MAKEFLAGS -u MAKELEVEL make -s --no-print-directory sources-" .. module))
  local sources = {}
  for line in pipe:lines() do sources[#sources + 1] = line end
  pipe:close()
  table.sort(sources)
  return sources
end

local function name_of(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", "."):gsub("%.init$", ""))
end

describe("the rockspecs", function()
  it("list every Lua file in exactly one rock, under the name it is required by", function()
    local count = {}
    for _, rock in ipairs(ROCKS) do
      for name, source in pairs(read_rockspec(rock).build.modules) do
        if type(source) == "string" then
          assert.are.equal(name_of(source), name, source)
          count[source] = (count[source] or 0) + 1
        end
      end
    end
    local files = files_under("lua", ".lua")
    assert.is_true(#files > 0)
    for _, path in ipairs(files) do
      assert.are.equal(1, count[path] or 0, path .. " in how many rockspecs")
      count[path] = nil
    end
    assert.is_nil(next(count), "listed, but not in the tree: " .. tostring(next(count)))
  end)

  it("build each shared object from the sources that the Makefile gives it", function()
    for module, rock in pairs(MODULES) do
      local entry = read_rockspec(rock).build.modules["healthauth." .. module]
      assert.is_table(entry, "healthauth." .. module)
      assert.are.same(made_of(module), entry.sources)
    end
  end)

  it("leave no C source out", function()
    local listed = {}
    for _, rock in ipairs(ROCKS) do
      for _, source in pairs(read_rockspec(rock).build.modules) do
        for _, path in ipairs(type(source) == "table" and source.sources or {}) do listed[path] = true end
      end
    end
    local files = files_under("src", ".c")
    assert.is_true(#files > 0)
    for _, path in ipairs(files) do assert.is_true(listed[path], path .. " is in no rockspec") end
  end)

  it("list their modules in alphabetical order", function()
    for _, rock in ipairs(ROCKS) do
      local _, text = read_rockspec(rock)
      local names, sorted = {}, {}
      for name in text:gmatch '\n    %["([%w._]+)"%]' do
        names[#names + 1], sorted[#sorted + 1] = name, name
      end
      table.sort(sorted)
      assert.is_true(#names > 0)
      assert.are.same(sorted, names)
    end
  end)

  it("name the licence, the oldest and the newest Lua, and no path of a machine", function()
    for _, rock in ipairs(ROCKS) do
      local spec, text = read_rockspec(rock)
      assert.are.equal("MIT", spec.description.license)
      assert.are.equal(rock, spec.package)
      assert.are.equal("lua >= 5.1, < 5.5", spec.dependencies[1])
      assert.is_nil(text:find "/usr/")
    end
  end)
end)
