-- SPDX-License-Identifier: MIT
-- Too much, too slow, never.

local script = require "spec.hostile.script"
local case, OK, JSON, CHUNKED = script.case, script.OK, script.JSON, script.CHUNKED
local BODY_BIG, HEADERS_BIG, TIMEOUT = script.BODY_BIG, script.HEADERS_BIG, script.TIMEOUT
local GIB, MIB = 1024 * 1024 * 1024, 1024 * 1024
local SHORT = { timeout = 0.3 }
local SMALL = { limits = { body = 100, headers = 1000, depth = 32 } }

return {
  case("body_of_the_limit", { JSON, ("Content-Length: %d\r\n\r\n"):format(MIB), { "repeat", MIB, "x" } },
    { status = 200, body = ("x"):rep(MIB) }, { timeout = 5 }),
  case("body_of_the_limit_chunked", { CHUNKED, "100000\r\n", { "repeat", MIB, "x" }, "\r\n0\r\n\r\n" },
    { status = 200, body = ("x"):rep(MIB) }, { timeout = 5 }),
  case("body_of_the_limit_until_close", { JSON, "\r\n", { "repeat", MIB, "x" } },
    { status = 200, body = ("x"):rep(MIB), close_delimited = true }, { timeout = 5 }),
  case("body_one_above", { JSON, ("Content-Length: %d\r\n\r\n"):format(MIB + 1), { "repeat", MIB + 1, "x" } }, BODY_BIG),
  case("body_one_above_chunked", { CHUNKED, "100001\r\n", { "repeat", MIB + 1, "x" }, "\r\n0\r\n\r\n" }, BODY_BIG),
  case("body_one_above_until_close", { JSON, "\r\n", { "repeat", MIB + 1, "x" } }, BODY_BIG),
  case("body_one_gib", { JSON, ("Content-Length: %d\r\n\r\n"):format(GIB), { "endless", "x" } }, BODY_BIG),
  case("body_one_gib_without_length", { JSON, "\r\n", { "endless", "x" } }, BODY_BIG),
  case("body_one_gib_in_chunks", { CHUNKED, { "endless", "4000\r\n" .. ("x"):rep(0x4000) .. "\r\n" } }, BODY_BIG),
  case("body_tiny_chunks_for_ever", { CHUNKED, { "endless", "1\r\nx\r\n" } }, BODY_BIG, { timeout = 5 }),
  case("body_length_2_31", { JSON, "Content-Length: 2147483648\r\n\r\n{}" }, BODY_BIG),
  case("body_length_2_32", { JSON, "Content-Length: 4294967298\r\n\r\n{}" }, BODY_BIG),
  case("body_length_2_63", { JSON, "Content-Length: 9223372036854775808\r\n\r\n{}" }, BODY_BIG),
  case("body_length_2_64", { JSON, "Content-Length: 18446744073709551618\r\n\r\n{}" }, BODY_BIG),
  case("body_length_forty_digits", { JSON, "Content-Length: " .. ("9"):rep(40) .. "\r\n\r\n{}" }, BODY_BIG),
  case("body_gzip_bomb", { JSON, "Content-Encoding: gzip\r\n\r\n", { "endless", "\31\139\8\0\0\0\0\0" } }, script.CODED),
  case("body_error_status_endless", { "HTTP/1.1 500 Oops\r\n\r\n", { "endless", "<html>" } }, BODY_BIG),
  case("body_small_limit", { JSON, "Content-Length: 101\r\n\r\n" .. ("x"):rep(101) }, BODY_BIG, SMALL),
  case("body_small_limit_kept", { JSON, "Content-Length: 100\r\n\r\n" .. ("x"):rep(100) }, { status = 200, body = ("x"):rep(100) }, SMALL),

  case("headers_one_mib", { OK .. "X: ", { "repeat", MIB, "y" }, "\r\n\r\n" }, HEADERS_BIG),
  case("headers_one_line_above_limit", { OK .. "X: " .. ("y"):rep(66000) .. "\r\n\r\n" }, HEADERS_BIG),
  case("headers_one_line_below_limit", { OK .. "X: " .. ("y"):rep(60000) .. "\r\nContent-Length: 2\r\n\r\n{}" }, { status = 200,
    body = "{}" }),
  case("headers_ten_thousand", { OK, { "repeat", 10000, "X: y\r\n" }, "\r\n" }, HEADERS_BIG),
  case("headers_endless", { OK, { "endless", "X-Header: value\r\n" } }, HEADERS_BIG),
  case("headers_endless_line", { OK .. "X: ", { "endless", "y" } }, HEADERS_BIG),
  case("headers_endless_name", { OK, { "endless", "y" } }, HEADERS_BIG),
  case("headers_endless_status_line", { "HTTP/1.1 200 ", { "endless", "y" } }, HEADERS_BIG),
  case("headers_three_hundred", { OK, { "repeat", 300, "X: y\r\n" }, "\r\n" }, HEADERS_BIG),
  case("headers_empty_names_endless", { OK, { "endless", ":\r\n" } }, script.HEAD),
  case("headers_small_limit", { OK .. "X: " .. ("y"):rep(1000) .. "\r\n\r\n" }, HEADERS_BIG, SMALL),

  case("silence", { { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_post", { { "sleep", 1 } }, TIMEOUT, { timeout = 0.3, method = "POST", body = "a=b" }),
  case("silence_in_status_line", { "HTTP/1.1 2", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_in_head", { OK, { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_before_empty_line", { OK .. "Content-Length: 0\r\n", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_in_body", { JSON .. "Content-Length: 9\r\n\r\n{", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_until_close", { JSON .. "\r\n{}", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_in_chunk_size", { CHUNKED .. "2", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_in_chunk", { CHUNKED .. "2\r\n{", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_before_last_chunk", { CHUNKED .. "2\r\n{}\r\n", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("silence_before_end", { CHUNKED .. "2\r\n{}\r\n0\r\n", { "sleep", 1 } }, TIMEOUT, SHORT),
  case("slow_head", { { "drip", 0.05, OK .. "Content-Length: 0\r\n\r\n" } }, TIMEOUT, SHORT),
  case("slow_body", { JSON .. "Content-Length: 50\r\n\r\n", { "drip", 0.05, ("x"):rep(50) } }, TIMEOUT, SHORT),
  case("slow_chunks", { CHUNKED, { "drip", 0.05, ("1\r\nx\r\n"):rep(20) } }, TIMEOUT, SHORT),
  case("slow_one_byte_a_second", { { "drip", 1, OK .. "Content-Length: 0\r\n\r\n" } }, TIMEOUT, SHORT),
  case("slow_body_one_byte_a_second", { JSON .. "Content-Length: 50\r\n\r\n", { "drip", 1, ("x"):rep(50) } }, TIMEOUT, SHORT),
  case("slow_interims", { { "drip", 0.02, ("HTTP/1.1 100 C\r\n\r\n"):rep(8) } }, TIMEOUT, SHORT),
}
