-- SPDX-License-Identifier: MIT
local cassette = require "healthauth.cassette"
local lfs = require "lfs"
local record = require "healthauth.transports.record"
local replay = require "healthauth.transports.replay"
local sandbox = require "healthauth.transports.sandbox"

local EXCHANGE = "https://int.conneqt.health/api/v1/messages/instant/access/token"

describe("the record transport", function()
  local path, inner, transport
  before_each(function()
    path = os.tmpname()
    inner = sandbox { seed = "spec" }
    transport = record { transport = inner, file = path }
  end)
  after_each(function() os.remove(path) end)

  local function requests(code, token)
    local key = { "ApiKey", inner.credentials.conneqt.api_key }
    return { method = "POST", url = EXCHANGE, headers = { key, { "Content-Type", "application/json" } },
        body = '{"accessCode":"' .. code .. '"}' },
      { method = "GET", url = EXCHANGE .. "/verify", headers = { key, { "Conneqt-Instant-Access-Token", token } } }
  end

  it("passes everything through unchanged", function()
    local code = inner:access_code()
    local response = assert(transport:perform((requests(code))))
    assert.equal(200, response.status)
    assert.matches('"token":"%x+%-', response.body)
    inner:fault { kind = "lost_answer" }
    local nothing, failure = transport:perform((requests(code)))
    assert.is_nil(nothing)
    assert.equal("connection_lost", failure.code)
    assert.is_true(transport:close())
  end)

  it("writes a cassette without a secret, which replays", function()
    local code = inner:access_code()
    local token = transport:perform((requests(code))).body:match '"token":"([^"]*)"'
    local _, verify = requests(code, token)
    transport:perform(verify)
    inner:fault { kind = "refused" }
    transport:perform(verify)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    for _, secret in ipairs { code, token, inner.credentials.conneqt.api_key } do assert.is_nil(text:find(secret, 1, true)) end

    local items = assert(cassette.read(path))
    assert.equal(3, #items)
    assert.equal('{"token":"[secret-3]"}', items[1].response.body)
    assert.same({ "Conneqt-Instant-Access-Token", "[secret-3]" }, items[2].request.headers[2])
    assert.equal("connect_failed", items[3].failure.code)

    local again = replay { file = path }
    assert.equal(200, again:perform((requests("OTHER", ""))).status)
    assert.equal(200, again:perform(verify).status)
    local _, failure = again:perform(verify)
    assert.equal("connect_failed", failure.code)
    assert.equal(0, again:remaining())
  end)

  it("masks further names that it is told", function()
    transport = record { transport = inner, file = path, secrets = { "X-Site" } }
    local request = requests(inner:access_code())
    request.headers[3] = { "X-Site", "leeds" }
    transport:perform(request)
    assert.matches("^%[secret%-%d%]$", assert(cassette.read(path))[1].request.headers[3][2])
  end)

  it("says at close when it could not write, and disturbs nothing before", function()
    transport = record { transport = inner, file = "/nonexistent-folder/x.lua" }
    assert.equal(200, transport:perform((requests(inner:access_code()))).status)
    local ok, problem = transport:close()
    assert.is_nil(ok)
    assert.matches("No such file", problem)
  end)

  it("leaves no half file behind when the new one cannot take the cassette's place", function()
    os.remove(path)
    assert(lfs.mkdir(path)) -- a folder stands there
    transport = record { transport = inner, file = path }
    assert.equal(200, transport:perform((requests(inner:access_code()))).status)
    assert.is_nil(lfs.attributes(path .. ".new"))
    assert.is_nil((transport:close()))
    assert(lfs.rmdir(path))
  end)

  it("refuses options that make no sense", function()
    for _, case in ipairs { { nil, "table expected, got nil" }, { {}, "transport and file are needed" },
      { { file = path }, "transport and file" },
      { { transport = inner, file = 1 }, "file: expected a string" }, { { transport = inner, fiel = path }, "unknown option 'fiel'" } } do
      local ok, message = pcall(record.new, case[1])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)
end)
