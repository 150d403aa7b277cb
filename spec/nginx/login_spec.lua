-- SPDX-License-Identifier: MIT
-- login, callback and logout in a real nginx with four workers, through PKB's sandbox, with the curl command as the browser.

local core = require "healthauth.core"
local nginx = require "spec.nginx.server"
local people = require "spec.nginx.people"
local process = require "spec.support.process"
local sandbox = require "spec.nginx.sandbox"

describe("the login in nginx", function()
  local server, box, person

  setup(function()
    box = sandbox.start {}
    server = nginx.start { http = people.HTTP, values = { SANDBOX = box.http, MORE = "",
      STORE = 'healthauth.stores.shared_dict { name = "sessions" }' } }
  end)

  teardown(function()
    if server then server:stop() end
    if box then box:stop() end
  end)

  before_each(function() person = people.browser(server, box) end)

  it("leads to the provider and back to the page that was asked for", function()
    local first = person:get("/app", { headers = { "Accept: text/html" } })
    assert.equal(302, first.status)
    assert.equal("/login?return_to=%2Fapp", first.headers.location)
    local url, response = person:begin "/app%3Fx=1"
    assert.equal(302, response.status)
    assert.equal("no-store", response.headers["cache-control"])
    assert.truthy(url:find(box.http .. "/pkb/apiAuthorize.action?", 1, true))
    local cookie = response.headers["set-cookie"]
    assert.truthy(cookie:find("^ha_login_%x+=[%w_-]+; Path=/; Max%-Age=600; HttpOnly; SameSite=Lax$"), cookie)
    local back = person:finish(assert(box:consent(url)))
    assert.same({ 302, "/app?x=1" }, { back.status, back.headers.location })
    assert.same({ "ha_session" }, person:cookies())
    assert.truthy(person:get("/app").body:find "^Bearer %S+$")
  end)

  it("leads to the login all the same from a page that it cannot lead back to", function()
    for _, path in ipairs { "/app?" .. ("x"):rep(1100), "/app?a\\b", "//app" } do
      local response = server:get(path, { headers = { "Accept: text/html" } })
      assert.same({ 302, "/login" }, { response.status, response.headers.location }, path)
    end
    assert.equal(302, server:get("/login").status)
  end)

  it("answers programs with a problem, not with a login page", function()
    local response = server:get "/app"
    assert.equal(401, response.status)
    assert.equal("application/problem+json", response.headers["content-type"])
    assert.equal("no_session", core.json_decode(response.body).code)
  end)

  it("lets several tabs log in side by side", function()
    local urls = {}
    for i = 1, 3 do urls[i] = person:begin("/app%3Ftab=" .. i) end
    for _, i in ipairs { 2, 3, 1 } do
      local back = person:finish(assert(box:consent(urls[i])))
      assert.same({ 302, "/app?tab=" .. i }, { back.status, back.headers.location })
    end
    assert.equal(200, person:get("/app").status)
  end)

  it("keeps no more attempts than allowed, and the youngest of them", function()
    local urls = {}
    for i = 1, 6 do
      urls[i] = person:begin()
      if i < 4 then process.sleep(1.05) end -- the age of an attempt is told in seconds
    end
    assert.equal(4, #person:cookies())
    assert.equal(400, person:finish(assert(box:consent(urls[1]))).status)
    assert.equal(302, person:finish(assert(box:consent(urls[6]))).status)
  end)

  it("keeps fewer attempts where they are long, so that nginx does not refuse the browser's cookies", function()
    local url
    for i = 1, 7 do url = assert(person:begin("/app%3F" .. i .. ("x"):rep(980))) end
    local bytes = 0
    for name, value in process.read(person.jar):gmatch "\t(ha_login_%x+)\t(%S+)" do bytes = bytes + #name + #value end
    assert.is_true(bytes > 1500 and bytes <= 6000, "cookies of " .. bytes .. " bytes")
    assert.equal(302, person:finish(assert(box:consent(url))).status)
  end)

  it("takes each answer once", function()
    local before = box:count "pkb.exchange"
    local back, callback = person:login()
    assert.equal(302, back.status)
    local again = person:finish(callback)
    assert.equal(400, again.status)
    assert.equal(before + 1, box:count "pkb.exchange")
    assert.equal(200, person:get("/app").status)
  end)

  it("takes an answer once also when it comes twice at the same moment with its cookie", function()
    local url = person:begin()
    local callback = assert(box:consent(url))
    local names = process.read(person.jar)
    local name, value = names:match "\t(ha_login_%x+)\t(%S+)"
    local before = box:count "pkb.exchange"
    local statuses = server:burst("/cb" .. callback:match "%?.*$", 20, { "Cookie: " .. name .. "=" .. value })
    -- burst adds a parameter; PKB's core ignores unknown ones
    assert.equal(1, statuses["302"])
    assert.equal(19, statuses["400"])
    assert.equal(before + 1, box:count "pkb.exchange")
  end)

  it("refuses an answer in another browser", function()
    local callback = assert(box:consent((person:begin())))
    local stranger = people.browser(server, box)
    local before = box:count "pkb.exchange"
    local response = stranger:finish(callback)
    assert.equal(400, response.status)
    assert.truthy(response.body:find("state_mismatch", 1, true))
    assert.same({}, stranger:cookies())
    assert.equal(before, box:count "pkb.exchange")
    assert.equal(302, person:finish(callback).status)
  end)

  local BROKEN = {
    { "without state", "?code=abc", "state_missing" }, { "with another state", "?code=abc&state=xyz", "state_mismatch" },
    { "with two states", "?code=a&state=b&state=b", "parameter_repeated" }, { "with nothing", "?", "state_missing" },
    { "with an error and no state", "?error=access_denied", "state_missing" },
    { "with markup", "?code=a&state=<script>alert(1)</script>", "state_mismatch" },
  }
  for _, case in ipairs(BROKEN) do
    it("refuses an answer " .. case[1], function()
      person:begin()
      local response = person:get("/cb" .. case[2]:gsub("<", "%%3C"):gsub(">", "%%3E"))
      assert.equal(400, response.status)
      assert.truthy(response.body:find("<code>" .. case[3] .. "</code>", 1, true), response.body)
      assert.is_nil(response.body:find("<script", 1, true))
      assert.truthy(response.headers["content-security-policy"]:find("default-src 'none'", 1, true))
    end)
  end

  it("refuses an answer with a repeated code, and the cookie of a changed attempt", function()
    local callback = assert(box:consent((person:begin())))
    assert.equal(400, person:finish(callback .. "&code=x").status)
    local jar = process.read(person.jar)
    process.write(person.jar, (jar:gsub("(\tha_login_%x+\t)(%S)", function(name, first) return name .. (first == "A" and "B" or "A") end)))
    assert.equal(400, person:finish(callback).status)
  end)

  it("shows the provider's denial as what it is", function()
    local response = person:login(nil, "deny")
    assert.equal(403, response.status)
    assert.truthy(response.body:find("<code>access_denied</code>", 1, true))
    assert.is_nil(server:log():find("access_denied", 1, true)) -- the person's affair, not the owner's
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    assert.same({}, person:cookies())
  end)

  it("escapes what the provider says", function()
    local url = person:begin()
    local state = url:match "state=([^&]+)"
    local response = person:get("/cb?error=access_denied&error_description=%3Cimg%20src=x%20onerror=alert(1)%3E&state=" .. state)
    assert.equal(403, response.status)
    assert.is_nil(response.body:find("<img", 1, true))
    assert.truthy(response.body:find("&lt;img", 1, true), response.body)
  end)

  it("says so when the provider is in trouble", function()
    local url = person:begin()
    local callback = assert(box:consent(url))
    box:control("fault", { kind = "unavailable", provider = "pkb", operation = "exchange", retry_after = 9 })
    local response = person:finish(callback)
    assert.truthy(response.status == 503 or response.status == 502)
    assert.truthy(response.body:find("http_503", 1, true), response.body)
    assert.equal(302, person:login().status)
  end)

  it("tells the owner of the provider's trouble without the code and the state of the callback", function()
    local callback = assert(box:consent((person:begin())))
    box:control("fault", { kind = "html", status = 200, provider = "pkb", operation = "exchange" })
    assert.equal(502, person:finish(callback).status)
    assert.is_true(nginx.wait_for(60, function()
      return server:log():find("healthauth: pkb exchange: protocol (media_type)", 1, true)
    end))
    for _, secret in ipairs { callback:match "code=([^&]+)", callback:match "state=([^&]+)" } do
      assert.is_nil(server:log():find(secret, 1, true))
    end
  end)

  local ELSEWHERE = { "//evil.example", "https://evil.example/", "/%5Cevil.example", "%5C%5Cevil.example", "/%09/evil.example",
    "javascript:x", "evil", "%20/", "/a%0d%0aSet-Cookie:x=y", "/%2fevil.example", "" }
  for _, target in ipairs(ELSEWHERE) do
    it("never leads to " .. (target == "" and "an empty address" or target), function()
      local response = person:get("/login?return_to=" .. target)
      assert.equal(400, response.status)
      assert.is_nil(response.headers.location)
      assert.is_nil(response.headers["set-cookie"])
    end)
  end

  it("refuses methods that do not belong, and repeated parameters", function()
    assert.equal(405, server:get("/login", { method = "POST", body = "" }).status)
    assert.equal(405, server:get("/cb", { method = "POST", body = "" }).status)
    assert.equal(405, server:get("/logout", { method = "DELETE" }).status)
    assert.equal(400, server:get("/login?return_to=/a&return_to=/b").status)
  end)

  it("uses __Host- cookies where the page is https", function()
    local cookie = server:get("/safe_login").headers["set-cookie"]
    assert.truthy(cookie:find("^__Host%-safe_login_%x+=[%w_-]+; Path=/; Max%-Age=600; HttpOnly; SameSite=Lax; Secure$"), cookie)
  end)

  it("gives a new session id at each login, and the old one ends", function()
    person:login()
    local old = process.read(person.jar)
    person:login()
    assert.not_equal(old:match "ha_session\t(%S+)", process.read(person.jar):match "ha_session\t(%S+)")
    assert.equal(200, person:get("/app").status)
    process.write(person.jar, old)
    assert.equal(401, person:get("/app").status)
  end)

  it("logs out by POST only", function()
    person:login()
    local form = person:get "/logout"
    assert.equal(200, form.status)
    assert.truthy(form.body:find('<form method="post" action="/logout">', 1, true))
    assert.equal(200, person:get("/app").status)
    assert.equal(403, person:get("/logout", { method = "POST", body = "", headers = { "Sec-Fetch-Site: cross-site" } }).status)
    local strange = server:get("/logout", { method = "POST", body = "" }) -- a form of another site, in a browser that does not say so
    assert.same({ 303 }, { strange.status, strange.headers["set-cookie"] })
    local jar = process.read(person.jar)
    local function expiries() return select(2, server:get("/metrics").body:gsub("\nhealthauth_seconds_to_expiry{", "")) end
    local before = expiries()
    local out = person:get("/logout", { method = "POST", body = "" })
    assert.equal(before - 1, expiries())
    assert.same({ 303, "/bye" }, { out.status, out.headers.location })
    assert.same({}, person:cookies())
    process.write(person.jar, jar)
    assert.equal(401, person:get("/app").status)
  end)

  it("takes no session from a forged or foreign cookie", function()
    person:login()
    local value = process.read(person.jar):match "ha_session\t(%S+)"
    local flipped = (value:sub(1, 1) == "A" and "B" or "A") .. value:sub(2)
    for _, cookie in ipairs { flipped, value .. "A", "", "x", value:sub(1, -3), value .. "; ha_session=" .. value } do
      assert.equal(401, server:get("/app", { headers = { "Cookie: ha_session=" .. cookie } }).status)
    end
    assert.equal(200, server:get("/app", { headers = { "Cookie: other=1; ha_session=" .. value } }).status)
    assert.equal(401, server:get("/app", { headers = { "Cookie: ha_login_0123456789abcdef=" .. value } }).status)
  end)

  it("keeps two people apart", function()
    local other = people.browser(server, box)
    person:login()
    other:login()
    local mine, theirs = person:get("/app").body, other:get("/app").body
    assert.truthy(mine:find "^Bearer " and theirs:find "^Bearer ")
    assert.not_equal(mine, theirs)
  end)

  it("replaces what the client wrote into Authorization", function()
    person:login()
    assert.is_nil(person:get("/app", { headers = { "Authorization: Bearer forged" } }).body:find("forged", 1, true))
  end)

  it("writes no token, code or state into a log", function()
    local _, callback = person:login()
    local token = person:get("/app").body:match "^Bearer (%S+)$"
    for _, secret in ipairs { token, callback:match "code=([^&]+)", callback:match "state=([^&]+)" } do
      assert.is_nil(server:log():find(secret, 1, true))
    end
  end)
end)
