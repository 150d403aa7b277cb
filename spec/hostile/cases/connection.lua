-- SPDX-License-Identifier: MIT
-- Connections that die, are kept, or answer out of turn.

local script = require "spec.hostile.script"
local case, LOST, CUT, GOOD = script.case, script.LOST, script.CUT, script.GOOD
local FINE = { status = 200, body = "{}" }

local cases = {}

local function add(name, turns, expect, more)
  local made = case(name, turns[1], expect, more)
  made.turns = turns
  cases[#cases + 1] = made
end

local KEPT = { GOOD, { "keep" } }
local posts = { post = { "POST", "grant_type=x" }, put = { "PUT", "{}" }, patch = { "PATCH", "{}" }, delete = { "DELETE", "{}" } }

-- A kept connection that dies when the second request comes: never sent twice.
for name, shape in pairs(posts) do
  local more = { method = shape[1], body = shape[2], prime = 1, count = 2 }
  add("stale_close_" .. name, { KEPT, { { "close" } } }, LOST, more)
  add("stale_reset_" .. name, { KEPT, { { "reset" } } }, LOST, more)
  add("stale_cut_" .. name, { KEPT, { { "cut" } } }, LOST, more)
  add("stale_half_head_" .. name, { KEPT, { "HTTP/1.1 200 OK\r\n" } }, CUT, more)
end
-- Without a body libcurl would have nothing to rewind: such a request takes a new connection, where it is the first.
for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
  add("stale_bodiless_" .. method:lower(), { KEPT, { { "close" } } }, FINE, { method = method, prime = 1, count = 2 })
  add("stale_bodiless_reset_" .. method:lower(), { KEPT, { { "reset" } } }, FINE, { method = method, prime = 1, count = 2 })
end
add("stale_empty_body", { KEPT, { { "close" } } }, FINE, { method = "POST", body = "", prime = 1, count = 2 })
add("stale_big_post", { KEPT, { { "early" }, { "reset" } } }, LOST, { method = "POST", body = ("x"):rep(300000), prime = 1, count = 2 })
-- A GET may be sent again; it ends well or says so.
add("stale_get", { KEPT, { { "close" } } }, FINE, { prime = 1, count = 3 })
add("stale_get_cut_inside", { KEPT, { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{" } }, CUT, { prime = 1, count = 2 })

-- The server closes or speaks while the connection idles: seen before the next request is sent, which then takes a new connection.
for _, method in ipairs { "GET", "POST" } do
  local body = method == "POST" and "a=b" or nil
  local function idle(name, after)
    add("idle_" .. name .. "_" .. method:lower(), { { GOOD, { "sleep", 0.03 }, after, { "keep" } } }, FINE,
      { method = method, body = body, prime = 1, settle = true, count = 2 })
  end
  idle("closed", { "close" })
  idle("reset", { "reset" })
  idle("cut", { "cut" })
  idle("forged_answer", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
  idle("stray_bytes", "\r\n")
  idle("timeout_408", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
end
-- More behind the answer, in the same record of TLS: nothing can be read from the socket then.
local FORGED = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
add("forged_answer_behind_body",
  { { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", { "sleep", 0.03 }, "{}" .. FORGED, { "keep" } } }, FINE,
  { method = "POST", body = "a=b", prime = 1, settle = true, count = 2 })
for _, size in ipairs { 4096, 8192 } do -- a full buffer of nginx
  local head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Pad: "
  add("forged_answer_behind_" .. size, { { head .. ("x"):rep(size - #head - 6) .. "\r\n\r\n{}" .. FORGED, { "keep" } } }, FINE,
    { method = "POST", body = "a=b", prime = 1, settle = true, count = 2 })
end
add("kept_twenty_times", { KEPT }, FINE, { prime = 20, method = "POST", body = "a=b", count = 21 })
add("connection_close_obeyed",
  { { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", { "sleep", 0.2 }, { "keep" } },
    { "HTTP/1.1 500 Used again\r\nContent-Length: 0\r\n\r\n", { "keep" } } }, FINE,
  { prime = 2, method = "POST", body = "a=b", count = 3 })

-- New connections that die: a POST is seen once.
for name, step in pairs { close = { "close" }, reset = { "reset" }, cut = { "cut" } } do
  add("first_" .. name .. "_get", { { step } }, LOST)
  add("first_" .. name .. "_post", { { step } }, LOST, { method = "POST", body = "a=b", count = 1 })
  add("first_" .. name .. "_post_bodiless", { { step } }, LOST, { method = "POST", count = 1 })
end
add("early_close_big_post", { { { "early" }, { "close" } } }, LOST, { method = "POST", body = ("x"):rep(3000000), count = 1 })

-- Complete answers that libcurl could take for a reason to send again.
local function answered(name, status, headers, body, before)
  local text = ("HTTP/1.1 %d Words\r\n%sContent-Length: 0\r\n\r\n"):format(status, headers)
  add(name, { { before or "", text, { "sleep", 0.05 }, { "keep" } } }, { status = status, body = "" },
    { method = "POST", body = body or "a=b", count = 1 })
end
answered("early_answer_big_post", 413, "Connection: close\r\n", ("x"):rep(3000000), { "early" })
-- The server has answered and reads no more, and does not close: whoever sends all of the body first waits for ever.
add("early_answer_open_big_post", { { { "early" }, "HTTP/1.1 413 Words\r\nContent-Length: 0\r\n\r\n", { "sleep", 6 }, { "close" } } },
  { status = 413, body = "" }, { method = "POST", body = ("x"):rep(6000000), count = 1, timeout = 5 })
answered("early_answer_small_post", 401, "Connection: close\r\n", nil, { "early" })
answered("expect_417_not_repeated", 417, "", ("x"):rep(2000000))
answered("misdirected_421_not_repeated", 421, "")
answered("challenge_not_answered", 401, "WWW-Authenticate: Basic realm=\"x\"\r\n")
answered("proxy_challenge_not_answered", 407, "Proxy-Authenticate: Basic realm=\"x\"\r\n")
answered("too_early_425_not_repeated", 425, "Retry-After: 0\r\n")
answered("unavailable_503_not_repeated", 503, "Retry-After: 0\r\n")

return cases
