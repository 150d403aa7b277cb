-- SPDX-License-Identifier: MIT
-- Mints tokens, codes and ids. They follow from the seed and a counter alone, so that a run can be repeated to the byte.

local core = require "healthauth.core"

local CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" -- 32 signs: nobody mixes up 0 and O at a desk

local mint = {}

local function bytes(state, count)
  state.minted = state.minted + 1
  return core.sha256(state.seed .. "\0" .. string.format("%d", state.minted)):sub(1, count)
end

local function as_uuid(raw)
  local hex = core.hex(raw:sub(1, 16))
  -- version 4, variant 8: what a validator expects to see
  return hex:sub(1, 8) .. "-" .. hex:sub(9, 12) .. "-4" .. hex:sub(14, 16) .. "-8" .. hex:sub(18, 20) .. "-" .. hex:sub(21, 32)
end

--- A token as PKB's look: 22 signs of base64url.
---@param state table
---@return string
function mint.token(state)
  return core.base64url(bytes(state, 16))
end

--- A token as eHealth's opaque ones look: 32 signs, base64 twice.
---@param state table
---@return string
function mint.opaque(state)
  return core.base64url(core.base64(bytes(state, 16)))
end

--- Mints a random UUID.
---@param state table
---@return string
function mint.uuid(state)
  return as_uuid(bytes(state, 16))
end

--- A code of eight signs as Conneqt's toolbar shows it.
---@param state table
---@return string
function mint.code(state)
  local out = {}
  for index, value in ipairs { bytes(state, 8):byte(1, 8) } do
    local at = value % #CODE_ALPHABET + 1
    out[index] = CODE_ALPHABET:sub(at, at)
  end
  return table.concat(out)
end

--- The lasting id of a person: the same name has the same id in every sandbox.
---@param name string
---@return string uuid
function mint.person_id(name)
  return as_uuid(core.sha256("person\0" .. name))
end

return mint
