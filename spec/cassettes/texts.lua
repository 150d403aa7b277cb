-- SPDX-License-Identifier: MIT
-- What must hold for every text that an error shows: well-formed UTF-8, nothing that moves a cursor or turns the writing round,
-- at most 512 bytes.

local assert = require "luassert"

-- Pushes every string in value, keys too, through visit.
local function each(value, visit)
  if type(value) == "string" then
    visit(value)
  elseif type(value) == "table" then
    for k, v in pairs(value) do
      each(k, visit)
      each(v, visit)
    end
  end
end

-- Code points of well-formed UTF-8, or nil.
local function code_points(text)
  local points, i = {}, 1
  while i <= #text do
    local a = text:byte(i)
    local more = a < 0x80 and 0 or a >= 0xF0 and a < 0xF5 and 3 or a >= 0xE0 and a < 0xF0 and 2 or a >= 0xC2 and a < 0xE0 and 1
    if not more then return nil end
    local point = more == 0 and a or a % 2 ^ (6 - more)
    for k = 1, more do
      local b = text:byte(i + k)
      if not b or b < 0x80 or b > 0xBF then return nil end
      point = point * 64 + b - 0x80
    end
    points[#points + 1] = point
    i = i + more + 1
  end
  return points
end

local function hostile(point)
  return point < 0x20 or (point >= 0x7F and point <= 0x9F) or point == 0x61C or point == 0x200E or point == 0x200F
    or (point >= 0x202A and point <= 0x202E) or (point >= 0x2066 and point <= 0x2069)
end

local function assert_clean(text, where)
  assert.is_true(#text <= 512, where .. " is longer than 512 bytes")
  local points = code_points(text)
  assert.is_truthy(points, where .. " is not UTF-8")
  for _, point in ipairs(points) do
    assert.is_false(hostile(point), ("%s holds U+%04X"):format(where, point))
  end
end

return { assert_clean = assert_clean, each = each }
