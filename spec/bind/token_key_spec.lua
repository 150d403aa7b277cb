-- SPDX-License-Identifier: MIT
-- The name under which a guard keeps a token's verdict.

local core = require "healthauth.core"

describe("the key of a token", function()
  it("is the SHA-256 of the prefix and the token", function()
    assert.equal(core.sha256 "whose:token", core.token_key("whose:", "token"))
    assert.equal(core.sha256(("p"):rep(1024) .. ("t"):rep(4096)), core.token_key(("p"):rep(1024), ("t"):rep(4096)))
    assert.equal(core.sha256 "!~", core.token_key("", "!~"))
  end)

  it("is none where the token is none", function()
    for _, text in ipairs { "", " ", "a b", "a\n", "a\0b", "a\127", "a\195\164", ("t"):rep(4097) } do
      assert.is_nil((core.token_key("whose:", text)))
    end
  end)

  it("asks for texts, and a prefix of at most 1024 bytes", function()
    assert.has_error(function() core.token_key("whose:") end)
    assert.has_error(function() core.token_key({}, "t") end)
    assert.has_error(function() core.token_key(("p"):rep(1025), "t") end)
  end)
end)
