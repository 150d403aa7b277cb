-- SPDX-License-Identifier: MIT
-- The run is what it claims to be: tools/spec.sh names the runtime and the build, and this proves both.

local RUNTIMES = {
  ["lua5.4"] = function() return _VERSION == "Lua 5.4" and not rawget(_G, "jit") end,
  ["lua5.3"] = function() return _VERSION == "Lua 5.3" and not rawget(_G, "jit") end,
  ["lua5.1"] = function() return _VERSION == "Lua 5.1" and not rawget(_G, "jit") end,
  ["luajit"] = function() return rawget(_G, "jit") ~= nil and jit.version:find("LuaJIT 2.1", 1, true) ~= nil end,
}

local wanted = os.getenv "HEALTHAUTH_RUNTIME"

--- The files that this process has mapped; nil where there is no /proc.
local function mapped()
  local maps = io.open "/proc/self/maps"
  if not maps then return nil end
  local text = maps:read "*a"
  maps:close()
  return text
end

describe("the runtime", function()
  if not wanted then
    pending "is named by HEALTHAUTH_RUNTIME (tools/spec.sh sets it)"
    return
  end

  it("is " .. wanted, function()
    assert.is_function(RUNTIMES[wanted])
    assert.is_true(RUNTIMES[wanted]())
  end)

  it("loads healthauth.core from the build that is meant", function()
    require "healthauth.core"
    local text = mapped()
    if not text then return pending "there is no /proc/self/maps here" end
    local path = os.getenv "HEALTHAUTH_BUILD" .. "/" .. wanted .. "/healthauth/core.so"
    assert.is_truthy(text:find(path, 1, true), "not mapped: " .. path)
    local count = 0
    for line in text:gmatch "[^\n]+" do
      local found = line:match "(/%S*/healthauth/core%.so)$"
      if found then
        assert.are.equal(path, found)
        count = count + 1
      end
    end
    assert.is_true(count > 0)
  end)

  it("has the sanitizer in it exactly when the build has", function()
    local text = mapped()
    if not text then return pending "there is no /proc/self/maps here" end
    local meant = os.getenv "HEALTHAUTH_BUILD":find("/asan$") ~= nil
    assert.are.equal(meant, text:find("libasan", 1, true) ~= nil)
    assert.is_nil(os.getenv "LD_PRELOAD")
  end)
end)
