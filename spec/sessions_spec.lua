-- SPDX-License-Identifier: MIT
-- Many sessions of one provider over one store (DESIGN 2.5).

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.support.scripted"

local NOW = support.NOW

local function many(changes)
  local all = { provider = "pkb", store = healthauth.stores.memory {}, options = support.options "pkb" }
  for k, v in pairs(changes or {}) do
    if v == false then all[k] = nil else all[k] = v end
  end
  return healthauth.sessions(all), all.store
end

describe("healthauth.sessions", function()
  it("opens the session of a key, whose tokens are in the store", function()
    local sessions, store = many()
    assert.is_true(sessions:open("sam"):restore(support.tokens()))
    assert.equal("planted-access-token-1", sessions:open("sam"):access_token())
    local _, err = sessions:open("kim"):access_token()
    assert.equal("no_token", err.code)
    assert.equal("planted-access-token-1", (many { store = store }):open("sam"):access_token())
    assert.equal("healthauth.sessions (pkb)", tostring(sessions))
  end)

  it("takes a compiled provider as well as a name", function()
    local provider = healthauth.provider(require "healthauth.providers.pkb")
    local sessions, store = many { provider = provider }
    assert.is_true(sessions:open("sam"):restore(support.tokens()))
    assert.equal(1, #(many { store = store }):list())
  end)

  it("lists key, expires_at and scope, sorted, and no secret", function()
    local sessions, store = many()
    assert.is_true(sessions:open("sam"):restore(support.tokens()))
    assert.is_true(sessions:open("kim \1"):restore { access_token = "x" })
    assert.is_true((many { store = store, options = support.options("pkb",
      { client_id = "client-2" }) }):open("eve"):restore { access_token = "x" })
    assert.is_true((many { store = store, options = support.options("pkb", { base_url = "https://other.example" }) }):open("eve")
      :restore { access_token = "x" })
    assert.is_true((many { store = store, provider = "ehealth",
      options = support.options "ehealth" }):open("eve"):restore { access_token = "x" })
    assert.same({ { key = "kim \1" }, { key = "sam", expires_at = NOW + 3600, scope = "old scope" } }, sessions:list())
  end)

  it("shows no key in the store's own keys", function()
    local sessions, store = many()
    assert.is_true(sessions:open("sam@example.org"):restore(support.tokens()))
    for key in store:list() do assert.matches("^%x+$", key) end
  end)

  it("lists past records that cannot be read and removes marks of logins that are over", function()
    local now = NOW
    local options = support.options("pkb", {
      clock = function() return now end,
      transport = support.script(support.json(200, { access_token = "a", token_type = "bearer" })),
    })
    local sessions, store = many { options = options }
    local session = sessions:open "sam"
    local _, pending = session:authorize_url()
    assert.is_truthy(session:exchange { callback = "code=c&state=" .. pending.state, pending = pending })
    for _, text in ipairs { "", "{", "[]", "null", '{"v":1}', '{"v":9}', "\0\1" } do store:save("odd" .. #text, text, nil) end
    local function marks()
      local n = 0
      for key in store:list() do if key:match "^spent%." then n = n + 1 end end
      return n
    end
    assert.same({ { key = "sam" } }, sessions:list())
    assert.equal(1, marks())
    now = NOW + 601
    assert.same({ { key = "sam" } }, sessions:list())
    assert.equal(0, marks())
  end)

  it("lists no record that stands under another key: no session takes it", function()
    local sessions, store = many()
    assert.is_true(sessions:open("sam"):restore(support.tokens()))
    local key, text = store:list()()
    assert(store:save("copy", text))
    assert.equal(1, #sessions:list())
    store:delete(key)
    assert.same({}, sessions:list())
  end)

  it("drops a key without telling the provider", function()
    local sessions, store = many()
    assert.is_true(sessions:open("sam"):restore(support.tokens()))
    assert.is_true(sessions:drop "sam")
    assert.is_true(sessions:drop "sam")
    for _ in store:list() do error "a record is left" end
  end)

  it("keeps clients apart whose client_id a function says", function()
    local function says(client_id) return support.options("pkb", { client_id = function() return client_id end }) end
    local one, store = many { options = says "one" }
    local other, plain = many { store = store, options = says "other" }, many { store = store, options = support.options("pkb",
      { client_id = "one" }) }
    assert.is_true(one:open("sam"):restore(support.tokens()))
    local _, err = other:open("sam"):access_token()
    assert.equal("no_token", err.code)
    assert.equal("planted-access-token-1", plain:open("sam"):access_token())
    assert.same({ { 1, 0, 1 }, true, 1, true, 0 }, { { #one:list(), #other:list(), #plain:list() }, other:drop "sam", #one:list(),
      one:drop "sam", #plain:list() })
  end)

  it("tells an event's key from the first login on, also where a function says the client_id", function()
    local keys, store = {}, healthauth.stores.memory {}
    for i, client_id in ipairs { "one", function() return "one" end } do
      local options = support.options("pkb", { client_id = client_id, on_event = function(event) keys[i] = event.key end,
        transport = support.script(support.json(200, { access_token = "a", token_type = "bearer" })) })
      assert(many({ store = store, options = options }):open("sam"):exchange { code = "c", redirect_uri = "https://client.example/cb" })
    end
    assert.matches("^%x+$", keys[1])
    assert.equal(keys[1], keys[2])
  end)

  it("asks a function for the client_id once a session, when its record is needed, and says when it cannot be had", function()
    local asked, client_id = 0, "one"
    local options = support.options("pkb", { client_id = function()
      asked = asked + 1
      return client_id
    end })
    local sessions, store = many { options = options }
    local session = sessions:open "sam"
    assert.equal(0, asked)
    assert.is_true(session:restore(support.tokens()))
    client_id = "rotated"
    assert.is_true(session:restore())
    assert.equal(1, asked)
    for _, case in ipairs { { nil, "credential_failed" }, { "", "credential_malformed" }, { "\255", "credential_malformed" } } do
      client_id = case[1]
      session = sessions:open "sam"
      for _, act in ipairs {
        function() return session:access_token() end, function() return session:restore(support.tokens()) end,
        function() return session:restore() end, function() return sessions:list() end, function() return sessions:drop "sam" end,
      } do
        local ok, err = act()
        assert.is_nil(ok)
        assert.same({ "argument", case[2], "fix_credentials", "not_sent" }, { err.kind, err.code, err.action, err.outcome })
      end
      assert.is_nil(session:tokens())
    end
    client_id = "one"
    assert.equal("planted-access-token-1", (many { store = store, options = options }):open("sam"):access_token())
  end)

  it("answers nil, err for a store in trouble", function()
    local store = healthauth.stores.memory {}
    local sessions = many { store = store }
    for _, broken in ipairs {
      function() error "disk on fire" end,
      function() return nil, core.error { kind = "store", code = "disk_full", action = "retry", outcome = "not_sent" } end,
    } do
      for _, method in ipairs { "load", "save", "delete", "acquire" } do store[method] = broken end
      local ok, err = sessions:drop "sam"
      assert.is_nil(ok)
      assert.equal("store", err.kind)
      assert.is_nil(tostring(err):find("fire", 1, true))
      ok, err = sessions:open("sam"):access_token()
      assert.is_nil(ok)
      assert.equal("store", err.kind)
    end
    function store.list() error "disk on fire" end
    local list, err = sessions:list()
    assert.is_nil(list)
    assert.equal("store", err.kind)
  end)

  it("after close raises, while its sessions and the store live on", function()
    local sessions = many()
    local session = sessions:open "sam"
    for _ = 1, 2 do assert.is_true(sessions:close()) end
    for _, method in ipairs { "open", "list", "drop" } do
      assert.matches("closed", support.raised_here(function() sessions[method](sessions, "sam") end))
    end
    assert.is_true(session:restore(support.tokens()))
  end)

  it("raises for wrong options and keys where the caller stands", function()
    local store = healthauth.stores.memory {}
    for _, case in ipairs {
      { { provider = "nobody" }, "provider" }, { { provider = "../evil" }, "provider" }, { { provider = 5 }, "provider" },
      { { provider = false }, "provider" },
      { { store = false }, "store" }, { { store = 5 }, "store" }, { { store = {} }, "store" }, { { options = 5 }, "options" },
      { { options = { store = store } }, "store" }, { { options = { key = "x" } }, "key" }, { { options = { tokens = {} } }, "tokens" },
      { { stoer = store }, "unknown option 'stoer'" }, { { options = support.options("pkb", { tiemout = 1 }) },
        "unknown option 'tiemout'" },
      { { options = support.options("pkb", { timeout = -1 }) }, "'timeout'" }, { { provider = io.stdout }, "provider" },
    } do
      local all = { provider = "pkb", store = store, options = support.options "pkb" }
      for k, v in pairs(case[1]) do
        if v == false then all[k] = nil else all[k] = v end
      end
      assert.matches(case[2], support.raised_here(function() healthauth.sessions(all) end))
    end
    for _, value in ipairs { 5, "x", true } do assert.is_string(support.raised_here(function() healthauth.sessions(value) end)) end
    assert.is_string(support.raised_here(function() healthauth.sessions() end))
    local sessions = many()
    for _, key in ipairs { "", 5, true, {}, ("k"):rep(257) } do
      assert.matches("key", support.raised_here(function() sessions:open(key) end))
      assert.matches("key", support.raised_here(function() sessions:drop(key) end))
    end
    assert.matches("key", support.raised_here(function() sessions:open() end))
  end)
end)
