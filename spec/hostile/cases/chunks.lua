-- SPDX-License-Identifier: MIT
-- The chunked coding: what libcurl's own reading of it would let pass is among these.

local script = require "spec.hostile.script"
local case, CHUNKED, CHUNK, CUT = script.case, script.CHUNKED, script.CHUNK, script.CUT
local END = "0\r\n\r\n"

local cases = {}
local function good(name, text, body)
  cases[#cases + 1] = case("chunk_" .. name, { CHUNKED, text, { "keep" } }, { status = 200, body = body })
end
local function bad(name, text, expect)
  cases[#cases + 1] = case("chunk_" .. name, { CHUNKED, text }, expect or CHUNK)
end

good("plain", "2\r\n{}\r\n" .. END, "{}")
good("many", ("1\r\nx\r\n"):rep(200) .. END, ("x"):rep(200))
good("none", END, "")
good("upper_hex", "A\r\n0123456789\r\n" .. END, "0123456789")
good("lower_hex", "a\r\n0123456789\r\n" .. END, "0123456789")
good("leading_zeros", "0000000000000002\r\n{}\r\n" .. END, "{}")
good("last_of_many_zeros", "2\r\n{}\r\n0000\r\n\r\n", "{}")
good("extension", "2;name=value;other=\"quoted\"\r\n{}\r\n" .. END, "{}")
good("extension_on_last", "2\r\n{}\r\n0;last\r\n\r\n", "{}")
good("extension_after_space", "2 ;a\r\n{}\r\n" .. END, "{}")
good("trailer", "2\r\n{}\r\n0\r\nX-Trailer: yes\r\n\r\n", "{}")
good("trailer_length_ignored", "2\r\n{}\r\n0\r\nContent-Length: 99\r\n\r\n", "{}")
good("trailer_coding_ignored", "2\r\n{}\r\n0\r\nContent-Encoding: gzip\r\n\r\n", "{}")
good("crlf_as_data", "4\r\n\r\n\r\n\r\n" .. END, "\r\n\r\n")
cases[#cases + 1] = case("chunk_slowly", { CHUNKED, { "drip", 0.001, "2\r\n{}\r\n0\r\n\r\n" }, { "keep" } }, { status = 200, body = "{}" },
  { timeout = 3 })

for name, size in pairs {
  empty = "", x = "0x2", plus = "+2", minus = "-2", space_before = " 2", space_behind = "2 ", tab_behind = "2\t", letters = "2g",
    words = "two",
  nul = "2\0", fraction = "2.", comma = "2,", seventeen_digits = "00000000000000002", wraps = "10000000000000002", quoted = "\"2\"",
    equals = "2=a",
  high_byte = "\178", vertical_tab = "2\11", form_feed = "2\12", cr = "2\r", brace = "{2}",
} do
  bad("size_" .. name, size .. "\r\n{}\r\n" .. END)
end
bad("size_bare_lf", "2\n{}\r\n" .. END)
bad("size_bare_cr", "2\r{}\r\n" .. END)
bad("size_lf_cr", "2\n\r{}\r\n" .. END)
bad("extension_bare_lf", "2;a\n{}\r\n" .. END)
bad("extension_bare_cr", "2;a\rb\r\n{}\r\n" .. END)
bad("extension_nul", "2;a\0\r\n{}\r\n" .. END)
bad("extension_del", "2;a\127\r\n{}\r\n" .. END)
bad("extension_endless", "2;" .. ("x"):rep(6000))
bad("extensions_add_up", ("1;" .. ("y"):rep(100) .. "\r\nx\r\n"):rep(60) .. END)
bad("longer_than_size", "1\r\n{}\r\n" .. END)
bad("shorter_than_size", "3\r\n{}\r\n" .. END)
bad("data_without_crlf", "2\r\n{}" .. END)
bad("data_bare_lf", "2\r\n{}\n" .. END)
bad("data_bare_cr", "2\r\n{}\r" .. END)
bad("data_two_crlf", "2\r\n{}\r\n\r\n" .. END)
bad("size_only_junk", "hello\r\n")
bad("json_instead", "{\"access_token\":\"x\"}")
bad("last_bare_lf", "2\r\n{}\r\n0\n\r\n")
bad("end_bare_lf", "2\r\n{}\r\n0\r\n\n", script.HEAD)
bad("trailer_folded", "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n", script.HEAD)
bad("trailer_no_colon", "2\r\n{}\r\n0\r\ntrailer\r\n\r\n", script.HEAD)
bad("trailer_bare_lf", "2\r\n{}\r\n0\r\nX: y\n\r\n", script.HEAD)
bad("trailer_nul", "2\r\n{}\r\n0\r\nX: \0\r\n\r\n", script.HEAD)
bad("trailers_endless", "2\r\n{}\r\n0\r\n" .. ("X: yyyyyyyyyyyyyyyyyyyyyyyy\r\n"):rep(300), script.HEADERS_BIG)
bad("trailer_too_long", "2\r\n{}\r\n0\r\nX: " .. ("y"):rep(70000), { any = { script.HEADERS_BIG, CHUNK } }) -- libcurl stops at 4 KiB itself
bad("size_huge", "7fffffffffffffff\r\n{}", script.BODY_BIG)
bad("size_all_f", "ffffffffffffffff\r\n{}", script.BODY_BIG)
bad("size_above_limit", "100001\r\n{}", script.BODY_BIG)

bad("cut_before_any", "", CUT)
bad("cut_in_size", "2", CUT)
bad("cut_behind_size", "2\r\n", CUT)
bad("cut_in_data", "2\r\n{", CUT)
bad("cut_behind_data", "2\r\n{}", CUT)
bad("cut_in_data_crlf", "2\r\n{}\r", CUT)
bad("cut_before_last", "2\r\n{}\r\n", CUT)
bad("cut_in_last", "2\r\n{}\r\n0", CUT)
bad("cut_behind_last", "2\r\n{}\r\n0\r\n", CUT)
bad("cut_in_end", "2\r\n{}\r\n0\r\n\r", CUT)
bad("cut_in_trailer", "2\r\n{}\r\n0\r\nX: y\r\n", CUT)
cases[#cases + 1] = case("chunk_cut_without_goodbye", { CHUNKED, "2\r\n{}\r\n", { "cut" } }, CUT)
cases[#cases + 1] = case("chunk_reset", { CHUNKED, "2\r\n{}\r\n", { "sleep", 0.15 }, { "reset" } }, CUT)

return cases
