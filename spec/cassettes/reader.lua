-- SPDX-License-Identifier: MIT
-- Reads every cassette below this folder. They are data: each is loaded with an empty environment.

local lfs = require "lfs"

local HERE = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"

local function sorted_list(folder, suffix)
  local found = {}
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= "." and (not suffix or name:sub(-#suffix) == suffix) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

local function load_data(path)
  local chunk
  if setfenv then -- luacheck: ignore 113
    chunk = setfenv(assert(loadfile(path)), {}) -- luacheck: ignore 113
  else
    chunk = assert(loadfile(path, "t", {}))
  end
  return chunk()
end

local cassettes = {}
for _, folder in ipairs(sorted_list(HERE)) do
  if lfs.attributes(HERE .. "/" .. folder, "mode") == "directory" then
    for _, file in ipairs(sorted_list(HERE .. "/" .. folder, ".lua")) do
      local path = folder .. "/" .. file
      cassettes[#cassettes + 1] = { path = path, data = load_data(HERE .. "/" .. path) }
    end
  end
end

return cassettes
