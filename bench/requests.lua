-- SPDX-License-Identifier: MIT
-- The same token POST as bench/bare.c, as a whole refresh of a session: requests.lua BASE_URL CA COUNT -> microseconds per refresh.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local base_url, ca, count = arg[1], arg[2], tonumber(arg[3])
local session = assert(healthauth.pkb {
  base_url = base_url, client_id = "client", tls = ca ~= "" and { ca_file = ca } or nil,
  tokens = { access_token = "a", refresh_token = "tGzv3JOkF0XG5Qx2TlKWIA" },
})

local start = core.monotonic()
for _ = 1, count do assert(session:refresh()) end
print(string.format("%.2f", (core.monotonic() - start) / count * 1e6))
