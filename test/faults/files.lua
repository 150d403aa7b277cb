-- SPDX-License-Identifier: MIT
-- Faults under files: the event log, the trace, cassettes, a private file. What is written for people never changes what a program does,
-- and what is read is whole or refused.

local cassette = require "healthauth.cassette"
local core = require "healthauth.core"
local events = require "healthauth.events"
local healthauth = require "healthauth"
local markers = require "spec.support.markers"
local process = require "spec.support.process"

local M = {}

local planted = markers.new { "planted-marker-" }
local folder, number = nil, 0

function M.start(path) folder = path end

local function new_path(ending)
  number = number + 1
  return folder .. "/file-" .. number .. ending
end

local function fine() return { status = 200, headers = {}, body = "" } end

local function open_session(transport, on_event)
  return assert(healthauth.conneqt {
    base_url = "https://conneqt.example", api_key = "planted-marker-api-key", transport = transport, on_event = on_event,
  })
end

local function verify(session) return session:verify "planted-marker-token" end

local function shows(path)
  local seen = planted:seen(process.read(path) or "")
  return seen and "the file shows " .. seen
end

local function remove(state) os.remove(state.path) end

-- Only a request that could not be made, for want of an id, changes the answer.
local function verb_fine(value, err, fault)
  return value == true or value == nil and err.code == "random_failed" and fault.call == "random"
end

-- How many whole events a log holds. A half one may stand by itself, if it was told as lost.
local function lines(path, lost)
  local count, torn = 0, 0
  for line in (process.read(path) or ""):gmatch "([^\n]+)\n" do
    if core.json_decode(line) then count = count + 1 else torn = torn + 1 end
  end
  if torn > lost then return nil, torn .. " half lines, " .. lost .. " told as lost" end
  return count
end

local jsonl = {
  name = "events.jsonl: a verb",
  open = function()
    local state = { path = new_path ".jsonl", swallowed = events.swallowed }
    state.on_event = healthauth.events.jsonl(state.path)
    state.session = open_session({ perform = fine }, state.on_event)
    return state
  end,
  act = function(state) return verify(state.session) end,
  judge = function(state, value, err, fault)
    state.lost = events.swallowed - state.swallowed
    if not verb_fine(value, err, fault) then return "the verb answers " .. tostring(value) end
    state.told = value and 1 or 0
    if value and (lines(state.path, state.lost) or 0) + state.lost < 1 then return "an event is lost, and nobody counts it" end
  end,
  again = function(state)
    if verify(state.session) ~= true then return "the next call" end
    local count, why = lines(state.path, state.lost)
    if not count then return why end
    if count + state.lost < 1 + state.told then return ("%d lines, %d told as lost"):format(count, state.lost) end
    if events.swallowed - state.swallowed > state.lost then return "the next event is lost too" end
    return shows(state.path)
  end,
  close = function(state)
    state.session:close()
    state.on_event, state.session = nil, nil
    remove(state)
  end,
}

local trace = {
  name = "trace: a verb",
  open = function()
    local state = { path = new_path ".trace" }
    state.trace = healthauth.trace(state.path, { perform = fine })
    state.session = open_session(state.trace)
    return state
  end,
  act = function(state) return verify(state.session) end,
  judge = function(_, value, err, fault)
    if not verb_fine(value, err, fault) then return "the verb answers " .. tostring(value) end
  end,
  again = function(state)
    if verify(state.session) ~= true then return "the next call" end
    state.trace:close()
    if not (process.read(state.path) or ""):find("< HTTP 200", 1, true) then return "the next trace is not there" end
    return shows(state.path)
  end,
  close = function(state)
    state.session:close()
    state.trace:close()
    remove(state)
  end,
}

local record = {
  name = "record: a verb",
  open = function()
    local state = { path = new_path ".cassette" }
    state.transport = healthauth.transports.record { transport = { perform = fine }, file = state.path }
    state.session = open_session(state.transport)
    assert(verify(state.session))
    state.shown = 0 -- exchanges in the cassette beside the first and the last one
    return state
  end,
  act = function(state) return verify(state.session) end,
  judge = function(state, value, err, fault)
    if not verb_fine(value, err, fault) then return "the verb answers " .. tostring(value) end
    if value == nil then return nil end
    local items, why = cassette.read(state.path)
    if not items then return "the cassette cannot be read: " .. why end
    state.shown = 1
    if #items ~= 2 and (#items ~= 1 or not state.transport.problem) then return #items .. " exchanges, and no problem" end
    if process.read(state.path .. ".new") then return "a half file is left" end
  end,
  again = function(state)
    if verify(state.session) ~= true then return "the next call" end
    local items, why = cassette.read(state.path)
    if not items or #items ~= 2 + state.shown then return "the next cassette: " .. tostring(why or #items) end
    return shows(state.path)
  end,
  close = function(state)
    state.session:close()
    state.transport:close()
    remove(state)
  end,
}

-- A constructor raises where its file cannot be had: its text is the second result here.
local function constructed(fn, ...)
  local ok, value = pcall(fn, ...)
  if ok then return value end
  return nil, value
end

local function reason(state, why)
  if type(why) ~= "string" or not why:find(state.path, 1, true) then return "no reason: " .. tostring(why) end
  return planted:seen(why) and "the reason shows a secret" or nil
end

local replay = {
  name = "replay: a cassette is opened",
  open = function()
    local state = { path = new_path ".cassette" }
    local item = { request = { method = "GET", url = "https://a.example/x", headers = {}, body = ("x"):rep(3000) }, response = fine() }
    assert(cassette.write(state.path, { item, item, item }))
    return state
  end,
  act = function(state)
    state.transport = nil
    return constructed(healthauth.transports.replay, { file = state.path })
  end,
  judge = function(state, value, why)
    if value then return value:remaining() ~= 3 and "only a part of the cassette" or nil end
    return reason(state, why)
  end,
  again = function(state)
    if healthauth.transports.replay({ file = state.path }):remaining() ~= 3 then return "the next one" end
  end,
  close = remove,
}

local function opens(name, open)
  return {
    name = name .. ": its file is opened",
    open = function() return { path = new_path ".log" } end,
    act = function(state) return constructed(open, state.path) end,
    judge = function(state, value, why)
      if not value then return reason(state, why) end
    end,
    again = function(state)
      state.second = open(state.path)
    end,
    close = function(state)
      state.second = nil
      collectgarbage()
      remove(state)
    end,
  }
end

local private = {
  name = "a private file is read",
  open = function()
    local state = { path = new_path ".key" }
    process.write(state.path, ("planted-marker-"):rep(80))
    assert(process.run { "chmod", "600", state.path } == 0)
    return state
  end,
  act = function(state) return core.read_private(state.path, 4096) end,
  judge = function(_, value, why)
    if value then return value ~= ("planted-marker-"):rep(80) and "only a part" or nil end
    if type(why) ~= "string" or planted:seen(why) then return "no reason: " .. tostring(why) end
  end,
  again = function(state)
    if core.read_private(state.path, 4096) ~= ("planted-marker-"):rep(80) then return "the next reading" end
  end,
  close = remove,
}

--- The scenarios.
---@return table[]
function M.scenarios()
  return { jsonl, trace, record, replay, private, opens("events.jsonl", healthauth.events.jsonl), opens("trace", healthauth.trace) }
end

return M
