-- SPDX-License-Identifier: MIT
-- Status lines, header lines, interim responses.

local script = require "spec.hostile.script"
local case, OK, HEAD = script.case, script.OK, script.HEAD
local REST = "Content-Length: 2\r\n\r\n{}"

local cases = {}
local function good(name, steps, status) cases[#cases + 1] = case(name, steps, { status = status or 200, body = "{}" }) end
local function bad(name, steps, expect) cases[#cases + 1] = case(name, steps, expect or HEAD) end

for name, line in pairs {
  lower_case = "http/1.1 200 OK", http_2 = "HTTP/2 200", http_2_0 = "HTTP/2.0 200 OK", http_3 = "HTTP/3 200", http_0_9 = "HTTP/0.9 200 OK",
  http_1_2 = "HTTP/1.2 200 OK", http_1_10 = "HTTP/1.10 200 OK", http_1 = "HTTP/1 200 OK", http_11_1 = "HTTP/11.1 200 OK",
    no_version = "HTTP 200 OK",
  no_status = "HTTP/1.1", blank_status = "HTTP/1.1  OK", two_spaces = "HTTP/1.1  200 OK", tab = "HTTP/1.1\t200 OK",
    two_digits = "HTTP/1.1 20 OK",
  four_digits = "HTTP/1.1 2000 OK", zero = "HTTP/1.1 000 OK", small = "HTTP/1.1 099 OK", six_hundred = "HTTP/1.1 600 OK",
    nines = "HTTP/1.1 999 OK",
  plus = "HTTP/1.1 +20 OK", minus = "HTTP/1.1 -20 OK", letters = "HTTP/1.1 2oo OK", glued = "HTTP/1.1 200OK", hex = "HTTP/1.1 0xc8 OK",
  nul_in_reason = "HTTP/1.1 200 O\0K", escape_in_reason = "HTTP/1.1 200 \27[31mOK", cr_in_reason = "HTTP/1.1 200 O\rK",
    del_in_reason = "HTTP/1.1 200 \127",
  space_before = " HTTP/1.1 200 OK", shttp = "SHTTP/1.1 200 OK", icy = "ICY 200 OK", rtsp = "RTSP/1.0 200 OK", request = "GET / HTTP/1.1",
  html = "<html><body>hello</body></html>", json = "{\"access_token\":\"x\"}", ssh = "SSH-2.0-OpenSSH_9.2", smtp = "220 mail.example ESMTP",
  binary = "\1\2\3\4\5\6\7\8", tls_record = "\21\3\3\0\2\2\40", http_slash = "HTTP/", colon = "HTTP:1.1 200 OK", comma = "HTTP/1,1 200 OK",
} do
  bad("status_" .. name, { line .. "\r\n" .. REST })
end
bad("status_bare_lf", { "HTTP/1.1 200 OK\n" .. REST })
bad("status_bare_cr", { "HTTP/1.1 200 OK\r" .. REST })
bad("status_empty_line_first", { "\r\n" .. OK .. REST })
bad("status_lf_first", { "\n" .. OK .. REST })
bad("status_never_http", { { "endless", "no line end, no http " } })
good("status_no_reason", { "HTTP/1.1 200 \r\n" .. REST })
good("status_no_space", { "HTTP/1.1 200\r\n" .. REST })
good("status_long_reason", { "HTTP/1.1 200 " .. ("very "):rep(200) .. "OK\r\n" .. REST })
good("status_latin1_reason", { "HTTP/1.1 200 D\233accord\r\n" .. REST })
good("status_1_0", { "HTTP/1.0 200 OK\r\n" .. REST })

for name, line in pairs {
  folded = "X: a\r\n b", folded_tab = "X: a\r\n\tb", space_before_first = " X: a", space_before_colon = "X : a",
    tab_before_colon = "X\t: a",
  no_colon = "nonsense", no_name = ": a", slash_in_name = "X/Y: a", parenthesis = "X(Y): a", at_sign = "X@Y: a", quote_in_name = "\"X\": a",
  comma_in_name = "X,Y: a", utf8_in_name = "\195\169: a", nul_in_name = "X\0Y: a", nul_in_value = "X: a\0b", cr_in_value = "X: a\rb",
  escape_in_value = "X: \27[2J", bell = "X: \7", del = "X: \127", backspace = "X: a\8b", vertical_tab = "X: a\11b", cr_cr = "X: a\r",
  brackets = "[X]: a", equals = "X=a", only_spaces = "   ", control_name = "\1: a", second_status = "HTTP/1.1 200 OK",
} do
  bad("header_" .. name, { OK .. line .. "\r\n" .. REST })
end
bad("header_bare_lf", { OK .. "X: a\n" .. REST })
bad("header_bare_lf_length", { OK .. "Content-Length: 2\n\r\n{}" })
bad("header_all_bare_lf", { "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}" })
bad("header_end_bare_lf", { OK .. "Content-Length: 2\r\n\n{}" })
bad("header_end_cr_only", { OK .. "Content-Length: 2\r\n\r{}" }, script.CUT)
bad("header_end_cr_lf_later", { OK .. "Content-Length: 2\r\n\r{}\r\n" })
bad("header_lf_cr", { OK .. "Content-Length: 2\n\r\n\r{}" })
bad("header_smuggled_length", { OK .. "X: a\nContent-Length: 0\r\n" .. REST })
good("header_empty_value", { OK .. "X:\r\n" .. REST })
good("header_blank_value", { OK .. "X:  \t \r\n" .. REST })
good("header_utf8_value", { OK .. "X: caf\195\169\r\n" .. REST })
good("header_latin1_value", { OK .. "X: caf\233\r\n" .. REST })
good("header_colons_in_value", { OK .. "X: a:b::c\r\n" .. REST })
good("header_tab_in_value", { OK .. "X: a\tb\r\n" .. REST })
good("header_token_name", { OK .. "!#$%&'*+-.^_`|~0aZ: x\r\n" .. REST })
good("header_two_hundred", { OK .. ("X: y\r\n"):rep(200) .. REST })
good("header_repeated", { OK .. "Content-Type: a/b\r\nContent-Type: c/d\r\n" .. REST })
good("header_set_cookie", { OK .. "Set-Cookie: a=b; Path=/\r\n" .. REST })
good("header_hsts_altsvc", { OK .. "Strict-Transport-Security: max-age=1\r\nAlt-Svc: h2=\":1\"\r\n" .. REST })
good("header_auth_challenge",
  { "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\", Digest nonce=\"y\", NTLM, Negotiate\r\n" .. REST }, 401)
good("header_refresh", { OK .. "Refresh: 0; url=/good\r\n" .. REST })

good("interim_100", { "HTTP/1.1 100 Continue\r\n\r\n", OK .. REST })
good("interim_102", { "HTTP/1.1 102 Processing\r\n\r\n", OK .. REST })
good("interim_103_with_fields", { "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 99\r\n\r\n", OK .. REST })
good("interim_eight", { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(8), OK .. REST })
good("interim_199", { "HTTP/1.1 199 What\r\n\r\n", OK .. REST })
bad("interim_nine", { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(9), OK .. REST }, script.INTERIM)
bad("interim_flood", { { "endless", "HTTP/1.1 100 Continue\r\n\r\n" } }, script.INTERIM)
bad("interim_101", { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", OK .. REST }, script.INTERIM)
bad("interim_101_alone", { "HTTP/1.1 101 Switching Protocols\r\n\r\n", { "sleep", 1 } }, script.INTERIM)
bad("interim_in_1_0", { "HTTP/1.0 100 Continue\r\n\r\n", OK .. REST }, script.INTERIM)
bad("interim_then_garbage", { "HTTP/1.1 100 Continue\r\n\r\n", "garbage\r\n\r\n" })
bad("interim_bad_header", { "HTTP/1.1 100 Continue\r\nno colon\r\n\r\n", OK .. REST })
bad("interim_header_flood", { "HTTP/1.1 103 Early Hints\r\n", { "endless", "Link: <x>\r\n" } }, script.HEADERS_BIG)
cases[#cases + 1] = case("interim_then_silence", { "HTTP/1.1 100 Continue\r\n\r\n", { "sleep", 1 } }, script.TIMEOUT, { timeout = 0.3 })

return cases
