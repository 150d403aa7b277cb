/* curl_parts.h - what the files of the curl transport share and nobody else sees. */
#ifndef HA_CURL_PARTS_H
#define HA_CURL_PARTS_H

#include <curl/curl.h>
#include <signal.h>
#include <sys/types.h>

#include "curl.h"

#if LIBCURL_VERSION_NUM < 0x075500
#  error "libcurl 7.85.0 or newer is needed"
#endif

enum { HA_CURL_LINKS = 16 };

/* The pool of connections, with the sockets that it has open. Its address is what libcurl's socket callbacks hold, so it lives as long as
 * the pool. Each exchange has an easy handle of its own: in libcurl before 8.1.0 a reused one keeps a pointer into the freed headers of the
 * response before, and a folded first header line from a server follows it. */
struct ha_curl_handle {
  CURLM *pool;
  pid_t owner;
  struct ha_curl_handle *next; /* in the list of those that a fork left behind */
  int links[HA_CURL_LINKS];    /* -1: free */
  uint64_t identity;           /* of the requests that made these connections */
};

/* One exchange while it runs; the callbacks write here. */
struct ha_curl_exchange {
  const struct ha_curl_request *request;
  struct ha_http1 *answer;
  struct ha_curl_handle *handle;
  CURL *easy;
  size_t sent;           /* body bytes handed to libcurl */
  unsigned begun;        /* how often libcurl was about to send the request */
  bool rewound;          /* it wanted to send the body again */
  bool rest;             /* behind the answer more has come, or may have */
  bool foreign_peer;     /* http would have gone to an address that is not loopback */
  char error[CURL_ERROR_SIZE]; /* looked into, never shown */
  long verified;         /* X509_V_... of the chain */
  struct curl_slist *headers, *resolve;
  CURLU *url;
};

/* Every option of one exchange. On failure what was made so far hangs on x. */
CURLcode ha_curl_setup(CURL *easy, struct ha_curl_exchange *x);
void ha_curl_setup_free(struct ha_curl_exchange *x); /* wipes the header lines */

/* Makes no record of TLS that holds no data keep libcurl from looking at the clock. */
CURLcode ha_curl_tls_setup(CURL *easy);

/* Whether TLS holds bytes that libcurl has not read yet; true where that cannot be told. In a callback only. */
bool ha_curl_tls_rest(CURL *easy);

/* Why it failed. code may be CURLE_OK: then the answer was not whole. */
void ha_curl_verdict(struct ha_curl_failure *f, CURLcode code, const struct ha_curl_exchange *x);

/* curl_global_init once a process, with the TLS key log of the environment kept out. */
bool ha_curl_global(void);

/* A write to a connection that the peer closed must not kill the program, whose signal handling is its own. */
struct ha_curl_signals {
  sigset_t before;
  bool blocked, was_pending;
};
void ha_curl_signals_hold(struct ha_curl_signals *s);
void ha_curl_signals_release(struct ha_curl_signals *s);

#endif
