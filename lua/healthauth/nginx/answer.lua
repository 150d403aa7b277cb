-- SPDX-License-Identifier: MIT
--- Answers of the handlers: problem documents (RFC 9457), small pages that escape everything, local redirects. Each ends the request.

local core = require "healthauth.core"
local style = require("healthauth.nginx.style"):gsub("%%", "%%%%")

local TITLES = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [405] = "Method Not Allowed", [500] = "Internal Server Error",
  [502] = "Bad Gateway", [503] = "Service Unavailable",
}
local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
local PAGE = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
  .. "<title>%s</title><style>" .. style .. '</style></head><body><main class="%s"><h1>%s</h1>\n%s\n</main></body></html>\n'

local M = {}

local function send(status, media, body, headers)
  ngx.status = status
  for name, value in next, headers or {} do ngx.header[name] = value end
  ngx.header["Content-Type"] = media
  ngx.header["Content-Length"] = #body
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.print(body)
  return ngx.exit(ngx.HTTP_OK)
end
M.send = send

--- Text as it may stand in HTML, also inside quotes.
---@param text any
---@return string
function M.escape(text)
  return (tostring(text):gsub("[&<>\"']", ESCAPES))
end

--- Ends the request with a problem document.
---@param status integer
---@param code string     a word of docs/errors.md
---@param detail string
---@param headers? table
---@return any  what ngx.exit answers
function M.problem(status, code, detail, headers)
  local body = core.json_encode { type = "about:blank", title = TITLES[status], status = status, code = code, detail = detail }
  return send(status, "application/problem+json", body, headers)
end

--- Ends the request with a page. html is ours; whatever came from outside went through escape.
---@param status integer
---@param title string
---@param html string
---@param headers? table
---@param width? "wide"
---@return any  what ngx.exit answers
function M.page(status, title, html, headers, width)
  headers = headers or {}
  headers["Content-Security-Policy"] = POLICY
  headers["Referrer-Policy"] = "no-referrer"
  local shown = M.escape(title)
  if not width then html = "<section>" .. html .. "</section>" end
  return send(status, "text/html; charset=utf-8", PAGE:format(shown, width or "", shown, html), headers)
end

--- Ends the request by sending the browser elsewhere.
---@param status integer  302 or 303
---@param url string
---@return any  what ngx.exit answers
function M.redirect(status, url)
  return send(status, "text/html; charset=utf-8", "", { Location = url, ["Referrer-Policy"] = "no-referrer" })
end

--- Whole seconds for Retry-After.
---@param err table
---@param otherwise integer
---@return integer
function M.retry_after(err, otherwise)
  return math.floor(math.max(1, math.min(3600, err.retry_after or otherwise)))
end

return M
