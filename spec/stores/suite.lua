-- SPDX-License-Identifier: MIT
-- What every store promises, as a list of { name, function(harness) }. Run under busted and inside nginx, so it uses neither.
-- harness: store (fresh and empty), other (a second handle on the same data, or the same), pass(seconds) (lets leases grow old),
--   new(options) (the constructor), options (that it takes), ttl (a lease that pass can outlive), big (bytes of the largest record tried).

local check = require "spec.stores.check"
local common = require "healthauth.stores.common"
local core = require "healthauth.core"

local equal, yes, fails = check.equal, check.yes, check.fails

local ALL_BYTES = {}
for i = 0, 255 do ALL_BYTES[#ALL_BYTES + 1] = string.char(i) end
ALL_BYTES = table.concat(ALL_BYTES)

local function sorted(store)
  local found, count = {}, 0
  for key, record, err in store:list() do
    yes(key, "list", err)
    equal(nil, found[key], "listed twice: " .. key)
    found[key], count = record, count + 1
  end
  return found, count
end

-- A lease that another was refused while it lived, and its life. Where time is real, a busy machine may let it pass before the other asks:
-- then a longer one is tried, and only then.
local function short_lease(h)
  local ttl = h.ttl
  while true do
    local began = core.monotonic()
    local lease = yes(h.store:acquire("k", ttl))
    local second, err = h.other:acquire("k", 5)
    if second == false then return lease, ttl end
    yes(second, "lease", err)
    yes(core.monotonic() - began >= 0.9 * ttl, "refused while the first lives")
    equal(true, h.other:release(second))
    ttl = ttl * 4
  end
end

-- Lines for check.raises: the position must be that of the call, in this file.
local HERE = "suite.lua:"

local MISTAKES = {
  { "key must be a string, got nil", function(s) s:load() end },
  { "key must be a string, got number", function(s) s:load(1) end },
  { "key must have 1 to 256 bytes", function(s) s:load("") end },
  { "key must have 1 to 256 bytes", function(s) s:delete(("k"):rep(257)) end },
  { "key must be a string, got table", function(s) s:delete({}) end },
  { "record must be a string, got nil", function(s) s:save("k") end },
  { "record must be a string, got number", function(s) s:save("k", 1) end },
  { "expected_version must be a string or nil, got number", function(s) s:save("k", "r", 1) end },
  { "expected_version must be a string or nil, got boolean", function(s) s:save("k", "r", false) end },
  { "key must be a string, got nil", function(s) s:acquire(nil, 1) end },
  { "ttl_seconds must be a number, got nil", function(s) s:acquire("k") end },
  { "ttl_seconds must be between", function(s) s:acquire("k", 0) end },
  { "ttl_seconds must be between", function(s) s:acquire("k", -1) end },
  { "ttl_seconds must be between", function(s) s:acquire("k", 0 / 0) end },
  { "ttl_seconds must be between", function(s) s:acquire("k", math.huge) end },
  { "lease expected, got nil", function(s) s:release() end },
  { "lease expected, got string", function(s) s:release("lease") end },
  { "lease expected, got table", function(s) s:release({}) end },
}

return {
  { "answers nil for a key that is not there", function(h)
    local record, version = h.store:load("nobody")
    equal(nil, record)
    equal(nil, version)
  end },

  { "loads what was saved, with its version, through any handle", function(h)
    local version = yes(h.store:save("k", "record"))
    equal("string", type(version))
    for _, store in ipairs { h.store, h.other } do
      local record, again = store:load("k")
      equal("record", record)
      equal(version, again, "version")
    end
  end },

  { "does not create over a record that is there", function(h)
    local version = yes(h.store:save("k", "first"))
    fails("conflict", h.other:save("k", "second"))
    local record, again = h.store:load("k")
    equal("first", record)
    equal(version, again)
  end },

  { "swaps with the right version only", function(h)
    local first = yes(h.store:save("k", "1"))
    local second = yes(h.other:save("k", "2", first))
    check.differs(first, second)
    fails("conflict", h.store:save("k", "3", first))
    fails("conflict", h.store:save("k", "3", "no version"))
    fails("conflict", h.store:save("k", "3", ""))
    fails("conflict", h.store:save("k", "3", ("9"):rep(5000)))
    fails("conflict", h.store:save("other", "3", second))
    equal("2", (h.store:load("k")))
    equal(nil, (h.store:load("other")))
  end },

  { "does not swap what was deleted", function(h)
    local version = yes(h.store:save("k", "1"))
    equal(true, h.other:delete("k"))
    fails("conflict", h.store:save("k", "2", version))
    equal(nil, (h.store:load("k")))
  end },

  { "never repeats a version, also when the key is deleted and made again", function(h)
    local seen, version = {}, nil
    for round = 1, 60 do
      version = yes(h.store:save("k", "same", version))
      equal(nil, seen[version], "version")
      seen[version] = true
      if round % 3 == 0 then
        equal(true, h.store:delete("k"))
        fails("conflict", h.store:save("k", "late", version))
        version = nil
      end
    end
  end },

  { "keeps every byte of keys and records", function(h)
    local version = yes(h.store:save(ALL_BYTES, ALL_BYTES))
    yes(h.store:save("\0", "a\0b\r\n"))
    yes(h.store:save("\0\0", "longer key"))
    equal(ALL_BYTES, (h.other:load(ALL_BYTES)))
    equal("a\0b\r\n", (h.other:load("\0")))
    version = yes(h.store:save(ALL_BYTES, "\0", version))
    equal("\0", (h.other:load(ALL_BYTES)))
    equal(version, select(2, h.other:load(ALL_BYTES)))
    local found, count = sorted(h.store)
    equal(3, count)
    equal("longer key", found["\0\0"])
    local lease = yes(h.store:acquire(ALL_BYTES, 5))
    equal(false, h.other:acquire(ALL_BYTES, 5))
    equal(true, h.store:release(lease))
    equal(true, h.store:delete("\0"))
    equal("longer key", (h.store:load("\0\0")))
  end },

  { "keeps an empty record apart from none", function(h)
    local version = yes(h.store:save("k", ""))
    local record, again = h.store:load("k")
    equal("", record)
    equal(version, again)
    fails("conflict", h.store:save("k", "x"))
    yes(h.store:save("k", "x", version))
  end },

  { "keeps records of 100 KB while they grow and shrink", function(h)
    local version
    for _, size in ipairs { 10, 102400, 102401, 5, 102400, 0, 51200, 102400 } do
      local record = ALL_BYTES:rep(math.floor(size / 256)) .. ALL_BYTES:sub(1, size % 256)
      version = yes(h.store:save("k", record, version))
      equal(record, (h.other:load("k")))
    end
  end },

  { "refuses a record above the named maximum and leaves the old one", function(h)
    local version = yes(h.store:save("k", "small"))
    fails("record_too_large", h.store:save("k", ("x"):rep(common.MAX_RECORD + 1), version))
    equal("small", (h.store:load("k")))
    local largest = ("y"):rep(h.big)
    yes(h.store:save("k", largest, version))
    equal(largest, (h.store:load("k")))
    equal(true, h.store:delete("k"))
  end },

  { "deletes, also what is not there", function(h)
    equal(true, h.store:delete("nobody"))
    yes(h.store:save("k", "r"))
    equal(true, h.other:delete("k"))
    equal(nil, (h.store:load("k")))
    equal(true, h.store:delete("k"))
  end },

  { "lists nothing when there is nothing", function(h)
    local _, count = sorted(h.store)
    equal(0, count)
  end },

  { "lists 1,000 keys, each once and with its record", function(h)
    for i = 1, 1000 do yes(h.store:save("key " .. i, "record " .. i)) end
    yes(h.store:acquire("a lease is no record", 5))
    local found, count = sorted(h.other)
    equal(1000, count)
    for i = 1, 1000 do equal("record " .. i, found["key " .. i]) end
  end },

  { "lists on while records are deleted and saved", function(h)
    for i = 1, 40 do yes(h.store:save("key " .. i, "old")) end
    local seen = 0
    for key, record, err in h.store:list() do
      yes(record, "record", err)
      seen = seen + 1
      equal(true, h.store:delete(key))
    end
    equal(40, seen)
    local _, left = sorted(h.store)
    equal(0, left)
  end },

  { "gives one lease a key at a time", function(h)
    local lease = yes(h.store:acquire("k", 5))
    equal(false, h.other:acquire("k", 5))
    equal(false, h.store:acquire("k", 5))
    local second = yes(h.store:acquire("another key", 5))
    yes(second.fence > lease.fence, "fence grows")
    equal(true, h.store:release(lease))
    local third = yes(h.other:acquire("k", 5))
    yes(third.fence > second.fence, "fence grows")
    check.differs(lease.id, third.id, "id")
    yes(#third.id >= 32, "id cannot be guessed")
    equal("k", third.key)
    yes(not tostring(third):find(third.id, 1, true), "tostring hides the id")
  end },

  { "lets a lease expire by itself, and its late release harm nobody", function(h)
    local late, ttl = short_lease(h)
    h.pass(ttl * 1.5)
    local new = yes(h.other:acquire("k", 5))
    yes(new.fence > late.fence, "fence grows")
    equal(false, h.store:release(late))
    equal(false, h.store:acquire("k", 5))
    equal(true, h.other:release(new))
    yes(h.store:acquire("k", 5))
  end },

  { "answers false for an expired lease that nobody took", function(h)
    local lease = yes(h.store:acquire("k", h.ttl))
    h.pass(h.ttl * 1.5)
    equal(false, h.store:release(lease))
    yes(h.store:acquire("k", 5))
  end },

  { "frees nothing for a foreign lease or a second release", function(h)
    local lease = yes(h.store:acquire("k", 5))
    equal(false, h.other:release({ key = "k", id = ("0"):rep(32), fence = lease.fence }))
    equal(false, h.other:release({ key = "k", id = "", fence = lease.fence }))
    equal(false, h.other:release({ key = "elsewhere", id = lease.id, fence = lease.fence }))
    equal(false, h.store:acquire("k", 5))
    equal(true, h.store:release(lease))
    equal(false, h.store:release(lease))
  end },

  { "keeps leases and records apart", function(h)
    local version = yes(h.store:save("k", "r"))
    local lease = yes(h.store:acquire("k", 5))
    version = yes(h.other:save("k", "r2", version))
    equal(version, select(2, h.store:load("k")))
    equal(true, h.store:delete("k"))
    equal(false, h.other:acquire("k", 5))
    equal(true, h.store:release(lease))
  end },

  { "raises for a programmer's mistake, at the caller's line", function(h)
    for _, case in ipairs(MISTAKES) do check.raises(HERE, case[1], case[2], h.store) end
    equal(nil, (h.store:load("k")))
  end },

  { "raises for an unknown option by its name, and for a wrong type", function(h)
    local function with(name, value)
      local options = {}
      for key, given in pairs(h.options) do options[key] = given end
      options[name] = value
      return options
    end
    check.raises(HERE, "unknown option 'tiemout'", function() local s = h.new(with("tiemout", 1)) return s end)
    check.raises(HERE, "unknown option '1'", function() local s = h.new(with(1, 1)) return s end)
    check.raises(HERE, "options must be a table, got string", function() local s = h.new("text") return s end)
    for name, given in pairs(h.options) do
      local wrong = type(given) == "string" and 5 or "five"
      check.raises(HERE, "option '" .. name .. "' must be", function() local s = h.new(with(name, wrong)) return s end)
    end
  end },

  { "closes more than once, and raises when used after", function(h)
    equal(true, h.store:close())
    equal(true, h.store:close())
    for _, name in ipairs { "load", "delete", "list" } do
      check.raises(HERE, "is closed", function() local r = h.store[name](h.store, "k") return r end)
    end
    check.raises(HERE, "is closed", function() local r = h.store:save("k", "r") return r end)
    check.raises(HERE, "is closed", function() local r = h.store:acquire("k", 1) return r end)
    check.raises(HERE, "is closed", function() local r = h.store:release({ key = "k", id = "i" }) return r end)
    yes(tostring(h.store):find("^healthauth%.stores%."), "tostring names the store")
  end },
}
