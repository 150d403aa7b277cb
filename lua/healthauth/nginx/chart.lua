-- SPDX-License-Identifier: MIT
--- Refreshes by the minute as an inline SVG: good ones below, failed ones on top of them. No number in it comes from outside.

local MINUTES = 60
local WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 170, 34, 22, 10
local BAR = '<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5"><title>%s UTC: %d %s</title></rect>'

local M = { MINUTES = MINUTES }

local function clock(time)
  return os.date("!%H:%M", time)
end

-- Lines and numbers behind the bars.
local function frame(out, most, last)
  local base = HEIGHT - BOTTOM
  local function level(count)
    local y = base - count / most * (base - TOP)
    out[#out + 1] = ('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%d</text>'):format(
      LEFT, y, WIDTH, y, LEFT - 6, y + 4, count)
  end
  level(0)
  level(most)
  if most % 2 == 0 then level(most / 2) end
  for back = MINUTES - 15, 0, -15 do
    local x = WIDTH - (back + 0.5) * (WIDTH - LEFT) / MINUTES
    out[#out + 1] = ('<text x="%.1f" y="%d" text-anchor="%s">%s</text>'):format(x, HEIGHT - 5, back == 0 and "end" or "middle",
      back == 0 and "now" or clock(last - back * 60))
  end
end

--- The picture.
---@param counts number[][]  for each minute { good, failed }, the oldest first
---@param last number        when the last minute began, unix seconds
---@param words string       what it shows, in a sentence without markup
---@return string
function M.draw(counts, last, words)
  local most, base, out = 1, HEIGHT - BOTTOM, {}
  for _, pair in ipairs(counts) do most = math.max(most, pair[1] + pair[2]) end
  if most > 1 and most % 2 == 1 then most = most + 1 end
  frame(out, most, last)
  local step = (WIDTH - LEFT) / MINUTES
  for i, pair in ipairs(counts) do
    local x, y = LEFT + (i - 1) * step, base
    for n, class in ipairs { "ok", "failed" } do
      local height = pair[n] / most * (base - TOP)
      y = y - height
      if pair[n] > 0 then
        out[#out + 1] = BAR:format(class, x + 1.5, y, step - 3, height, clock(last - (MINUTES - i) * 60), pair[n], class)
      end
    end
  end
  return ('<svg role="img" viewBox="0 0 %d %d"><title>%s</title>%s</svg>'):format(WIDTH, HEIGHT, words, table.concat(out))
end

return M
