-- SPDX-License-Identifier: MIT
-- Under a locale that writes 1,5 for 1.5 numbers are read and written as ever, through libcurl, in records and in exact answers;
-- under one in which I is not the capital of i (Turkish), names of headers are compared as ever.
-- The locales are made here, with the C library's own localedef: no machine needs to have one.

local process = require "spec.support.process"
local run = require "spec.hostile.run"
local script = require "spec.hostile.script"

local CHARACTERS = [[
<code_set_name> ANSI_X3.4-1968
<comment_char> %
<escape_char> /
CHARMAP
<U002C> /x2c COMMA
<U002E> /x2e FULL STOP
END CHARMAP
]]
local NUMBERS = [[
comment_char %
escape_char /
LC_NUMERIC
decimal_point ","
thousands_sep "."
grouping 3;3
END LC_NUMERIC
]]

-- The letters of ASCII, all of them in both cases but i.
local function letters()
  local map, upper, lower, both = {}, {}, {}, {}
  for byte = 33, 126 do map[#map + 1] = ("<U%04X> /x%02x C%d"):format(byte, byte, byte) end
  for byte = 65, 90 do
    local big, small = ("<U%04X>"):format(byte), ("<U%04X>"):format(byte + 32)
    upper[#upper + 1], lower[#lower + 1] = big, small
    if byte ~= 73 then both[#both + 1] = "(" .. big .. "," .. small .. ")" end
  end
  local ctype = "comment_char %%\nescape_char /\nLC_CTYPE\nupper %s\nlower %s\ntolower %s\nEND LC_CTYPE\n"
  local characters = CHARACTERS:gsub("<U002C>.*\nEND", table.concat(map, "\n") .. "\nEND")
  return characters,
    ctype:format(table.concat(upper, ";"), table.concat(lower, ";"), table.concat(both, ";"))
end

-- What is refused in another case as in its own, and what a trace hides.
local NAMES = [[
assert(os.setlocale("noi", "ctype") == "noi")
local healthauth, mask = require "healthauth", require "healthauth.mask"
local function fine(change)
  local options = { base_url = "http://localhost", client_id = "me", client_secret = "secret", api_key = "key" }
  for name, value in pairs(change) do options[name] = value end
  return (pcall(healthauth.ehealth, options))
end
local function declared(headers)
  local exchange = { path = "/t", auth = "basic", tokens = "oauth", headers = headers }
  local options = { client_id = {}, client_secret = {} }
  return (pcall(healthauth.provider, { name = "x", options = options, operations = { exchange = exchange } }))
end
local out = { ("AI"):lower() }
if _VERSION == "Lua 5.1" then out[1] = "aI" end -- LuaJIT does not ask the C library
for _, name in ipairs { "CONNECTION", "AUTHORIZATION", "COOKIE", "X-REQUEST-ID", "API-KEY" } do
  out[#out + 1] = tostring(fine { headers = { [name] = "x" } })
end
out[#out + 1] = tostring(fine { headers = { ["X-OTHER-THING"] = "x" } })
out[#out + 1] = tostring(declared { AUTHORIZATION = "x" })
out[#out + 1] = tostring(declared { ["X-OTHER-THING"] = "x" })
out[#out + 1] = mask.new():header("AUTHORIZATION", "word")
io.write(table.concat(out, " "))
]]

local BODY = '{"access_token":"a","token_type":"Bearer","expires_in":6e2,"refresh_token":"b","ratio":1.5,"small":-2.5e-3,"big":1234567.25}'
local ANSWER = script.JSON .. "Content-Length: " .. #BODY .. "\r\nRetry-After: 2\r\n\r\n" .. BODY
local CASES = { script.case("numbers", { ANSWER, { "keep" } }, { status = 200, body = BODY }) }

-- Says how the C library itself writes 1.5 (LuaJIT writes it without its help), then what healthauth makes of the numbers.
local CHILD = [[
local url, path = ...
assert(os.setlocale("comma", "numeric") == "comma")
local healthauth = require "healthauth"
local core = require "healthauth.core"
local out = {}
local function say(value) out[#out + 1] = tostring(core.json_encode(value)) end
local function options()
  return {
    base_url = "http://localhost", client_id = "me", endpoints = { refresh = url }, timeout = 20.5, connect_timeout = 20.5,
    store = healthauth.stores.sqlite { path = path }, key = "sam", clock = function() return 1700000000.5 end,
  }
end
local session = assert(healthauth.pkb(options()))
assert(session:restore { access_token = "x", refresh_token = "y", expires_at = 1700000001 })
local tokens = assert(session:refresh())
say { tokens.expires_at, tokens.extra.ratio, tokens.extra.small, tokens.extra.big }
assert(session:close())
local again = assert(healthauth.pkb(options()))
assert(again:restore())
tokens = again:tokens()
say { tokens.expires_at, tokens.extra.ratio, tokens.extra.small, tokens.extra.big }
say { core.json_decode('[1.5,0.1,1e-2,100.0]', { depth = 4 })[1], 0.1, 1e-2, 100 }
say { core.json_decode("1,5", { depth = 4 }) == nil, os.setlocale(nil, "numeric") }
-- lua-cjson looks at the locale when an instance is made. Whoever made it look, and when, we read the same, and its other users go on.
local cjson = require "cjson"
for _, name in ipairs { "C", "comma", "C", "comma" } do
  os.setlocale(name, "numeric")
  cjson.new()
  local first, others = core.json_decode "1.5", cjson.decode "[2.5]"[1]
  os.setlocale(name == "C" and "comma" or "C", "numeric")
  say { name, first, others, core.json_decode "[-0.5,{}]"[1] }
end
io.write(table.concat(out, "\n"))
]]

describe("a locale", function()
  local folder, hostile

  setup(function()
    folder = process.folder()
    process.write(folder .. "/characters", CHARACTERS)
    process.write(folder .. "/numbers", NUMBERS)
    -- localedef warns of the categories that are left out, and says so by its status
    process.run { "localedef", "--no-archive", "-c", "-f", folder .. "/characters", "-i", folder .. "/numbers", folder .. "/comma" }
    assert(process.read(folder .. "/comma/LC_NUMERIC"), "the locale could not be made")
    local map, ctype = letters()
    process.write(folder .. "/letters", map)
    process.write(folder .. "/ctype", ctype)
    process.run { "localedef", "--no-archive", "-c", "-f", folder .. "/letters", "-i", folder .. "/ctype", folder .. "/noi" }
    assert(process.read(folder .. "/noi/LC_CTYPE"), "the locale could not be made")
    hostile = run.start(CASES)
  end)

  teardown(function()
    if hostile then hostile:stop() end
    if folder then process.remove(folder) end
  end)

  -- Where LOCPATH is set the C library's own setlocale leaks it: under the sanitizer the child is not searched for leaks.
  local ENV = { LC_ALL = false, ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":detect_leaks=0" }

  local function go(text, ...)
    ENV.LOCPATH = folder
    process.write(folder .. "/child.lua", text)
    local status, out, err = process.run({ process.runtime, folder .. "/child.lua", ... }, ENV)
    assert.equal("", err)
    assert.equal(0, status)
    return out
  end

  it("with a decimal comma is one in which the C library itself writes a comma", function()
    local status, out = process.run({ "printf", "%.1f", "1,5" }, {
      LOCPATH = folder, LC_NUMERIC = "comma", LANG = "C", -- any other category with a locale that is not in that folder fails them all
      LC_ALL = false, LC_ADDRESS = false, LC_COLLATE = false, LC_CTYPE = false, LC_IDENTIFICATION = false, LC_MEASUREMENT = false,
      LC_MESSAGES = false, LC_MONETARY = false, LC_NAME = false, LC_PAPER = false, LC_TELEPHONE = false, LC_TIME = false,
    })
    assert.same({ 0, "1,5" }, { status, out })
  end)

  it("with a decimal comma changes no number in answers, records and JSON, and is left in place", function()
    local lines = {}
    for line in go(CHILD, hostile:url("http", "/case/numbers"), folder .. "/tokens.db"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.same({
      "[1700000600,1.5,-0.0025,1234567.25]", "[1700000600,1.5,-0.0025,1234567.25]", "[1.5,0.1,0.01,100]", '[true,"comma"]',
      '["C",1.5,2.5,-0.5]', '["comma",1.5,2.5,-0.5]', '["C",1.5,2.5,-0.5]', '["comma",1.5,2.5,-0.5]',
    }, lines)
  end)

  it("in which I is not the capital of i changes nothing in how names are compared", function()
    assert.equal("aI false false false false false true false true [secret-1]", go(NAMES))
  end)
end)
