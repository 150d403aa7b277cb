-- SPDX-License-Identifier: MIT
-- No secret is shown: not in an error, a raised message, tostring, an event, a trace, a cassette, a store's file, on standard output or
-- standard error; neither as it is nor percent-encoded, in base64, in hexadecimal or with escapes. test/c/kept.c looks in the memory.

local healthauth = require "healthauth"
local markers = require "spec.support.markers"
local process = require "spec.support.process"
local secrets = require "spec.support.secrets"

local CHILD = [[
local secrets = require "spec.support.secrets"
local folder, shown = arg[1], 0
local drawn, err = secrets.run(folder, function(what, value)
  shown = shown + 1
  print(what, value)
  io.stderr:write(tostring(value), "\n")
end, 4)
io.stderr:write("drawn ", table.concat(drawn, " "), "\n", "shown ", shown, "\n")
error(err)
]]

describe("a planted secret", function()
  local folder
  before_each(function() folder = process.folder() end)
  after_each(function() process.remove(folder) end)

  it("is found in each of its spellings by the search that the next ones rely on", function()
    local planted = markers.new { secrets.MARK }
    local count = 0
    for name, text in pairs(markers.spellings(secrets.MARK .. "x")) do
      count = count + 1
      assert.is_truthy(planted:seen("before " .. text .. " behind"), name)
    end
    assert.is_true(count > 12)
    assert.is_nil(planted:seen "planted, and secret as well")
    assert.is_truthy(planted:within { { [secrets.MARK] = 1 } })
  end)

  it("is in no error, raised message, tostring, event, trace or cassette, whatever a server gives back", function()
    local shown, wrong, kinds = {}, {}, {}
    local drawn = secrets.run(folder, function(what, value)
      shown[#shown + 1] = { what, value }
      if healthauth.is_error(value) then kinds[value.kind] = true end
    end)
    local all = { secrets.MARK }
    for _, secret in ipairs(drawn) do all[#all + 1] = secret end
    local planted = markers.new(all)
    for _, pair in ipairs(shown) do
      local seen = planted:within(pair[2])
      if seen then wrong[#wrong + 1] = pair[1] .. ": " .. seen end
    end
    assert.are.equal("", table.concat(wrong, "\n"))
    assert.is_true(#shown > 600)
    for _, kind in ipairs { "argument", "network", "protocol", "denied", "http", "state", "store" } do assert.is_true(kinds[kind], kind) end
  end)

  it("is on neither standard output nor standard error of a program that prints all that, and dies of an error", function()
    process.write(folder .. "/child.lua", CHILD)
    local status, out, err = process.run { process.runtime, folder .. "/child.lua", folder }
    assert.are_not.equal(0, status)
    assert.is_true(tonumber(err:match "shown (%d+)") > 150)
    local drawn = err:match "drawn ([^\n]+)"
    local all = { secrets.MARK }
    for secret in drawn:gmatch "%S+" do all[#all + 1] = secret end
    local planted = markers.new(all)
    assert.is_nil(planted:seen(out))
    assert.is_nil(planted:seen((err:gsub("drawn [^\n]+", ""))))
    assert.is_truthy(err:find("invalid_grant", 1, true) or err:find("error object", 1, true))
  end)

  it("is not in the file of a sealed store, and its key names nobody", function()
    local path = folder .. "/store.db"
    local store = assert(healthauth.stores.sqlite { path = path })
    local sealed = healthauth.stores.sealed { store = store, key = function() return ("k"):rep(32) end }
    local session = healthauth.pkb { base_url = "https://pkb.example", client_id = "c", store = sealed, key = secrets.MARK .. "person" }
    assert(session:restore { access_token = secrets.MARK .. "access", refresh_token = secrets.MARK .. "refresh", scope = secrets.MARK })
    local planted = markers.new { secrets.MARK }
    for _, ending in ipairs { "", "-wal" } do
      local bytes = process.read(path .. ending) or ""
      assert.is_true(#bytes > 0, ending)
      assert.is_nil(planted:seen(bytes))
    end
    assert(session:logout())
    store:close()
  end)
end)
