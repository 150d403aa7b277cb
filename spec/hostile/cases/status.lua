-- SPDX-License-Identifier: MIT
-- Complete answers of every status: a transport hands them over as they are. No redirect is followed: count tells.

local script = require "spec.hostile.script"
local case = script.case

local cases = {}

for _, status in ipairs { 200, 201, 202, 203, 206, 207, 226, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415,
  416, 418, 422,
  423, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 599 } do
  cases[#cases + 1] = case("answer_" .. status, { ("HTTP/1.1 %d Words\r\nContent-Length: 2\r\n\r\n{}"):format(status), { "keep" } },
    { status = status, body = "{}" }, { method = "POST", body = "a=b", count = 1 })
end

for _, status in ipairs { 300, 301, 302, 303, 305, 306, 307, 308 } do
  for name, location in pairs { same = "/good", other = "http://127.0.0.2:1/x", scheme = "https://127.0.0.1:1/",
    file = "file:///etc/passwd" } do
    for _, method in ipairs { "GET", "POST" } do
      cases[#cases + 1] = case(("redirect_%d_%s_%s"):format(status, name, method:lower()),
        { ("HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 2\r\n\r\n{}"):format(status, location), { "keep" } },
        { status = status, body = "{}" }, { method = method, body = method == "POST" and "a=b" or nil, count = 1 })
    end
  end
end

cases[#cases + 1] = case("redirect_without_location", { "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", { "keep" } }, { status = 302,
  body = "" })
cases[#cases + 1] = case("redirect_bad_location", { "HTTP/1.1 302 Found\r\nLocation: ::::\r\nContent-Length: 0\r\n\r\n", { "keep" } },
  { status = 302, body = "" })
cases[#cases + 1] = case("body_with_nul", { script.JSON, "Content-Length: 3\r\n\r\na\0b", { "keep" } }, { status = 200, body = "a\0b" })
cases[#cases + 1] = case("body_all_bytes", { script.JSON, "Content-Length: 4\r\n\r\n\255\254\0\1", { "keep" } },
  { status = 200, body = "\255\254\0\1" })

return cases
