-- SPDX-License-Identifier: MIT
--- status(): one small page for the owner: sessions by fingerprint, expiry, last outcome, last errors, refreshes of the last hour. Nothing
-- in it comes from elsewhere, no script, no secret; every text is escaped. metrics(): the counters for Prometheus.

local answer = require "healthauth.nginx.answer"
local chart = require "healthauth.nginx.chart"
local metrics = require "healthauth.nginx.metrics"
local options = require "healthauth.nginx.options"

local PHASES = { content = true }
local ROWS = 100
local SOON = 60 -- seconds
local PILLS = {
  issued = "good", refreshed = "good", joined = "good", called = "good", logged_out = "", served_stale = "warn", store_trouble = "bad",
  refused = "bad",
}

local M = {}
local escape = answer.escape

local function need_dict(who)
  if not metrics.dict then options.refuse(who, 'write hn.init { dict = "NAME" } into init_by_lua, with a zone of that name', 4) end
end

local function span(seconds)
  if seconds < 120 then return math.floor(seconds) .. " s" end
  if seconds < 7200 then return math.floor(seconds / 60) .. " min" end
  return math.floor(seconds / 3600) .. " h"
end

local function ago(time)
  return span(math.max(0, ngx.time() - time)) .. " ago"
end

local function pill(class, text)
  return '<span class="pill ' .. class .. '">' .. escape(text) .. "</span>"
end

local function code(text)
  return text == "-" and "" or "<code>" .. escape(text) .. "</code>"
end

local function count(number)
  local text, more = ("%.0f"):format(number), 1
  while more > 0 do text, more = text:gsub("^(%d+)(%d%d%d)", "%1\226\128\175%2") end
  return text
end

-- A table of rows that are HTML already, the newest first: each row's last member is its time.
local function rows(heads, list, nothing)
  if #list == 0 then return '<p class="soft">' .. nothing .. "</p>" end
  table.sort(list, function(a, b) return a[#a] > b[#b] end)
  local out = { '<div class="scroll"><table><tr><th>' .. table.concat(heads, "</th><th>") .. "</th></tr>" }
  for i, row in ipairs(list) do
    if i > ROWS then
      out[#out + 1] = '<tr><td class="soft">and ' .. (#list - ROWS) .. " more</td></tr>"
      break
    end
    row[#row] = ago(row[#row])
    out[#out + 1] = "<tr><td>" .. table.concat(row, "</td><td>") .. "</td></tr>"
  end
  return table.concat(out, "\n") .. "</table></div>"
end

local function life(expires, has_token)
  if not expires then return '<span class="soft">' .. (has_token and "unknown" or "none") .. "</span>" end
  local left = expires - ngx.time()
  if left <= 0 then return pill("bad", "expired " .. ago(expires)) end
  return pill(left < SOON and "warn" or "good", "in " .. span(left))
end

local function sessions(all)
  local list = {}
  for key, value in next, all.k do
    local provider, event, operation, why, time = value:match "^(%S+) (%S+) (%S+) (%S+) (%d+)$"
    if provider then
      local has_token = event ~= "logged_out" and not (event == "refused" and operation == "exchange")
      list[#list + 1] = { code(key), escape(provider), life(all.x[key], has_token), pill(PILLS[event] or "", event:gsub("_", " ")) .. " "
        .. escape(operation:gsub("_", " ")), code(why), tonumber(time) }
    end
  end
  return #list, rows({ "session", "provider", "token expires", "last outcome", "code", "when" }, list, "No session has been used yet.")
end

local function errors(all)
  local list, sum = {}, 0
  for name, time in next, all.e do
    local provider, operation, kind, why = name:match "^(%S+) (%S+) (%S+) (%S+)$"
    if provider then
      local times = all.c[metrics.error_series(provider, operation, kind, why)] or 1
      sum = sum + times
      list[#list + 1] = { escape(provider), escape(operation:gsub("_", " ")), escape(kind), code(why), count(times), time }
    end
  end
  return sum, rows({ "provider", "operation", "kind", "code", "times", "last seen" }, list, "None. Nothing went wrong in the last day.")
end

local function history(all)
  local last = math.floor(ngx.time() / 60) * 60
  local counts, good, bad = {}, 0, 0
  for i = 1, chart.MINUTES do
    local minute = last - (chart.MINUTES - i) * 60
    counts[i] = { all.r[minute .. ":ok"] or 0, all.r[minute .. ":failed"] or 0 }
    good, bad = good + counts[i][1], bad + counts[i][2]
  end
  local words = ("%d refreshes went well and %d failed in the last hour."):format(good, bad)
  return good, bad, chart.draw(counts, last, words) .. '<p class="soft">' .. words .. " Each bar is a minute, times are UTC.</p>"
end

-- Requests at guards: how many, and a line about them.
local function guards(all)
  local sum, passed, cached = 0, 0, 0
  for name, times in next, all.c do
    local verdict, how = name:match '^healthauth_verify_total{verdict="(%a+)",cache="(%a+)"}$'
    if verdict then
      sum = sum + times
      if verdict == "valid" then passed = passed + times end
      if how == "hit" or how == "joined" then cached = cached + times end
    end
  end
  if sum == 0 then return 0, "no request at a guard yet" end
  return sum, ("%d %% passed, %d %% without asking the provider"):format(passed / sum * 100 + 0.5, cached / sum * 100 + 0.5)
end

local function card(number, title, line)
  return "<section><h2>" .. title .. "</h2><b>" .. number .. '</b><span class="soft">' .. line .. "</span></section>"
end

--- Content handler of the status page. Show it to the owner only (allow 127.0.0.1; deny all;).
M.status = options.handler("status", PHASES, function()
  return function()
    need_dict "status"
    local all = metrics.all()
    local seen, session_rows = sessions(all)
    local wrong, error_rows = errors(all)
    local good, bad, picture = history(all)
    local asked, how = guards(all)
    return answer.page(200, "healthauth", '<p class="soft">' .. ngx.worker.count() .. " workers of nginx, as of "
      .. os.date("!%Y-%m-%d %H:%M:%S UTC", ngx.time()) .. '</p><div class="cards">'
      .. card(count(asked), "Guarded requests", how)
      .. card(count(seen), "Sessions", "with an event in the last day")
      .. card(count(good), "Refreshes", count(bad) .. " failed, both in the last hour")
      .. card(count(wrong), "Errors", "that a handler met; counted since the start") .. "</div>"
      .. "<section><h2>Refreshes</h2>" .. picture .. "</section>\n<section><h2>Sessions</h2>" .. session_rows
      .. "</section>\n<section><h2>Errors</h2>" .. error_rows .. "</section>\n"
      .. '<p class="soft">Sessions are shown by fingerprint. No token, key or name is on this page.</p>', nil, "wide")
  end
end)

--- Content handler of the metrics.
M.metrics = options.handler("metrics", PHASES, function()
  return function()
    need_dict "metrics"
    return answer.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text())
  end
end)

return M
