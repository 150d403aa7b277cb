-- SPDX-License-Identifier: MIT
-- Plays the person in the browser for the demo: follows the sandbox's consent page over HTTPS.
--   demo_person.lua URL allow|deny CA_FILE   prints the address that the browser is sent back to

local browser = require "healthauth.sandbox.browser"
local curl = require "healthauth.transports.curl"

local url, decision, ca_file = arg[1], arg[2], arg[3]
local transport = curl.new()
local callback, why = browser.consent(url, decision, function(request)
  request.timeout, request.connect_timeout, request.tls = 15, 5, { ca_file = ca_file }
  request.limits = { body = 65536, headers = 65536, depth = 32 }
  return transport:perform(request)
end)
transport:close()
if not callback then
  io.stderr:write(why, "\n")
  os.exit(1)
end
print(callback)
