-- SPDX-License-Identifier: MIT
-- Every refusing status with a document of each dialect, and with none; and secrets that such a document echoes.

local script = require "spec.hostile.script"

local cases = {}
local function add(name, operation, text, expect)
  local case = script.case("refused_" .. name, { text, { "keep" } }, expect)
  case.operation = operation
  cases[#cases + 1] = case
end

local JSON = "application/json"
-- media type, body, code; without a code the status gives it
local DOCUMENTS = {
  oauth = { JSON, '{"error":"invalid_client","error_description":"no"}', "invalid_client" },
  oauth_as_text = { "text/plain", '{"error":"invalid_client"}', "invalid_client" },
  problem = { "application/problem+json", '{"type":"https://x.example/problems/out-of-luck","title":"No"}', "out_of_luck" },
  problem_blank = { "application/problem+json", '{"type":"about:blank","title":"No"}' },
  problem_empty = { "application/problem+json", "{}" },
  ehealth = { JSON, '{"meta":{"code":401,"request_id":"r"},"error":{"type":"some_trouble","message":"no"}}', "some_trouble" },
  outcome = { "application/fhir+json", '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}',
    "processing" },
  fault = { JSON, '{"fault":{"faultstring":"no","detail":{"errorcode":"steps.Trouble"}}}', "steps_trouble" },
}
local NONE = {
  empty = { false, "" }, html = { "text/html", "<html><body>502 Bad Gateway</body></html>" }, text = { "text/plain", "no" },
  json_without_shape = { JSON, '{"status":"sorry"}' }, broken = { JSON, '{"error":"invalid_grant"' }, list = { JSON,
    '[{"error":"invalid_grant"}]' },
  duplicate = { JSON, '{"error":"invalid_grant","error":"ok"}' }, token_answer = { JSON, '{"access_token":"A","token_type":"bearer"}' },
}
local OPERATIONS = { oauth = "pkb refresh", ehealth = "ehealth refresh", outcome = "pkb refresh" }

for _, status in ipairs { 400, 401, 403, 404, 405, 409, 413, 422, 423, 429, 500, 502, 503, 504 } do
  for name, document in pairs(DOCUMENTS) do
    add(("%d_%s"):format(status, name), OPERATIONS[name] or "conneqt exchange", script.answer(status, document[1], document[2]),
      { kind = "denied", code = document[3] or "http_" .. status, outcome = "answered" })
  end
  for name, document in pairs(NONE) do
    add(("%d_%s"):format(status, name), name:find "^[ebj]" and "pkb refresh" or "conneqt verify",
      script.answer(status, document[1], document[2]), { kind = "http", code = "http_" .. status, outcome = "answered" })
  end
end

-- A server that writes back what it was sent, in the body, in a header, under any status, spelled as it likes.
local ECHOES = {
  ["pkb refresh"] = "planted-refresh%token&1", ["ehealth refresh"] = [[planted-client-\"secret\/1=]], ["conneqt exchange"] = "PLANTEDC0DE1",
  ["conneqt verify"] = "planted-verify-token/1+",
}
local FRAMES = {
  oauth = '{"error":"invalid_request","error_description":"you sent $","$":"$","more":["$",{"x":"$"}]}',
  problem = '{"type":"https://x.example/$","title":"$","detail":"a $ b","instance":"$","invalid-params":[{"name":"$","reason":"$"}]}',
  ehealth = '{"meta":{"request_id":"$"},"error":{"type":"x","message":"$",'
    .. '"invalid":[{"entry":"$.$","rules":[{"rule":"$","description":"$"}]}]}}',
  outcome = '{"resourceType":"OperationOutcome","id":"$","issue":[{"code":"x","diagnostics":"$","details":{"text":"$"}}]}',
  fault = '{"fault":{"faultstring":"$","detail":{"errorcode":"x"}}}',
  html = "<html>$</html>",
}
for operation, secret in pairs(ECHOES) do
  for name, frame in pairs(FRAMES) do
    for _, status in ipairs { 200, 400, 500 } do
      local body = frame:gsub("%$", function() return secret end)
      local case = script.case(("echo_%d_%s_%s"):format(status, name, operation:gsub(" ", "_")),
        { script.answer(status, name == "problem" and "application/problem+json" or JSON, body, "X-Request-ID: " .. secret .. "\r\n"),
          { "keep" } }, {})
      case.operation = operation
      local kind = name == "html" and (status == 200 and { "protocol", "not_json" } or { "http", "http_" .. status }) or { "denied" }
      case.expect = { kind = kind[1], code = kind[2] or (name == "oauth" and "invalid_request" or name == "problem" and "_secret_" or "x"),
        outcome = "answered" }
      cases[#cases + 1] = case
    end
  end
end

return cases
