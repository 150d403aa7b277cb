-- SPDX-License-Identifier: MIT
local sandbox = require "healthauth.sandbox"
local support = require "spec.sandbox.support"

local TEST = "https://int.conneqt.health/api/v1/test"

describe("a sandbox", function()
  it("repeats itself under a seed and differs under another", function()
    local function run(seed)
      local box = support.sandbox { seed = seed }
      local code = box:access_code()
      return code .. support.json(box, "https://int.conneqt.health/api/v1/messages/instant/access/token", { accessCode = code },
        { ApiKey = box.credentials.conneqt.api_key }).body
    end
    assert.equal(run("a"), run("a"))
    assert.not_equal(run("a"), run("b"))
    assert.not_equal(sandbox.new():access_code(), sandbox.new():access_code())
  end)

  it("finds the provider by host, by path prefix, or is only one", function()
    local box = support.sandbox()
    local key = { ApiKey = box.credentials.conneqt.api_key }
    for _, url in ipairs { TEST, "https://INT.conneqt.health:443/api/v1/test", "https://localhost:8443/conneqt/api/v1/test",
      "/conneqt/api/v1/test" } do
      assert.equal(200, support.get(box, url, key).status, url)
      assert.is_true(box:plays(url), url)
    end
    for _, url in ipairs { "https://elsewhere.example/api/v1/test", "https://localhost/conneqtx/api/v1/test" } do
      assert.equal(404, support.get(box, url, key).status, url)
      assert.is_false(box:plays(url), url)
    end
    box = support.sandbox { provider = "conneqt" }
    assert.equal(200, support.get(box, "https://localhost:8443/api/v1/test", key).status)
  end)

  it("works under a path prefix including its pages", function()
    local box = support.sandbox()
    local own = box.credentials.pkb
    local url = "https://localhost:8443/pkb/apiAuthorize.action?response_type=code&state=x&client_id=" .. own.client_id
    assert.matches("^" .. own.redirect_uri:gsub("%p", "%%%0") .. "%?code=", assert(box:consent(url, "allow")))
  end)

  it("takes other credentials and lifetimes", function()
    local box = support.sandbox { credentials = { conneqt = { api_key = "mine" } } }
    assert.equal(200, support.get(box, TEST, { ApiKey = "mine" }).status)
    assert.equal(401, support.get(box, TEST, { ApiKey = sandbox.credentials.conneqt.api_key }).status)
  end)

  it("refuses options that it does not know, by name", function()
    for _, case in ipairs {
      { { sede = "x" }, "unknown option 'sede'" }, { { seed = 1 }, "seed: expected a string" },
      { { pkb = { lifetime = 1 } }, "unknown option 'pkb.lifetime'" }, { { provider = "nhs" }, "no such provider" },
      { { credentials = { nhs = {} } }, "unknown option 'credentials.nhs'" },
      { { credentials = { pkb = { client_id = 1 } } }, "credentials.pkb.client_id: expected a string" },
      { { credentials = { pkb = { secret = "x" } } }, "unknown option 'credentials.pkb.secret'" },
    } do
      local ok, message = pcall(sandbox.new, case[1])
      assert.is_false(ok)
      assert.matches(case[2], message, 1, true)
    end
  end)

  it("does not know a stranger's token", function()
    local box = support.sandbox()
    assert.is_false(box:revoke("unknown"))
    assert.is_false(box:expire("unknown"))
  end)
end)
