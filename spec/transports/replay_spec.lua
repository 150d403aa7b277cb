-- SPDX-License-Identifier: MIT
local replay = require "healthauth.transports.replay"

local function asked(method, url) return { method = method, url = url, headers = {} } end

local function exchanges()
  return {
    { request = asked("POST", "https://a.example/token"), response = { status = 200, body = "one" } },
    { request = asked("GET", "https://a.example/token/verify?x=1"), response = { status = 410 } },
    { request = asked("POST", "https://a.example/token"), failure = { kind = "timeout", code = "timeout", outcome = "unknown" } },
  }
end

describe("the replay transport", function()
  local function missed(transport, request)
    local response, failure = transport:perform(request)
    assert.is_nil(response)
    assert.same({ "network", "cassette_miss", "not_sent" }, { failure.kind, failure.code, failure.outcome })
    return failure.message
  end

  it("answers in order, whatever the host and the query", function()
    local transport = replay { exchanges = exchanges() }
    assert.equal(3, transport:remaining())
    assert.same({ status = 200, headers = {}, body = "one" }, transport:perform(asked("POST", "https://b.example:8443/token")))
    assert.same({ status = 410, headers = {}, body = "" }, transport:perform(asked("GET", "https://b.example/token/verify?x=2")))
    local response, failure = transport:perform(asked("POST", "/token"))
    assert.is_nil(response)
    assert.same({ kind = "timeout", code = "timeout", outcome = "unknown" }, failure)
    assert.equal(0, transport:remaining())
    missed(transport, asked("POST", "/token"))
  end)

  it("refuses what does not come next, and stays where it is", function()
    local transport = replay { exchanges = exchanges() }
    assert.matches("GET /token/verify$", missed(transport, asked("GET", "/token/verify")))
    missed(transport, asked("GET", "/token"))
    missed(transport, asked("POST", "/token/"))
    assert.equal(200, transport:perform(asked("POST", "/token")).status)
  end)

  it("answers in any order where it is told so, each once", function()
    local transport = replay { exchanges = exchanges(), order = "any" }
    assert.equal(410, transport:perform(asked("GET", "/token/verify")).status)
    missed(transport, asked("GET", "/token/verify"))
    assert.equal(200, transport:perform(asked("POST", "/token")).status)
    assert.equal(1, transport:remaining())
  end)

  it("matches by a function of yours", function()
    local transport = replay { exchanges = exchanges(), order = "any", matches = function(request, recorded)
      return request.url == recorded.url
    end }
    missed(transport, asked("GET", "/token/verify"))
    assert.equal(410, transport:perform(asked("GET", "https://a.example/token/verify?x=1")).status)
  end)

  it("hands out copies", function()
    local list = exchanges()
    replay({ exchanges = list }):perform(asked("POST", "/token")).status = 500
    assert.equal(200, list[1].response.status)
  end)

  it("raises once closed, and may be closed again", function()
    local transport = replay { exchanges = exchanges() }
    assert.is_true(transport:close())
    assert.is_true(transport:close())
    local ok, message = pcall(transport.perform, transport, asked("POST", "/token"))
    assert.is_false(ok)
    assert.matches("the transport is closed", message)
  end)

  it("refuses options that make no sense", function()
    for _, case in ipairs { { nil, "table expected, got nil" }, { {}, "one of file and exchanges" },
      { { file = "x", exchanges = {} }, "one of" },
      { { exchanges = {}, order = "random" }, "order: expected strict or any" },
      { { exchanges = { 1 } }, "exchanges: expected [1].request" },
      { { flie = "x" }, "unknown option 'flie'" }, { { file = 1 }, "file: expected a string" },
      { { file = "/nonexistent" }, "No such file" } } do
      local ok, message = pcall(replay.new, case[1])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)
end)
