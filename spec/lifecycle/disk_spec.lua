-- SPDX-License-Identifier: MIT
-- Sessions over a store file on a disk that is full or cannot be written, before and after the request.

local healthauth = require "healthauth"
local process = require "spec.support.process"
local support = require "spec.lifecycle.support"

local is_root = process.capture "id -u" == "0"

describe("a session whose store file", function()
  local folder, mounted, clock, provider, events

  local function shell(line, ...)
    local status = os.execute(line:format(...))
    return status == true or status == 0
  end

  before_each(function()
    folder = process.folder()
    clock = { now = 1700000000 }
    provider, events = support.provider(clock), {}
  end)
  after_each(function()
    if mounted then shell("umount %s", mounted) end
    mounted = nil
    process.remove(folder)
  end)

  local function open(store)
    return assert(healthauth.pkb {
      base_url = "https://pkb.example", client_id = "client", transport = provider, clock = function() return clock.now end,
      store = store, key = "patient-1", on_event = function(e) events[#events + 1] = e end,
    })
  end

  local function small_disk(size)
    local disk = folder .. "/disk"
    if not (is_root and shell("mkdir -p %s && mount -t tmpfs -o mode=700,size=%s none %s 2>/dev/null", disk, size, disk)) then
      pending "needs the right to mount a small disk"
      return nil
    end
    mounted = disk
    return disk
  end

  local function told(code)
    local count = 0
    for _, e in ipairs(events) do
      if e.name == "store_trouble" and e.code == code then count = count + 1 end
    end
    return count
  end

  local function fill(disk) shell("head -c 4000000 /dev/zero > %s/ballast 2>/dev/null; true", disk) end

  it("has no room left sends nothing, and goes on when there is room", function()
    local disk = small_disk "400k"
    if not disk then return end
    local store = assert(healthauth.stores.sqlite { path = disk .. "/t.db" })
    local session = open(store)
    assert(session:restore(support.tokens(clock.now, 600)))
    clock.now = clock.now + 590
    fill(disk)
    local token, err
    for _ = 1, 200 do -- the log may have some room of its own
      token, err = store:save("more", ("x"):rep(3000), select(2, store:load("more")))
      if not token then break end
    end
    assert.equal("store_full", err.code)
    assert.equal("access-0", session:access_token()) -- still valid
    clock.now = clock.now + 10
    token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "store", "store_full", "wait" }, { err.kind, err.code, err.action })
    assert.equal(0, provider.refreshes)
    shell("rm %s/ballast", disk)
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", open(store):access_token())
    assert.equal(1, provider.refreshes)
    store:close()
  end)

  it("fills up while the answer is under way hands out the token, and saves it later", function()
    local disk = small_disk "400k"
    if not disk then return end
    local store = assert(healthauth.stores.sqlite { path = disk .. "/t.db" })
    local session = open(store)
    assert(session:restore(support.tokens(clock.now, 600)))
    clock.now = clock.now + 600
    local perform = provider.perform
    function provider:perform(request)
      fill(disk)
      local full
      for _ = 1, 200 do
        full = not store:save("more", ("x"):rep(3000), select(2, store:load("more")))
        if full then break end
      end
      assert(full, "the disk is not full")
      return perform(self, request)
    end
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", session:access_token())
    assert.equal(2, told "store_full")
    shell("rm %s/ballast", disk)
    assert.equal("access-1", session:access_token())
    store:close()
    local again = assert(healthauth.stores.sqlite { path = disk .. "/t.db" })
    assert.equal("access-1", open(again):access_token())
    assert.equal(1, provider.refreshes)
    again:close()
  end)

  it("is on a disk that became read-only serves what is valid, sends nothing, and goes on later", function()
    local disk = small_disk "2m"
    if not disk then return end
    local store = assert(healthauth.stores.sqlite { path = disk .. "/t.db" })
    assert(open(store):restore(support.tokens(clock.now, 600)))
    store:close()
    assert(shell("mount -o remount,ro %s", disk))
    store = assert(healthauth.stores.sqlite { path = disk .. "/t.db" })
    local session = open(store)
    local token, err = session:access_token()
    if not token then assert.equal("store_read_only", err.code) end -- SQLite may need to write even to read
    clock.now = clock.now + 600
    token, err = session:access_token()
    assert.is_nil(token)
    assert.same({ "store", "store_read_only", "fix_request" }, { err.kind, err.code, err.action })
    assert.equal(0, provider.refreshes)
    assert(shell("mount -o remount,rw %s", disk))
    assert.equal("access-1", session:access_token())
    assert.equal(1, provider.refreshes)
    store:close()
  end)

  it("grows beyond its size hands out the token that cannot be saved", function()
    local store = assert(healthauth.stores.sqlite { path = folder .. "/t.db", max_pages = 20 })
    local session = open(store)
    assert(session:restore(support.tokens(clock.now, 600)))
    clock.now = clock.now + 600
    local perform = provider.perform
    function provider:perform(request)
      local response = assert(perform(self, request))
      response.body = response.body:gsub("}$", ',"large":"' .. ("x"):rep(200000) .. '"}')
      return response
    end
    assert.equal("access-1", session:access_token())
    assert.equal("access-1", session:access_token())
    assert.equal(2, told "store_full")
    assert.equal(1, provider.refreshes)
    store:close()
  end)
end)
