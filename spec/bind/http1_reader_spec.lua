-- SPDX-License-Identifier: MIT
-- The HTTP/1 reader as Lua drives it, byte by byte and all at once. Its grammar is in test/c/http1_test.c and spec/hostile/.

local core = require "healthauth.core"

local function reader(options)
  local all = { method = "GET" }
  for k, v in pairs(options or {}) do all[k] = v end
  return core.http1_reader(all)
end

local function read(text, options)
  local r = reader(options)
  local status, code, kind, message = r:feed(text)
  return r, status, code, kind, message
end

local HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

describe("the reader", function()
  it("tells a whole response, however it is cut", function()
    local text = "HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 2\r\n\r\n{}"
    local expected = { status = 201, body = "{}", headers = { { "X-A", "1" }, { "x-a", "2" }, { "Content-Length", "2" } } }
    local r, status = read(text)
    assert.equal("done", status)
    assert.same(expected, r:response())
    r = reader()
    for i = 1, #text do
      assert.equal(i > 1, r:started())
      assert.equal(i > 22, r:headed())
      assert.equal(i < #text and "more" or "done", r:feed(text:sub(i, i)))
    end
    assert.same(expected, r:response())
    assert.is_true(r:reusable())
    assert.is_false(r:extra())
  end)

  it("of a HEAD expects no body", function()
    local r, status = read(HEAD .. "\r\n", { method = "HEAD" })
    assert.equal("done", status)
    assert.same({ status = 200, body = "", headers = { { "Content-Length", "2" } } }, r:response())
  end)

  it("tells a body that only the end of the connection frames", function()
    local r, status = read "HTTP/1.1 200 OK\r\n\r\nabc"
    assert.equal("more", status)
    assert.equal("done", r:eof())
    assert.same({ status = 200, body = "abc", headers = {}, close_delimited = true }, r:response())
    assert.is_false(r:reusable())
  end)

  it("says what is wrong, as the libcurl transport does", function()
    for text, code in pairs {
      ["nonsense\r\n"] = "header_malformed", ["HTTP/1.1 101 Switching\r\n\r\n"] = "interim_refused",
      [HEAD .. "Content-Encoding: gzip\r\n\r\n"] = "content_encoding",
      [HEAD .. "X-Big: " .. ("x"):rep(2000) .. "\r\n"] = "headers_too_large",
      ["HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"] = "body_too_large",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"] = "chunk_malformed",
    } do
      local r, status, got, kind, message = read(text, { header_limit = 1000, body_limit = 100 })
      assert.is_nil(status)
      assert.equal(code, got)
      assert.equal(code:find "too_large" and "too_large" or "protocol", kind)
      assert.is_string(message)
      assert.is_false(r:reusable())
      assert.has_error(function() r:response() end, "the response is not complete")
      local again, same_code = r:feed(HEAD .. "\r\n{}")
      assert.same({ nil, code }, { again, same_code })
    end
    local r = read(HEAD)
    local status, code, kind = r:eof()
    assert.same({ nil, "body_truncated", "network" }, { status, code, kind })
  end)

  it("counts bytes behind the end, whenever they come, and then the connection is not used again", function()
    for _, late in ipairs { true, false } do
      local r = read(HEAD .. "\r\n{}" .. (late and "" or "x"))
      if late then
        assert.equal("done", r:feed "")
        assert.is_false(r:extra())
        assert.equal("done", r:feed "x")
      end
      assert.is_true(r:extra())
      assert.is_false(r:reusable())
      assert.equal("{}", r:response().body)
    end
  end)

  it("lets the connection be used again unless either side said close", function()
    for header, reusable in pairs {
      ["Connection: close"] = false, ["connection: Close"] = false, ["CONNECTION: keep-alive , close"] = false,
      ["Connection: \tclose\t"] = false,
      ["Connection: x,CLOSE,y"] = false, ["Connection: keep-alive"] = true, ["Connection: closed"] = true, ["Connection:"] = true,
      ["Connection: ,"] = true, ["Connections: close"] = true, ["X-Close: close"] = true, ["Connection: clos"] = true,
    } do
      assert.equal(reusable, read(HEAD .. header .. "\r\n\r\n{}"):reusable(), header)
    end
    assert.is_false(read("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"):reusable())
    assert.is_false(read(HEAD .. "\r\n{"):reusable())
  end)

  it("wants a method, and limits that can be", function()
    assert.has_error(function() core.http1_reader {} end, "http1_reader: method: expected a string")
    assert.has_error(function() core.http1_reader { method = 5 } end, "http1_reader: method: expected a string")
    assert.is_false(pcall(core.http1_reader))
    for _, name in ipairs { "body_limit", "header_limit" } do
      for _, value in ipairs { 0, -1, 0 / 0, 1 / 0, 1e18 } do
        assert.has_error(function() reader { [name] = value } end, "http1_reader: " .. name .. ": out of range")
      end
      for _, value in ipairs { "100", true, {} } do
        assert.has_error(function() reader { [name] = value } end, "http1_reader: " .. name .. ": expected a number")
      end
    end
  end)

  it("raises when it is used after close", function()
    local r = read(HEAD)
    r:close()
    r:close()
    for _, name in ipairs { "feed", "eof", "started", "headed", "extra", "reusable", "response" } do
      local fine, message = pcall(r[name], r, "x")
      assert.is_false(fine)
      assert.is_truthy(message:find("the reader is closed", 1, true), message)
    end
  end)
end)
