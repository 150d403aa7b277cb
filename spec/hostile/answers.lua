-- SPDX-License-Identifier: MIT
-- Every case for sessions (spec/hostile/sessions.lua): whole answers that are wrong, and the wire's own cases as a session meets them.

local script = require "spec.hostile.script"

local parts = { "json", "members", "media", "status", "dialects", "problems" }

-- An answer that each verb takes for success.
local JSON = "application/json"
local WELL = {
  ["pkb refresh"] = script.answer(200, JSON, '{"access_token":"well-1","token_type":"bearer","expires_in":600,"refresh_token":"well-2"}'),
  ["pkb exchange"] = script.answer(200, JSON, '{"access_token":"well-1","token_type":"bearer","expires_in":600,"refresh_token":"well-2"}'),
  ["pkb_system exchange"] = script.answer(200, JSON, '{"access_token":"well-1","token_type":"bearer","expires_in":600}'),
  ["ehealth refresh"] = script.answer(201, JSON, '{"data":{"value":"well-1","expires_at":1700009999,"details":{}},"meta":{"code":201}}'),
  ["ehealth exchange"] = script.answer(201, JSON,
    '{"data":{"value":"well-1","expires_at":1700009999,"details":{"refresh_token":"well-2"}},"meta":{"code":201}}'),
  ["ehealth logout"] = script.answer(200, JSON, "{}"),
  ["conneqt exchange"] = script.answer(200, JSON, '{"token":"well-1"}'),
  ["conneqt verify"] = script.answer(200, JSON, "{}"),
  ["conneqt check"] = script.answer(200, JSON, "{}"),
}

local cases, names = {}, {}
local function add(part, case)
  assert(not names[case.name], "two cases are named " .. case.name)
  names[case.name] = true
  case.part = part
  case.well = assert(WELL[case.operation], case.operation)
  case.on = case.on or "http"
  cases[#cases + 1] = case
end

for _, part in ipairs(parts) do
  for _, case in ipairs(require("spec.hostile.answers." .. part)) do add(part, case) end
end

-- What a transport must tell as a failure, a session must tell alike; a POST that works once, and a GET.
local function of_the_wire(case, operation)
  local copy = {}
  for key, value in pairs(case) do copy[key] = value end
  copy.name = operation:gsub(" ", "_") .. "_" .. case.name
  copy.wire = case.name
  copy.operation, copy.method, copy.body = operation, nil, nil
  if case.expect.outcome == "not_sent" then copy.count = 0 end
  add("wire " .. case.part, copy)
end
for _, case in ipairs(require "spec.hostile.cases") do
  local plain = not (case.prime or case.method or case.headers or case.proxy or case.limits)
  if plain and (case.expect.kind or case.expect.any) then
    of_the_wire(case, "pkb refresh")
    if case.part == "framing" then of_the_wire(case, "conneqt verify") end
  end
end

return cases
