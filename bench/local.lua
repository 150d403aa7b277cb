-- SPDX-License-Identifier: MIT
-- What healthauth costs without a network, in nanoseconds a call: the hot path, one verify, one refresh (request, judgement, JSON).

local core = require "healthauth.core"
local healthauth = require "healthauth"

local ANSWER = {
  status = 200, headers = { { "Content-Type", "application/json" } },
  body = '{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":600,'
    .. '"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"patient"}',
}
local tokens = { access_token = "a", refresh_token = "r", expires_at = core.time() + 1e6 }
local pkb = assert(healthauth.pkb {
  environment = "sandbox", client_id = "c", tokens = tokens, transport = { perform = function() return ANSWER end },
})
local conneqt = assert(healthauth.conneqt {
  environment = "integration", api_key = "k", transport = { perform = function() return { status = 200, headers = {}, body = "" } end },
})

local function measure(name, count, fn)
  local start = core.monotonic()
  for _ = 1, count do fn() end
  print(string.format("  %-34s %8.0f ns", name, (core.monotonic() - start) / count * 1e9))
end

measure("access_token() of a living token", 1000000, function() return pkb:access_token() end)
measure("verify(), request and judgement", 50000, function() return conneqt:verify("token") end)
measure("refresh(), request and judgement", 50000, function() return pkb:refresh() end)
