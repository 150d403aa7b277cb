-- SPDX-License-Identifier: MIT
--- status(): one small page for the owner: sessions by fingerprint, expiry, last outcome, last errors, refreshes of the last hour. Nothing
-- in it comes from elsewhere, no script, no secret; every text is escaped. metrics(): the counters for Prometheus.

local answer = require "healthauth.nginx.answer"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local PHASES = { content = true }
local MINUTES, WIDTH, HEIGHT = 60, 600, 80
local ROWS = 100

local M = {}
local escape = answer.escape

local function need_dict(who)
  if not metrics.dict then options.refuse(who, 'write hn.init { dict = "NAME" } into init_by_lua, with a zone of that name', 4) end
end

local function ago(time)
  local seconds = math.max(0, ngx.time() - time)
  if seconds < 120 then return seconds .. " s ago" end
  if seconds < 7200 then return math.floor(seconds / 60) .. " min ago" end
  return math.floor(seconds / 3600) .. " h ago"
end

local function rows(heads, list)
  if #list == 0 then return "<p>None yet.</p>" end
  local out = { "<table><tr><th>" .. table.concat(heads, "</th><th>") .. "</th></tr>" }
  for i, row in ipairs(list) do
    if i > ROWS then
      out[#out + 1] = "<tr><td>and " .. (#list - ROWS) .. " more</td></tr>"
      break
    end
    for n, cell in ipairs(row) do row[n] = "<td>" .. escape(cell) .. "</td>" end
    out[#out + 1] = "<tr>" .. table.concat(row) .. "</tr>"
  end
  return table.concat(out, "\n") .. "</table>"
end

local function sessions_table()
  local expiry, list = {}, {}
  for _, pair in ipairs(metrics.list "x") do expiry[pair[1]] = pair[2] end
  for _, pair in ipairs(metrics.list "k") do
    local provider, event, operation, code, time = pair[2]:match "^(%S+) (%S+) (%S+) (%S+) (%d+)$"
    if provider then
      local expires = expiry[pair[1]]
      local left = not expires and "unknown" or expires > ngx.time() and "in " .. math.floor(expires - ngx.time()) .. " s" or "expired"
      list[#list + 1] = { pair[1], provider, left, event .. " (" .. operation .. ")", code, ago(tonumber(time)), tonumber(time) }
    end
  end
  table.sort(list, function(a, b) return a[7] > b[7] end)
  for _, row in ipairs(list) do row[7] = nil end
  return rows({ "session", "provider", "expires", "last outcome", "code", "when" }, list)
end

local function errors_table()
  local list = {}
  for _, pair in ipairs(metrics.list "e") do
    local provider, operation, kind, code = pair[1]:match "^(%S+) (%S+) (%S+) (%S+)$"
    if provider then list[#list + 1] = { provider, operation, kind, code, ago(pair[2]), pair[2] } end
  end
  table.sort(list, function(a, b) return a[6] > b[6] end)
  for _, row in ipairs(list) do row[6] = nil end
  return rows({ "provider", "operation", "kind", "code", "last seen" }, list)
end

-- Refreshes by the minute: good ones dark, failed ones red, on top of each other.
local function history()
  local now = math.floor(ngx.time() / 60) * 60
  local counts, most, good_total, bad_total = {}, 1, 0, 0
  for i = 1, MINUTES do
    local minute = now - (MINUTES - i) * 60
    local good, bad = metrics.dict:get("r:" .. minute .. ":ok") or 0, metrics.dict:get("r:" .. minute .. ":failed") or 0
    counts[i] = { good, bad }
    most = math.max(most, good + bad)
    good_total, bad_total = good_total + good, bad_total + bad
  end
  local step, out = WIDTH / MINUTES, {}
  local function bar(i, from, count, colour)
    local height = count / most * (HEIGHT - 4)
    if count > 0 then
      out[#out + 1] = ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>'):format(
        (i - 1) * step, HEIGHT - from - height, step - 2, height, colour)
    end
    return from + height
  end
  for i, pair in ipairs(counts) do bar(i, bar(i, 1, pair[1], "#276"), pair[2], "#c33") end
  local words = ("%d refreshes and %d failures in the last hour, at most %d a minute"):format(good_total, bad_total, most)
  return ('<svg role="img" width="%d" height="%d" viewBox="0 0 %d %d"><title>%s</title>'):format(WIDTH, HEIGHT, WIDTH, HEIGHT, words)
    .. ('<line x1="0" y1="%d" x2="%d" y2="%d" stroke="#999"/>'):format(HEIGHT - 1, WIDTH, HEIGHT - 1)
    .. table.concat(out) .. "</svg><p>" .. words .. ".</p>"
end

--- Content handler of the status page. Show it to the owner only (allow 127.0.0.1; deny all;).
---@type fun(): any
M.status = options.handler("status", PHASES, function()
  return function()
    need_dict "status"
    return answer.page(200, "healthauth", "<h2>Sessions</h2>\n" .. sessions_table() .. "\n<h2>Refreshes</h2>\n" .. history()
      .. "\n<h2>Errors</h2>\n" .. errors_table())
  end
end)

--- Content handler of the metrics.
---@type fun(): any
M.metrics = options.handler("metrics", PHASES, function()
  return function()
    need_dict "metrics"
    return answer.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text())
  end
end)

return M
