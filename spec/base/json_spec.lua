-- SPDX-License-Identifier: MIT
-- The judge and lua-cjson together: what the judge lets through, lua-cjson builds; what it stops never gets there.
-- The texts are those of spec/corpus/json.txt, which test/json_agree.py holds against another parser.

local cjson = require "cjson"
local core = require "healthauth.core"

local ROOT = debug.getinfo(1, "S").source:match "^@(.-)spec/base/json_spec%.lua$" or ""
local LIMITS = { depth = 32 }
local NAMED = { ["\\"] = "\\", n = "\n", r = "\r", t = "\t" }

local function unescape(text)
  text = text:gsub("\\x(%x%x)", "\0%1"):gsub("\\(.)", NAMED)
  return (text:gsub("%z(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function read_corpus()
  local rows = {}
  for line in io.lines(ROOT .. "spec/corpus/json.txt") do
    local word, text = line:match "^(%l[%l%d]*) ?(.*)$"
    if word then rows[#rows + 1] = { verdict = word, line = line, text = unescape(text) } end
  end
  return rows
end

-- false is a value, so only the second result tells a refusal.
local function refusal(text)
  local value, code = core.json_decode(text, LIMITS)
  if code == nil then
    assert.is_not_nil(value)
    return nil
  end
  assert.is_nil(value)
  assert.is_string(code)
  return code
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b or (type(a) == "number" and type(b) == "number" and math.abs(a - b) <= math.abs(a) * 1e-13)
  end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

describe("JSON", function()
  local corpus = read_corpus()
  local plain = cjson.new()
  plain.decode_max_depth(1000)

  it("has a corpus with every verdict in it", function()
    local seen = {}
    for _, row in ipairs(corpus) do seen[row.verdict] = (seen[row.verdict] or 0) + 1 end
    assert.is_true(#corpus >= 320)
    for _, verdict in ipairs { "fine", "syntax", "utf8", "duplicate", "number", "depth" } do
      assert.is_true((seen[verdict] or 0) >= 5, verdict)
    end
  end)

  it("is accepted and refused as the corpus says", function()
    for _, row in ipairs(corpus) do
      assert.equal(row.verdict == "fine", refusal(row.text) == nil, row.line)
    end
  end)

  it("tells a duplicate name from what is no JSON", function()
    for _, row in ipairs(corpus) do
      if row.verdict == "duplicate" then assert.equal("duplicate_key", refusal(row.text), row.line) end
      if row.verdict == "syntax" or row.verdict == "utf8" then assert.equal("not_json", refusal(row.text), row.line) end
    end
  end)

  it("is never let through to a lua-cjson that would not take it", function()
    for _, row in ipairs(corpus) do
      if row.verdict == "fine" then assert.is_true((pcall(plain.decode, row.text)), row.line) end
    end
  end)

  it("becomes the value that lua-cjson builds", function()
    for _, row in ipairs(corpus) do
      if row.verdict == "fine" then
        local value = core.json_decode(row.text, LIMITS)
        assert.is_true(same(plain.decode(row.text), value), row.line)
      end
    end
  end)

  it("is stopped where lua-cjson alone is too kind", function()
    local cases = { '{"a":1}\0garbage', "1.", "1e999", '"\1"', '"\255"', '{"a":1,"a":2}', "NaN", "0x10" }
    for _, text in ipairs(cases) do
      assert.is_string(refusal(text), text)
    end
  end)

  it("is bounded in depth", function()
    local cases = {
      { "1", 1, nil }, { "{}", 1, nil }, { "[[]]", 2, nil }, { "[[]]", 1, "json_depth" },
      { '{"a":[1]}', 1, "json_depth" },
    }
    for _, case in ipairs(cases) do
      local value, code = core.json_decode(case[1], { depth = case[2] })
      assert.equal(case[3], code, case[1])
      assert.equal(case[3] == nil, value ~= nil, case[1])
    end
  end)

  it("is bounded in the number of members and elements", function()
    local value, code = core.json_decode("[" .. ("1,"):rep(200000) .. "1]", LIMITS)
    assert.is_nil(value)
    assert.equal("json_values", code)
  end)
end)
