-- SPDX-License-Identifier: MIT

local check = require "spec.stores.check"
local core = require "healthauth.core"
local process = require "spec.support.process"
local processes = require "spec.stores.processes"
local sqlite = require "healthauth.stores.sqlite"
local common = require "healthauth.stores.common"
local suite = require "spec.stores.suite"

local yes, equal, fails = check.yes, check.equal, check.fails

local function shell(line, ...)
  local status = process.capture(line:format(...) .. "; echo $?"):match("%d+$")
  return status == "0"
end

local is_root = process.capture "id -u" == "0"

describe("the sqlite store", function()
  local folder, path, now, opened, mounted

  local function open(options)
    options = options or {}
    options.path = options.path or path
    local store = assert(sqlite(options))
    opened[#opened + 1] = store
    return store
  end

  before_each(function()
    folder = process.folder()
    path, now, opened, mounted = folder .. "/store.db", 1000000, {}, nil
  end)

  after_each(function()
    for _, store in ipairs(opened) do store:close() end
    if mounted then os.execute("umount " .. process.quote(mounted)) end
    process.remove(folder)
  end)

  describe("as every store", function()
    for _, case in ipairs(suite) do
      it(case[1], function()
        local function clock() return now end
        case[2] {
          store = open { clock = clock }, other = open { clock = clock }, new = sqlite, ttl = 10, big = common.MAX_RECORD,
          options = { path = path, busy_timeout = 1, clock = clock, max_pages = 1000 },
          pass = function(seconds) now = now + seconds end,
        }
      end)
    end
  end)

  describe("with several processes", function()
    local cases = {
      { "loses no increment of 8 processes", processes.lose_nothing },
      { "lets exactly one process win each round", processes.one_wins },
      { "gives a lease to one process at a time", processes.exclude },
      { "frees the lease of a killed holder after its life", processes.kill_holder },
      { "leaves a whole record when the writer is killed", processes.kill_writer },
    }
    for _, case in ipairs(cases) do
      it(case[1], function() case[2]("sqlite", path, open { busy_timeout = 60 }, core.monotonic) end)
    end

    it("is created by many processes at once", function()
      local commands = {}
      for i = 1, 6 do commands[i] = processes.command("sqlite", path, "touch", "new " .. i) end
      for _, output in ipairs(processes.together(commands)) do equal("nothing", output) end
      yes(open():save("k", "r"))
    end)

    if jit then
      it("goes on in parent and child after a fork", function()
        equal("0\tchild\tafter\ttrue", processes.together { processes.command("sqlite", path, "fork", "k") }[1])
        equal("child", (open():load("k child")))
      end)
    end
  end)

  describe("and its file", function()
    it("is private whatever the umask is", function()
      for _, mask in ipairs { "000", "022", "777" } do
        local file = folder .. "/" .. mask
        local line = processes.command("sqlite", file, "touch", "k")
        equal("nothing", processes.together { "umask " .. mask .. "; " .. line }[1])
        equal("600", process.capture("stat -c %a " .. file))
      end
    end)

    it("has private companions while it is open", function()
      yes(open():save("k", "r"))
      equal("600", process.capture("stat -c %a " .. path .. "-wal"))
      equal("600", process.capture("stat -c %a " .. path .. "-shm"))
    end)

    local refused = {
      { "readable by others", "chmod 604 %s", "chmod 600 %s" },
      { "readable by the group", "chmod 640 %s", "chmod 600 %s" },
      { "a symbolic link", "mv %s %s.real && ln -s %s.real %s", "rm %s && mv %s.real %s" },
      { "a directory", "mv %s %s.real && mkdir %s", "rmdir %s && mv %s.real %s" },
      { "a fifo", "mv %s %s.real && mkfifo -m 600 %s", "rm %s && mv %s.real %s" },
    }
    if is_root then refused[#refused + 1] = { "somebody else's", "chown 12345 %s", "chown 0 %s" } end
    for _, case in ipairs(refused) do
      it("is refused when it is " .. case[1] .. ", and taken again when not", function()
        local first = open()
        yes(first:save("k", "r"))
        first:close()
        yes(shell(case[2], path, path, path, path))
        local store = open()
        fails("store_insecure", store:load("k"))
        fails("store_insecure", store:save("k", "r"))
        fails("store_insecure", store:acquire("k", 1))
        fails("store_insecure", store:delete("k"))
        local key, record, err = store:list()()
        equal(false, key)
        fails("store_insecure", record, err)
        yes(shell(case[3], path, path, path))
        equal("r", (store:load("k")))
      end)
    end

    it("is refused when a companion is readable by others or a link", function()
      for _, suffix in ipairs { "-wal", "-shm", "-journal" } do
        local first = open()
        first:load("k")
        first:close()
        yes(shell("touch %s%s && chmod 644 %s%s", path, suffix, path, suffix))
        local store = open()
        fails("store_insecure", store:load("k"))
        yes(shell("rm %s%s && ln -s /etc/hostname %s%s", path, suffix, path, suffix))
        fails("store_insecure", store:load("k"))
        yes(shell("rm %s%s", path, suffix))
        equal(nil, (store:load("k")))
        store:close()
      end
    end)

    it("may lie behind a linked directory", function()
      yes(shell("mkdir %s/real && ln -s %s/real %s/linked", folder, folder, folder))
      yes(open { path = folder .. "/linked/store.db" }:save("k", "r"))
      equal("r", (open { path = folder .. "/real/store.db" }:load("k")))
    end)

    it("does not keep what was deleted", function()
      local secret = "SECRET" .. core.hex(core.random(16))
      local store = open()
      local version = yes(store:save("k", secret:rep(50)))
      yes(store:save("k", "short", version))
      yes(store:save("other", secret:rep(50)))
      yes(store:delete("other"))
      store:close()
      equal("short", (open():load("k")))
      check.yes(not shell("cat %s* | grep -q %s", path, secret), "deleted bytes are gone")
    end)

    it("is made anew when it was removed or replaced under an open store", function()
      local store = open()
      yes(store:save("k", "old"))
      yes(shell("rm %s*", path))
      equal(nil, (store:load("k")))
      yes(store:save("k", "new"))
      equal("new", (open():load("k")))
    end)

    it("is made anew by another process although one has the removed file open, and its companions lie there", function()
      local store = open()
      yes(store:save("k", "old"))
      yes(os.remove(path))
      equal("1", process.capture(processes.command("sqlite", path, "begin", "k", "1") .. " 2>&1"))
      equal("1", (store:load("k")))
    end)

    it("may be opened twice in a process, and one closed", function()
      local one, two = open(), open()
      local version = yes(one:save("k", "1"))
      two:load("k")
      two:close()
      version = yes(one:save("k", "2", version))
      equal(version, select(2, open():load("k")))
    end)
  end)

  describe("in trouble", function()
    it("says that the directory is missing, and works when it is there", function()
      local store = open { path = folder .. "/later/store.db" }
      fails("store_unavailable", store:load("k"))
      fails("store_unavailable", store:save("k", "r"))
      yes(shell("mkdir %s/later", folder))
      yes(store:save("k", "r"))
    end)

    local damages = {
      { "is no database", "printf 'this is not a database, it is a letter%%01000d' 0 > %s" },
      { "is cut", "truncate -s 5000 %s" },
      { "has a damaged page", "printf '%%08192d' 7 | dd of=%s bs=1 seek=4096 conv=notrunc status=none" },
      { "is somebody else's database", "printf '\\001\\002\\003\\004' | dd of=%s bs=1 seek=68 conv=notrunc status=none" },
      { "is of another version", "printf '\\000\\000\\000\\011' | dd of=%s bs=1 seek=60 conv=notrunc status=none" },
    }
    for _, case in ipairs(damages) do
      it("says that the file " .. case[1] .. ", leaves it alone, and works when it is gone", function()
        local first = open()
        for i = 1, 50 do yes(first:save("k" .. i, ("r"):rep(300))) end
        first:close()
        yes(shell(case[2], path))
        local sum = process.capture("cksum < " .. path)
        local store = open()
        fails("store_corrupt", store:load("k1"))
        fails("store_corrupt", store:save("new", "r"))
        store:close()
        equal(sum, process.capture("cksum < " .. path))
        store = open()
        fails("store_corrupt", store:load("k1"))
        yes(shell("rm %s*", path))
        yes(store:save("k1", "r"))
      end)
    end

    it("says that it is full, keeps what it has, and works when there is room", function()
      local store, versions, err = open { max_pages = 60 }, {}, nil
      for i = 1, 1000 do
        versions[i], err = store:save("k" .. i, ("r"):rep(3000))
        if not versions[i] then break end
      end
      local count = #versions
      yes(count > 5 and count < 1000, "records before it was full")
      fails("store_full", nil, err)
      fails("store_full", store:save("k1", ("larger"):rep(60000), versions[1]))
      for i = 1, count do
        local record, version = store:load("k" .. i)
        equal(("r"):rep(3000), record)
        equal(versions[i], version)
      end
      for i = 2, count do yes(store:delete("k" .. i)) end
      yes(store:save("k1", ("larger"):rep(3000), versions[1]))
    end)

    local function small_disk(line)
      local disk = folder .. "/disk"
      if not (is_root and shell("mkdir -p %s && mount -t tmpfs -o mode=700,%s none %s 2>/dev/null", disk, line, disk)) then
        return nil
      end
      mounted = disk
      return disk
    end

    it("survives a full disk", function()
      local disk = small_disk "size=300k"
      if not disk then
        pending "needs the right to mount a small disk"
        return
      end
      local store = open { path = disk .. "/store.db" }
      local version = yes(store:save("k", "small"))
      yes(shell("head -c 1000000 /dev/zero > %s/ballast 2>/dev/null; true", disk))
      fails("store_full", store:save("k", ("x"):rep(100000), version))
      equal("small", (store:load("k")))
      store:close()
      local again = open { path = disk .. "/store.db" }
      local record, err = again:load("k")
      if record ~= "small" then fails("store_full", record, err) end -- there may be no room for the index of the log
      yes(shell("rm %s/ballast", disk))
      record, version = again:load("k")
      equal("small", record)
      yes(again:save("k", ("x"):rep(50000), version))
    end)

    it("says that directory and file are read-only, and works when they are not", function()
      local disk = small_disk "size=2m"
      local target, lock, unlock = folder, "chmod 500 " .. folder, "chmod 700 " .. folder
      if disk then
        target, lock, unlock = disk, "mount -o remount,ro " .. disk, "mount -o remount,rw " .. disk
      elseif is_root then
        pending "needs the right to mount a disk"
        return
      end
      yes(shell(lock))
      local store = open { path = target .. "/store.db" }
      fails("store_read_only", store:load("k"))
      fails("store_read_only", store:save("k", "r"))
      yes(shell(unlock))
      local version = yes(store:save("k", "r"))
      store:close()
      yes(shell(lock .. (disk and "" or " " .. target .. "/store.db")))
      store = open { path = target .. "/store.db" }
      fails("store_read_only", store:save("k", "r2", version))
      fails("store_read_only", store:acquire("k", 1))
      yes(shell(unlock .. (disk and "" or " && chmod 600 " .. target .. "/store.db")))
      yes(store:save("k", "r2", version))
    end)

    it("waits for another process's write as long as busy_timeout says, and no longer", function()
      local line = "import sqlite3, os, sys, time\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.execute('BEGIN IMMEDIATE')\n"
        .. "print('ready', flush=True)\nwhile not os.path.exists(sys.argv[1] + '.go'): time.sleep(0.01)\ndb.execute('COMMIT')"
      local impatient, patient = open { busy_timeout = 0.05 }, open { busy_timeout = 20 }
      yes(impatient:save("k", "r"))
      local other = process.start { "python3", "-c", line, path }
      local started = core.monotonic()
      local gave_up, err = impatient:save("k2", "r")
      local waited = core.monotonic() - started
      os.execute(("{ sleep 0.3; touch %s.go; } >/dev/null 2>&1 &"):format(process.quote(path)))
      local version = patient:save("k2", "r")
      local saved = core.monotonic() - started
      other:stop()
      fails("store_unavailable", gave_up, err)
      yes(waited >= 0.04, "gave up after " .. waited)
      yes(version, "saved")
      yes(saved - waited >= 0.2, "did not wait")
      equal("r", (impatient:load("k2")))
    end)

    it("does not keep a lease for ever when the clock goes back", function()
      local store = open { clock = function() return now end }
      yes(store:acquire("k", 10))
      now = now - 3
      equal(false, store:acquire("k", 10)) -- a slow process, not the clock
      now = now - 3600
      local lease = yes(store:acquire("k", 10))
      equal(false, store:acquire("k", 10))
      now = now - 1
      equal(true, store:release(lease))
    end)

    it("raises for an impossible path or timeout", function()
      local wrong = { {}, { path = "" }, { path = "a\0b" }, { path = path, busy_timeout = -1 }, { path = path, busy_timeout = 1e9 } }
      for _, options in ipairs(wrong) do
        check.raises("sqlite_spec.lua:", "option '", function() local s = sqlite(options) return s end)
      end
    end)

    it("never takes a path for a name with a meaning", function()
      yes(shell("cd %s && true", folder))
      local store = open { path = folder .. "/:memory:" }
      yes(store:save("k", "r"))
      yes(process.read(folder .. "/:memory:"), "a file of that name")
    end)
  end)
end)
