-- SPDX-License-Identifier: MIT
local sandbox = require "healthauth.sandbox"
local transport_of = require "healthauth.transports.sandbox"

local TEST = "https://int.conneqt.health/api/v1/test"

describe("the sandbox transport", function()
  local transport, request
  before_each(function()
    transport = transport_of { seed = "spec" }
    request = { method = "GET", url = TEST, headers = { { "ApiKey", transport.credentials.conneqt.api_key } }, timeout = 15 }
  end)

  it("answers the providers' hosts in process", function()
    local response = assert(transport:perform(request))
    assert.equal(200, response.status)
    assert.equal("", response.body)
    assert.equal("table", type(response.headers))
  end)

  it("lets nothing out: any other host is refused before it is sent", function()
    local response, failure = transport:perform { method = "GET", url = "https://example.com/", headers = {} }
    assert.is_nil(response)
    assert.same({ "network", "connect_failed", "not_sent" }, { failure.kind, failure.code, failure.outcome })
  end)

  it("turns faults into failures of the transport contract", function()
    for _, case in ipairs {
      { { kind = "lost_answer" }, { "network", "connection_lost", "unknown" } },
      { { kind = "lost_request" }, { "network", "connection_lost", "unknown" } },
      { { kind = "refused" }, { "network", "connect_failed", "not_sent" } },
      { { kind = "delay", seconds = 15 }, { "timeout", "timeout", "unknown" } },
      { { kind = "slow", seconds = 20 }, { "timeout", "timeout", "unknown" } },
    } do
      transport:fault(case[1])
      local response, failure = transport:perform(request)
      assert.is_nil(response)
      assert.same(case[2], { failure.kind, failure.code, failure.outcome })
      assert.equal("string", type(failure.message))
    end
  end)

  it("lets a short delay pass and a truncated answer fail, whole ones not", function()
    transport:fault { kind = "delay", seconds = 14 }
    assert.equal(200, transport:perform(request).status)
    transport:fault { kind = "truncate", at = 3 }
    local long = { method = "GET", url = "https://api.ehealth.gov.ua/api/x", headers = {} }
    local _, failure = transport:perform(long)
    assert.equal("body_truncated", failure.code)
    transport:fault { kind = "truncate", at = 100000 }
    assert.equal(401, transport:perform(long).status)
  end)

  it("keeps to the body limit", function()
    local long = { method = "GET", url = "https://api.ehealth.gov.ua/api/x", headers = {}, limits = { body = 10 } }
    local _, failure = transport:perform(long)
    assert.same({ "too_large", "body_too_large", "answered" }, { failure.kind, failure.code, failure.outcome })
  end)

  it("forwards what a person, an operator and a spec want", function()
    assert.equal(8, #transport:access_code())
    assert.equal(0, transport:replays())
    assert.is_false(transport:revoke("unknown"))
    assert.is_false(transport:expire("unknown"))
    transport:perform(request)
    assert.equal(1, transport:count("check"))
    local before = transport:now()
    transport:advance(60)
    assert.is_true(transport:now() >= before + 60)
    local own = transport.credentials.pkb
    local page = "https://sandbox.patientsknowbest.com/apiAuthorize.action?response_type=code&client_id=" .. own.client_id
    local callback = transport:consent(page, "deny")
    assert.matches("error=access_denied", callback)
  end)

  it("may share a sandbox, and nothing but that", function()
    local box = sandbox.new { seed = "shared" }
    local one, two = transport_of.new { sandbox = box }, transport_of { sandbox = box }
    one:perform(request)
    two:perform(request)
    assert.equal(2, box:count("check"))
    assert.has_error(function() transport_of { sandbox = box, seed = "x" } end)
  end)

  it("raises once closed, and may be closed again", function()
    assert.is_true(transport:close())
    assert.is_true(transport:close())
    local ok, message = pcall(transport.perform, transport, request)
    assert.is_false(ok)
    assert.matches("the transport is closed", message)
  end)

  it("asks consent of an authorize_url, to allow or deny, and tells the caller of anything else", function()
    for _, case in ipairs {
      { nil, "allow", "URL" }, { 5, "deny", "URL" }, { TEST, "maybe", "allow or deny" }, { TEST, true, "allow or deny" },
    } do
      local ok, message = pcall(function()
        local callback = transport:consent(case[1], case[2])
        return callback
      end)
      assert.is_false(ok)
      assert.matches("sandbox_spec%.lua:%d+: consent: expected .*" .. case[3], message)
    end
  end)

  it("refuses options that make no sense, in the caller's file", function()
    for _, case in ipairs { { { sede = 1 }, "unknown option 'sede'" }, { 1, "table expected, got number" } } do
      local ok, message = pcall(function() local made = transport_of(case[1]) return made end)
      assert.is_false(ok)
      assert.is_truthy(message:find("bad argument #1 to 'sandbox' (" .. case[2], 1, true), message)
      if _VERSION ~= "Lua 5.1" or jit then assert.matches("sandbox_spec%.lua:%d+:", message) end
    end
  end)
end)
