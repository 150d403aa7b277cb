-- SPDX-License-Identifier: MIT
-- The cases of finalisers_spec.lua. They collect garbage at every allocation, so they run in a program of their own, which holds little:
-- finalisers.lua FOLDER SOCKET prints a line "name<tab>fine", or what was wrong, for each.

local core = require "healthauth.core"
local healthauth = require "healthauth"

local JSON = { { "Content-Type", "application/json" } }
local GRANTED = '{"access_token":"new-token","token_type":"bearer","expires_in":9,"refresh_token":"new-refresh","more":[1,"x"]}'
local REFUSED = '{"error":{"type":"x","message":"client-secret extra-header","invalid":[{"client-psk":"client-psk"}]}}'
local COLLECTIONS = 100 -- more than any of these calls can have
local old = _VERSION == "Lua 5.1"

-- Calls act(value) again and again, with hit(value) at the first collection in it, at the second, ... Each time check says what is fine.
local function at_every_collection(make, act, hit, check)
  local hits, nth = 0, 1
  while nth <= COLLECTIONS do
    local value, count, done = make(), 0, false
    collectgarbage()
    local pause, step, mode = collectgarbage("setpause", 0), collectgarbage("setstepmul", old and 100000000 or 1000), nil
    if not old then mode = collectgarbage("incremental", 10, 1000, 30) end
    local function restore() -- within a finaliser Lua 5.4 takes no such order
      if mode then collectgarbage(mode) end
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", step)
    end
    local function finaliser()
      count = count + 1
      if done then return end
      if count > nth then
        done = true
        hits = hits + 1
        hit(value)
        restore()
      elseif old then
        getmetatable(rawget(_G, "newproxy")(true)).__gc = finaliser
      else
        setmetatable({}, { __gc = finaliser })
      end
    end
    collectgarbage("stop")
    finaliser()
    collectgarbage("restart") -- from here every allocation collects
    local good, a, b = pcall(act, value)
    local was_hit = done
    done = true
    restore()
    check(good, a, b)
    if not was_hit then break end
    nth = nth + 1
  end
  assert(hits > 0, "nothing was collected")
end

local function close(value) value.session:close() end

local function session(provider, options)
  local given = {
    base_url = "http://localhost", client_id = "client-id", headers = { ["X-Extra"] = "extra-header" },
    tokens = { access_token = ("a"):rep(5000), refresh_token = ("r"):rep(40), scope = "s", extra = { x = ("x"):rep(5000) } },
  }
  for name, value in pairs(options) do given[name] = value end
  return { session = healthauth[provider](given) }
end

local function pkb() return session("pkb", { redirect_uri = "https://me.example/", proxy = "http://u:pass@localhost:9" }) end
local function pkb_system() return session("pkb_system", { client_secret = "client-secret" }) end
local function ehealth() return session("ehealth", { client_secret = "client-secret", api_key = "client-key", psk = "client-psk" }) end

local function begun(make, operation, args)
  return function()
    local value = make()
    args.now = 1
    value.exchange = assert(value.session:begin(operation, args))
    return value
  end
end

local function finish(body, status)
  return function(value) return value.exchange:finish { status = status, headers = JSON, body = body } end
end

local function export(value) return core.inside.export(value.session) end

local CALLS = { -- name, what it is called on, the call, what comes of it where nothing was closed
  { "a refresh is begun", ehealth, function(value) return value.session:begin "refresh" end,
    function(it) return it:request().body end },
  { "an exchange with HTTP Basic is begun", pkb_system, function(value) return value.session:begin "exchange" end,
    function(it) return it:request().headers end },
  { "a call is begun", pkb, function(value) return value.session:begin("call", { url = "/x", headers = { A = "carried-value" } }) end,
    function(it) return it:request().headers end },
  { "an authorize URL is made", pkb, function(value) return core.authorize_url(value.session, {}) end,
    function(it) return it:match "state=" end },
  { "a request is shown", begun(pkb, "refresh", {}), function(value) return value.exchange:request() end,
    function(it) return it.proxy end },
  { "tokens are granted", begun(pkb, "refresh", {}), finish(GRANTED, 200), function(it) return it.extra.more end },
  { "tokens are copied", pkb, function(value) return value.session:tokens() end, function(it) return it.refresh_token and it.extra.x end },
  { "tokens are exported", pkb, export, function(it) return it.refresh_token and it.extra.x end },
  { "a token is asked for", pkb, function(value) return core.inside.ready(value.session, 5) end,
    function(it) return it == ("a"):rep(5000) end },
  { "a session is told apart", pkb, function(value) return { core.inside.identity(value.session) } end,
    function(it) return it[3] == "client-id" end },
  { "tokens are adopted", pkb, function(value) return core.inside.adopt(value.session, { access_token = "x" }) end,
    function(it) return it == true end },
}

local M = { names = {} }
local cases = {}

local function case(name, run)
  M.names[#M.names + 1] = name
  cases[name] = run
end

local function matches(pattern, text) assert(tostring(text):find(pattern), "got: " .. tostring(text)) end

for _, it in ipairs(CALLS) do
  local name, make, act, whole = it[1], it[2], it[3], it[4]
  case("that closes the session while " .. name .. " makes the call raise, or leaves it whole", function()
    at_every_collection(make, act, close, function(good, a, b)
      if good and a ~= nil then assert(whole(a), "not whole")
      elseif good then assert(b == nil, tostring(b)) -- a token that was taken away
      else matches("the session is closed", a) end
    end)
  end)
end

case("that closes the session while an answer is judged makes that raise: what hides the secrets is gone", function()
  local function lost(value) return value.exchange:fail { message = "client-secret client-psk" } end
  for _, act in ipairs { finish(REFUSED, 401), lost } do
    at_every_collection(begun(ehealth, "refresh", {}), act, close, function(good, a, b)
      if good then assert(not tostring(b):find "client%-", tostring(b))
      else matches("the session is closed", a) end
    end)
  end
end)

case("that ends the exchange while it is shown or judged leaves the session's tokens", function()
  local kept
  local function make() return begun(pkb, "refresh", {})() end
  local function ended(value)
    value.exchange:fail {}
    kept = value.session:tokens()
  end
  for _, act in ipairs { finish(GRANTED, 200), function(value) return value.exchange:request() end } do
    at_every_collection(make, act, ended, function(good, a)
      if not good then matches("the exchange is finished", a) end
      assert(kept == nil or #kept.access_token > 0, "the tokens are gone")
    end)
  end
end)

case("that forgets the tokens while one is asked for reads nothing that was given back", function()
  local function forget(value) core.inside.forget(value.session) end
  at_every_collection(pkb, function(value) return core.inside.valid(value.session, 5) end, forget, function(good, token)
    assert(good and (token == nil or token == ("a"):rep(5000)), "another token")
  end)
end)

case("that closes a response reader while its response is copied leaves the copy whole", function()
  local function make()
    local reader = core.http1_reader { method = "GET" }
    assert(reader:feed("HTTP/1.1 200 OK\r\nContent-Length: 300\r\nX: y\r\n\r\n" .. ("b"):rep(300)) == "done")
    return reader
  end
  local function response(reader) return reader:response() end
  at_every_collection(make, response, function(reader) reader:close() end, function(good, it)
    if good then assert(it.body == ("b"):rep(300) and it.headers[2][2] == "y", "not whole")
    else matches("the reader is closed", it) end
  end)
end)

case("that uses or closes a SQLite file while a record is read from it leaves the record whole", function()
  local sqlite = require "healthauth.sqlite"
  for _, hit in ipairs { function(file) file:load "other" end, function(file) file:close() end } do
    local function make()
      local file = assert(sqlite.open(arg[1] .. "/s.db", 1000))
      if not file:load "key" then assert(file:save("key", ("k"):rep(300), nil, "id")) end
      return file
    end
    at_every_collection(make, function(file) return file:load "key" end, hit, function(good, record, version)
      if not good then matches("is closed", record)
      elseif record then assert(record == ("k"):rep(300) and version == "1-id", "not whole")
      else assert(version == "store_unavailable", version) end
    end)
  end
end)

case("that uses or closes a Redis connection while a reply is read from it leaves the reply whole", function()
  local hiredis = require "healthauth.hiredis"
  local function make()
    local connection = hiredis.new()
    assert(connection:connect_unix(arg[2], 20000))
    assert(connection:command(20000, "SET", "key", ("k"):rep(300)))
    return connection
  end
  for _, hit in ipairs { function(it) it:command(20000, "PING") end, function(it) it:close() end } do
    at_every_collection(make, function(it) return it:command(20000, "MGET", "key", "none", "key") end, hit, function(good, reply, why)
      assert(good, reply)
      if reply then assert(#reply == 3 and reply[1] == ("k"):rep(300) and reply[2] == false and reply[3] == reply[1], "not whole")
      else assert(why == "unsent", why) end
    end)
  end
end)

if arg and arg[0]:find "finalisers%.lua$" then
  for _, name in ipairs(M.names) do
    local good, why = pcall(cases[name])
    print(name .. "\t" .. (good and "fine" or tostring(why)))
  end
end

return M
