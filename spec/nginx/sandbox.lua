-- SPDX-License-Identifier: MIT
-- The served sandbox (tools/sandbox-server) for nginx specs, and the operator's orders to it.

local browser = require "healthauth.sandbox.browser"
local core = require "healthauth.core"
local curl = require "healthauth.transports.curl"
local process = require "spec.support.process"

local Sandbox = {}
Sandbox.__index = Sandbox

--- Starts it. options: those of healthauth.sandbox.new.
local function start(options)
  local self = setmetatable({ folder = process.folder() }, Sandbox)
  local ready = self.folder .. "/ready"
  os.execute(("tools/sandbox-server --dir %s/sandbox --ready %s --options %s >%s/out 2>&1 &"):format(self.folder, ready,
    process.quote(core.json_encode(options or {})), self.folder))
  for _ = 1, 1200 do
    local text = process.read(ready)
    if text then
      for name, value in text:gmatch "(%u+)=(%S+)" do self[name:lower()] = value end
      process.log("sandbox " .. self.http, self.folder .. "/sandbox/logs/error.log")
      return self
    end
    process.sleep(0.05)
  end
  error("the sandbox did not start: " .. (process.read(self.folder .. "/out") or ""))
end

function Sandbox:stop()
  if self.http then process.log("sandbox " .. self.http, nil) end
  if self.pid then os.execute("kill " .. self.pid .. " 2>/dev/null") end
  self.pid = nil
  process.remove(self.folder)
end

--- POST /control/word.
function Sandbox:control(word, fields)
  local code, out, err = process.run { "curl", "-sS", "-q", "--max-time", "60", "-H", "Content-Type: application/json", "--data-binary",
    core.json_encode(fields or {}), self.http .. "/control/" .. word }
  assert(code == 0, err)
  return assert(core.json_decode(out), out)
end

--- Plays the person at the provider's login: the address that the browser is sent back to.
function Sandbox:consent(url, decision, person)
  return browser.consent(url, decision or "allow", function(request)
    return curl.shared():perform { method = request.method, url = request.url, headers = request.headers, timeout = 60,
      connect_timeout = 60, tls = { ca_file = self.ca } }
  end, person)
end

function Sandbox:count(operation)
  return self:control("count", { operation = operation }).count
end

return { start = start }
