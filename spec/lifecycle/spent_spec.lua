-- SPDX-License-Identifier: MIT
-- Which answers leave a single-use refresh token in doubt, so that nobody sends it again, and which only say "not now" or "no".

local core = require "healthauth.core"
local healthauth = require "healthauth"
local support = require "spec.lifecycle.support"

local NOW = 1700000000
local JSON = { { "Content-Type", "application/json" } }
local GOOD = '{"access_token":"n","token_type":"Bearer","expires_in":600,"refresh_token":"q"}'

-- Two uses of an expired session, each time with the same answer: codes of both, POSTs, what the journal says.
local function twice(answer, with_store)
  local posts, store = 0, healthauth.stores.memory {}
  local session = assert(healthauth.pkb {
    base_url = "https://pkb.example", client_id = "client", clock = function() return NOW end, limits = { body = 2000 },
    store = with_store and store or nil, key = with_store and "k" or nil,
    transport = { perform = function()
      posts = posts + 1
      return answer
    end },
  })
  assert(session:restore(support.tokens(NOW, 0)))
  local _, first = session:access_token()
  local _, second = session:access_token()
  local _, text = store:list()()
  local journal = text and core.json_decode(text).journal
  return first, second, posts, journal and journal.state or "clean"
end

describe("a single-use refresh token", function()
  for name, answer in pairs {
    ["no response at all"] = "text", ["a response without a body"] = { status = 200, headers = JSON },
    ["a status that is none"] = { status = "200", headers = JSON, body = GOOD }, ["a 199"] = { status = 199, headers = {}, body = "" },
    ["a 200 that is too large"] = { status = 200, headers = JSON, body = GOOD .. (" "):rep(2000) },
    ["a compressed 200"] = { status = 200, headers = { JSON[1], { "Content-Encoding", "gzip" } }, body = "\31\139" },
    ["a 200 of another type"] = { status = 200, headers = {}, body = GOOD },
    ["a 200 without a token"] = { status = 200, headers = JSON, body = "{}" },
    ["a 204"] = { status = 204, headers = {}, body = "" }, ["a 408"] = { status = 408, headers = {}, body = "" },
    ["a 500 that says server_error"] = { status = 500, headers = JSON, body = '{"error":"server_error"}' },
    ["a 500 with a problem document"] = { status = 500, headers = JSON, body = '{"type":"about:blank","title":"x","status":500}' },
    ["a 504"] = { status = 504, headers = {}, body = "<html>" },
  } do
    for _, with_store in ipairs { true, false } do
      it("is not sent again after " .. name .. (with_store and ", over a store" or ""), function()
        local first, second, posts, journal = twice(answer, with_store)
        assert.equal("reauthorize", first.action)
        assert.same({ "refresh_outcome_unknown", "reauthorize", "unknown" }, { second.code, second.action, second.outcome })
        assert.equal(1, posts)
        if with_store then assert.equal("sent", journal) end
      end)
    end
  end

  for name, answer in pairs {
    ["a 503"] = { status = 503, headers = {}, body = "" }, ["a 429"] = { status = 429, headers = {}, body = "" },
    ["a redirect"] = { status = 307, headers = { { "Location", "https://elsewhere.example/" } }, body = "" },
    ["a 404"] = { status = 404, headers = {}, body = "" },
    ["refused credentials"] = { status = 401, headers = JSON, body = '{"error":"invalid_client"}' },
  } do
    it("is still good after " .. name .. ", and tried at the next use", function()
      local first, second, posts, journal = twice(answer, true)
      assert.same({ first.code, first.action, "answered" }, { second.code, second.action, second.outcome })
      assert.same({ 2, "clean" }, { posts, journal })
    end)
  end

  it("is over after invalid_grant, and is not tried again", function()
    local first, second, posts, journal = twice({ status = 400, headers = JSON, body = '{"error":"invalid_grant"}' }, true)
    assert.same({ "invalid_grant", "invalid_grant", 1, "refused" }, { first.code, second.code, posts, journal })
  end)
end)
