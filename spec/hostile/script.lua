-- SPDX-License-Identifier: MIT
-- Writes the steps of hostile cases for spec/hostile/server.py, and holds the short words in which cases are written.

local script = {}

--- A case: what the server does, and what a transport must make of it.
--- steps: strings are sent; {"repeat", n, bytes}, {"drip", seconds a byte, bytes}, {"sleep", s}, {"endless", bytes}, {"early"} (first
--- one: does not wait for the request's body), {"keep"} (serve the next request), {"close"}, {"cut"} (without TLS's goodbye), {"reset"}.
--- Behind the last one the connection is closed.
--- expect: {status, body, close_delimited} or {kind, code, outcome}, or any = a list of such failures.
--- For sessions (spec/hostile/sessions.lua): operation "provider verb", well: the answer that the case gives once it is healed.
--- more: method, body, headers, timeout, connect_timeout, limits, tls; on: the one listener, scheme: not that listener's own; prime: so
--- many requests of the same shape go before; settle: the server's steps are waited for; count: how often the server may have seen it;
--- turns: steps for the first, second, ... request of one connection.
---@param name string
---@param steps table
---@param expect table
---@param more? table
function script.case(name, steps, expect, more)
  local case = { name = name, turns = { steps }, expect = expect }
  for key, value in pairs(more or {}) do case[key] = value end
  return case
end

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function step_line(step)
  if type(step) == "string" then return "send " .. hex(step) end
  local word = step[1]
  if word == "repeat" or word == "drip" then return ("%s %s %s"):format(word, step[2], hex(step[3])) end
  if word == "endless" then return "endless " .. hex(step[2]) end
  if word == "sleep" then return "sleep " .. step[2] end
  return word
end

--- The scripts file: a "turn" is what happens on the first, second, ... request of one connection; the last one repeats.
function script.text(cases)
  local lines = {}
  for _, case in ipairs(cases) do
    lines[#lines + 1] = "case " .. case.name
    if case.well then lines[#lines + 1] = "well " .. hex(case.well) end
    for _, steps in ipairs(case.turns) do
      lines[#lines + 1] = "turn"
      for _, step in ipairs(steps) do lines[#lines + 1] = step_line(step) end
      if #steps == 0 then lines[#lines + 1] = "close" end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A whole response with that status, media type (false: none) and body; more header lines where given.
function script.answer(status, media, body, lines)
  return ("HTTP/1.1 %d Words\r\n%s%sContent-Length: %d\r\n\r\n%s"):format(status,
    media and "Content-Type: " .. media .. "\r\n" or "", lines or "", #body, body)
end

script.OK = "HTTP/1.1 200 OK\r\n"
script.JSON = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
script.CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
script.GOOD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

-- What a failure may be, in the words of docs/errors.md.
script.CUT = { kind = "network", code = "body_truncated", outcome = "unknown" }
script.LOST = { kind = "network", code = "connection_lost", outcome = "unknown" }
script.TIMEOUT = { kind = "timeout", code = "timeout", outcome = "unknown" }
script.HEAD = { kind = "protocol", code = "header_malformed", outcome = "unknown" }
script.CHUNK = { kind = "protocol", code = "chunk_malformed", outcome = "unknown" }
script.CODED = { kind = "protocol", code = "content_encoding", outcome = "unknown" }
script.INTERIM = { kind = "protocol", code = "interim_refused", outcome = "unknown" }
script.HEADERS_BIG = { kind = "too_large", code = "headers_too_large", outcome = "unknown" }
script.BODY_BIG = { kind = "too_large", code = "body_too_large", outcome = "unknown" }

return script
