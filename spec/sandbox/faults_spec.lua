-- SPDX-License-Identifier: MIT
local support = require "spec.sandbox.support"

local EXCHANGE = "https://int.conneqt.health/api/v1/messages/instant/access/token"
local TEST = "https://int.conneqt.health/api/v1/test"

describe("a fault", function()
  local box, key
  before_each(function()
    box = support.sandbox()
    key = { ApiKey = box.credentials.conneqt.api_key }
  end)

  local function exchange(code)
    return support.json(box, EXCHANGE, { accessCode = code }, key)
  end

  it("waits for its provider and operation, works `times` times after `after` requests, and is gone", function()
    box:fault { kind = "unavailable", provider = "conneqt", operation = "check", times = 2, after = 1 }
    box:fault { kind = "unavailable", provider = "pkb", operation = "check" }
    assert.equal(200, exchange(box:access_code()).status)
    local seen = {}
    for index = 1, 4 do seen[index] = support.get(box, TEST, key).status end
    assert.same({ 200, 503, 503, 200 }, seen)
    assert.equal(4, box:count("check"))
  end)

  it("lost_answer changes the state, lost_request does not; refused neither arrives nor counts", function()
    for _, case in ipairs { { "lost_answer", "answer", 400, 1 }, { "lost_request", "request", 200, 0 },
      { "refused", "connection", 200, 0 } } do
      box = support.sandbox()
      box:fault { kind = case[1], operation = "exchange" }
      local code = box:access_code()
      local _, effect = exchange(code)
      assert.same({ lost = case[2] }, effect)
      assert.equal(case[4], box:count("conneqt.exchange"))
      assert.equal(case[3], exchange(code).status)
    end
  end)

  it("delay, slow and truncate say what is to happen to the answer", function()
    for _, case in ipairs { { { kind = "delay", seconds = 3 }, { delay = 3 } }, { { kind = "slow", seconds = 2 }, { slow = 2 } },
      { { kind = "truncate", at = 5 }, { truncate = 5 } } } do
      box:fault(case[1])
      local response, effect = exchange(box:access_code())
      assert.equal(200, response.status)
      assert.same(case[2], effect)
    end
  end)

  it("rate_limit speaks as each gateway does", function()
    box:fault { kind = "rate_limit", times = 3, retry_after = 7 }
    local conneqt = support.get(box, TEST, key)
    assert.equal("application/problem+json", support.header(conneqt, "Content-Type"))
    local ehealth = support.get(box, "https://api.ehealth.gov.ua/api/employees")
    assert.equal("API rate limit exceeded", ehealth.body)
    assert.is_nil(support.header(ehealth, "Content-Type"))
    assert.equal("0", support.header(ehealth, "X-RateLimit-Remaining-minute"))
    local pkb = support.get(box, "https://sandbox.patientsknowbest.com/fhir/Patient/1")
    assert.equal("text/html", support.header(pkb, "Content-Type"))
    for _, answer in ipairs { conneqt, ehealth, pkb } do
      assert.equal(429, answer.status)
      assert.equal("7", support.header(answer, "Retry-After"))
    end
    box:fault { kind = "rate_limit" }
    assert.is_nil(support.header(support.get(box, "https://api.ehealth.gov.ua/api/employees"), "Retry-After"))
  end)

  it("html and answer put something else in the answer's place", function()
    box:fault { kind = "html" }
    local answer = support.get(box, TEST, key)
    assert.equal(502, answer.status)
    assert.matches("^<html>", answer.body)
    box:fault { kind = "answer", status = 200, headers = { { "Content-Type", "text/plain" } }, body = "portal" }
    assert.same({ status = 200, headers = { { "Content-Type", "text/plain" } }, body = "portal" }, support.get(box, TEST, key))
  end)

  it("is refused when it makes no sense, by the member's name", function()
    for _, case in ipairs {
      { { kind = "lightning" }, "fault.kind: expected one of answer, delay" }, { { kind = "delay" }, "fault.seconds: needed by delay" },
      { { kind = "truncate", at = "5" }, "fault.at: expected a number" }, { { kind = "html", when = 1 }, "fault.when: no such member" },
    } do
      local ok, message = pcall(box.fault, box, case[1])
      assert.is_false(ok)
      assert.matches(case[2], message, 1, true)
    end
  end)
end)
