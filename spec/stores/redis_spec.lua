-- SPDX-License-Identifier: MIT

local check = require "spec.stores.check"
local common = require "healthauth.stores.common"
local core = require "healthauth.core"
local process = require "spec.support.process"
local processes = require "spec.stores.processes"
local redis = require "healthauth.stores.redis"
local redis_server = require "spec.support.redis_server"
local suite = require "spec.stores.suite"

local yes, equal, fails = check.yes, check.equal, check.fails

describe("the redis store", function()
  local server, opened

  local function open(options)
    options = options or {}
    if not options.host then options.socket = options.socket or server.socket end
    local store = assert(redis(options))
    opened[#opened + 1] = store
    return store
  end

  setup(function() server = redis_server.start { port = true } end)
  teardown(function() server:stop() end)

  before_each(function() opened = {} end)
  after_each(function()
    for _, store in ipairs(opened) do store:close() end
    server:cli("FLUSHALL")
  end)

  local ways = {
    { "over a unix socket", function() return { socket = server.socket, prefix = "p:" } end },
    { "over a port, in a database of its own", function() return { host = "localhost", port = server.port, database = 3 } end },
  }
  for _, way in ipairs(ways) do
    describe("as every store, " .. way[1], function()
      for _, case in ipairs(suite) do
        it(case[1], function()
          case[2] {
            store = open(way[2]()), other = open(way[2]()), new = redis, options = way[2](), ttl = 0.1, big = common.MAX_RECORD,
            pass = process.sleep,
          }
        end)
      end
    end)
  end

  describe("with several processes", function()
    local cases = {
      { "loses no increment of 8 processes", processes.lose_nothing },
      { "lets exactly one process win each round", processes.one_wins },
      { "gives a lease to one process at a time", processes.exclude },
      { "frees the lease of a killed holder after its life", processes.kill_holder },
      { "leaves a whole record when the writer is killed", processes.kill_writer },
    }
    for _, case in ipairs(cases) do
      it(case[1], function() case[2]("redis", server.socket, open(), core.monotonic) end)
    end
  end)

  describe("and its server", function()
    it("may be stopped and started: errors meanwhile, and the next call works", function()
      local store = open()
      yes(store:save("k", "r"))
      server:down()
      fails("store_unavailable", store:load("k"))
      fails("store_unavailable", store:save("k", "r"))
      fails("store_unavailable", store:acquire("k", 1))
      fails("store_unavailable", store:delete("k"))
      local key, record, err = store:list()()
      equal(false, key)
      fails("store_unavailable", record, err)
      server:up()
      equal(nil, (store:load("k")))
      yes(store:save("k", "new"))
      yes(store:acquire("k", 1))
      server:down()
      server:up()
      yes(store:save("k2", "the very next call writes"))
    end)

    it("may die between two rounds of a list", function()
      local store = open()
      for i = 1, 10 do yes(store:save("k" .. i, "r")) end
      local following = store:list()
      yes(following())
      server:down()
      local key, record, err = following()
      equal(false, key)
      fails("store_unavailable", record, err)
      equal(nil, (following()))
      server:up()
    end)

    -- A store that waits this long only, and has saved "k" and its version: a busy machine may take longer to get there.
    local function impatient(timeout)
      local store = open { timeout = timeout }
      for _ = 1, 100 do
        local _, version = store:load "k"
        if type(version) ~= "table" then
          version = store:save("k", "1", version)
          if version then return store, version end
        end
      end
      error "never answered"
    end

    it("does not get a swap twice when its answer is late", function()
      local store, version = impatient(0.3)
      server:freeze()
      local value, err = store:save("k", "2", version)
      server:thaw()
      fails("store_unavailable", value, err)
      local record, newer
      for _ = 1, 500 do
        record, newer = store:load("k")
        if record == "2" then break end
        process.sleep(0.02)
      end
      equal("2", record)
      equal("2", newer:match("^%d+"), "number of the version")
    end)

    it("answers in time or not at all", function()
      local store = impatient(0.2)
      server:freeze()
      local start = core.monotonic()
      local value, err = store:load("k")
      local took = core.monotonic() - start
      server:thaw()
      fails("store_unavailable", value, err)
      yes(took < 4, "took " .. took) -- 5 would be the default
    end)

    it("may forget our scripts", function()
      local store = open()
      local version = yes(store:save("k", "1"))
      server:cli("SCRIPT", "FLUSH")
      yes(store:save("k", "2", version))
      server:cli("SCRIPT", "FLUSH")
      local lease = yes(store:acquire("k", 5))
      server:cli("SCRIPT", "FLUSH")
      equal(true, store:release(lease))
    end)

    it("is full, and then not", function()
      local store = open()
      local version = yes(store:save("k", "1"))
      server:cli("CONFIG", "SET", "maxmemory", "1")
      local value, err = store:save("k", "2", version)
      local _, lease_err = store:acquire("k", 5)
      server:cli("CONFIG", "SET", "maxmemory", "0")
      fails("store_full", value, err)
      fails("store_full", nil, lease_err)
      equal("1", (store:load("k")))
      yes(store:save("k", "2", version))
    end)

    it("is a replica that takes no writes", function()
      local store = open()
      local version = yes(store:save("k", "1"))
      server:cli("REPLICAOF", "127.0.0.1", "1")
      local value, err = store:save("k", "2", version)
      local _, delete_err = store:delete("k")
      server:cli("REPLICAOF", "NO", "ONE")
      fails("store_read_only", value, err)
      fails("store_read_only", nil, delete_err)
      yes(store:save("k", "2", version))
    end)

    it("came back with older data: seen by the version, and no number is given twice", function()
      local store, fresh = open(), open()
      local first = yes(store:save("k", "1"))
      local second = yes(store:save("k", "2", first))
      server:cli("HSET", "healthauth:record:k", "v", first, "r", "1")
      server:cli("SET", "healthauth:counter", "1")
      fails("store_stale", store:load("k"))
      fails("conflict", store:save("k", "3", second))
      equal("1", (fresh:load("k")))
      local third = yes(fresh:save("k", "3", first))
      yes(tonumber(third:match("^%d+")) > tonumber(second:match("^%d+")), "number grows")
      equal("3", (store:load("k")))
      server:cli("HSET", "healthauth:record:k", "v", first, "r", "1")
      fails("store_stale", store:load("k"))
      yes(store:delete("k")) -- the way out: what is stored after that is newer
      yes(store:save("k", "4"))
      equal("4", (store:load("k")))
      server:cli("DEL", "healthauth:counter")
      local lease = yes(store:acquire("k", 5))
      yes(lease.fence > tonumber(third:match("^%d+")), "fence grows")
    end)

    it("is not behind when a save comes between the answer to a load and its reading, as requests of one nginx do", function()
      local store = open()
      local first = yes(store:save("k", "1"))
      local command = store.driver.command
      function store.driver:command(...)
        local reply = command(self, ...)
        self.command = nil
        yes(store:save("k", "2", first))
        return reply
      end
      equal("1", (store:load("k")))
      equal("2", (store:load("k")))
      server:cli("HSET", "healthauth:record:k", "v", first, "r", "1")
      fails("store_stale", store:load("k"))
    end)

    it("holds what is not ours", function()
      local store = open()
      server:cli("SET", "healthauth:record:text", "text")
      server:cli("HSET", "healthauth:record:hash", "v", "no version", "r", "record")
      server:cli("HSET", "healthauth:record:half", "v", "1-aa")
      server:cli("HSET", "healthauth:record:other", "x", "y")
      for _, key in ipairs { "text", "hash", "half" } do
        fails("record_invalid", store:load(key))
        fails("record_invalid", select(2, nil, store:load(key)))
      end
      fails("record_invalid", store:save("text", "mine"))
      fails("record_invalid", store:save("other", "mine"))
      fails("conflict", store:save("hash", "mine"))
      yes(store:save("k", "r"))
      local invalid, records = 0, 0
      for key, record, err in store:list() do
        yes(key)
        if record then records = records + 1 else
          fails("record_invalid", nil, err)
          invalid = invalid + 1
        end
      end
      equal(3, invalid)
      equal(1, records)
      yes(store:delete("text"))
      yes(store:save("text", "mine"))
    end)

    it("keeps prefixes and databases apart, whatever bytes a prefix has", function()
      local prefixes = { "a", "a*", "a?", "[ab]", "a\\", "\0\r\n", "" }
      for _, prefix in ipairs(prefixes) do yes(open { prefix = prefix }:save("k", "of " .. prefix)) end
      yes(open { prefix = "a", database = 5 }:save("k", "of database 5"))
      for _, prefix in ipairs(prefixes) do
        local count = 0
        for key, record in open { prefix = prefix }:list() do
          equal("k", key)
          equal("of " .. prefix, record)
          count = count + 1
        end
        equal(1, count, "keys of prefix " .. prefix)
      end
    end)
  end)

  describe("and who may use it", function()
    local guarded

    setup(function()
      guarded = redis_server.start {
        port = true, auth = { "-a", "main password" },
        config = { 'requirepass "main password"', "user reader on >reads ~* +hmget +select" },
      }
    end)
    teardown(function() guarded:stop() end)

    it("takes a password, or a user and a password", function()
      yes(open { socket = guarded.socket, password = "main password" }:save("k", "r"))
      yes(open { socket = guarded.socket, password = function() return "main password" end }:delete("k"))
      yes(open { host = "127.0.0.1", port = guarded.port, username = "default", password = "main password" }:save("k", "r"))
      equal("r", (open { socket = guarded.socket, username = "reader", password = "reads" }:load("k")))
    end)

    it("says that it was refused, without the password", function()
      local refused = {
        {}, { password = "wrong" }, { username = "nobody", password = "main password" }, { username = "reader", password = "wrong" },
        { password = "main password", database = 60000 },
      }
      for _, options in ipairs(refused) do
        options.socket = guarded.socket
        local err = fails("store_denied", open(options):load("k"))
        equal("fix_credentials", err.action)
        equal(nil, tostring(err):find("main password", 1, true))
        equal(nil, tostring(err):find("wrong", 1, true))
      end
      fails("store_denied", open { socket = guarded.socket, username = "reader", password = "reads" }:save("k", "the record"))
    end)
  end)

  describe("and a server that is none", function()
    local odd
    after_each(function() if odd then odd:stop() end end)

    local function start(text, ...)
      local command = { "python3", process.capture "pwd" .. "/spec/stores/odd_server.py", text, ... }
      odd = process.start(command)
      return open { host = "127.0.0.1", port = tonumber(odd.ports.port), timeout = 0.3 }
    end

    local answers = {
      { "closes", { "", "0", "close" } },
      { "speaks HTTP", { "HTTP/1.1 400 Bad Request\\r\\n\\r\\n", "0", "stay" } },
      { "answers half", { "*2\\r\\n$3\\r\\n1-a", "0", "close" } },
      { "names a huge list", { "*1000000000\\r\\n", "0", "stay" } },
      { "names a negative list", { "*-5\\r\\n", "0", "stay" } },
      { "names a huge string", { "$99999999999999999999\\r\\n", "0", "stay" } },
      { "nests for ever", { "*1\\r\\n", "0", "stay", "1000" } },
      { "never stops", { "$100000000\\r\\n" .. ("x"):rep(1000), "0", "stay", "9000" } },
      { "drips", { "$100\\r\\n", "0.05", "stay", "1000" } },
      { "says nothing", { "", "0", "stay" } },
    }
    for _, case in ipairs(answers) do
      it(case[1], function()
        local store = start(case[2][1], case[2][2], case[2][3], case[2][4] or "1")
        for _, name in ipairs { "load", "save", "acquire" } do
          local started = core.monotonic()
          fails("store_unavailable", store[name](store, "k", name == "save" and "r" or 1))
          local took = core.monotonic() - started
          yes(took < 4, name .. " took " .. took) -- 5 would be the default
        end
      end)
    end

    local shapes = {
      "+OK\\r\\n", ":7\\r\\n", "$-1\\r\\n", "*0\\r\\n", "*2\\r\\n:1\\r\\n:2\\r\\n", "*1\\r\\n*1\\r\\n*0\\r\\n", "-ERR \\x00\\x1b[31m\\r\\n",
    }
    for _, shape in ipairs(shapes) do
      it("answers " .. shape .. " to everything", function()
        local store = start(shape, "0", "close", "1")
        local value, err = store:load("k")
        if err then yes(err.kind == "store", "a store error") end
        equal(nil, value)
        for _, result in ipairs { { store:save("k", "r") }, { store:acquire("k", 1) }, { store:list()() } } do
          yes(not result[1], "no success", result[1])
        end
      end)
    end
  end)

  it("answers unsupported for TLS, which this client cannot do", function()
    local store, err = redis { tls = true }
    equal(nil, store)
    equal("unsupported", err.kind)
    equal("tls_unsupported", err.code)
    yes(redis { tls = false }):close()
  end)

  it("raises for impossible options", function()
    local wrong = {
      { { socket = "/s", host = "h" }, "not both" }, { { socket = "/s", port = 1 }, "not both" }, { { host = "" }, "is empty" },
      { { port = 0 }, "option 'port' must be between" }, { { port = 65536 }, "option 'port'" }, { { port = 1.5 }, "option 'port'" },
      { { database = -1 }, "option 'database'" }, { { timeout = 0 }, "option 'timeout'" }, { { timeout = 0 / 0 }, "option 'timeout'" },
      { { password = 5 }, "option 'password' must be" }, { { username = "u" }, "needs 'password'" },
      { { prefix = ("p"):rep(65) }, "option 'prefix'" }, { { passwort = "p" }, "unknown option 'passwort'" },
    }
    for _, case in ipairs(wrong) do
      check.raises("redis_spec.lua:", case[2], function() local s = redis(case[1]) return s end)
    end
  end)
end)
