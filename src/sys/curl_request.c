/* SPDX-License-Identifier: MIT */
/* What a caller may ask of the curl transport; nothing here knows libcurl. */
#include <string.h>

#include "base/codec.h"
#include "curl.h"

enum { PROXY_WORD_MAX = 1024 };

void ha_curl_request_init(struct ha_curl_request *q) {
  memset(q, 0, sizeof *q);
  ha_url_init(&q->url);
  ha_url_init(&q->proxy);
  ha_buf_init(&q->headers, HA_CURL_HEADER_BYTES);
  ha_buf_init(&q->body, HA_CURL_BODY_BYTES);
  ha_buf_init(&q->proxy_user, PROXY_WORD_MAX);
  ha_buf_init(&q->proxy_password, PROXY_WORD_MAX);
}

void ha_curl_request_free(struct ha_curl_request *q) {
  ha_url_free(&q->url);
  ha_url_free(&q->proxy);
  ha_buf_free(&q->headers);
  ha_buf_free(&q->body);
  ha_buf_free(&q->proxy_user);
  ha_buf_free(&q->proxy_password);
  ha_secret_clear(&q->ca_file);
  ha_secret_clear(&q->ca_path);
  ha_secret_clear(&q->cert_file);
  ha_secret_clear(&q->key_file);
  ha_secret_clear(&q->key_password);
  q->header_count = 0;
}

static bool same_word(const char *p, size_t n, const char *word) {
  size_t i;
  if (n != strlen(word)) return false;
  for (i = 0; i < n; i++) {
    char c = p[i];
    if ((c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c) != word[i]) return false;
  }
  return true;
}

static enum ha_status refuse(const char **why, const char *text) {
  *why = text;
  return HA_BAD;
}

enum ha_status ha_curl_request_method(struct ha_curl_request *q, const char *p, size_t n, const char **why) {
  static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  size_t i;
  for (i = 0; i < sizeof known / sizeof *known; i++) {
    if (strlen(known[i]) == n && memcmp(known[i], p, n) == 0) {
      memcpy(q->method, known[i], n + 1);
      return HA_OK;
    }
  }
  return refuse(why, "method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
}

enum ha_status ha_curl_request_url(struct ha_curl_request *q, const char *p, size_t n, const char **why) {
  enum ha_status rc = ha_url_parse(&q->url, p, n, why);
  if (rc != HA_OK) return rc;
  if (!q->url.https && !q->url.loopback) return refuse(why, "http is for loopback only");
  return HA_OK;
}

/* Framing and routing are the transport's: a caller's word on them could make two readers disagree. */
static bool is_ours(const char *name, size_t n) {
  static const char *const ours[] = {"host",       "content-length", "transfer-encoding", "connection",       "expect",
                                     "keep-alive", "te",             "trailer",           "upgrade",          "proxy-connection",
                                     "proxy-authorization", "http2-settings", "range"};
  size_t i;
  for (i = 0; i < sizeof ours / sizeof *ours; i++)
    if (same_word(name, n, ours[i])) return true;
  return false;
}

enum ha_status ha_curl_request_header(struct ha_curl_request *q, const char *name, size_t nlen, const char *value, size_t vlen,
                                      const char **why) {
  struct ha_buf *out = &q->headers;
  if (!ha_is_field_name(name, nlen)) return refuse(why, "a header name must be a token");
  if (!ha_is_field_value(value, vlen)) return refuse(why, "a header value must be visible ASCII without CR, LF or NUL");
  if (is_ours(name, nlen)) return refuse(why, "a header is one that the transport sets itself");
  if (same_word(name, nlen, "accept-encoding")) /* always sent */
    return same_word(value, vlen, "identity") ? HA_OK : refuse(why, "accept-encoding can only be identity");
  if (q->header_count >= HA_CURL_HEADERS) return refuse(why, "too many headers");
  /* One reservation first, so that a failure leaves no half line. libcurl sends an empty value for "Name;" only. */
  if (nlen + vlen + 3 < vlen || ha_buf_reserve(out, nlen + vlen + 3) == HA_TOOBIG) return refuse(why, "the headers are too long");
  if (ha_buf_reserve(out, nlen + vlen + 3) != HA_OK || ha_buf_add(out, name, nlen) != HA_OK) return HA_NOMEM;
  if (vlen == 0 ? ha_buf_addc(out, ';') != HA_OK : ha_buf_adds(out, ": ") != HA_OK) return HA_NOMEM;
  if (ha_buf_add(out, value, vlen) != HA_OK || ha_buf_addc(out, '\0') != HA_OK) return HA_NOMEM;
  q->header_count++;
  if (same_word(name, nlen, "accept")) q->accepts = true;
  if (same_word(name, nlen, "content-type")) q->typed = true;
  return HA_OK;
}

enum ha_status ha_curl_request_body(struct ha_curl_request *q, const char *p, size_t n, const char **why) {
  enum ha_status rc = ha_buf_add(&q->body, p, n);
  if (rc == HA_TOOBIG) return refuse(why, "the body is too long");
  if (rc == HA_OK) q->has_body = true;
  return rc;
}

/* Undoes percent coding; a control byte would end or split what libcurl makes of it. */
static enum ha_status decode(struct ha_buf *out, const char *p, size_t n, const char **why) {
  enum ha_status rc = ha_percent_decode(out, p, n, false);
  size_t i;
  if (rc == HA_NOMEM) return rc;
  if (rc != HA_OK) return refuse(why, "the proxy's credentials cannot be read");
  for (i = 0; i < out->len; i++)
    if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7F) return refuse(why, "the proxy's credentials cannot be read");
  return HA_OK;
}

enum ha_status ha_curl_request_proxy(struct ha_curl_request *q, const char *p, size_t n, const char **why) {
  static const char mark[] = "://";
  struct ha_buf plain; /* the URL without its userinfo */
  const char *at = memchr(p, '@', n);
  size_t start = 0, i;
  enum ha_status rc;
  for (i = 0; i + 3 <= n && start == 0; i++)
    if (memcmp(p + i, mark, 3) == 0) start = i + 3;
  if (start == 0 || start > sizeof "https://" - 1) return refuse(why, "proxy must be an http or https URL");
  if (at) {
    const char *user = p + start, *colon;
    size_t len;
    if (at < user) return refuse(why, "proxy must be an http or https URL");
    len = (size_t)(at - user);
    if (memchr(user, '/', len) || memchr(user, '?', len) || memchr(user, '#', len))
      return refuse(why, "the proxy's credentials cannot be read");
    colon = memchr(user, ':', len);
    rc = decode(&q->proxy_user, user, colon ? (size_t)(colon - user) : len, why);
    if (rc == HA_OK && colon) rc = decode(&q->proxy_password, colon + 1, (size_t)(at - colon) - 1, why);
    if (rc != HA_OK) return rc;
    if (q->proxy_user.len == 0) return refuse(why, "the proxy's user name is empty");
    if (memchr(q->proxy_user.data, ':', q->proxy_user.len)) return refuse(why, "the proxy's user name holds a colon");
  }
  ha_buf_init(&plain, HA_URL_MAX);
  rc = ha_buf_add(&plain, p, start);
  if (rc == HA_OK) rc = at ? ha_buf_add(&plain, at + 1, n - (size_t)(at + 1 - p)) : ha_buf_add(&plain, p + start, n - start);
  if (rc == HA_OK) rc = ha_url_parse(&q->proxy, plain.data, plain.len, why);
  else if (rc == HA_TOOBIG) rc = refuse(why, "proxy is too long");
  ha_buf_free(&plain);
  if (rc == HA_OK && q->proxy.text.len != q->proxy.path + 1) return refuse(why, "proxy must not hold a path or query");
  return rc;
}

enum ha_status ha_curl_request_check(const struct ha_curl_request *q, const char **why) {
  bool reads = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0;
  if (q->method[0] == '\0') return refuse(why, "method is missing");
  if (q->url.text.len == 0) return refuse(why, "url is missing");
  if (reads && q->has_body) return refuse(why, "GET and HEAD have no body");
  if (q->proxy.text.len > 0 && !q->url.https && !q->proxy.loopback) return refuse(why, "http goes through a loopback proxy only");
  if (q->key_file.data && !q->cert_file.data) return refuse(why, "key_file needs cert_file");
  return HA_OK;
}
