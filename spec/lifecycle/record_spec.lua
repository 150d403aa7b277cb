-- SPDX-License-Identifier: MIT
-- Whatever an answer may hold, and whatever restore takes, its record can be read again.

local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local NOW = 1700000000

describe("a record", function()
  local store, transport

  before_each(function()
    store, transport = healthauth.stores.memory {}, { perform = error }
  end)

  local function open(depth)
    return assert(healthauth.pkb {
      base_url = "https://pkb.example", client_id = "client", transport = transport, store = store, key = "k",
      clock = function() return NOW end, limits = { depth = depth },
    })
  end

  local function answers(member)
    function transport.perform()
      return { status = 200, headers = { { "Content-Type", "application/json" } },
        body = '{"access_token":"access-1","token_type":"Bearer","expires_in":600,"refresh_token":"r","further":' .. member .. "}" }
    end
  end

  for _, depth in ipairs { 32, 100, 200 } do
    it("holds an answer of depth " .. depth .. ", as deep as the session allows", function()
      answers(("["):rep(depth - 1) .. ("]"):rep(depth - 1))
      assert(open(depth):exchange { code = "c" })
      local session = open(depth)
      assert.equal("access-1", session:access_token())
      local value, levels = session:tokens().extra.further, 0
      while value do value, levels = value[1], levels + 1 end
      assert.equal(depth - 1, levels)
      answers(("["):rep(depth) .. ("]"):rep(depth))
      local tokens, err = open(depth):exchange { code = "c" }
      assert.is_nil(tokens)
      assert.equal("protocol", err.kind)
    end)
  end

  local JOURNALS = {
    '7', '"sent"', '[]', '{}', '{"state":"sent"}', '{"state":"sent","fingerprint":5}', '{"state":"else","fingerprint":"f"}',
    '{"state":"refused","fingerprint":"f"}', '{"state":"refused","fingerprint":"f","code":5}',
    '{"state":"refused","fingerprint":"f","code":"No Word\\u001b"}',
    '{"state":"refused","fingerprint":"f","code":"' .. ("a"):rep(129) .. '"}',
  }

  it("with a journal or an age that nobody of us writes is no session", function()
    assert(open():restore(support.tokens(NOW, 600)))
    local key, text = store:list()()
    local _, version = store:load(key)
    local bad = {}
    for i, journal in ipairs(JOURNALS) do bad[i] = text:gsub('"key":', function() return '"journal":' .. journal .. ',"key":' end) end
    for _, login in ipairs { '"1"', "-1", "1e300", "{}" } do bad[#bad + 1] = text:gsub('"login":%d+', '"login":' .. login) end
    for _, n in ipairs { '"1"', "-1", "1e300", "true" } do bad[#bad + 1] = text:gsub('"n":%d+', '"n":' .. n) end
    for _, record in ipairs(bad) do
      assert.not_equal(text, record)
      version = assert(store:save(key, record, version))
      local token, err = open():access_token()
      assert.is_nil(token, record)
      assert.same({ "store", "record_invalid" }, { err.kind, err.code })
    end
  end)

  it("of one client and key is never another's, whatever the two spell together", function()
    local function of(client, name)
      return assert(healthauth.pkb {
        base_url = "https://pkb.example", client_id = client, transport = transport, store = store, key = name,
        clock = function() return NOW end,
      })
    end
    assert(of("ab", "c"):restore(support.tokens(NOW, 600)))
    local token, err = of("a", "bc"):access_token()
    assert.is_nil(token)
    assert.equal("no_token", err.code)
    assert(of("a", "bc"):restore { access_token = "other", expires_at = NOW + 600 })
    assert.equal("access-0", of("ab", "c"):access_token())
  end)

  it("holds an answer of as many members as are taken", function()
    answers("[" .. ("0,"):rep(19990) .. "0]")
    assert(open():exchange { code = "c" })
    local session = open()
    assert.equal("access-1", session:access_token())
    assert.equal(19991, #session:tokens().extra.further)
  end)

  it("holds what restore takes; what it could not hold restore refuses", function()
    local taken, refused = 0, 0
    for depth = 195, 205 do
      local nested = {}
      for _ = 1, depth do nested = { nested } end
      local tokens = support.tokens(NOW, 600)
      tokens.extra = { deep = nested }
      local ok, err = open():restore(tokens)
      if ok then
        taken = taken + 1
        assert.equal("access-0", open():access_token())
      else
        refused = refused + 1
        assert.same({ "argument", "token_malformed" }, { err.kind, err.code })
      end
    end
    assert.is_true(taken > 0 and refused > 0)
  end)
end)
