-- SPDX-License-Identifier: MIT
-- What people and auditors read: the trace shows requests and answers, the event log what happened; neither shows a secret.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local own = healthauth.sandbox.credentials

-- A file that keeps what is written to it.
local function paper()
  local file = { text = "" }
  function file.write(_, ...)
    for i = 1, select("#", ...) do file.text = file.text .. (select(i, ...)) end
    return file
  end
  return file
end

-- The options of a provider's session over a sandbox.
local function options(name, transport, on_event)
  local out = { environment = name == "conneqt" and "integration" or name == "ehealth" and "preprod" or "sandbox", transport = transport }
  for k, v in pairs(own[name]) do out[k] = v end
  out.on_event = on_event
  return out
end

-- Uses every provider once, refusals included; the secrets that went over the wire.
local function use_all(sandbox, transport, on_event)
  local secrets = {
    own.conneqt.api_key, own.ehealth.client_secret, own.ehealth.api_key, own.ehealth.psk, own.pkb_system.client_secret,
    core.percent_encode(own.pkb_system.client_secret),
    core.base64(own.pkb_system.client_id .. ":" .. core.percent_encode(own.pkb_system.client_secret)),
  }
  local function keep(tokens)
    secrets[#secrets + 1] = tokens.access_token
    secrets[#secrets + 1] = tokens.refresh_token
  end

  local conneqt = healthauth.conneqt(options("conneqt", transport, on_event))
  local code = sandbox:access_code()
  secrets[#secrets + 1] = code
  local instant = assert(conneqt:exchange { access_code = code })
  keep(instant)
  assert(conneqt:verify(instant.access_token))
  assert.is_nil((conneqt:exchange { access_code = code }))

  for _, name in ipairs { "ehealth", "pkb" } do
    local session = healthauth[name](options(name, transport, on_event))
    local url, pending = assert(session:authorize_url())
    local callback = assert(sandbox:consent(url, "allow"))
    secrets[#secrets + 1] = callback:match "code=([^&]+)"
    keep(assert(session:exchange { callback = callback, pending = pending }))
    keep(assert(session:refresh()))
    assert(session:call { url = name == "pkb" and "/fhir/Patient/1" or "/api/legal_entities" })
    session:logout()
    assert.is_nil((session:access_token()))
  end

  local system = healthauth.pkb_system(options("pkb_system", transport, on_event))
  keep(assert(system:exchange()))
  return secrets
end

local function holds(text, secrets)
  for _, secret in ipairs(secrets) do
    if text:find(secret, 1, true) then return secret end
    if text:find(core.base64(secret), 1, true) then return "base64 of " .. secret end
    if text:find(core.percent_encode(secret), 1, true) then return "percent-encoded " .. secret end
  end
end

describe("the trace", function()
  it("shows what was asked and what came back, and no secret", function()
    local file = paper()
    local sandbox = healthauth.transports.sandbox {}
    local secrets = use_all(sandbox, healthauth.trace(file, sandbox))
    assert.is_true(#secrets > 15)
    for _, wanted in ipairs {
      "> POST https://int.conneqt.health/api/v1/messages/instant/access/token",
      "> POST https://sandbox.patientsknowbest.com/apiToken.action",
      "< HTTP 200", "< HTTP 201", "< HTTP 400",
    } do
      assert.is_truthy(file.text:find(wanted, 1, true), wanted)
    end
    assert.is_nil(holds(file.text, secrets))
  end)

  it("tells a failure of the transport", function()
    local file = paper()
    local sandbox = healthauth.transports.sandbox {}
    local session = healthauth.conneqt(options("conneqt", healthauth.trace(file, sandbox)))
    sandbox:fault { kind = "lost_answer" }
    assert.is_nil((session:check()))
    assert.is_truthy(file.text:find("< no answer: network (connection_lost), unknown", 1, true))
  end)

  it("changes nothing when it cannot be written", function()
    local sandbox = healthauth.transports.sandbox {}
    local broken = { write = function() error "the disk is full" end }
    local session = healthauth.conneqt(options("conneqt", healthauth.trace(broken, sandbox)))
    assert.is_true(session:check())
  end)

  it("changes nothing when request or answer cannot be shown, and shows no control bytes", function()
    for _, answer in ipairs {
      { { status = 200, headers = { 5, "x", { 5, {} } }, body = "" } }, { { status = 200, body = "" } }, { { status = 200,
        headers = "x" } }, { "x" },
      { false, { kind = {}, code = print } }, { nil, "x" }, { { status = 200, headers = { { "A\27[2J", "b\r\nc" } }, body = "\27[31m\0" } },
    } do
      local file = paper()
      local traced = healthauth.trace(file, { perform = function() return answer[1], answer[2] end })
      local response, failure = traced:perform { method = "GET", url = "https://a.example/x", headers = {} }
      assert.equal(answer[1], response)
      assert.equal(answer[2], failure)
      assert.is_truthy(file.text:find("> GET https://a.example/x", 1, true))
      assert.is_nil(file.text:find "[%z\1-\9\11-\31\127]")
      assert.is_nil(file.text:find "\n[^ ><\n]")
    end
  end)

  it("raises for what is neither a path nor a file, in the caller's file", function()
    for _, value in ipairs { 5, true, {} } do
      local ok, message = pcall(function() healthauth.trace(value) end)
      assert.is_false(ok)
      assert.is_truthy(message:find("trace_spec.lua", 1, true), message)
    end
  end)
end)

describe("the event log", function()
  it("has a line of JSON for everything that happened, and no secret", function()
    local file = paper()
    local sandbox = healthauth.transports.sandbox {}
    local secrets = use_all(sandbox, sandbox, healthauth.events.jsonl(file))
    local seen = {}
    for line in file.text:gmatch "[^\n]+" do
      local event = assert(core.json_decode(line))
      assert.is_string(event.provider)
      assert.is_string(event.operation)
      assert.is_number(event.time)
      seen[event.name] = true
    end
    assert.are.same({ issued = true, verified = true, refused = true, refreshed = true, called = true, logged_out = true }, seen)
    assert.is_nil(holds(file.text, secrets))
  end)

  it("raises for what is neither a path nor a file", function()
    for _, value in ipairs { 5, true, {} } do assert.is_false((pcall(healthauth.events.jsonl, value))) end
  end)
end)
