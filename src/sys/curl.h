/* curl.h - one HTTP/1.1 exchange through libcurl, judged by base/http1. No lua.h; no callback leaves this unit.
 * What libcurl would do by itself is switched off (redirects, cookies, netrc, proxies and keys from the environment, decoding, HTTP/2),
 * and what it would let pass is judged here: every byte of the response goes through the strict reader, a request with effects leaves
 * at most once, http goes to a loopback peer only. A handle is never used in a process other than the one that made it. */
#ifndef HA_CURL_H
#define HA_CURL_H

#include "base/http1.h"
#include "base/secret.h"
#include "base/url.h"

enum {
  HA_CURL_METHOD_MAX = 15,
  HA_CURL_HEADERS = 64,             /* of a request */
  HA_CURL_HEADER_BYTES = 128 * 1024,
  HA_CURL_BODY_BYTES = 16 * 1024 * 1024
};

/* Everything that a request needs, copied; free wipes it. Numbers are the caller's to check. */
struct ha_curl_request {
  char method[HA_CURL_METHOD_MAX + 1];
  struct ha_url url;
  struct ha_buf headers; /* "Name: value" and a NUL, one after another */
  size_t header_count;
  bool accepts;          /* the caller chose Accept, Content-Type */
  bool typed;
  bool has_body;
  struct ha_buf body;
  double timeout, connect_timeout; /* seconds, > 0 */
  size_t max_headers, max_body;    /* of the response */
  struct ha_secret ca_file, ca_path, cert_file, key_file, key_password;
  bool tls13;                      /* TLS 1.3 and later only; else 1.2 and later */
  struct ha_url proxy;             /* text empty: no proxy, whatever the environment says */
  struct ha_buf proxy_user, proxy_password;
};

void ha_curl_request_init(struct ha_curl_request *q);
void ha_curl_request_free(struct ha_curl_request *q); /* may be called again */

/* These refuse with HA_BAD and *why: a short static sentence that holds nothing of the input. */
enum ha_status ha_curl_request_method(struct ha_curl_request *q, const char *p, size_t n, const char **why) HA_MUST_USE;
enum ha_status ha_curl_request_url(struct ha_curl_request *q, const char *p, size_t n, const char **why) HA_MUST_USE;
enum ha_status ha_curl_request_header(struct ha_curl_request *q, const char *name, size_t nlen, const char *value, size_t vlen,
                                      const char **why) HA_MUST_USE;
enum ha_status ha_curl_request_body(struct ha_curl_request *q, const char *p, size_t n, const char **why) HA_MUST_USE;
enum ha_status ha_curl_request_proxy(struct ha_curl_request *q, const char *p, size_t n, const char **why) HA_MUST_USE;
/* What only the whole request shows: a body that the method has no place for, http through a proxy that is not loopback, ... */
enum ha_status ha_curl_request_check(const struct ha_curl_request *q, const char **why) HA_MUST_USE;

struct ha_curl_failure {
  const char *kind, *code, *outcome; /* the words of docs/errors.md */
  const char *message;               /* ours, static: no URL, no secret */
  int number;                        /* libcurl's code, 0 when the verdict is ours */
};

struct ha_curl {
  struct ha_curl_handle *handle; /* NULL until the first exchange */
};

/* A zeroed struct is a ready transport. close gives connections back; the transport may be used again after it. */
void ha_curl_close(struct ha_curl *t);

/* True: answer is complete. False: *failure says why. Blocks for at most q->timeout. answer must be initialised with q's limits. */
bool ha_curl_perform(struct ha_curl *t, const struct ha_curl_request *q, struct ha_http1 *answer, struct ha_curl_failure *failure);

/* "7.88.1" */
const char *ha_curl_version(void);

#endif
