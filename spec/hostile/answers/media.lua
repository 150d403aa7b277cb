-- SPDX-License-Identifier: MIT
-- Good bodies under a wrong label: a login page's, a proxy's, two at once, none.

local script = require "spec.hostile.script"

local BODIES = { ["pkb refresh"] = '{"access_token":"A","token_type":"bearer"}', ["conneqt verify"] = '{"a":1}' }
local cases = {}

local function label(name, lines, fine)
  for operation, body in pairs(BODIES) do
    local answer = ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(lines, #body, body)
    local good = operation == "conneqt verify" and { result = true } or { tokens = true }
    local case = script.case(("media_%s_%s"):format(name, operation:gsub(" ", "_")), { answer, { "keep" } },
      fine and good or { kind = "protocol", code = "media_type", outcome = "answered" })
    case.operation = operation
    cases[#cases + 1] = case
  end
end

for name, media in pairs {
  html = "text/html", html_utf8 = "text/html; charset=utf-8", plain = "text/plain", text_json = "text/json",
    javascript = "application/javascript",
  octets = "application/octet-stream", form = "application/x-www-form-urlencoded", xml = "application/xml", jsonp = "application/json-p",
  json_seq = "application/json-seq", jsonx = "application/jsonx", x_json = "application/x-json", json_alone = "json", slash_json = "/json",
  application_alone = "application", application_slash = "application/", plus_json_alone = "application/+json", jose = "application/jose",
  multipart = "multipart/form-data; boundary=application/json", two_in_one = "application/json, text/html", any = "*/*",
  space_inside = "application /json", semicolon_first = ";application/json", html_with_json = "text/html; x=application/json",
} do
  label(name, "Content-Type: " .. media .. "\r\n")
end
label("none", "")
label("blank", "Content-Type:\r\n")
label("twice", "Content-Type: application/json\r\nContent-Type: text/html\r\n")
label("twice_the_same", "Content-Type: application/json\r\nContent-Type: application/json\r\n")
label("html_first", "Content-Type: text/html\r\nContent-Type: application/json\r\n")
for name, media in pairs {
  charset = "application/json; charset=utf-8", charset_close = "application/json;charset=UTF-8", capitals = "APPLICATION/JSON",
  vendor = "application/vnd.provider.v2+json", parameters = 'application/json; a=b; c="d;e"', hal = "application/hal+json",
} do
  label("good_" .. name, "Content-Type: " .. media .. "\r\n", true)
end

return cases
