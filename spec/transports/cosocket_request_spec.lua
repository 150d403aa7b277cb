-- SPDX-License-Identifier: MIT
-- What the cosocket transport refuses before it opens a socket, as the libcurl transport does (curl_request_spec.lua); no nginx is needed.

local wire = require "healthauth.transports.cosocket.request"

describe("a request over cosockets", function()
  local function read(changes)
    local request = { method = "GET", url = "https://localhost:1/x", headers = {} }
    for name, value in pairs(changes) do request[name] = value end
    return pcall(wire.read, request)
  end

  for name, row in pairs {
    ["a proxy with two at signs"] = { { proxy = "http://a:b@c@localhost:1" }, "proxy: expected http" },
    ["a proxy with a coded line end"] = { { proxy = "http://a%0d%0a:b@localhost:1" }, "credentials cannot be read" },
    ["a proxy with an empty user"] = { { proxy = "http://:x@localhost:1" }, "credentials cannot be read" },
    ["a certificate file with NUL"] = { { tls = { cert_file = "/x\0y" } }, "without NUL" },
    ["an empty certificate file"] = { { tls = { cert_file = "" } }, "not empty" },
    ["a key file alone"] = { { tls = { key_file = "/x" } }, "needs cert_file" },
  } do
    it("is refused for " .. name, function()
      local good, why = read(row[1])
      assert.is_false(good)
      assert.matches(row[2], why, 1, true)
    end)
  end

  it("goes through a proxy whose words are percent-coded", function()
    local good, asked = read { proxy = "http://us%40er:pa%3Ass@proxy.example:3128" }
    assert.is_true(good)
    assert.same({ "proxy.example", 3128, "Basic dXNAZXI6cGE6c3M=" }, { asked.proxy.host, asked.proxy.port, asked.proxy.authorization })
  end)
end)
