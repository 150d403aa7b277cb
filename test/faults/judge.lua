-- SPDX-License-Identifier: MIT
-- What may come of an operation while a system call fails: the good result, or one good error. Says in words what is wrong.

local healthauth = require "healthauth"
local markers = require "spec.support.markers"
local process = require "spec.support.process"

local M = {}

local KINDS = { argument = true, network = true, timeout = true, tls = true, protocol = true, too_large = true, denied = true, http = true,
  state = true, store = true, unsupported = true }
local planted = markers.new { "planted-marker-" }
local documented = process.read "docs/errors.md"

local function sorted(t)
  if type(t) ~= "table" then return tostring(t) end
  local keys, out = {}, {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for _, k in ipairs(keys) do out[#out + 1] = k .. "=" .. sorted(t[k]) end
  return "{" .. table.concat(out, ",") .. "}"
end
M.sorted = sorted

--- What a session holds, as a text.
function M.held(session) return sorted(session:tokens()) end

--- A result, for people.
function M.shown(value, err)
  if value == nil then return "nil, " .. tostring(err) end
  return sorted(value)
end

--- An error by itself: ours, of a known kind, with a documented code, and no secret in it. nil, or what is wrong.
---@param err any
---@return string|nil
function M.err(err)
  if not healthauth.is_error(err) then return "the error is none of ours: " .. tostring(err) end
  if not KINDS[err.kind] then return "kind " .. tostring(err.kind) end
  if not documented:find("`" .. err.code .. "`", 1, true) then return "code " .. tostring(err.code) .. " is not documented" end
  if tostring(err) == "" then return "no words" end
  local seen = planted:within(err)
  return seen and "the error shows " .. seen
end

--- An operation that sends: by its result and what the server counted between state.before and state.after.
---@param state table
---@param value any
---@param err any
---@param good function|string  good(state, value), or the code of the refusal that is the good end
---@return string|nil
function M.sent(state, value, err, good)
  local bytes, posts = state.after.bytes - state.before.bytes, state.after.token_posts - state.before.token_posts
  local seen = planted:within(state.events)
  if seen then return "an event shows " .. seen end
  if posts > 1 then return ("the token request was seen %d times"):format(posts) end
  if value ~= nil then
    if type(good) == "string" or not good(state, value) then return "a wrong success: " .. M.shown(value) end
    return nil
  end
  local wrong = M.err(err)
  if wrong then return wrong end
  if M.held(state.session) ~= state.held then return "the session changed: " .. M.held(state.session) end
  if err.outcome == "not_sent" then
    if bytes > 0 then return ("said not sent, but %d bytes came: %s"):format(bytes, tostring(err)) end
  elseif err.outcome == "answered" then
    if err.code ~= good or posts == 0 then return "said answered: " .. tostring(err) end
  elseif err.outcome ~= "unknown" then
    return "outcome " .. tostring(err.outcome)
  end
end

return M
