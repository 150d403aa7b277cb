-- SPDX-License-Identifier: MIT
-- Where the body ends: lengths, cuts, the connection's end, bytes behind it.

local script = require "spec.hostile.script"
local case, OK, JSON, CUT, HEAD = script.case, script.OK, script.JSON, script.CUT, script.HEAD

local cases = {
  case("length", { JSON, "Content-Length: 2\r\n\r\n{}" }, { status = 200, body = "{}" }),
  case("length_zero", { OK, "Content-Length: 0\r\n\r\n" }, { status = 200, body = "" }),
  case("length_leading_zeros", { OK, "Content-Length: 0000002\r\n\r\n{}" }, { status = 200, body = "{}" }),
  case("length_twice_alike", { OK, "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" }, { status = 200, body = "{}" }),
  case("length_space_around", { OK, "Content-Length:  \t2\t \r\n\r\n{}" }, { status = 200, body = "{}" }),
  case("length_lower_case", { OK, "content-length:2\r\n\r\n{}" }, { status = 200, body = "{}" }),
  case("byte_by_byte", { { "drip", 0.0005, script.GOOD } }, { status = 200, body = "{}" }, { timeout = 3 }),
  case("length_late_body", { OK, "Content-Length: 2\r\n\r\n", { "sleep", 0.05 }, "{}" }, { status = 200, body = "{}" }),
  case("http_1_0_length", { "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}" }, { status = 200, body = "{}" }),

  case("cut_nothing", {}, script.LOST),
  case("cut_after_h", { "H" }, script.LOST),
  case("cut_in_version", { "HTTP/1." }, script.LOST),
  case("cut_in_status", { "HTTP/1.1 20" }, script.LOST),
  case("cut_after_status_line", { OK }, CUT),
  case("cut_in_header_name", { OK, "Content-Le" }, CUT),
  case("cut_in_header_value", { OK, "Content-Length: 1" }, CUT),
  case("cut_before_empty_line", { OK, "Content-Length: 0\r\n" }, CUT),
  case("cut_before_empty_line_204", { "HTTP/1.1 204 No Content\r\n" }, CUT),
  case("cut_before_empty_line_410", { "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n" }, CUT),
  case("cut_before_empty_line_no_length", { OK, "X-Some: thing\r\n" }, CUT),
  case("cut_inside_empty_line", { OK, "Content-Length: 0\r\n\r" }, CUT),
  case("cut_body_missing", { JSON, "Content-Length: 2\r\n\r\n" }, CUT),
  case("cut_body_one_short", { JSON, "Content-Length: 3\r\n\r\n{}" }, CUT),
  case("cut_body_long_way_short", { JSON, "Content-Length: 500000\r\n\r\n", { "repeat", 1000, "x" } }, CUT),
  case("cut_after_interim", { "HTTP/1.1 100 Continue\r\n\r\n" }, CUT),
  case("cut_in_second_head", { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n" }, CUT),
  case("cut_without_goodbye", { JSON, "Content-Length: 9\r\n\r\n{}", { "cut" } }, CUT),
  case("cut_head_without_goodbye", { JSON, { "cut" } }, CUT),
  case("reset_in_body", { JSON, "Content-Length: 9\r\n\r\n{}", { "sleep", 0.15 }, { "reset" } }, CUT),
  case("reset_in_head", { OK, "Content-Le", { "sleep", 0.15 }, { "reset" } }, CUT),
  case("reset_before_answer", { { "reset" } }, script.LOST),

  case("until_close", { JSON, "\r\n{\"a\":1}" }, { status = 200, body = "{\"a\":1}", close_delimited = true }),
  case("until_close_empty", { OK, "\r\n" }, { status = 200, body = "", close_delimited = true }),
  case("until_close_1_0", { "HTTP/1.0 200 OK\r\n\r\n{}" }, { status = 200, body = "{}", close_delimited = true }),
  case("until_close_connection_close", { OK, "Connection: close\r\n\r\n{}" }, { status = 200, body = "{}", close_delimited = true }),
  case("until_close_cut_without_goodbye", { JSON, "\r\n{}", { "cut" } }, { status = 200, body = "{}", close_delimited = true }),
  case("until_close_reset", { JSON, "\r\n{}", { "sleep", 0.15 }, { "reset" } }, CUT),
  case("until_close_keep_alive_named", { OK, "Connection: keep-alive\r\n\r\n{}" }, { status = 200, body = "{}", close_delimited = true }),

  case("extra_after_length", { OK, "Content-Length: 2\r\n\r\n{}garbage" }, { status = 200, body = "{}" }),
  case("extra_response", { script.GOOD, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", { "keep" } },
    { status = 200, body = "{}" }, { settle = true }),
  case("extra_response_late", { script.GOOD, { "sleep", 0.03 }, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", { "keep" } },
    { status = 200, body = "{}" }, { settle = true }),
  case("extra_after_204", { "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", { "keep" } },
    { status = 204, body = "" }, { settle = true }),
  case("extra_after_304", { "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nforged", { "keep" } }, { status = 304, body = "" },
    { settle = true }),
  case("extra_after_chunks", { script.CHUNKED, "2\r\n{}\r\n0\r\n\r\nforged" }, { status = 200, body = "{}" }),
  case("extra_after_empty", { OK, "Content-Length: 0\r\n\r\nforged" }, { status = 200, body = "" }),
  case("head_answer_with_body", { OK, "Content-Length: 6\r\n\r\nforged", { "keep" } }, { status = 200, body = "" },
    { method = "HEAD", settle = true }),
  case("head_answer", { OK, "Content-Length: 5000000\r\n\r\n", { "keep" } }, { status = 200, body = "" }, { method = "HEAD" }),

  case("204_with_length", { "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}" }, HEAD),
  case("204_chunked", { "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, HEAD),
  case("204_length_zero", { "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n" }, { status = 204, body = "" }),
  case("205_length_zero", { "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" }, { status = 205, body = "" }),
  case("304_with_length", { "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", { "keep" } }, { status = 304, body = "" }),

  case("lengths_in_conflict", { OK, "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x" }, HEAD),
  case("lengths_in_conflict_far", { OK, "Content-Length: 2\r\nX: y\r\nContent-Length: 20\r\n\r\n{}" }, HEAD),
  case("length_and_chunked", { OK, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, HEAD),
  case("chunked_and_length", { OK, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" }, HEAD),
  case("chunked_twice", { OK, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, HEAD),
  case("chunked_in_1_0", { "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" }, HEAD),
}

-- What Content-Length may not be. libcurl reads "12abc" as 12.
local lengths = {
  letters_behind = "12abc", hex = "0x2", plus = "+2", minus = "-2", minus_zero = "-0", fraction = "2.0", exponent = "2e0", list = "2, 2",
  list_conflict = "2, 3", semicolon = "2;", quoted = "\"2\"", words = "two", inner_space = "2 0", empty = "", blank = "   ", nan = "nan",
  inf = "inf", bytes_behind = "2\1", nbsp = "\1942", comma = ",", trailing_comma = "2,", underscore = "1_0", arabic = "\217\162",
}
for name, value in pairs(lengths) do
  cases[#cases + 1] = case("length_" .. name, { OK, "Content-Length: " .. value .. "\r\n\r\n{}" }, HEAD)
end

local codings = {
  gzip = "gzip", gzip_chunked = "gzip, chunked", chunked_gzip = "chunked, gzip", identity = "identity", x = "xchunked",
    quoted = "\"chunked\"",
  parameter = "chunked;q=1", chunked_chunked = "chunked, chunked", empty = "", comma = "chunked,", vertical_tab = "\11chunked",
    nul = "chun\0ked",
  control = "chunked\1", deflate = "deflate", space_inside = "chun ked",
}
for name, value in pairs(codings) do
  cases[#cases + 1] = case("coding_" .. name, { OK, "Transfer-Encoding: " .. value .. "\r\n\r\n2\r\n{}\r\n0\r\n\r\n" }, HEAD)
end

for name, value in pairs { gzip = "gzip", deflate = "deflate", br = "br", unknown = "x-unknown", list = "identity, gzip", empty = "" } do
  cases[#cases + 1] = case("content_coding_" .. name, { JSON, "Content-Encoding: " .. value .. "\r\nContent-Length: 2\r\n\r\n{}" },
    script.CODED)
end
cases[#cases + 1] = case("content_coding_identity", { JSON, "Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}" },
  { status = 200, body = "{}" })
cases[#cases + 1] = case("content_coding_twice", { JSON,
  "Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}" },
  script.CODED)

return cases
