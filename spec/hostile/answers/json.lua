-- SPDX-License-Identifier: MIT
-- Bodies that are no JSON, or JSON that two readers could read in two ways.

local script = require "spec.hostile.script"

local JSON = "application/json"
local cases = {}

-- name, a body with $ in the place of a good object's members, the code
local function bad(name, body, code)
  local members = {
    ["pkb refresh"] = '"access_token":"A","token_type":"bearer"', ["conneqt verify"] = '"a":"b"',
  }
  for operation, text in pairs(members) do
    local case = script.case(("json_%s_%s"):format(name, operation:gsub(" ", "_")),
      { script.answer(200, JSON, (body:gsub("%$", function() return text end))), { "keep" } },
      { kind = "protocol", code = code or "not_json", outcome = "answered" })
    case.operation = operation
    cases[#cases + 1] = case
  end
end

bad("blank", " \r\n\t ")
bad("half", '{$')
bad("no_colon", '{"x" "y",$}')
bad("trailing_comma", '{$,}')
bad("leading_comma", '{,$}')
bad("trailing_text", '{$} garbage')
bad("trailing_nul", '{$}\0')
bad("trailing_nul_text", '{$}\0<html>')
bad("two_documents", '{$}{$}')
bad("two_lines", '{$}\n{$}')
bad("prefix", ")]}',\n{$}")
bad("padding", 'callback({$})')
bad("single_quotes", "{'x':'y',$}")
bad("no_quotes", '{x:"y",$}')
bad("comment", '{/* hello */$}')
bad("line_comment", '{$ // hello\n}')
bad("bom", '\239\187\191{$}')
bad("utf16", (('\255\254{"x":1}'):gsub(".", "%0\0")))
bad("nan", '{"x":NaN,$}')
bad("infinity", '{"x":Infinity,$}')
bad("minus_infinity", '{"x":-Infinity,$}')
bad("undefined", '{"x":undefined,$}')
bad("capital_null", '{"x":NULL,$}')
bad("number_leading_zero", '{"x":01,$}')
bad("number_plus", '{"x":+1,$}')
bad("number_bare_point", '{"x":1.,$}')
bad("number_point_first", '{"x":.5,$}')
bad("number_hex", '{"x":0x10,$}')
bad("number_minus_alone", '{"x":-,$}')
bad("number_bare_exponent", '{"x":1e,$}')
bad("number_huge", '{"x":1e999,$}', "json_number")
bad("number_huge_minus", '{"x":-1e400,$}', "json_number")
bad("number_long", '{"x":' .. ("9"):rep(400) .. ',$}', "json_number")
bad("string_control", '{"x":"a\1b",$}')
bad("string_tab", '{"x":"a\tb",$}')
bad("string_line_end", '{"x":"a\nb",$}')
bad("string_nul", '{"x":"a\0b",$}')
bad("string_open", '{$,"x":"y')
bad("escape_unknown", [[{"x":"\q",$}]])
bad("escape_short", [[{"x":"\u12",$}]])
bad("escape_no_hex", [[{"x":"\u12g4",$}]])
bad("surrogate_high_alone", [[{"x":"\ud800",$}]])
bad("surrogate_low_alone", [[{"x":"\udc00",$}]])
bad("surrogates_reversed", [[{"x":"\udc00\ud800",$}]])
bad("surrogate_high_twice", [[{"x":"\ud800\ud800",$}]])
bad("utf8_bad_byte", '{"x":"\255",$}')
bad("utf8_cut", '{"x":"\226\130",$}')
bad("utf8_overlong", '{"x":"\192\175",$}')
bad("utf8_surrogate", '{"x":"\237\160\128",$}')
bad("utf8_above", '{"x":"\244\144\128\128",$}')
bad("utf8_in_name", '{"x\255":1,$}')
bad("utf8_latin1", '{"x":"caf\233",$}')
bad("duplicate", '{"x":1,$,"x":2}', "duplicate_key")
bad("duplicate_same_value", '{"x":1,"x":1,$}', "duplicate_key")
bad("duplicate_escaped", [[{"xy":1,"\u0078y":2,$}]], "duplicate_key")
bad("duplicate_escaped_solidus", [[{"x/":1,"x\/":2,$}]], "duplicate_key")
bad("duplicate_escaped_pair", '{"\240\159\152\128":1,"\\ud83d\\ude00":2,$}', "duplicate_key")
bad("duplicate_nested", '{"x":{"y":1,"y":2},$}', "duplicate_key")
bad("duplicate_in_array", '{"x":[{"y":1,"y":2}],$}', "duplicate_key")
bad("duplicate_empty_name", '{"":1,"":2,$}', "duplicate_key")
bad("duplicate_far", '{"x":1,' .. ('"y%d":1,'):rep(50):gsub("%%d", (function() local i = 0 return function() i = i + 1 return i end end)())
  .. '"x":2,$}', "duplicate_key")
bad("depth_arrays", '{"x":' .. ("["):rep(40) .. ("]"):rep(40) .. ",$}", "json_depth")
bad("depth_objects", '{"x":' .. ('{"y":'):rep(40) .. "1" .. ("}"):rep(40) .. ",$}", "json_depth")
bad("depth_endless", '{"x":' .. ("["):rep(100000), "json_depth")
bad("values_many", '{"x":[' .. ("1,"):rep(200000) .. "1],$}", "json_values")
bad("brackets_crossed", '{"x":[1,2},$]')
bad("top_array", '[{$}]', "not_object")
bad("top_array_empty", "[]", "not_object")
bad("top_string", '"access_token"', "not_object")
bad("top_number", "7", "not_object")
bad("top_null", "null", "not_object")
bad("top_true", "true", "not_object")
bad("html", "<html><body>{$}</body></html>")
bad("xml", '<?xml version="1.0"?><a/>')
bad("form", "access_token=A&token_type=bearer")
bad("yaml", "access_token: A\n")
bad("gzip", "\31\139\8\0\0\0\0\0\0\3\171\174\5\0\67\191\166\163\2\0\0\0")

-- An empty body: no tokens, and a yes of verify.
for operation, expect in pairs {
  ["pkb refresh"] = { kind = "protocol", code = "not_json", outcome = "answered" },
  ["conneqt verify"] = { result = true },
} do
  local case = script.case("json_empty_" .. operation:gsub(" ", "_"), { script.answer(200, JSON, ""), { "keep" } }, expect)
  case.operation = operation
  cases[#cases + 1] = case
end

return cases
