-- SPDX-License-Identifier: MIT
-- Token answers whose members have a wrong type, wrong bytes or an impossible value, or are not there.

local script = require "spec.hostile.script"

local cases = {}
local function add(name, operation, body, expect)
  local case = script.case("member_" .. name, { script.answer(200, "application/json", body), { "keep" } }, expect)
  case.operation = operation
  cases[#cases + 1] = case
end

local function bad(code) return { kind = "protocol", code = code, outcome = "answered" } end
local FINE = { tokens = true }

-- Where each member stands in a good answer: the text around it and around its value.
local PLACES = {
  ["pkb refresh"] = {
    access_token = '{"access_token":$,"token_type":"bearer"}',
      refresh_token = '{"access_token":"A","token_type":"bearer","refresh_token":$}',
    token_type = '{"access_token":"A","token_type":$}', scope = '{"access_token":"A","token_type":"bearer","scope":$}',
    expires_in = '{"access_token":"A","token_type":"bearer","expires_in":$}',
  },
  ["ehealth exchange"] = {
    value = '{"data":{"value":$}}', refresh_token = '{"data":{"value":"A","details":{"refresh_token":$}}}',
    scope = '{"data":{"value":"A","details":{"scope":$}}}', expires_at = '{"data":{"value":"A","expires_at":$}}',
    name = '{"data":{"value":"A","name":$}}',
  },
  ["conneqt exchange"] = { token = '{"token":$}' },
}

local TYPES = { number = "7", zero = "0", yes = "true", no = "false", null = "null", list = "[]", filled_list = '["A"]', object = "{}",
  filled_object = '{"value":"A"}' }
-- No token: what must never stand in a header.
local BYTES = { empty = '""', space = [["a b"]], only_space = [[" "]], leading_space = [[" a"]], trailing_space = [["a "]],
  tab = [["a\tb"]],
  line_feed = [["a\nb"]], carriage_return = [["a\rb"]], header = [["a\r\nX-Evil: 1"]], nul = [["a\u0000b"]], del = [["a\u007fb"]],
  latin1 = '"caf\195\169"', emoji = [["\ud83d\ude00"]], no_break_space = [["a\u00a0b"]], zero_width = [["a\u200bb"]],
  too_long = '"' .. ("a"):rep(65537) .. '"' }
local TOKENS = { access_token = true, refresh_token = true, value = true, token = true }
local TIMES = { negative = "-1", fraction = "1.5", far = "1e12", very_far = "1e300", text_negative = '"-1"', text_plus = '"+1"',
  text_fraction = '"1.5"', text_words = '"soon"', text_empty = '""', text_blank = '" "', text_space = '"600 "', text_hex = '"0x10"',
  text_exponent = '"1e3"', text_eleven_digits = '"12345678901"', text_nan = '"nan"', text_inf = '"inf"', yes = "true", null = "null",
  list = "[600]", object = "{}" }

for operation, members in pairs(PLACES) do
  for member, frame in pairs(members) do
    local function put(name, value, expect)
      add(("%s_%s_%s"):format(operation:gsub(" ", "_"), member, name), operation, (frame:gsub("%$", function() return value end)), expect)
    end
    if member:find "^expires" then
      for name, value in pairs(TIMES) do put(name, value, bad "member_type") end
      put("text_digits", member == "expires_in" and '"600"' or '"1700000600"', FINE)
      put("whole_float", member == "expires_in" and "600.0" or "1700000600.0", FINE)
    else
      for name, value in pairs(TYPES) do put(name, value, bad "member_type") end
      if member == "scope" or member == "name" then
        put("nul", [["a\u0000b"]], bad "member_type")
      end
    end
    if TOKENS[member] then
      for name, value in pairs(BYTES) do put(name, value, bad "member_type") end
      put("all_allowed_bytes", '"' .. ("!#$%&'()*+,-./0123456789:;<=>?@ABCXYZ[]^_`abcxyz{|}~") .. [[\"\\]] .. '"', FINE)
    end
  end
end

for name, value in pairs { mac = '"mac"', dpop = '"DPoP"', n_a = '"N_A"', bearers = '"bearers"', jwt = '"JWT"', basic = '"basic"' } do
  add("type_" .. name, "pkb refresh", '{"access_token":"A","token_type":' .. value .. "}", bad "token_type_unsupported")
end
add("type_capitals", "pkb refresh", '{"access_token":"A","token_type":"BEARER"}', FINE)
add("type_missing", "pkb refresh", '{"access_token":"A"}', bad "member_missing")
add("nothing", "pkb refresh", "{}", bad "member_missing")
add("no_access_token", "pkb refresh", '{"token_type":"bearer","expires_in":600,"refresh_token":"R"}', bad "member_missing")
add("other_case", "pkb refresh", '{"Access_Token":"A","token_type":"bearer"}', bad "member_missing")
add("space_in_name", "pkb refresh", '{"access_token ":"A","token_type":"bearer"}', bad "member_missing")
add("one_level_down", "pkb refresh", '{"data":{"access_token":"A","token_type":"bearer"}}', bad "member_missing")
add("id_token_only", "pkb refresh", '{"id_token":"A","token_type":"bearer"}', bad "member_missing")
add("escaped_name", "pkb refresh", [[{"access\u005ftoken":"A","token_type":"bearer"}]], FINE)
add("ehealth_nothing", "ehealth exchange", "{}", bad "member_missing")
add("ehealth_data_text", "ehealth exchange", '{"data":"A"}', bad "member_missing")
add("ehealth_data_list", "ehealth exchange", '{"data":[{"value":"A"}]}', bad "member_missing")
add("ehealth_data_null", "ehealth exchange", '{"data":null}', bad "member_missing")
add("ehealth_flat", "ehealth exchange", '{"value":"A","access_token":"A"}', bad "member_missing")
add("ehealth_details_text", "ehealth exchange", '{"data":{"value":"A","details":"x"}}', FINE)
add("conneqt_nothing", "conneqt exchange", "{}", bad "member_missing")
add("conneqt_access_token", "conneqt exchange", '{"access_token":"A"}', bad "member_missing")
add("conneqt_capital", "conneqt exchange", '{"Token":"A"}', bad "member_missing")
add("echo_of_all_we_sent", "pkb refresh", '{"error":"planted-refresh%token&1","error_description":"planted-access~token/1+"}',
  { kind = "denied", code = "_secret_", outcome = "answered" })

return cases
