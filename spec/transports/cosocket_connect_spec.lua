-- SPDX-License-Identifier: MIT
-- How a cosocket's handshake that fails is told, whatever lua-resty-core makes of it. The sockets are played; spec/nginx has real ones.

local connect = require "healthauth.transports.cosocket.connect"
local core = require "healthauth.core"

local URL = { scheme = "https", host = "192.0.2.1", port = 443, origin = "https://192.0.2.1", name = "192.0.2.1" }

describe("a handshake over a cosocket that fails", function()
  local before = rawget(_G, "ngx")

  after_each(function() rawset(_G, "ngx", before) end)

  local function failure_of(why)
    local closed = false
    local sock = {
      settimeouts = function() end, connect = function() return 1 end, getreusedtimes = function() return 0 end,
      sslhandshake = function() return nil, why end, close = function() closed = true end,
    }
    rawset(_G, "ngx", { socket = { tcp = function() return sock end } })
    local opened, failure = connect.open({ url = URL }, true, core.monotonic() + 5)
    assert.is_nil(opened)
    assert.is_true(closed)
    return failure
  end

  for why, code in pairs {
    ["handshake failed"] = "tls_failed", ["20: handshake failed"] = "tls_failed", ["10: handshake failed"] = "tls_failed",
    ["closed"] = "tls_failed", ["18: self-signed certificate"] = "tls_verify_failed",
    ["20: unable to get local issuer certificate"] = "tls_verify_failed", ["10: certificate has expired"] = "tls_verify_failed",
    ["20: closed"] = "tls_failed", ["20: SSL_set_tlsext_host_name failed"] = "tls_failed", ["20: ssl set session failed"] = "tls_failed",
    ["ssl set client private key failed"] = "tls_client_certificate", ["20: ssl set client private key failed"] = "tls_client_certificate",
    ["20: ssl set client certificate failed"] = "tls_client_certificate",
    ["20: ssl fetch client certificate from chain failed"] = "tls_client_certificate",
    ["certificate host mismatch"] = "tls_host_mismatch", ["20: certificate host mismatch"] = "tls_host_mismatch",
  } do
    it("by '" .. why .. "' is " .. code, function()
      local failure = failure_of(why)
      assert.same({ "tls", code, "not_sent" }, { failure.kind, failure.code, failure.outcome })
      assert.is_true(#failure.message > 0)
    end)
  end

  it("by its time is connect_timeout", function()
    for _, why in ipairs { "timeout", "20: timeout" } do
      local failure = failure_of(why)
      assert.same({ "timeout", "connect_timeout", "not_sent" }, { failure.kind, failure.code, failure.outcome })
    end
  end)
end)
