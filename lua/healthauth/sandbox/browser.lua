-- SPDX-License-Identifier: MIT
-- Plays the person in the browser: opens the page that asks, clicks a link, and stops at the address it is sent to.
-- How a page is fetched is an argument, so that the same person sits before the sandbox in process and before a served one.

local http = require "healthauth.sandbox.http"

local UNESCAPES = { amp = "&", lt = "<", gt = ">", quot = '"', ["#39"] = "'" }

local browser = {}

local function header(response, name)
  return http.header({ headers = response.headers }, name)
end

-- The address behind a link of the page with that id, made absolute; the pages only link to their own path.
local function link(page, id, url)
  local href = page:match('<a id="' .. id .. '" href="([^"]*)"')
  if not href then return nil end
  return (url:gsub("[?#].*$", "")) .. href:gsub("&(#?%w+);", UNESCAPES)
end

--- Follows an authorize_url to its end.
---@param url string
---@param decision "allow"|"deny"
---@param fetch fun(request: table): table|nil, table|nil  answers like a transport's perform
---@param person? string whose browser it is; default: the sandbox's own person
---@return string|nil callback the address that the browser is sent back to
---@return string|nil why where it never comes back
function browser.consent(url, decision, fetch, person)
  local request = { method = "GET", url = url, headers = { { "Accept", "text/html" } } }
  local page, failure = fetch(request)
  if not page then return nil, failure and failure.message or "no page" end
  local target = page.status == 200 and link(page.body, decision, url)
  if not target then
    local text = page.body:gsub("<title>.-</title>", ""):gsub("<[^>]*>", " "):gsub("%s+", " ")
    return nil, string.format("the page of status %d has no such link:%s", page.status, text)
  end
  if person then target = target .. "&person=" .. person end
  local answer
  answer, failure = fetch { method = "GET", url = target, headers = request.headers }
  if not answer then return nil, failure and failure.message or "no answer" end
  local location = header(answer, "Location")
  if answer.status ~= 302 or not location then return nil, string.format("no redirect, status %d", answer.status) end
  return location
end

return browser
