-- SPDX-License-Identifier: MIT
-- Handshakes that must fail, and connections that never become one. on: the listener of spec/hostile/server.py. In all but the last
-- few nothing of the request has left.

local script = require "spec.hostile.script"

local function tls(code) return { kind = "tls", code = code, outcome = "not_sent" } end
local CONNECT = { kind = "network", code = "connect_failed", outcome = "not_sent" }
local LATE = { kind = "timeout", code = "connect_timeout", outcome = "not_sent" }
local FINE = { status = 200, body = "{}" }

local function at(listener, name, expect, more)
  local case = script.case(name, { script.GOOD, { "keep" } }, expect, more)
  case.on, case.count = listener, case.count or (expect.status and 1 or 0)
  return case
end

return {
  at("https_expired", "tls_expired", tls "tls_verify_failed"),
  at("https_future", "tls_not_yet_valid", tls "tls_verify_failed"),
  at("https_wrong_host", "tls_wrong_host", tls "tls_host_mismatch"),
  at("https_self_signed", "tls_self_signed", tls "tls_verify_failed"),
  at("https_other_ca", "tls_unknown_authority", tls "tls_verify_failed"),
  at("https_other_ca", "tls_unknown_authority_post", tls "tls_verify_failed", { method = "POST", body = "secret=1" }),
  at("https", "tls_own_authority", FINE),
  at("https", "tls_authority_in_folder", FINE, { tls = { ca_path = "$certificates/ca_path" } }),
  at("https", "tls_system_trust", tls "tls_verify_failed", { tls = {} }),
  at("https", "tls_authority_missing_file", tls "tls_ca_unreadable", { tls = { ca_file = "$certificates/nowhere.pem" } }),
  at("https", "tls_authority_garbage", tls "tls_ca_unreadable", { tls = { ca_file = "$certificates/garbage.pem" } }),
  at("https", "tls_authority_other", tls "tls_verify_failed", { tls = { ca_file = "$certificates/other.pem" } }),
  at("https_11", "tls_1_1", tls "tls_failed"),
  at("https_10", "tls_1_0", tls "tls_failed"),
  at("https_12", "tls_1_2", FINE),
  at("https_12", "tls_1_2_where_1_3_is_wanted", tls "tls_failed", { tls = { ca_file = "$certificates/ca.pem", min_version = "1.3" } }),
  at("https", "tls_1_3", FINE, { tls = { ca_file = "$certificates/ca.pem", min_version = "1.3" } }),
  at("https_client", "tls_client_certificate", FINE,
    { tls = { ca_file = "$certificates/ca.pem", cert_file = "$certificates/client.pem", key_file = "$certificates/client.key" } }),
  at("https_client", "tls_client_certificate_locked", FINE, { tls = { ca_file = "$certificates/ca.pem",
    cert_file = "$certificates/client.pem",
    key_file = "$certificates/client_locked.key", key_password = "key-password" } }),
  at("https_client", "tls_client_key_wrong_password", tls "tls_client_certificate", { tls = { ca_file = "$certificates/ca.pem",
    cert_file = "$certificates/client.pem", key_file = "$certificates/client_locked.key", key_password = "wrong" } }),
  at("https_client", "tls_client_key_without_password", tls "tls_client_certificate", { tls = { ca_file = "$certificates/ca.pem",
    cert_file = "$certificates/client.pem", key_file = "$certificates/client_locked.key" } }),
  at("https_client", "tls_client_certificate_missing_file", tls "tls_client_certificate", { tls = { ca_file = "$certificates/ca.pem",
    cert_file = "$certificates/nowhere.pem", key_file = "$certificates/client.key" } }),
  at("https_client", "tls_client_key_of_another", tls "tls_client_certificate", { tls = { ca_file = "$certificates/ca.pem",
    cert_file = "$certificates/client.pem", key_file = "$certificates/good.key" } }),
  at("https_client_12", "tls_client_certificate_absent_12", tls "tls_failed"),
  -- TLS 1.3 refuses only after our side has finished: the request may have left.
  at("https_client", "tls_client_certificate_absent", { any = { { kind = "tls", code = "tls_failed", outcome = "unknown" }, script.LOST } },
    { method = "POST", body = "a=b" }),
  at("tls_garbage", "tls_garbage", tls "tls_failed"),
  at("tls_http", "tls_http_answer", tls "tls_failed"),
  at("tls_alert", "tls_alert", tls "tls_failed"),
  at("tls_big_record", "tls_big_record", tls "tls_failed"),
  at("tls_stall", "tls_stall", LATE, { timeout = 0.3 }),
  at("tls_stall", "tls_stall_connect_timeout", LATE, { timeout = 5, connect_timeout = 0.3 }),
  at("tls_half", "tls_half_handshake", LATE, { timeout = 0.3 }),
  at("closes", "tls_closes", tls "tls_failed", { scheme = "https" }),
  at("resets", "tls_resets", { any = { tls "tls_failed", CONNECT } }, { scheme = "https" }),
  at("http", "tls_to_plain_http", LATE, { scheme = "https", timeout = 0.3 }),
  at("https", "http_to_tls", { kind = "network", code = "connection_lost", outcome = "unknown" }, { scheme = "http" }),
  at("refused", "refused", CONNECT, { scheme = "http" }),
  at("refused", "refused_tls", CONNECT, { scheme = "https" }),
  at("refused", "refused_post", CONNECT, { scheme = "http", method = "POST", body = "a=b" }),
  at("stuck", "stuck", LATE, { scheme = "http", timeout = 0.3 }),
  at("stuck", "stuck_connect_timeout", LATE, { scheme = "http", timeout = 5, connect_timeout = 0.3 }),
  at("closes", "closes_at_once", script.LOST, { scheme = "http" }),
  at("resets", "resets_at_once", { any = { script.LOST, CONNECT } }, { scheme = "http" }),
}
