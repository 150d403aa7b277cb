-- SPDX-License-Identifier: MIT
-- model.lua [SEED [SEQUENCES]]: random sequences against the reference model (spec/lifecycle/model.lua, reference.lua).

local model = require "spec.lifecycle.model"

local seed, sequences = tonumber(arg[1] or 1), tonumber(arg[2] or 100000)
local started = os.clock()
local ok, found = pcall(model.run, sequences, seed)
if not ok then
  print(found)
  os.exit(1)
end
print(("%s: %d sequences (seed %d), %d steps, %d requests: 0 differences; %d replays, all by explicit refreshes; %.0f s"):format(
  os.getenv "HEALTHAUTH_RUNTIME" or _VERSION, found.sequences, seed, found.steps, found.posts, found.replays, os.clock() - started))
