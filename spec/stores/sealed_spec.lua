-- SPDX-License-Identifier: MIT

local check = require "spec.stores.check"
local common = require "healthauth.stores.common"
local core = require "healthauth.core"
local memory = require "healthauth.stores.memory"
local process = require "spec.support.process"
local sealed = require "healthauth.stores.sealed"
local suite = require "spec.stores.suite"

local yes, equal, fails = check.yes, check.equal, check.fails

local KEY = ("k"):rep(31) .. "\255"
local KEY_HEX = ("6b"):rep(31) .. "ff"
local KEY_BASE64 = core.base64(KEY)

describe("the sealed store", function()
  local now, inner, folder, path

  local function write(name, content, mode)
    local file = folder .. "/" .. name
    process.write(file, content)
    yes(os.execute("chmod " .. (mode or "600") .. " " .. process.quote(file)))
    return file
  end

  local function over(options)
    options.store = inner
    return sealed(options)
  end

  local function by_function(keys, id)
    return over { key = function(name) return keys[name] end, id = id }
  end

  before_each(function()
    now = 1000
    inner = memory { clock = function() return now end }
    folder = process.folder()
    path = write("key", KEY)
  end)
  after_each(function() process.remove(folder) end)

  for _, case in ipairs(suite) do
    it(case[1], function()
      local options = { store = inner, key_file = path, id = "2024" }
      case[2] {
        store = sealed(options), other = sealed(options), new = sealed, options = options, ttl = 10, big = common.MAX_RECORD - 200,
        pass = function(seconds) now = now + seconds end,
      }
    end)
  end

  it("keeps nothing readable in the store", function()
    local record = "the record " .. ("x"):rep(100)
    yes(over { key_file = path }:save("k", record))
    local kept = inner:load("k")
    equal(nil, kept:find("the record", 1, true))
    equal(nil, kept:find("xxxx", 1, true))
    yes(over { key_file = path }:save("k2", record))
    check.differs(kept:sub(-40), inner:load("k2"):sub(-40))
  end)

  it("takes a key file of raw bytes, hexadecimal or base64 text", function()
    by_function({ ["1"] = KEY }):save("k", "r")
    local base64url = KEY_BASE64:gsub("%+", "-"):gsub("/", "_"):gsub("=", "")
    for _, content in ipairs { KEY, KEY_HEX, KEY_HEX:upper() .. "\n", KEY_BASE64, " " .. KEY_BASE64 .. "\r\n", base64url } do
      equal("r", (over { key_file = write("form", content) }:load("k")))
    end
  end)

  local bad_files = {
    { "empty", "" }, { "of 31 bytes", ("k"):rep(31) }, { "of 33 bytes", ("k"):rep(33) }, { "huge", ("k"):rep(5000) },
    { "with a letter too much", KEY_HEX .. "0" }, { "with what is no digit", (KEY_HEX:gsub("^.", "g")) },
    { "with spare bits", (KEY_BASE64:gsub(".=$", "9=")) }, { "readable by others", KEY, "604" }, { "readable by the group", KEY, "640" },
  }
  for _, case in ipairs(bad_files) do
    it("does not use a key file " .. case[1], function()
      local store = over { key_file = write("bad", case[2], case[3]) }
      fails("key_unavailable", store:save("k", "r"))
      by_function({ ["1"] = KEY }):save("k", "r")
      fails("key_unavailable", store:load("k"))
      write("bad", KEY)
      yes(os.execute("chmod 600 " .. folder .. "/bad"))
      equal("r", (store:load("k")))
    end)
  end

  it("does not use a key file that is missing, a link or a directory", function()
    yes(os.execute(("ln -s %s %s/link; mkdir %s/directory"):format(path, folder, folder)))
    for _, name in ipairs { "missing", "link", "directory" } do
      fails("key_unavailable", over { key_file = folder .. "/" .. name }:save("k", "r"))
    end
  end)

  it("rotates: reads with the key that the record names, saves with the current one", function()
    local keys = { old = KEY, new = ("n"):rep(32) }
    local version = yes(by_function(keys, "old"):save("k", "r"))
    local store = by_function(keys, "new")
    equal("r", (store:load("k")))
    yes(store:save("k", "r2", version))
    keys.old = nil
    equal("r2", (store:load("k")))
    fails("record_invalid", by_function({ old = KEY }, "old"):load("k"))
    local files = { old = path, new = write("new", ("n"):rep(32)) }
    equal("r2", (over { key_files = files, id = "old" }:load("k")))
  end)

  it("takes no record that was changed, anywhere", function()
    local store = over { key_file = path, id = "id" }
    local version = yes(store:save("k", "record"))
    local kept = inner:load("k")
    for i = 1, #kept do
      local changed = kept:sub(1, i - 1) .. string.char((kept:byte(i) + 1) % 256) .. kept:sub(i + 1)
      version = yes(inner:save("k", changed, version))
      fails("record_invalid", store:load("k"))
    end
    for i = 0, #kept - 1 do
      version = yes(inner:save("k", kept:sub(1, i), version))
      fails("record_invalid", store:load("k"))
    end
    version = yes(inner:save("k", kept .. "\0", version))
    fails("record_invalid", store:load("k"))
    yes(inner:save("k", kept, version))
    equal("record", (store:load("k")))
  end)

  it("takes no record from another key, another id, or in the clear", function()
    local store = over { key_file = path, id = "a" }
    yes(store:save("alice", "alice's"))
    local kept = inner:load("alice")
    yes(inner:save("bob", kept))
    fails("record_invalid", store:load("bob"))
    yes(inner:save("clear", "a record in the clear"))
    fails("record_invalid", store:load("clear"))
    local both = by_function({ a = KEY, b = KEY }, "a")
    yes(inner:save("relabelled", (kept:gsub("^HAS1\1a", "HAS1\1b"))))
    fails("record_invalid", both:load("relabelled"))
    local seen = {}
    for key, record, err in store:list() do seen[key] = record or err.code end
    equal("alice's", seen.alice)
    for _, key in ipairs { "bob", "clear", "relabelled" } do
      equal("record_invalid", seen[key])
      equal(true, store:delete(key))
    end
  end)

  it("says that the key function failed, and shows nothing of it", function()
    for _, key in ipairs {
      function() error("secret text") end,
      function() return "short" end,
      function() return 5 end,
      function() return false end,
    } do
      local err = fails("key_unavailable", over { key = key }:save("k", "r"))
      equal(nil, tostring(err):find("secret text", 1, true))
    end
    fails("key_unavailable", over { key = function() end }:save("k", "r"))
  end)

  it("passes the wrapped store's trouble on", function()
    local full = function() return common.fail("store_full", "no room") end
    local store = sealed { key_file = path, store = { load = full, save = full, acquire = full, release = full, delete = full } }
    fails("store_full", store:load("k"))
    fails("store_full", store:save("k", "r"))
    fails("store_full", store:acquire("k", 1))
    fails("store_full", store:delete("k"))
    fails("store_full", store:release { key = "k", id = "i" })
  end)

  it("raises for impossible options", function()
    local wrong = {
      { {}, "option 'store' is required" },
      { { store = inner }, "exactly one of" },
      { { store = inner, key_file = path, key = print }, "exactly one of" },
      { { store = {}, key_file = path }, "option 'store' must be a store" },
      { { store = inner, key_files = { a = path } }, "option 'id' is required" },
      { { store = inner, key_files = { a = path }, id = "b" }, "has no 'b'" },
      { { store = inner, key_files = { a = 5 }, id = "a" }, "option 'key_files' must be" },
      { { store = inner, key_file = path, id = "" }, "option 'id' must be" },
      { { store = inner, key_file = path, id = "a b" }, "option 'id' must be" },
      { { store = inner, key_fiel = path }, "unknown option 'key_fiel'" },
    }
    for _, case in ipairs(wrong) do
      check.raises("sealed_spec.lua:", case[2], function() local s = sealed(case[1]) return s end)
    end
  end)
end)
