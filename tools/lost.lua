-- SPDX-License-Identifier: MIT
-- lost.lua [SEED [COUNT]]: answers of a PKB refresh lost at random byte offsets. See spec/lifecycle/lost.lua.

local lost = require "spec.lifecycle.lost"

local seed, count = tonumber(arg[1] or 1), tonumber(arg[2] or 10000)
local found = lost.run(count, seed)
print(("%s: %d answers lost (seed %d): %d automatic resends, %d replays seen by the server"):format(
  os.getenv "HEALTHAUTH_RUNTIME" or _VERSION, found.lost, seed, found.resends, found.replays))
os.exit(found.resends == 0 and found.replays == 0 and found.lost == count)
