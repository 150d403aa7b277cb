-- SPDX-License-Identifier: MIT
-- The store suite over a real Redis from inside a real nginx: two instances with four workers each share one server.
-- The client is resty.redis or nginx.redis, whichever is installed; without one the store says so, which is tried too.

local check = require "spec.stores.check"
local nginx = require "spec.nginx.server"
local redis_server = require "spec.support.redis_server"
local suite = require "spec.stores.suite"

local yes, equal = check.yes, check.equal

local HTTP = [[
  init_by_lua_block {
    redis = require "healthauth.stores.redis"
    cases = require "spec.nginx.store_cases"
    options = { socket = "%s", username = "default", password = "main password", database = 2 }
    function harness()
      local prefix = "case " .. ngx.var.arg_n .. ":"
      local options = { socket = options.socket, username = "default", password = "main password", database = 2, prefix = prefix }
      local store = redis(options)
      for key in store:list() do store:delete(key) end
      return {
        store = redis(options), other = redis(options), new = redis, options = { socket = options.socket, prefix = prefix },
        ttl = 0.1, big = 1024 * 1024, pass = ngx.sleep,
      }
    end
    at_init = redis(options)
    at_init_value, at_init_err = nil, nil
    if at_init then at_init_value, at_init_err = at_init:load("k") end
  }
]]

local SERVER = [[
  location = /case { content_by_lua_block { cases.case(harness) } }
  location = /count { content_by_lua_block { cases.count(redis(options)) } }
  location = /do { content_by_lua_block { cases.once(redis(options)) } }
  location = /shared { content_by_lua_block { cases.once(redis { socket = options.socket, password = "main password" }) } }
  location = /strangers { content_by_lua_block { cases.once(redis { socket = options.socket }) } }
  location = /init { content_by_lua_block { ngx.print(tostring(at_init_value), " ", at_init_err and at_init_err.code or "no error") } }
  location = /tls {
    content_by_lua_block {
      local s, e = redis { host = "localhost", port = 1, tls = true }
      ngx.print(s and "a store" or e.kind .. " " .. e.code)
    }
  }
]]

-- An nginx whose Lua finds no client.
local BARE = [[ init_by_lua_block {
  for _, name in ipairs { "resty.redis", "nginx.redis" } do package.preload[name] = function() error "not here" end end
  redis = require "healthauth.stores.redis"
} ]]
local BARE_SERVER = [[
  location = /new { content_by_lua_block {
    local s, e = redis { socket = "/nowhere" }
    ngx.print(s and "a store" or e.kind .. " " .. e.code)
  } }
]]

describe("the redis store inside nginx", function()
  local server, one, two

  setup(function()
    server = redis_server.start { auth = { "-a", "main password" }, config = { 'requirepass "main password"' } }
    one = nginx.start { http = HTTP:format(server.socket), server = SERVER, workers = 4 }
    two = nginx.start { http = HTTP:format(server.socket), server = SERVER, workers = 4 }
  end)
  teardown(function()
    if two then two:stop() end
    if one then one:stop() end
    if server then server:stop() end
  end)

  it("says that it has no client, and never takes the blocking one", function()
    local bare = nginx.start { http = BARE, server = BARE_SERVER, workers = 1 }
    local answer = bare:text "/new"
    bare:stop()
    equal("unsupported no_redis_client", answer)
  end)

  describe("as every store", function()
    for n, case in ipairs(suite) do
      it(case[1], function() equal("ok", (one:text("/case?n=" .. n))) end)
    end
  end)

  it("says that Debian's client cannot do TLS, and connects nowhere without it", function()
    equal("unsupported tls_unsupported", (one:text "/tls"))
  end)

  it("says in a phase without cosockets that it cannot be reached", function()
    equal("nil store_unavailable", (one:text "/init"))
  end)

  it("loses no increment between two instances", function()
    yes((one:text "/do?what=save&key=c&record=0"):find("-", 1, true))
    local pipes = {}
    for i = 1, 8 do
      local port = (i % 2 == 0 and one or two).port
      pipes[i] = assert(io.popen("curl -s --max-time 60 'http://127.0.0.1:" .. port .. "/count?key=c&times=50'", "r"))
    end
    for _, pipe in ipairs(pipes) do
      local body = pipe:read("*a")
      pipe:close()
      yes(body:match("^%d+ %d+$"), body)
    end
    equal("400", (two:text "/do?what=load&key=c"))
  end)

  it("gives one lease between two instances", function()
    yes((one:text "/do?what=acquire&key=l&ttl=30"):find("^lease"))
    equal("false", (two:text "/do?what=acquire&key=l&ttl=30"))
  end)

  it("never lends an authenticated connection to another user or database", function()
    yes((one:text "/do?what=save&key=own&record=r"):find("-", 1, true))
    for _ = 1, 8 do
      equal("r", (one:text "/do?what=load&key=own"))
      equal("nil", (one:text "/shared?what=load&key=own"))
      equal("error store_denied", (one:text "/strangers?what=load&key=own"))
    end
  end)

  it("works again after the server was stopped and started", function()
    server:down()
    equal("error store_unavailable", (one:text "/do?what=load&key=k"))
    equal("error store_unavailable", (one:text "/do?what=acquire&key=k&ttl=1"))
    server:up()
    for _, instance in ipairs { one, two } do
      yes((instance:text "/do?what=save&key=k&record=r"):find("-", 1, true))
      equal("r", (instance:text "/do?what=load&key=k"))
    end
  end)
end)
