-- SPDX-License-Identifier: MIT
-- Faults on demand: what a network or a gateway does to an answer. A fault waits for a request of its provider and operation,
-- works `times` times and is gone. An effect tells whoever carries the answer (transport or server) what to do to it.
--
-- kind          the state changes   the client sees
-- lost_answer   yes                 a connection closed without an answer
-- lost_request  no                  the same: it cannot tell the two apart
-- refused       no                  no connection (in process only)
-- delay         yes                 the answer, `seconds` late
-- slow          yes                 the answer's body spread over `seconds`
-- truncate      yes                 the first `at` bytes of the body, then a closed connection
-- rate_limit    no                  429 as the provider's gateway words it, with Retry-After where `retry_after` is given
-- unavailable   no                  503, HTML, likewise
-- html          no                  an HTML page with `status` (502)
-- answer        no                  `status`, `headers`, `body` as given

local http = require "healthauth.sandbox.http"

local GATEWAY_PAGE = "<html><head><title>%s</title></head><body><center><h1>%s</h1></center></body></html>\n"
local FIELDS = {
  kind = "string", provider = "string", operation = "string", times = "number", after = "number", seconds = "number", at = "number",
  status = "number", retry_after = "number", headers = "table", body = "string",
}
local NEEDS = { delay = "seconds", slow = "seconds", truncate = "at", answer = "status" }

local faults = {}

local function gateway(status, title, fault)
  local headers = {}
  if fault.retry_after then headers[1] = { "Retry-After", string.format("%d", fault.retry_after) } end
  return http.answer(status, "text/html", GATEWAY_PAGE:format(title, title), headers)
end

local function rate_limited(fault, provider)
  local headers = {}
  if fault.retry_after then headers[1] = { "Retry-After", string.format("%d", fault.retry_after) } end
  if provider == "ehealth" then -- Kong: bare text, no Content-Type, no Retry-After of its own
    headers[#headers + 1] = { "X-RateLimit-Limit-minute", "50" }
    headers[#headers + 1] = { "X-RateLimit-Remaining-minute", "0" }
    return http.answer(429, nil, "API rate limit exceeded", headers)
  elseif provider == "conneqt" then
    return http.json(429, { type = "about:blank", title = "Too Many Requests", status = 429 }, "application/problem+json", headers)
  end
  return http.answer(429, "text/html", GATEWAY_PAGE:format("429 Too Many Requests", "429 Too Many Requests"), headers)
end

-- kind -> function (fault, provider, produce) -> response|nil, effect|nil
local KINDS = {
  lost_answer = function(_, _, produce) return produce(), { lost = "answer" } end,
  lost_request = function() return nil, { lost = "request" } end,
  refused = function() return nil, { lost = "connection" } end,
  delay = function(fault, _, produce) return produce(), { delay = fault.seconds } end,
  slow = function(fault, _, produce) return produce(), { slow = fault.seconds } end,
  truncate = function(fault, _, produce) return produce(), { truncate = fault.at } end,
  rate_limit = function(fault, provider) return rate_limited(fault, provider) end,
  unavailable = function(fault) return gateway(503, "503 Service Temporarily Unavailable", fault) end,
  html = function(fault) return gateway(fault.status or 502, "Bad Gateway", fault) end,
  answer = function(fault) return http.answer(fault.status, nil, fault.body or "", fault.headers) end,
}

--- Checks a fault; raises with the member's name, one level above the caller.
---@param spec table
---@return table fault a copy
function faults.check(spec)
  if type(spec) ~= "table" or not KINDS[spec.kind] then
    local names = {}
    for name in pairs(KINDS) do names[#names + 1] = name end
    table.sort(names)
    error("fault.kind: expected one of " .. table.concat(names, ", "), 3)
  end
  local fault = { times = 1, after = 0 }
  for name, value in pairs(spec) do
    if not FIELDS[name] then error("fault." .. tostring(name) .. ": no such member", 3) end
    if type(value) ~= FIELDS[name] then error("fault." .. name .. ": expected a " .. FIELDS[name], 3) end
    fault[name] = value
  end
  local needed = NEEDS[fault.kind]
  if needed and not fault[needed] then error("fault." .. needed .. ": needed by " .. fault.kind, 3) end
  return fault
end

--- The first fault that waits for this request, counted down; nil where there is none.
---@param list table
---@param provider string
---@param operation string
---@return table|nil
function faults.take(list, provider, operation)
  for index, fault in ipairs(list) do
    if (not fault.provider or fault.provider == provider) and (not fault.operation or fault.operation == operation) then
      if fault.after > 0 then
        fault.after = fault.after - 1
      else
        fault.times = fault.times - 1
        if fault.times <= 0 then table.remove(list, index) end
        return fault
      end
    end
  end
  return nil
end

--- Whether a request that meets this fault gets as far as the provider's door.
---@param fault table
---@return boolean
function faults.arrives(fault)
  return fault.kind ~= "lost_request" and fault.kind ~= "refused"
end

--- Lets a fault work on a request. `produce` makes the ordinary answer and changes the state.
---@param fault table
---@param provider string
---@param produce fun(): table
---@return table|nil response
---@return table|nil effect
function faults.apply(fault, provider, produce)
  return KINDS[fault.kind](fault, provider, produce)
end

return faults
