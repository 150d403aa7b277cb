-- SPDX-License-Identifier: MIT
-- The scripts that make a swap, a lease and its release one step for the server. They run inside Redis, not here.
-- Each new number is above the server's counter and above the highest one that this client has seen: a server that came back with
-- older data (fail-over, restored copy) never hands one out twice; the random id makes two equal numbers different versions.

local NEXT = [[
local function next_number(counter, floor)
  local n = redis.call('INCR', counter)
  floor = tonumber(floor)
  if n <= floor then
    n = floor + 1
    redis.call('SET', counter, string.format('%.0f', n))
  end
  return string.format('%.0f', n)
end
]]

-- KEYS record, counter; ARGV expected version or '', record, id, floor
local SAVE = NEXT .. [[
local current = redis.call('HGET', KEYS[1], 'v')
if not current and redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('WRONGTYPE not a record') end
if (current or '') ~= ARGV[1] then return false end
local version = next_number(KEYS[2], ARGV[4]) .. '-' .. ARGV[3]
redis.call('HSET', KEYS[1], 'v', version, 'r', ARGV[2])
return version
]]

-- KEYS lease, counter; ARGV id, milliseconds, floor
local ACQUIRE = NEXT .. [[
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return next_number(KEYS[2], ARGV[3])
]]

-- KEYS lease; ARGV id
local RELEASE = [[
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
]]

-- KEYS counter; ARGV floor: a counter that fell behind is brought up to what clients have seen
local LIFT = [[
if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
]]

return { lift = LIFT, save = SAVE, acquire = ACQUIRE, release = RELEASE }
