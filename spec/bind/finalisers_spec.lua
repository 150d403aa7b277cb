-- SPDX-License-Identifier: MIT
-- A finaliser of the program's runs wherever memory is asked for, also inside a call of ours. Whatever it closes there, the call gives its
-- whole result or raises; under the sanitizers (make asan) it reads nothing that was given back. The cases are in finalisers.lua.

local finalisers = require "spec.bind.finalisers"
local process = require "spec.support.process"
local redis_server = require "spec.support.redis_server"

describe("a finaliser", function()
  local said, ended = {}, nil

  setup(function()
    local folder, server = process.folder(), redis_server.start()
    local status, out, err = process.run { process.runtime, "spec/bind/finalisers.lua", folder, server.socket }
    server:stop()
    process.remove(folder)
    for name, what in out:gmatch "([^\t\n]+)\t([^\n]*)" do said[name] = what end
    ended = status .. err
  end)

  for _, name in ipairs(finalisers.names) do
    it(name, function() assert.equal("fine", said[name] or ended) end)
  end

  it("makes no program end early", function() assert.equal("0", ended) end)
end)
