-- SPDX-License-Identifier: MIT
-- The rockspecs leave the building to the Makefile, so that a rock's modules are made like all others; together they bring everything, and
-- nothing twice. That they build, are hardened and can be required is tools/rocks.sh.

local lfs = require "lfs"

local ROCKS = { ["healthauth"] = "core curl", ["healthauth-redis"] = "hiredis", ["healthauth-sqlite"] = "sqlite" }

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

--- Every file under a folder whose name ends so.
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
  return found
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

describe("the rockspecs", function()
  it("have every module of the Makefile in exactly one rock", function()
    local count = {}
    for rock, modules in pairs(ROCKS) do
      local build = read_rockspec(rock).build
      assert.are.equal(modules, build.build_variables.MODULES)
      assert.are.equal(modules, build.install_variables.MODULES)
      for name in modules:gmatch "%S+" do count[name] = (count[name] or 0) + 1 end
    end
    for name in read_file "Makefile":match "\nMODULES%s*=%s*([^\n]+)":gmatch "%S+" do
      assert.are.equal(1, count[name] or 0, name .. " in how many rockspecs")
      count[name] = nil
    end
    assert.is_nil(next(count))
  end)

  it("bring every Lua file in exactly one rock", function()
    local count = {}
    for _, modules in pairs(ROCKS) do
      local files = lines_of("tools/install.sh files " .. modules)
      assert.is_true(#files > 0)
      for _, path in ipairs(files) do count["lua/" .. path] = (count["lua/" .. path] or 0) + 1 end
    end
    local files = files_under("lua", ".lua")
    assert.is_true(#files > 0)
    for _, path in ipairs(files) do
      assert.are.equal(1, count[path] or 0, path .. " in how many rocks")
      count[path] = nil
    end
    assert.is_nil(next(count), "listed, but not in the tree: " .. tostring(next(count)))
  end)

  it("need the outside library of their modules, and no other", function()
    local LIBRARIES = { core = "crypto", curl = "curl", sqlite = "sqlite3", hiredis = "hiredis" }
    for rock, modules in pairs(ROCKS) do
      local wanted, named = {}, {}
      for name in modules:gmatch "%S+" do wanted[LIBRARIES[name]] = true end
      local spec = read_rockspec(rock)
      for word, library in pairs(spec.external_dependencies) do
        named[library.library] = true
        assert.is_truthy(spec.build.build_variables.CPPFLAGS:find("$(" .. word .. "_INCDIR)", 1, true))
        assert.is_truthy(spec.build.build_variables.LDFLAGS:find("$(" .. word .. "_LIBDIR)", 1, true))
      end
      assert.are.same(wanted, named)
    end
  end)

  it("leave no C source out of the modules", function()
    local listed = {}
    for _, modules in pairs(ROCKS) do
      for name in modules:gmatch "%S+" do
        local sources = lines_of("env -u MAKEFLAGS -u MAKELEVEL make -s --no-print-directory sources-" .. name)
        for _, path in ipairs(sources) do listed[path] = true end
      end
    end
    local files = files_under("src", ".c")
    assert.is_true(#files > 0)
    for _, path in ipairs(files) do assert.is_true(listed[path], path .. " is in no module") end
  end)

  it("name the licence, the oldest and the newest Lua, and no path of a machine", function()
    for rock in pairs(ROCKS) do
      local spec, text = read_rockspec(rock)
      assert.are.equal("MIT", spec.description.license)
      assert.are.equal(rock, spec.package)
      assert.are.equal("lua >= 5.1, < 5.5", spec.dependencies[1])
      assert.is_nil(text:find "/usr/")
    end
  end)
end)
