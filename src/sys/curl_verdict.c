/* SPDX-License-Identifier: MIT */
/* From what happened to the words of docs/errors.md. libcurl's own texts are not passed on: they can hold what a server sent. */
#include <string.h>

#include "curl_parts.h"

static void say(struct ha_curl_failure *f, const char *kind, const char *code, const char *message) {
  f->kind = kind;
  f->code = code;
  f->message = message;
}

/* What the reader refused. */
static bool reader_verdict(struct ha_curl_failure *f, const struct ha_http1 *answer) {
  switch (answer->fault) {
    case HA_HTTP1_FINE: return false;
    case HA_HTTP1_MALFORMED: say(f, "protocol", "header_malformed", "the response's head breaks the grammar of HTTP/1.1"); break;
    case HA_HTTP1_CODING: say(f, "protocol", "content_encoding", "the response has a content coding that was not asked for"); break;
    case HA_HTTP1_CHUNK: say(f, "protocol", "chunk_malformed", "the response's chunks break the grammar of HTTP/1.1"); break;
    case HA_HTTP1_INTERIM: say(f, "protocol", "interim_refused", "too many interim responses, or a switch of protocol"); break;
    case HA_HTTP1_HEADERS_BIG: say(f, "too_large", "headers_too_large", "the response's headers are larger than the limit"); break;
    case HA_HTTP1_BODY_BIG: say(f, "too_large", "body_too_large", "the response's body is larger than the limit"); break;
    case HA_HTTP1_CUT: say(f, "network", "body_truncated", "the connection ended inside the response"); break;
    case HA_HTTP1_NO_MEMORY: say(f, "network", "out_of_memory", "there was no memory for the response"); break;
  }
  return true;
}

static bool says(const struct ha_curl_exchange *x, const char *words) { return strstr(x->error, words) != NULL; }

/* The numbers are X509_V_ERR_..., stable in every libcrypto. Host names are compared before libcurl has one. */
static void chain_verdict(struct ha_curl_failure *f, const struct ha_curl_exchange *x) {
  if (says(x, "subject name") || says(x, "match")) {
    say(f, "tls", "tls_host_mismatch", "the server's certificate is for another host");
    return;
  }
  switch (x->verified) {
    case 9: say(f, "tls", "tls_verify_failed", "the server's certificate is not valid yet"); break;
    case 10: say(f, "tls", "tls_verify_failed", "the server's certificate has expired"); break;
    case 18: say(f, "tls", "tls_verify_failed", "the server's certificate is signed by itself"); break;
    case 19:
    case 20:
    case 21: say(f, "tls", "tls_verify_failed", "the server's certificate comes from an authority that is not trusted"); break;
    default: say(f, "tls", "tls_verify_failed", "the server's certificate cannot be verified"); break;
  }
}

/* The peer refused the handshake after our side of it was done (TLS 1.3 tells of a missing client certificate so late). */
static bool alerted(const struct ha_curl_exchange *x) { return says(x, "alert"); }

static void unreachable(struct ha_curl_failure *f, const struct ha_curl_exchange *x) {
  if (x->begun > 0) say(f, "network", "connection_lost", "the connection ended before any answer came, and no other could be made");
  else if (x->request->proxy.text.len > 0) say(f, "network", "proxy_failed", "the proxy did not make the connection");
  else say(f, "network", "connect_failed", "the connection could not be made");
}

static void lost(struct ha_curl_failure *f, const struct ha_curl_exchange *x) {
  if (alerted(x)) say(f, "tls", "tls_failed", "the server ended the connection with a TLS alert");
  else if (says(x, "chunked-encoding")) say(f, "protocol", "chunk_malformed", "the response's chunks break the grammar of HTTP/1.1");
  else if (ha_http1_started(x->answer)) say(f, "network", "body_truncated", "the connection ended inside the response");
  else if (x->begun == 0) unreachable(f, x);
  else say(f, "network", "connection_lost", "the connection ended before any answer came");
}

static void code_verdict(struct ha_curl_failure *f, CURLcode code, const struct ha_curl_exchange *x) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      if (x->begun == 0) say(f, "timeout", "connect_timeout", "no connection within the time allowed");
      else say(f, "timeout", "timeout", "no whole answer within the time allowed");
      break;
    case CURLE_COULDNT_RESOLVE_HOST: say(f, "network", "resolve_failed", "the host's name could not be resolved"); break;
    case CURLE_COULDNT_RESOLVE_PROXY: say(f, "network", "proxy_failed", "the proxy's name could not be resolved"); break;
    case CURLE_PROXY:
    case CURLE_COULDNT_CONNECT: unreachable(f, x); break;
    case CURLE_PEER_FAILED_VERIFICATION: chain_verdict(f, x); break;
    case CURLE_SSL_CONNECT_ERROR: say(f, "tls", "tls_failed", "the TLS handshake failed"); break;
    case CURLE_SSL_CERTPROBLEM: say(f, "tls", "tls_client_certificate", "the client certificate or its key cannot be used"); break;
    case CURLE_SSL_CACERT_BADFILE: say(f, "tls", "tls_ca_unreadable", "the file or folder of trusted authorities cannot be read"); break;
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: say(f, "tls", "tls_failed", "the TLS handshake failed"); break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: say(f, "protocol", "header_malformed", "the response is not HTTP/1.1"); break;
    case CURLE_BAD_CONTENT_ENCODING: say(f, "protocol", "content_encoding", "the response has a content coding that was not asked for"); break;
    case CURLE_URL_MALFORMAT: say(f, "network", "url_refused", "libcurl reads another origin in the URL"); break;
    case CURLE_BAD_FUNCTION_ARGUMENT: /* a header line that libcurl cannot take apart */
      if (x->begun > 0) say(f, "protocol", "header_malformed", "the response's head breaks the grammar of HTTP/1.1");
      else say(f, "network", "transport_failed", "libcurl could not finish the exchange");
      break;
    case CURLE_OUT_OF_MEMORY:
      /* libcurl says so too of one header line above its own limit. */
      if (x->begun > 0) say(f, "too_large", "headers_too_large", "the response's headers are larger than libcurl takes");
      else say(f, "network", "out_of_memory", "there was no memory for the request");
      break;
    case CURLE_OK:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND: lost(f, x); break;
    default: say(f, "network", "transport_failed", "libcurl could not finish the exchange"); break;
  }
}

void ha_curl_verdict(struct ha_curl_failure *f, CURLcode code, const struct ha_curl_exchange *x) {
  f->number = (int)code;
  f->outcome = x->begun == 0 ? "not_sent" : "unknown"; /* after the first byte only a whole answer tells */
  if (x->foreign_peer) say(f, "network", "connect_failed", "http is for loopback only, and the address is not");
  else if (x->rewound) say(f, "network", "connection_lost", "the connection ended before any answer came; nothing is sent twice");
  else if (!reader_verdict(f, x->answer)) code_verdict(f, code, x);
}
