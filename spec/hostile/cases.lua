-- SPDX-License-Identifier: MIT
-- Every hostile case, for any transport: {name, turns, expect, method, body, ...} (spec/hostile/script.lua says what each means).

local parts = { "framing", "chunks", "head", "size_time", "connection", "status", "tls" }

local cases, names = {}, {}
for _, part in ipairs(parts) do
  for _, case in ipairs(require("spec.hostile.cases." .. part)) do
    assert(not names[case.name], "two cases are named " .. case.name)
    names[case.name] = true
    case.part = part
    cases[#cases + 1] = case
  end
end

return cases
