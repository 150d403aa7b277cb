-- SPDX-License-Identifier: MIT
-- Good bodies under a status that says something else, and redirects: none is followed, wherever it leads.

local script = require "spec.hostile.script"

local JSON = "application/json"
local TOKENS = '{"access_token":"A","token_type":"bearer"}'
local cases = {}
local function add(name, operation, text, expect, more)
  local case = script.case("status_" .. name, { text, { "keep" } }, expect, more)
  case.operation = operation
  cases[#cases + 1] = case
end

local function protocol(code) return { kind = "protocol", code = code, outcome = "answered" } end
local function http(status) return { kind = "http", code = "http_" .. status, outcome = "answered" } end

-- 2xx that an operation has not declared are no success of it.
for _, status in ipairs { 201, 202, 203, 206, 207, 208, 226, 299 } do
  add(status .. "_refresh", "pkb refresh", script.answer(status, JSON, TOKENS), protocol "unexpected_status")
  add(status .. "_verify", "conneqt verify", script.answer(status, JSON, "{}"), protocol "unexpected_status")
  add(status .. "_check", "conneqt check", script.answer(status, JSON, "{}"), protocol "unexpected_status")
end
for name, operation in pairs { refresh = "pkb refresh", verify = "conneqt verify", exchange = "conneqt exchange" } do
  add("204_" .. name, operation, "HTTP/1.1 204 No Content\r\n\r\n", protocol "unexpected_status")
  add("205_" .. name, operation, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", protocol "unexpected_status")
end
add("206_range_refresh", "pkb refresh", script.answer(206, JSON, TOKENS, "Content-Range: bytes 0-41/42\r\n"), protocol "unexpected_status")
add("202_ehealth", "ehealth refresh", script.answer(202, JSON, '{"data":{"value":"A"}}'), protocol "unexpected_status")
add("200_ehealth", "ehealth refresh", script.answer(200, JSON, '{"data":{"value":"A"}}'), { tokens = true })
add("201_ehealth", "ehealth refresh", script.answer(201, JSON, '{"data":{"value":"A"}}'), { tokens = true })
add("202_logout", "ehealth logout", script.answer(202, JSON, "{}"), { result = true })
add("204_logout", "ehealth logout", "HTTP/1.1 204 No Content\r\n\r\n", { result = true })
add("206_logout", "ehealth logout", script.answer(206, JSON, "{}"), { result = true })
add("207_logout", "ehealth logout", script.answer(207, JSON, "{}"), protocol "unexpected_status")

-- 200 that says no.
for name, document in pairs {
  oauth = { '{"error":"invalid_grant"}', "invalid_grant" }, oauth_with_tokens = { '{"error":"invalid_grant",' .. TOKENS:sub(2),
    "invalid_grant" },
  ehealth = { '{"meta":{"code":401},"error":{"type":"token_expired","message":"x"}}', "token_expired" },
  outcome = { '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"login"}]}', "login" },
  fault = { '{"fault":{"faultstring":"x","detail":{"errorcode":"oauth.v2.InvalidToken"}}}', "oauth_v2_invalidtoken" },
} do
  for operation, word in pairs { ["pkb refresh"] = "refresh", ["conneqt verify"] = "verify", ["conneqt exchange"] = "exchange" } do
    add(("200_%s_%s"):format(name, word), operation, script.answer(200, JSON, document[1]),
      { kind = "denied", code = document[2], outcome = "answered" })
  end
end
for word, operation in pairs { refresh = "pkb refresh", verify = "conneqt verify" } do
  add("200_problem_" .. word, operation, script.answer(200, "application/problem+json", '{"type":"https://x.example/token-gone"}'),
    { kind = "denied", code = "token_gone", outcome = "answered" })
end

-- 410 is a no only where verify asked, and only when it is whole.
add("410_verify", "conneqt verify", script.answer(410, JSON, "{}"), { result = false })
add("410_verify_html", "conneqt verify", script.answer(410, "text/html", "<html>gone</html>"), { result = false })
add("410_verify_empty", "conneqt verify", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", { result = false })
add("410_verify_cut_html", "conneqt verify", "HTTP/1.1 410 Gone\r\n\r\n<html>", script.CUT)
add("410_refresh", "pkb refresh", script.answer(410, JSON, "{}"), http(410))
add("200_verify_cut_json", "conneqt verify", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":", script.CUT)
add("200_refresh_cut_json", "pkb refresh", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\"A\"", script.CUT)
for i, case in ipairs(cases) do -- the last ones end with the connection
  if case.name:find "_cut_" then cases[i].turns[1] = { case.turns[1][1], { "close" } } end
end

for _, status in ipairs { 300, 301, 302, 303, 304, 305, 306, 307, 308 } do
  for name, location in pairs { same = "/case/status_trap", other = "https://planted.example/login", scheme = "http://127.0.0.1:1/",
    file = "file:///etc/passwd", relative = "//127.0.0.1:1/x" } do
    for word, operation in pairs { refresh = "pkb refresh", verify = "conneqt verify" } do
      local body = status == 304 and "" or TOKENS
      add(("%d_%s_%s"):format(status, name, word), operation, script.answer(status, JSON, body, "Location: " .. location .. "\r\n"),
        http(status), { trap = "status_trap", count = 1 })
    end
  end
end
add("trap", "pkb refresh", script.answer(200, JSON, TOKENS), { tokens = true })

return cases
