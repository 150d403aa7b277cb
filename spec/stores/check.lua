-- SPDX-License-Identifier: MIT
-- A few checks that need no busted, so that the store suite also runs inside nginx.

local check = {}

local function show(value)
  if type(value) ~= "string" then return tostring(value) end
  if #value > 80 then return ("%d bytes"):format(#value) end
  return ("%q"):format(value)
end

function check.equal(expected, actual, what)
  if expected ~= actual then error(("%s: expected %s, got %s"):format(what or "value", show(expected), show(actual)), 2) end
end

function check.differs(one, other, what)
  if one == other then error(("%s: both are %s"):format(what or "values", show(one)), 2) end
end

function check.yes(value, what, err)
  if not value then error(("%s: got %s %s"):format(what or "value", show(value), err and tostring(err) or ""), 2) end
  return value
end

--- nil and a store error of that code.
function check.fails(code, value, err)
  if value ~= nil then error(("expected a failure (%s), got %s"):format(code, show(value)), 2) end
  if type(err) ~= "table" or err.kind ~= "store" or err.code ~= code then
    error(("expected the store error %s, got %s"):format(code, tostring(err)), 2)
  end
  if type(err.message) ~= "string" or not err.action then error("the error has no message or no action", 2) end
  return err
end

--- Raises a text that begins with where and holds what.
function check.raises(where, what, fn, ...)
  local ok, text = pcall(fn, ...)
  if ok then error("did not raise: " .. what, 2) end
  text = tostring(text)
  if not text:find(what, 1, true) then error(("raised %s, expected %s in it"):format(show(text), show(what)), 2) end
  if where and not text:find(where, 1, true) then error(("raised at the wrong place: %s"):format(show(text)), 2) end
end

return check
