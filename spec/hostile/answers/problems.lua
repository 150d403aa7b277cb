-- SPDX-License-Identifier: MIT
-- Documents of refusal that are wrong in every member: what is wrong is passed over, the refusal stays one.

local script = require "spec.hostile.script"

local cases = {}
local function add(name, media, body, code)
  local case = script.case("problem_" .. name, { script.answer(422, media, body), { "keep" } },
    { kind = "denied", code = code, outcome = "answered" })
  case.operation = "conneqt exchange"
  cases[#cases + 1] = case
end

local WRONG = { number = "7", huge = "1e300", yes = "true", null = "null", list = "[]", texts = '["a","b"]', object = "{}",
  nested = '{"a":{"b":[1,2,{"c":null}]}}', empty = '""', blank = '"   "', control = [["a\u0000\u001b[31mb\u0007"]],
  bidi = [["\u202eabc\u2066\u200b"]], long = '"' .. ("long "):rep(2000) .. '"', lines = [["a\r\nb\r\n\r\nHTTP/1.1 200 OK"]],
  format = '"%s%n%x%99999d"', markup = [["<script>alert(1)<\/script>"]], emoji = [["\ud83d\ude00"]] }

for _, member in ipairs { "title", "detail", "status", "instance", "traceId", "invalid-params", "invalidParameters", "errors", "extra" } do
  for name, value in pairs(WRONG) do
    add(("%s_%s"):format(member, name), "application/problem+json", ('{"type":"https://x.example/trouble","%s":%s}'):format(member, value),
      "trouble")
  end
end
for name, value in pairs(WRONG) do
  if value:sub(1, 1) ~= '"' then
    add("type_" .. name, "application/problem+json", '{"type":' .. value .. ',"title":"No"}', "http_422")
    add("ehealth_error_" .. name, "application/json", '{"meta":{},"error":{"type":"trouble","message":' .. value .. '}}', "trouble")
    add("ehealth_invalid_" .. name, "application/json", '{"meta":{},"error":{"type":"trouble","invalid":' .. value .. '}}', "trouble")
    add("oauth_description_" .. name, "application/json", '{"error":"trouble","error_description":' .. value .. '}', "trouble")
    add("outcome_issue_" .. name, "application/json", '{"resourceType":"OperationOutcome","issue":' .. value .. '}', "http_422")
    add("outcome_details_" .. name, "application/json",
      '{"resourceType":"OperationOutcome","issue":[{"code":"trouble","details":' .. value .. '}]}', "trouble")
    add("fault_string_" .. name, "application/json", '{"fault":{"faultstring":' .. value .. ',"detail":{"errorcode":"trouble"}}}',
      "trouble")
  end
end
for name, value in pairs { javascript = "javascript:alert(1)", file = "file:///etc/passwd", relative = "../../trouble",
  fragment = "#trouble",
  query = "https://x.example/trouble?x=y", slash = "https://x.example/trouble/", urn = "urn:x:trouble",
    spaces = "https://x.example/a b" } do
  local case = script.case("problem_uri_" .. name, { script.answer(422, "application/problem+json", '{"type":"' .. value .. '"}'),
    { "keep" } },
    { kind = "denied", outcome = "answered", code = ({ javascript = "alert_1_", file = "passwd", relative = "trouble",
      fragment = "http_422", query = "trouble", slash = "trouble", urn = "trouble", spaces = "a_b" })[name] })
  case.operation = "conneqt exchange"
  cases[#cases + 1] = case
end

return cases
