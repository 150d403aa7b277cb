-- SPDX-License-Identifier: MIT
-- Prints the environment of the examples for a served sandbox, as lines for a shell: hosts, the sandbox's own credentials, a fresh
-- access code.   demo_settings.lua https://localhost:PORT   (HEALTHAUTH_CA_FILE and HEALTHAUTH_SANDBOX_CONTROL are set)

local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local credentials = require("healthauth.sandbox").credentials

local base = arg[1]

local function line(name, value)
  print(name .. "='" .. value:gsub("'", "'\\''") .. "'")
end

for provider, own in pairs(credentials) do
  local prefix = "HEALTHAUTH_" .. provider:upper() .. "_"
  line(prefix .. "URL", base .. "/" .. provider)
  for name, value in pairs(own) do line(prefix .. name:upper(), value) end
end
line("HEALTHAUTH_PKB_SYSTEM_CALL", "/fhir/Patient/1")

local transport = curl.new()
local response, failure = transport:perform { method = "POST", url = os.getenv "HEALTHAUTH_SANDBOX_CONTROL" .. "/access_code", headers = {},
  body = "{}", timeout = 15, connect_timeout = 5, limits = { body = 65536, headers = 65536, depth = 32 } }
transport:close()
if not response then error(failure.message, 0) end
line("HEALTHAUTH_CONNEQT_ACCESS_CODE", assert(core.json_decode(response.body)).access_code)
