-- SPDX-License-Identifier: MIT
local cassette = require "healthauth.cassette"

local ODD = 'line\r\n\0"quoted"\\ ]] \255 \1281 tail]'

describe("a cassette", function()
  local path
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function write(text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end

  it("comes back as it went, whatever the bytes", function()
    local items = {
      { request = { method = "POST", url = "https://h.example/t", headers = { { "A", "b" }, { "A", ODD } }, body = ODD },
        response = { status = 200, headers = { { "Content-Type", "application/json" } }, body = '{"a":"]]"}' } },
      { request = { method = "GET", url = "/", headers = {} },
        response = { status = 410, headers = {}, body = "", close_delimited = true } },
      { request = { method = "GET", url = "/", headers = {} }, failure = { kind = "timeout", code = "timeout", outcome = "unknown" } },
    }
    assert(cassette.write(path, items))
    local read = assert(cassette.read(path))
    assert.equal(1, read.version)
    read.version = nil
    assert.same(items, read)
    os.remove(path .. ".new")
  end)

  it("shows JSON as it was sent", function()
    local text = cassette.format { { request = { method = "GET", url = "/", headers = {} },
      response = { status = 200, headers = {}, body = '{"a":[1]}' } } }
    assert.is_truthy(text:find('body = [[{"a":[1]}]]', 1, true))
  end)

  it("is refused when it is no cassette, by the member that does not fit", function()
    for text, why in pairs {
      ["return {"] = "cassette", ["return 1"] = "a table", ["return { version = 2 }"] = "version", ["return { 1 }"] = "[1].request",
      ["return { { request = { url = '/' } } }"] = "[1].request.method",
      ["return { { request = { method = 'GET' } } }"] = "[1].request.url",
      ["return { { request = { method = 'GET', url = '/' } } }"] = "[1].response",
      ["return { { request = { method = 'GET', url = '/' }, response = {} } }"] = "[1].response.status",
      ["return { { request = { method = 'GET', url = '/' }, response = { status = 200, headers = { 'a' } } } }"] = "[1].response.headers",
      ["return { { request = { method = 'GET', url = '/' }, response = { status = 200, body = 1 } } }"] = "[1].response.body",
      ["os.exit(3)"] = "os", ["\27Lua"] = "compiled code",
    } do
      write(text)
      local items, message = cassette.read(path)
      assert.is_nil(items, text)
      if why ~= "cassette" then assert.is_truthy(message:find(why, 1, true), text .. ": " .. message) end
    end
  end)

  it("says what the system says of a file that cannot be read or written", function()
    local items, why = cassette.read(path .. ".missing")
    assert.is_nil(items)
    assert.matches("No such file", why)
    local ok
    ok, why = cassette.write("/nonexistent-folder/x.lua", {})
    assert.is_nil(ok)
    assert.matches("No such file", why)
  end)
end)
