-- SPDX-License-Identifier: MIT
--- The counters of metrics.lua in the text format of Prometheus.

local M = {}

local HELP = {
  healthauth_events_total = { "counter", "What happened to tokens: issued, refreshed, joined, served_stale, refused, verified, ..." },
  healthauth_verify_total = { "counter", "Requests at a guard, by verdict and by how it was come by." },
  healthauth_errors_total = { "counter", "Errors, by provider, operation, kind and code." },
  healthauth_cache_evictions_total = { "counter", "Verdicts that the zone had to drop for others: it is too small." },
  healthauth_provider_seconds = { "histogram", "Time that the provider took to answer." },
  healthauth_lock_wait_seconds = { "histogram", "Time that a request waited for what another was asking: a verdict, a refresh." },
  healthauth_seconds_to_expiry = { "gauge", "Life left in the access token of a session, by fingerprint." },
}

local function sorted(of)
  local out = {}
  for name, value in next, of do out[#out + 1] = { name, value } end
  table.sort(out, function(a, b) return a[1] < b[1] end)
  return out
end

local function shown(number)
  return number % 1 == 0 and string.format("%.0f", number) or string.format("%.6f", number)
end

local function with(labels, more)
  if labels == "" then return "{" .. more .. "}" end
  return labels:sub(1, -2) .. "," .. more .. "}"
end

-- name -> list of lines
local function histograms(lines, all, buckets)
  local found = {}
  for _, pair in ipairs(sorted(all.h)) do
    local series, bucket = pair[1]:match "^(.-) (%S+)$"
    found[series] = found[series] or {}
    found[series][bucket] = pair[2]
  end
  for _, one in ipairs(sorted(found)) do
    local series, counts = one[1], one[2]
    local name, labels = series:match "^([%w_]+)(.*)$"
    local out, total = lines[name] or {}, 0
    for _, most in ipairs(buckets) do
      total = total + (counts[tostring(most)] or 0)
      out[#out + 1] = name .. "_bucket" .. with(labels, 'le="' .. most .. '"') .. " " .. shown(total)
    end
    total = total + (counts["+Inf"] or 0)
    out[#out + 1] = name .. "_bucket" .. with(labels, 'le="+Inf"') .. " " .. shown(total)
    out[#out + 1] = name .. "_sum" .. labels .. " " .. shown(all.s[series] or 0)
    out[#out + 1] = name .. "_count" .. labels .. " " .. shown(total)
    lines[name] = out
  end
end

--- The text of all that metrics.all() tells.
---@param all table
---@param buckets number[]
---@return string
function M.text(all, buckets)
  local lines = {}
  for _, pair in ipairs(sorted(all.c)) do
    local name = pair[1]:match "^[%w_]+"
    lines[name] = lines[name] or {}
    lines[name][#lines[name] + 1] = pair[1] .. " " .. shown(pair[2])
  end
  histograms(lines, all, buckets)
  for _, pair in ipairs(sorted(all.x)) do
    local name = "healthauth_seconds_to_expiry"
    lines[name] = lines[name] or {}
    lines[name][#lines[name] + 1] = name .. '{key="' .. pair[1] .. '"} ' .. shown(pair[2] - ngx.time())
  end
  local names, out = {}, {}
  for name in next, lines do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local help = HELP[name] or { "untyped", "" }
    out[#out + 1] = "# HELP " .. name .. " " .. help[2] .. "\n# TYPE " .. name .. " " .. help[1]
    out[#out + 1] = table.concat(lines[name], "\n")
  end
  return table.concat(out, "\n") .. "\n"
end

return M
