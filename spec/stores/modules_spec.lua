-- SPDX-License-Identifier: MIT
-- The two bindings under the stores, as a careless caller uses them: what is out of range raises and touches nothing, what is closed says
-- so.

local hiredis = require "healthauth.hiredis"
local process = require "spec.support.process"
local sqlite = require "healthauth.sqlite"

local function assert_raises(words, f, ...)
  local fine, message = pcall(f, ...)
  assert.is_false(fine, "it did not raise: " .. words)
  assert.is_truthy(message:find(words, 1, true), message)
end

local unpack = rawget(_G, "unpack") or rawget(table, "unpack")
local NAN, INF = 0 / 0, 1 / 0

describe("healthauth.sqlite", function()
  local folder
  setup(function() folder = process.folder() end)
  teardown(function() process.remove(folder) end)

  local function open() return assert(sqlite.open(folder .. "/store", 100)) end

  it("opens a path without NUL, with times and sizes that can be", function()
    assert_raises("NUL", sqlite.open, "", 100)
    assert_raises("NUL", sqlite.open, folder .. "/a\0b", 100)
    for _, ms in ipairs { -1, 600001, 2 ^ 32 + 5 } do assert_raises("out of range", sqlite.open, folder .. "/store", ms) end
    for _, pages in ipairs { -1, 2 ^ 32 + 5 } do assert_raises("out of range", sqlite.open, folder .. "/store", 100, pages) end
  end)

  it("takes keys of 1 to 256 bytes, records of at most 2 MiB, and times that are times", function()
    local file = open()
    for _, key in ipairs { "", ("k"):rep(257) } do
      assert_raises("wrong length", file.load, file, key)
      assert_raises("wrong length", file.save, file, key, "record", nil, "id")
      assert_raises("wrong length", file.delete, file, key)
      assert_raises("wrong length", file.acquire, file, key, "id", 0, 1)
      assert_raises("wrong length", file.release, file, key, "id", 0)
    end
    for _, id in ipairs { "", ("i"):rep(65) } do
      assert_raises("wrong length", file.save, file, "key", "record", nil, id)
      assert_raises("wrong length", file.acquire, file, "key", id, 0, 1)
      assert_raises("wrong length", file.release, file, "key", id, 0)
    end
    for _, time in ipairs { -1, NAN, INF, 2 ^ 53 + 2 } do
      assert_raises("out of range", file.acquire, file, "key", "id", time, 1)
      assert_raises("out of range", file.acquire, file, "key", "id", 1, time)
      assert_raises("out of range", file.release, file, "key", "id", time)
    end
    assert_raises("too large", file.save, file, "key", ("x"):rep(2 * 1024 * 1024 + 1), nil, "id")
    assert_raises("wrong length", file.next, file, ("k"):rep(257))
    assert.is_false(file:next())
    assert.is_false(file:load(("k"):rep(256)))
    assert.is_string(file:save(("k"):rep(256), "", nil, ("i"):rep(64)))
    assert.equal("", (file:load(("k"):rep(256))))
    assert.is_truthy(file:close())
  end)

  it("says when the file is not one that it wrote", function()
    local file = open()
    assert(file:save("key", "record", nil, "id"))
    file:close()
    local text = process.read(folder .. "/store")
    process.write(folder .. "/store", ("x"):rep(#text))
    file = open()
    local record, code, message = file:load "key"
    assert.same({ nil, "store_corrupt" }, { record, code })
    assert.is_string(message)
    file:close()
    os.remove(folder .. "/store")
  end)

  it("says when a row is not one that it wrote", function()
    local file = open()
    assert(file:save("key", "record", nil, "id"))
    file:close()
    process.write(folder .. "/change.py", ([[
import sqlite3
db = sqlite3.connect('%s')
db.execute("UPDATE records SET record = 'text'")
db.commit()
]]):format(folder .. "/store"))
    process.capture("python3 " .. folder .. "/change.py")
    file = open()
    local record, code, message = file:load "key"
    assert.same({ nil, "record_invalid" }, { record, code })
    assert.is_string(message)
    file:close()
    os.remove(folder .. "/store")
  end)

  it("raises when it is used after close, and shows what it is", function()
    local file = open()
    assert.equal("healthauth.sqlite", tostring(file))
    file:close()
    file:close()
    assert.equal("healthauth.sqlite (closed)", tostring(file))
    assert_raises("is closed", file.load, file, "key")
    assert_raises("is closed", file.next, file)
    assert_raises("healthauth.sqlite", file.load, io.stdout, "key")
  end)
end)

describe("healthauth.hiredis", function()
  it("connects to a port and within a time that can be", function()
    local connection = hiredis.new()
    for _, port in ipairs { 0, -1, 65536 } do assert_raises("out of range", connection.connect, connection, "127.0.0.1", port, 100) end
    for _, ms in ipairs { 0, -1, 600001, NAN, INF } do
      assert_raises("out of range", connection.connect, connection, "127.0.0.1", 1, ms)
      assert_raises("out of range", connection.connect_unix, connection, "/nowhere", ms)
      assert_raises("out of range", connection.command, connection, ms, "PING")
    end
    for _, text in ipairs { "", "127.0.0.1\0.example" } do
      assert_raises("NUL", connection.connect, connection, text, 1, 100)
      assert_raises("NUL", connection.connect_unix, connection, text, 100)
    end
  end)

  it("takes 1 to 16 words, all of them texts", function()
    local connection = hiredis.new()
    assert_raises("wrong number of words", connection.command, connection, 100)
    local words = {}
    for i = 1, 17 do words[i] = "x" end
    assert_raises("wrong number of words", connection.command, connection, 100, unpack(words))
    assert_raises("string expected", connection.command, connection, 100, "GET", 5)
    assert_raises("string expected", connection.command, connection, 100, "GET", {})
  end)

  it("without a connection sends nothing and says so", function()
    local connection = hiredis.new()
    assert.equal("healthauth.hiredis (closed)", tostring(connection))
    assert.is_false(connection:alive())
    assert.same({ nil, "unsent", "not connected" }, { connection:command(100, "PING") })
    local fine, code = connection:connect("127.0.0.1", 1, 1000)
    assert.same({ nil, "unsent" }, { fine, code })
    assert.is_truthy(connection:close())
    assert.is_truthy(connection:close())
  end)
end)
