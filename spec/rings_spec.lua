-- SPDX-License-Identifier: MIT
-- The Lua side of the rings (DESIGN 3): who may require whom. The C side is proved by symbols (make rings).

local lfs = require "lfs"

local ROOT = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$" .. "lua/"

local function walk(folder, visit)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then walk(path, visit)
      elseif name:match "%.lua$" then visit(path) end
    end
  end
end

local modules = {}
walk(ROOT .. "healthauth", function(path)
  local name = path:sub(#ROOT + 1):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  local file = assert(io.open(path))
  local text = file:read("*a"):gsub("%-%-%[%[.-%]%]", ""):gsub("%-%-[^\n]*", "")
  file:close()
  local requires = {}
  for other in text:gmatch "require%s*%(?%s*[\"']([%w_.]+)[\"']" do requires[other] = true end
  modules[name] = { requires = requires, text = text }
end)

local function family(name)
  return name:match "^healthauth%.(%l+)"
end

-- Names of what a part may know; everything else of healthauth is forbidden to it.
local MAY = {
  transports = { "core", "curl", "transports", "cassette", "mask", "sandbox" },
  stores = { "core", "sqlite", "hiredis", "stores" },
  providers = {},
  sandbox = { "core", "sandbox" },
  lifecycle = { "core", "context", "events", "perform", "lifecycle" },
}

describe("the Lua files", function()
  it("are found, and their require lines are read", function()
    assert.is_truthy(modules["healthauth"])
    assert.is_truthy(modules["healthauth.verbs"].requires["healthauth.core"])
    assert.is_truthy(modules["healthauth.transports.sandbox"].requires["healthauth.sandbox"])
  end)

  it("never require the face, healthauth itself", function()
    for name, module in pairs(modules) do
      if family(name) ~= "cli" then assert.is_nil(module.requires["healthauth"], name) end
    end
  end)

  it("of a provider require nothing and call nothing: they are data", function()
    local count = 0
    for name, module in pairs(modules) do
      if family(name) == "providers" then
        count = count + 1
        assert.same({}, module.requires, name)
        assert.is_nil(module.text:find "require%s*[(\"']", name)
        assert.is_table(require(name))
      end
    end
    assert.equal(4, count)
  end)

  it("name no provider where they are code: only the face offers them, and the sandbox plays them", function()
    local count = 0
    for name, module in pairs(modules) do
      if not ({ providers = 1, sandbox = 1, meta = 1, cli = 1 })[family(name) or ""] and name ~= "healthauth" then
        count = count + 1
        local text = module.text:gsub("Conneqt%-Instant%-Access%-Token", ""):lower() -- the guard's default header
        for _, word in ipairs { "pkb", "ehealth", "conneqt" } do assert.is_nil(text:find(word, 1, true), name .. " names " .. word) end
      end
    end
    assert.is_true(count > 40)
  end)

  it("and the C files name none either; ehealth is there as a dialect", function()
    local count = 0
    for _, ring in ipairs { "base", "sys", "bind" } do
      for name in lfs.dir(ROOT .. "../src/" .. ring) do
        if name:match "%.[ch]$" then
          count = count + 1
          local file = assert(io.open(ROOT .. "../src/" .. ring .. "/" .. name))
          local text = file:read("*a"):gsub("/%*.-%*/", ""):lower()
          file:close()
          for _, word in ipairs { "pkb", "conneqt", "patientsknowbest" } do assert.is_nil(text:find(word, 1, true), name) end
          if not ({ ["dialect.c"] = 1, ["provider.c"] = 1 })[name] then assert.is_nil(text:find("ehealth", 1, true), name) end
        end
      end
    end
    assert.is_true(count > 60)
  end)

  for part, allowed in pairs(MAY) do
    it("of " .. part .. " know nothing outside their ring", function()
      local may = {}
      for _, word in ipairs(allowed) do may[word] = true end
      for name, module in pairs(modules) do
        if family(name) == part then
          for other in pairs(module.requires) do
            if other:match "^healthauth" then assert.is_truthy(may[family(other) or ""], name .. " requires " .. other) end
          end
        end
      end
    end)
  end

  it("reach libcurl, libsqlite3 and hiredis only from where these belong", function()
    for name, module in pairs(modules) do
      for _, library in ipairs { "curl", "sqlite", "hiredis" } do
        if module.requires["healthauth." .. library] then
          assert.is_truthy(name:match("^healthauth%.transports%.curl") or name:match "^healthauth%.stores%.",
            name .. " requires " .. library)
        end
      end
    end
  end)

  it("require nothing that is not there", function()
    local OUTSIDE = { core = true, curl = true, sqlite = true, hiredis = true }
    for name, module in pairs(modules) do
      for other in pairs(module.requires) do
        if other:match "^healthauth%..*%w$" then -- one that ends in a dot is put together: "healthauth.providers." .. name
          assert.is_truthy(modules[other] or OUTSIDE[family(other)], name .. " requires " .. other)
        end
      end
    end
  end)

  it("load neither a transport, a store nor the sandbox before they are asked for", function()
    local code = [[require "healthauth"
      for name in pairs(package.loaded) do
        if name:match "^healthauth%.[tsn]" and not name:match "^healthauth%.sessions$" then io.write(name, " ") end
        if name:match "^healthauth%.curl" or name:match "^healthauth%.providers" then io.write(name, " ") end
      end]]
    local runtime = os.getenv "HEALTHAUTH_RUNTIME" or arg and arg[-1] or "lua5.4"
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(code)
    file:close()
    local pipe = assert(io.popen(("LUA_PATH='%s' LUA_CPATH='%s' %s %s 2>&1"):format(package.path, package.cpath, runtime, path)))
    local out = pipe:read "*a"
    pipe:close()
    os.remove(path)
    assert.equal("", out)
  end)
end)
