-- SPDX-License-Identifier: MIT
-- The cassettes together: nothing of the providers' paper is left out, and docs/errors.md explains every code that they expect.

local cassettes = require "spec.cassettes.reader"

describe("the cassettes together", function()
  local names, bodies, codes = {}, {}, {}
  for _, cassette in ipairs(cassettes) do
    for _, case in ipairs(cassette.data.cases) do
      names[#names + 1] = (cassette.path:match "^%w+") .. " " .. case.name
      bodies[#bodies + 1] = case.response.body
      if case.expect.code then codes[case.expect.code] = true end
    end
  end
  names = "\n" .. table.concat(names, "\n") .. "\n"
  bodies = table.concat(bodies, "\n")

  local labels = { { "ehealth", "E", 19 }, { "pkb", "P", 16 }, { "conneqt", "C", 15 } }
  for _, label in ipairs(labels) do
    it("hold every example body of " .. label[1], function()
      for i = 1, label[3] do
        local id = label[2] .. i
        assert.is_truthy(names:find("\n" .. label[1] .. " " .. id .. "%f[%W]"), id .. " is missing")
      end
    end)
  end

  it("hold all response codes of PKB's FHIR server", function()
    for _, code in ipairs {
      "ACC_TOKEN_EXPIRED", "API_SESSION_EXPIRED", "API_SESSION_INVALID", "BAD_AUTHENTICATION", "USER_TYPE_NOT_PERM",
      "ACCESS_FROZEN_OUTWARD", "ACCESS_FROZEN_INWARD", "NO_ASSOCIATION", "NO_CONSENT", "NO_DECRYPT_KEY", "SHARING_DISABLED",
    } do
      assert.is_true(codes[code:lower()], code)
    end
  end)

  it("hold every type of eHealth's error table", function()
    for _, word in ipairs {
      "request_malformed", "invalid_client", "token_not_found", "invalid_grant", "token_expired", "access_denied", "user_blocked",
      "invalid_user", "password_expired", "otp_invalid", "otp_expired", "otp_reached_max_attempts", "token_invalid",
      "token_invalid_type", "jwt_invalid", "jwt_expired", "jwt_aud_invalid", "forbidden", "tax_id_invalid", "not_found",
      "content_type_invalid", "request_conflict", "request_too_large", "validation_failed", "otp_timeout", "internal_error",
    } do
      assert.is_truthy(bodies:find('"type":"' .. word .. '"', 1, true), word)
    end
  end)

  it("expect no code that docs/errors.md does not explain", function()
    local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"
    local file = assert(io.open(here .. "/../../docs/errors.md"))
    local text = file:read "*a"
    file:close()
    local invented = {
      some_new_type = true, boom = true, maintenance = true, busy_elsewhere = true, bad_thing = true, bad_thing_here = true,
      x = true, out_of_credit = true, not_allowed = true, rate_limit = true, db_down = true, slow_down = true, a__31mb = true,
    }
    for code in pairs(codes) do
      if not invented[code] and not code:find "^http_%d" then
        assert.is_truthy(text:find("`" .. code .. "`", 1, true), code .. " is not in docs/errors.md")
      end
    end
  end)
end)
