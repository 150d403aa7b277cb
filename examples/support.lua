-- SPDX-License-Identifier: MIT
-- What the examples share: settings from the environment, and a transcript for people. The transcript is a transport around libcurl's
-- that prints what is asked and what comes back, every secret masked. No example needs it to work; it is here to be watched.

local curl = require "healthauth.transports.curl"
local mask = require "healthauth.mask"

local SHOWN = { ["authorization"] = true, ["apikey"] = true, ["api-key"] = true, ["x-custom-psk"] = true, ["content-type"] = true,
  ["conneqt-instant-access-token"] = true, ["retry-after"] = true, ["location"] = true, ["x-ratelimit-limit-minute"] = true,
  ["x-ratelimit-remaining-minute"] = true }
local REASONS = { [200] = "OK", [201] = "Created", [204] = "No Content", [302] = "Found", [400] = "Bad Request", [401] = "Unauthorized",
  [403] = "Forbidden", [404] = "Not Found", [410] = "Gone", [422] = "Unprocessable Entity", [429] = "Too Many Requests",
  [503] = "Service Unavailable" }
local WIDTH = 112
local LONGEST = 2000 -- of a body
local COLOUR = os.getenv "HEALTHAUTH_COLOUR" == "1"
local STYLES = { title = "1;36", step = "1", asked = "33", answer = "34", good = "32", refusal = "35", wrong = "1;31", faint = "2" }

local support = { failures = 0, masker = mask.new() }

io.stdout:setvbuf "line" -- whoever plays the person reads along

local function paint(style, text)
  return COLOUR and "\27[" .. STYLES[style] .. "m" .. text .. "\27[0m" or text
end

-- Where to break a line that is too long: after the last " · ", else the last space, comma, ampersand or brace that fits, never within
-- a character.
local function fitting(line)
  local start = line:sub(1, WIDTH)
  local at = start:match "^.* · ()" or start:match "^.*[ ,&{}]()"
  if at and at > WIDTH / 2 then return at - 1 end
  at = WIDTH
  while line:find("^[\128-\191]", at + 1) do at = at - 1 end
  return at
end

-- What does not fit goes on under it, with the same sign before it where the sign tells a direction.
local function say(style, sign, text)
  for line in (text:gsub("%s+$", "") .. "\n"):gmatch "(.-)\n" do
    local more = ""
    while #line > WIDTH do
      local at = fitting(line)
      io.write(sign, more, paint(style, (line:sub(1, at):gsub("%s+$", ""))), "\n")
      line, more, sign = line:sub(at + 1), "  ", sign:gsub("[=!X]", " ")
    end
    io.write(sign, more, paint(style, line), "\n")
  end
end

--- A setting that must be there; its absence ends the program with a sentence.
---@param name string
---@return string
function support.need(name)
  local value = os.getenv(name)
  if not value or value == "" then
    io.stderr:write(name, " is not set. The examples take hosts and credentials from the environment only; see the first lines of each.\n")
    os.exit(2)
  end
  return value
end

--- A setting that may be there.
---@param name string
---@return string|nil
function support.may(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- TLS options: a CA file of your own where HEALTHAUTH_CA_FILE names one, else the system's.
---@return table|nil
function support.tls()
  local file = support.may "HEALTHAUTH_CA_FILE"
  return file and { ca_file = file } or nil
end

function support.title(text)
  io.write("\n", paint("title", text .. " " .. ("="):rep(math.max(4, 100 - #text))), "\n")
end

function support.step(text)
  io.write("\n", paint("step", "* " .. text), "\n")
end

--- A line that tells what it came to.
function support.good(text)
  say("good", "  = ", support.masker:text(text))
end

function support.note(text)
  say("faint", "    ", text)
end

local function show(sign, style, head, headers, body)
  local margin = "    " .. sign .. " "
  say(style, margin, head)
  for _, pair in ipairs(headers) do
    if SHOWN[pair[1]:lower()] then say(style, margin .. "  ", pair[1] .. ": " .. pair[2]) end
  end
  if body and #body > LONGEST then body = body:sub(1, LONGEST) .. " ... (" .. #body .. " bytes)" end
  if body and body ~= "" then say(style, margin .. "  ", body) end
end

local Transcript = {}
Transcript.__index = Transcript

function Transcript:perform(request)
  local asked = support.masker:request(request)
  show(">", "asked", asked.method .. " " .. asked.url, asked.headers, asked.body)
  local response, failure = self.inner:perform(request)
  if response then
    local seen = support.masker:response(response)
    show("<", "answer", seen.status .. " " .. (REASONS[seen.status] or ""), seen.headers, seen.body == "" and "(empty)" or seen.body)
  else
    say("answer", "    < ", "no answer: " .. failure.kind .. ", " .. tostring(failure.code))
  end
  return response, failure
end

function Transcript:close()
  return self.inner:close()
end

--- libcurl's transport with a transcript.
---@return table transport
function support.transport()
  return setmetatable({ inner = curl.new() }, Transcript)
end

--- What a token set holds, without what it must not show.
---@param tokens table
---@return string
function support.describe(tokens)
  local parts = { "an access token of " .. #tokens.access_token .. " signs" }
  parts[2] = tokens.expires_at and os.date("!good until %Y-%m-%d %H:%M:%S UTC", tokens.expires_at) or "no expiry told"
  if tokens.refresh_token then parts[#parts + 1] = "a refresh token" end
  if tokens.scope then parts[#parts + 1] = "scope " .. tokens.scope end
  return table.concat(parts, " · ")
end

--- Explains a refusal: what went wrong, and what a program should do about it.
---@param err table
function support.refused(err)
  say("refusal", "  ! ", tostring(err))
  local parts = {}
  for _, name in ipairs { "kind", "code", "action", "outcome", "dialect", "status", "retry_after", "request_id" } do
    if err[name] ~= nil then parts[#parts + 1] = name .. " " .. tostring(err[name]) end
  end
  if err.rate_limit then parts[#parts + 1] = ("rate_limit %s of %s left"):format(err.rate_limit.remaining, err.rate_limit.limit) end
  say("refusal", "    ", table.concat(parts, " · "))
  for _, item in ipairs(err.invalid or {}) do
    say("refusal", "    ", "invalid: " .. tostring(item.name) .. (item.reason and " (" .. item.reason .. ")" or ""))
  end
end

--- The value, or the end of the program with the refusal explained.
function support.must(value, err)
  if value == nil then
    support.refused(err)
    os.exit(1)
  end
  return value
end

--- Notes whether something went as expected; the program's exit code follows.
---@param right boolean
---@param what string
function support.expect(right, what)
  if right then return end
  support.failures = support.failures + 1
  say("wrong", "  X ", "expected " .. what)
end

--- The person's part of a login: shows the address, reads where the browser was sent.
---@param url string
---@return string callback
function support.ask_person(url)
  say("step", "  ", "Open this address in a browser, and allow:")
  io.write("  ", url, "\n")
  say("step", "  ", "Then paste the address that the browser was sent to (it may show an error page):")
  local line = io.read "*l"
  if not line or line == "" then
    io.stderr:write "No address was given.\n"
    os.exit(1)
  end
  return line
end

function support.done()
  os.exit(support.failures == 0 and 0 or 1)
end

return support
