-- SPDX-License-Identifier: MIT
-- Runs the demo: the examples against the served sandbox, through libcurl over TLS, and reads its transcript.

local sandbox = require "healthauth.sandbox"

local runtime = os.getenv "HEALTHAUTH_RUNTIME" or (jit and "luajit" or "lua5.4")

describe("the demo", function()
  local text

  setup(function()
    local pipe = assert(io.popen("NO_COLOR=1 timeout 120 tools/demo " .. runtime .. " 2>&1; echo \"exit $?\""))
    text = pipe:read "*a"
    pipe:close()
  end)

  it("goes as expected in every step", function()
    assert.is_truthy(text:find("Every step went as expected.\nexit 0\n", 1, true), text)
  end)

  it("shows what was asked of every provider, what came back and what was refused", function()
    for _, part in ipairs { "> POST https://localhost:", "< 200 OK", "< 201 Created", "< 410 Gone", "/apiToken.action", "/oauth/tokens",
      "/pkb_system/api/oauth/token", "code code_rejected · action reauthorize", "code invalid_grant", "code invalid_client",
      "API_SESSION_INVALID", "429 Too Many Requests", "verify: false" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
  end)

  it("shows no secret", function()
    local checked = 0
    for _, own in pairs(sandbox.credentials) do
      for _, name in ipairs { "api_key", "client_secret", "psk" } do
        if own[name] then
          checked = checked + 1
          assert.is_nil(text:find(own[name], 1, true), name)
        end
      end
    end
    assert.equal(5, checked)
    for _, name in ipairs { "access_token", "refresh_token", "value", "token", "code", "accessCode", "client_secret" } do
      for value in text:gmatch('"' .. name .. '":"([^"]*)"') do
        local word = name == "code" and value:find "^[%u_%l]+$" -- the codes of refusals are words
        assert.is_truthy(word or value:find "^%[secret%-%d+%]$", name .. " shows " .. value)
      end
      for value in text:gmatch("[&? ]" .. name .. "=([^&%s]+)") do
        assert.is_truthy(value == "..." or value:find "^%[secret%-%d+%]$", name .. " shows " .. value)
      end
    end
  end)
end)
