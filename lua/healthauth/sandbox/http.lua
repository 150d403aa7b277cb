-- SPDX-License-Identifier: MIT
-- What the emulated providers share: reading a request of the transport contract, and making answers of it.
-- Nothing here keeps state or does I/O.

local core = require "healthauth.core"

-- core.json_encode writes every empty table as an object; where a provider answers [] this marker stands for it.
local EMPTY_LIST = "@empty-list@"

local http = { EMPTY_LIST = EMPTY_LIST }

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Cuts a URL (absolute, or a path with a query) into the parts that routing needs.
---@param url string
---@return table parts {scheme, host (with port, nil for a path), path, query, origin}
function http.parts(url)
  local rest = url:gsub("#.*$", "")
  local scheme, host, tail = rest:match("^(%a[%w+.-]*)://([^/?]*)(.*)$")
  local path, query = (tail or rest):match("^([^?]*)%??(.*)$")
  return {
    scheme = scheme and scheme:lower(), host = host and host:lower(), path = path == "" and "/" or path, query = query,
    origin = scheme and scheme:lower() .. "://" .. host:lower() or "",
  }
end

--- The first value of a header, its name without regard to case.
---@param request table
---@param name string
---@return string|nil
function http.header(request, name)
  name = name:lower()
  for _, pair in ipairs(request.headers or {}) do
    if pair[1]:lower() == name then return pair[2] end
  end
  return nil
end

--- The media type of the request's body without parameters, in lower case; nil where no Content-Type was sent.
---@param request table
---@return string|nil
function http.media_type(request)
  local value = http.header(request, "Content-Type")
  return value and value:match("^%s*([^;%s]*)"):lower()
end

--- The token of `Authorization: Bearer <token>`, told as strictly as mithril does: a capital B and one space.
---@param request table
---@return string|nil
function http.bearer(request)
  local value = http.header(request, "Authorization")
  return value and value:match("^Bearer ([^ ]+)$")
end

--- A JSON answer; content_type defaults to application/json; charset=utf-8.
---@param status integer
---@param value table
---@param content_type? string
---@param headers? table further {name, value} pairs
---@return table response
function http.json(status, value, content_type, headers)
  local body = core.json_encode(value):gsub('"' .. EMPTY_LIST:gsub("%-", "%%-") .. '"', "[]")
  return http.answer(status, content_type or "application/json; charset=utf-8", body, headers)
end

--- An answer with any body; no content_type, no Content-Type header.
---@param status integer
---@param content_type string|nil
---@param body string
---@param headers? table
---@return table response
function http.answer(status, content_type, body, headers)
  local list = {}
  if content_type then list[1] = { "Content-Type", content_type } end
  for _, pair in ipairs(headers or {}) do list[#list + 1] = pair end
  return { status = status, headers = list, body = body }
end

--- An answer without a body.
---@param status integer
---@param headers? table
---@return table response
function http.empty(status, headers)
  return http.answer(status, nil, "", headers)
end

--- Text made safe for HTML, also inside an attribute.
---@param text string
---@return string
function http.escape(text)
  return (text:gsub("[&<>\"']", ESCAPES))
end

--- A small HTML page; `inner` is HTML already.
---@param status integer
---@param title string
---@param inner string
---@return table response
function http.page(status, title, inner)
  local body = "<!DOCTYPE html>\n<html><head><title>" .. http.escape(title) .. "</title></head>\n<body><h1>" .. http.escape(title)
    .. "</h1>\n" .. inner .. "\n</body></html>\n"
  return http.answer(status, "text/html; charset=utf-8", body)
end

--- The page that asks the person: what is asked, by whom, and two links. They lead back to the same address with `decision` added.
---@param title string
---@param text string what is asked, as plain text
---@param query string the query of the request, repeated in the links
---@return table response
function http.consent_page(title, text, query)
  local href = http.escape("?" .. query .. "&decision=")
  return http.page(200, title, "<p>" .. http.escape(text) .. "</p>\n<p><a id=\"allow\" href=\"" .. href .. "allow\">Allow</a>\n"
    .. "<a id=\"deny\" href=\"" .. href .. "deny\">Deny</a></p>")
end

--- 302 to an address.
---@param location string
---@return table response
function http.redirect(location)
  return http.empty(302, { { "Location", location }, { "Cache-Control", "no-store" } })
end

--- An address with further parameters, put in as they come.
---@param address string
---@param pairs_list table list of {name, value}
---@return string
function http.with_query(address, pairs_list)
  return address .. (address:find("?", 1, true) and "&" or "?") .. core.form_encode(pairs_list)
end

return http
