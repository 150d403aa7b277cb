-- SPDX-License-Identifier: MIT
-- The small functions of the core that the Lua layer stands on: what they give, and that they refuse what they cannot do.

local cjson = require "cjson"
local core = require "healthauth.core"
local process = require "spec.support.process"

-- What a call raises; fails when it does not.
local function raised(f, ...)
  local fine, message = pcall(f, ...)
  assert.is_false(fine, "it did not raise")
  return message
end

local function assert_raises(words, f, ...)
  local message = raised(f, ...)
  assert.is_truthy(message:find(words, 1, true), message)
end

local KEY, OTHER_KEY = ("k"):rep(32), ("K"):rep(32)

describe("json_encode", function()
  local function nested(depth)
    local value = {}
    for _ = 1, depth do value = { a = value } end
    return value
  end

  it("writes every kind of value, its keys in order", function()
    assert.equal('{"a":1,"b":[true,false,null],"c":"x","d":0.5,"e":{}}',
      core.json_encode { e = {}, d = 0.5, c = "x", b = { true, false, cjson.null }, a = 1 })
    assert.equal("1e+300", core.json_encode(1e300))
    assert.equal("9007199254740992", core.json_encode(2 ^ 53))
    assert.equal("-9007199254740992", core.json_encode(-2 ^ 53))
    assert.equal("0.1", core.json_encode(0.1))
  end)

  it("sorts any number of keys by their bytes", function()
    for count = 0, 40 do
      local value, keys = {}, {}
      for i = 1, count do
        keys[i] = ("k"):rep(i * 7 % 5) .. i * 37 % 101
        value[keys[i]] = 1
      end
      table.sort(keys)
      local found = {}
      for key in core.json_encode(value):gmatch '"(.-)":' do found[#found + 1] = key end
      assert.same(keys, found)
    end
  end)

  it("raises for what JSON cannot hold", function()
    local self_holding = {}
    self_holding.a = self_holding
    for words, value in pairs {
      ["a number that is not finite"] = { a = 1 / 0 }, ["a key that is no string"] = { a = 1, [true] = 2 },
      ["nested too deep"] = self_holding,
      ["a string that is no UTF-8"] = { "\255" }, ["a value of another kind"] = { a = print },
      ["a table that is neither a list nor an object"] = { 1, 2, a = 3 },
    } do
      assert_raises(words, core.json_encode, value)
    end
    assert_raises("a number that is not finite", core.json_encode, 0 / 0)
    assert_raises("a string that is no UTF-8", core.json_encode, { ["\255"] = 1, b = 2 })
    assert_raises("a number that is not finite", core.json_encode, { 1, { 2, { 1 / 0 } }, 3 })
    assert_raises("nested too deep", core.json_encode, nested(209))
    assert.equal(#core.json_encode(nested(208)), #core.json_encode(nested(207)) + #'{"a":}')
    assert_raises("the text grew too large", core.json_encode, { a = ("x"):rep(20000000), b = 1 })
  end)
end)

describe("json_decode", function()
  it("goes no deeper than it was told, and no further than it can when told nonsense", function()
    local function deep(n) return ("["):rep(n) .. ("]"):rep(n) end
    assert.is_table(core.json_decode(deep(3), { depth = 3 }))
    assert.is_nil(core.json_decode(deep(4), { depth = 3 }))
    for _, depth in ipairs { 0, -1, 1e9, 0 / 0, "5", true } do
      assert.is_table(core.json_decode(deep(32), { depth = depth }))
      assert.is_nil(core.json_decode(deep(33), { depth = depth }))
    end
  end)
end)

describe("forms", function()
  it("are written as a list in its order, or as a table", function()
    assert.equal("b=1&a=%26%20%3D", core.form_encode { { "b", "1" }, { "a", "& =" } })
    assert.equal("a=b", core.form_encode { a = "b" })
    assert.equal("", core.form_encode {})
    assert.is_false(pcall(core.form_encode, { "a" }))
    assert.is_false(pcall(core.form_encode, { { "a" } }))
    assert.is_false(pcall(core.form_encode, { a = {} }))
  end)

  it("are read where each name comes once", function()
    assert.same({ a = "1", b = "x y", c = "", d = "" }, core.form_decode "a=1&b=x+y&c=&d")
    assert.same({ a = "1" }, core.form_decode "&a=1&&")
    assert.same({ [""] = "x" }, core.form_decode "=x")
    assert.same({}, core.form_decode "")
    for _, text in ipairs { "a=1&a=2", "a&%61", "a=%", "a=%4", "%zz=1", "a=%0g" } do assert.is_nil(core.form_decode(text), text) end
  end)

  it("undo each other for every byte", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all)
    assert.same({ [all] = all }, core.form_decode(core.form_encode { [all] = all }))
    assert.equal(all, core.percent_decode(core.percent_encode(all)))
    assert.equal(all, core.base64url_decode(core.base64url(all)))
  end)
end)

describe("sealing", function()
  it("is undone by the same key and associated data only", function()
    local sealed = core.seal(KEY, "plain", "for")
    assert.equal("plain", core.unseal(KEY, sealed, "for"))
    assert.is_nil(core.unseal(OTHER_KEY, sealed, "for"))
    assert.is_nil(core.unseal(KEY, sealed, "other"))
    assert.is_nil(core.unseal(KEY, sealed))
    assert.is_nil(core.unseal(KEY, sealed:sub(1, -2), "for"))
    assert.equal("", core.unseal(KEY, core.seal(KEY, "")))
    for n = 0, 27 do assert.is_nil(core.unseal(KEY, ("x"):rep(n))) end
  end)

  it("wants a key of 32 bytes", function()
    for _, key in ipairs { "", KEY:sub(2), KEY .. "k" } do
      assert_raises("a key of 32 bytes expected", core.seal, key, "plain")
      assert_raises("a key of 32 bytes expected", core.unseal, key, ("x"):rep(40))
    end
  end)
end)

describe("random bytes", function()
  it("come 1 to 1024 at a time, and never twice alike", function()
    assert.equal(1, #core.random(1))
    assert.equal(1024, #core.random(1024))
    assert.not_equal(core.random(16), core.random(16))
    for _, n in ipairs { 0, -1, 1025, 0 / 0, 1 / 0 } do assert_raises("1 to 1024 bytes", core.random, n) end
  end)
end)

describe("a private file", function()
  local path
  setup(function()
    path = os.tmpname()
    process.write(path, "secret")
    os.execute("chmod 600 " .. path)
  end)
  teardown(function() os.remove(path) end)

  it("is read whole, or not at all", function()
    assert.equal("secret", core.read_private(path, 6))
    local content, why = core.read_private(path, 5)
    assert.same({ nil, "is too large" }, { content, why })
    content, why = core.read_private(path .. ".missing", 6)
    assert.same({ nil, "does not exist" }, { content, why })
    process.write(path, "")
    assert.equal("", core.read_private(path, 6))
    process.write(path, "secret")
  end)

  it("is not another one whose name ends at a NUL byte", function()
    assert_raises("NUL", core.read_private, path .. "\0.txt", 6)
  end)

  it("has a maximum that makes sense", function()
    for _, max in ipairs { 0, -1, 0 / 0, 1 / 0, 1e18 } do assert_raises("out of range", core.read_private, path, max) end
  end)
end)

describe("url", function()
  it("tells the parts of a URL, and why one is none", function()
    local url = core.url "HTTP://LocalHost:8080/a/b?x=1"
    assert.same({ "http://localhost:8080/a/b?x=1", "http", "localhost", 8080, "http://localhost:8080", "/a/b", "x=1", true },
      { url.text, url.scheme, url.host, url.port, url.origin, url.path, url.query, url.loopback })
    url = core.url "https://a.example"
    assert.same({ "https://a.example/", "https", "a.example", 443, "https://a.example", "/", false },
      { url.text, url.scheme, url.host, url.port, url.origin, url.path, url.loopback })
    assert.is_nil(url.query)
    assert.equal("", core.url("https://a.example/?").query)
    for _, text in ipairs { "", "a.example", "ftp://a.example/", "https://a.example/#x", "https://u@a.example/" } do
      local none, why = core.url(text)
      assert.is_nil(none)
      assert.is_string(why)
    end
  end)
end)
