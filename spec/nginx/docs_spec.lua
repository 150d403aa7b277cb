-- SPDX-License-Identifier: MIT
-- docs/nginx.md says what the code does: its first configuration runs, and it names every option with its default, every phase and every
-- counter.

local nginx = require "spec.nginx.server"
local process = require "spec.support.process"

local text = assert(process.read "docs/nginx.md")

local blocks = {}
for block in text:gmatch "\n```nginx\n(.-)\n```" do blocks[#blocks + 1] = block end

local FRAME = [[
daemon off; worker_processes 2; user root; pid $FOLDER/nginx.pid; error_log $FOLDER/error.log notice;
load_module $MODULES/ndk_http_module.so;
load_module $MODULES/ngx_http_lua_module.so;
env CONNEQT_API_KEY;
$POOL
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path $FOLDER/b; proxy_temp_path $FOLDER/p; fastcgi_temp_path $FOLDER/f;
  uwsgi_temp_path $FOLDER/u; scgi_temp_path $FOLDER/s;
  lua_package_path "$ROOT/lua/?.lua;$ROOT/lua/?/init.lua;;"; lua_package_cpath "$ROOT/build/luajit/?.so;;";
  $FIRST
  server { listen 127.0.0.1:$PORT; $SECOND }
}
]]

local SECTIONS = {
  ["### hn.init"] = { "init.lua" }, ["### hn.guard"] = { "guard.lua", "cache.lua" }, ["### hn.bearer"] = { "bearer.lua" },
  ["### hn.login, hn.callback, hn.logout"] = { "browser.lua" },
}
local HANDLERS = { ["hn.guard"] = "guard.lua", ["hn.bearer"] = "bearer.lua", ["hn.login"] = "login.lua", ["hn.metrics"] = "status.lua",
  ["hn.worker_thread"] = "worker_thread.lua" }

-- The part of the paper under a heading.
local function section(heading)
  local from = assert(select(2, text:find("\n" .. heading .. "\n", 1, true)), heading)
  return text:sub(from, (text:find("\n##", from, true)))
end

-- { name = default } of the option tables in a part; several names may share a row.
local function documented(part)
  local out = {}
  for row in part:gmatch "\n(|[^\n]+|)" do
    local names, default = row:match "^| (`.-) |.*| ([^|]*) |$"
    for name in (names or ""):gmatch "`([%w_]+)`" do out[name] = default end
  end
  return out
end

-- The options that a file of the source knows: { name = default or "required" or false }.
local function known(file)
  local list = assert(process.read("lua/healthauth/nginx/" .. file)):match "local KNOWN = (%b{})"
  local loader = rawget(_G, "loadstring") or load
  local out = {}
  for name, want in pairs(assert(loader("return " .. list))()) do
    out[name] = want[3]
    if want[3] == nil then out[name] = want[2] or false end
  end
  return out
end

local function shown(value)
  if type(value) == "string" and value ~= "required" then return '`"' .. value .. '"`' end
  if type(value) == "table" then return "`{}`" end
  return type(value) == "boolean" and "`" .. tostring(value) .. "`" or tostring(value)
end

describe("docs/nginx.md", function()
  it("begins with a configuration that guards a location", function()
    assert.equal(3, #blocks)
    -- Nobody outside is asked: at port 1 answers no name server.
    local first, count = blocks[1]:gsub("resolver 127%.0%.0%.53;", "resolver 127.0.0.1:1;")
    assert.equal(1, count)
    local server = nginx.start { config = FRAME, env = { CONNEQT_API_KEY = "key" },
      values = { FIRST = first, SECOND = blocks[2], POOL = blocks[3]:match "^thread_pool [^\n]+" } }
    finally(function() server:stop() end)
    local response = server:get "/api/"
    assert.same({ 401, "application/problem+json" }, { response.status, response.headers["content-type"] })
    assert.truthy(response.body:find('"code":"token_missing"', 1, true))
    local status = server:get "/healthauth"
    assert.equal(200, status.status)
    assert.truthy(status.body:find("<h2>Sessions</h2>", 1, true))
  end)

  for heading, files in pairs(SECTIONS) do
    it("names every option with its default under " .. heading, function()
      local named = documented(section(heading))
      local wrong, expected = {}, {}
      for _, file in ipairs(files) do
        for name, default in pairs(known(file)) do
          expected[name] = true
          if named[name] == nil then wrong[#wrong + 1] = name .. " is missing"
          elseif default ~= false and not named[name]:find(shown(default), 1, true) then
            wrong[#wrong + 1] = name .. ": " .. shown(default) .. " is not in " .. named[name]
          end
        end
      end
      for name in pairs(named) do
        if not expected[name] then wrong[#wrong + 1] = name .. " is none" end
      end
      assert.same({}, wrong)
      assert.is_true(next(expected) ~= nil)
    end)
  end

  it("is told to editors: every option is a field of its class, and no other", function()
    local count = 0
    for _, files in pairs(SECTIONS) do
      for _, file in ipairs(files) do
        local source, fields = assert(process.read("lua/healthauth/nginx/" .. file)), {}
        local class = source:match "\n%-%-%-@class healthauth%.nginx%.%a+Options\n(.-)\n\n"
        for name, optional in (class or ""):gmatch "%-%-%-@field ([%w_]+)(%??) " do fields[name] = optional == "?" end
        for name, default in pairs(class and known(file) or {}) do
          count = count + 1
          assert.equal(default ~= "required", fields[name], file .. ": " .. name)
          fields[name] = nil
        end
        assert.is_nil(next(fields), file)
      end
    end
    assert.is_true(count >= 25)
  end)

  it("names the phases of every handler", function()
    local rows, wrong, count = section "## Handlers", {}, 0
    for name, file in pairs(HANDLERS) do
      local row
      for line in rows:gmatch "[^\n]+" do
        if line:find("^| `" .. name:gsub("%.", "%%.") .. "[ (]") then row = line end
      end
      local phases = assert(process.read("lua/healthauth/nginx/" .. file):match "local PHASES = (%b{})")
      local named = assert(row, name):match "| ([^|]*) |$"
      for phase in phases:gmatch "([%w_]+) = true" do
        count = count + 1
        if not (", " .. named .. ","):find(", " .. phase .. ",", 1, true) then wrong[#wrong + 1] = name .. ": " .. phase end
      end
      if select(2, named:gsub(",", "")) + 1 ~= select(2, phases:gsub("true", "")) then wrong[#wrong + 1] = name .. ": too many" end
    end
    assert.same({}, wrong)
    assert.is_true(count >= 9)
  end)

  it("names every counter", function()
    local part, count = section "### hn.metrics, hn.status", 0
    for name in assert(process.read "lua/healthauth/nginx/prometheus.lua"):match("local HELP = (%b{})"):gmatch "(healthauth_[%w_]+) = " do
      count = count + 1
      assert.truthy(part:find("`" .. name .. "`", 1, true), name)
    end
    assert.equal(7, count)
  end)

  it("names only parts of hn that are there, and all of them", function()
    local init = assert(process.read "lua/healthauth/nginx/init.lua")
    local parts = { app = true }
    for name in init:match("local PARTS = (%b{})"):gmatch "([%w_]+) = " do parts[name] = true end
    for name in init:gmatch "\nfunction M%.([%w_]+)" do parts[name] = true end
    for name in pairs(parts) do assert.truthy(text:find("hn." .. name, 1, true), name) end
    for name in text:gmatch "%f[%w]hn%.([%w_]+)" do assert.is_true(parts[name], name) end
  end)
end)
