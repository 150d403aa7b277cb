/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "curl.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "curl_parts.h"

enum { IDLE_LINKS = 5 };

/* Handles that a fork left to a process that must not touch them: what they hold is the parent's. Kept reachable. */
static struct ha_curl_handle *left_behind;

static void leave_behind(struct ha_curl_handle *h) {
  size_t i;
  for (i = 0; i < HA_CURL_LINKS; i++) { /* this process's copies only: no byte goes out, the parent's connections live on */
    if (h->links[i] >= 0) (void)close(h->links[i]);
    h->links[i] = -1;
  }
  h->next = __atomic_exchange_n(&left_behind, h, __ATOMIC_ACQ_REL);
}

static void discard(struct ha_curl_handle *h) {
  struct ha_curl_signals signals;
  if (!h) return;
  if (h->owner != getpid()) {
    leave_behind(h);
    return;
  }
  ha_curl_signals_hold(&signals); /* TLS says goodbye, perhaps to nobody */
  (void)curl_multi_cleanup(h->pool);
  ha_curl_signals_release(&signals);
  ha_free(h, sizeof *h);
}

void ha_curl_close(struct ha_curl *t) {
  struct ha_curl_handle *h = t->handle;
  t->handle = NULL;
  discard(h);
}

/* An idle connection on which something can be read has ended, or holds bytes that would be taken for the next answer. */
static bool any_stale(const struct ha_curl_handle *h) {
  struct pollfd links[HA_CURL_LINKS];
  nfds_t count = 0;
  size_t i;
  for (i = 0; i < HA_CURL_LINKS; i++) {
    if (h->links[i] < 0) continue;
    links[count].fd = h->links[i];
    links[count].events = POLLIN;
    links[count].revents = 0;
    count++;
  }
  return count > 0 && poll(links, count, 0) != 0; /* an error counts as stale */
}

static struct ha_curl_handle *new_handle(void) {
  struct ha_curl_handle *h;
  size_t i;
  if (!ha_curl_global()) return NULL;
  h = ha_alloc(sizeof *h);
  if (!h) return NULL;
  for (i = 0; i < HA_CURL_LINKS; i++) h->links[i] = -1;
  h->owner = getpid();
  h->pool = curl_multi_init();
  if (h->pool && curl_multi_setopt(h->pool, CURLMOPT_MAXCONNECTS, (long)IDLE_LINKS) == CURLM_OK &&
      curl_multi_setopt(h->pool, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK)
    return h;
  (void)curl_multi_cleanup(h->pool);
  ha_free(h, sizeof *h);
  return NULL;
}

static uint64_t mix(uint64_t hash, const void *p, size_t n) {
  const unsigned char *in = p;
  size_t i;
  for (i = 0; i < n; i++) hash = (hash ^ in[i]) * 1099511628211U; /* FNV-1a */
  return (hash ^ 0xFF) * 1099511628211U;
}

/* What a connection was made with and libcurl does not compare, or not wholly, when it looks for one to use again: a request with other
 * keys, passwords or trust never rides on it. A number, so that no password is kept for the comparison. */
static uint64_t identity(const struct ha_curl_request *q) {
  const struct ha_secret *words[5];
  uint64_t hash = 14695981039346656037U;
  size_t i;
  words[0] = &q->ca_file;
  words[1] = &q->ca_path;
  words[2] = &q->cert_file;
  words[3] = &q->key_file;
  words[4] = &q->key_password;
  for (i = 0; i < 5; i++) hash = mix(hash, words[i]->data, words[i]->data ? words[i]->len : 0);
  hash = mix(hash, q->proxy.text.data, q->proxy.text.len);
  hash = mix(hash, q->proxy_user.data, q->proxy_user.len);
  hash = mix(hash, q->proxy_password.data, q->proxy_password.len);
  return mix(hash, q->tls13 ? "3" : "2", 1);
}

static bool usable(struct ha_curl *t, const struct ha_curl_request *q) {
  uint64_t who = identity(q);
  if (t->handle && (t->handle->owner != getpid() || t->handle->identity != who || any_stale(t->handle))) ha_curl_close(t);
  if (!t->handle) t->handle = new_handle();
  if (t->handle) t->handle->identity = who;
  return t->handle != NULL;
}

/* What curl_easy_perform does, on our pool. */
static CURLcode run(CURLM *pool, CURL *easy) {
  CURLcode code = CURLE_OUT_OF_MEMORY;
  CURLMsg *message;
  CURLMcode rc;
  int running = 1, left;
  if (curl_multi_add_handle(pool, easy) != CURLM_OK) return code;
  do {
    rc = curl_multi_perform(pool, &running);
    if (rc == CURLM_OK && running) rc = curl_multi_poll(pool, NULL, 0, 1000, NULL); /* returns at libcurl's next timer */
  } while (rc == CURLM_OK && running);
  while ((message = curl_multi_info_read(pool, &left)) != NULL)
    if (message->msg == CURLMSG_DONE && message->easy_handle == easy) code = message->data.result;
  (void)curl_multi_remove_handle(pool, easy);
  return code;
}

bool ha_curl_perform(struct ha_curl *t, const struct ha_curl_request *q, struct ha_http1 *answer, struct ha_curl_failure *failure) {
  struct ha_curl_exchange x;
  struct ha_curl_signals signals;
  CURLcode code = CURLE_OUT_OF_MEMORY;
  CURL *easy = NULL;
  bool whole;
  memset(&x, 0, sizeof x);
  memset(failure, 0, sizeof *failure);
  x.request = q;
  x.answer = answer;
  ha_curl_signals_hold(&signals);
  if (usable(t, q)) easy = curl_easy_init();
  if (easy) {
    x.handle = t->handle;
    x.easy = easy;
    code = ha_curl_setup(easy, &x);
    if (code == CURLE_OK) code = run(t->handle->pool, easy);
    (void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &x.verified);
    curl_easy_cleanup(easy);
  }
  /* Only libcurl's word that all went well lets the connection's end finish a body. */
  whole = ha_http1_complete(answer) || (code == CURLE_OK && ha_http1_end(answer) == HA_OK);
  if (!whole) ha_curl_verdict(failure, code, &x);
  ha_curl_setup_free(&x);
  /* A connection whose last exchange went wrong is in no known state; nor is one whose answer had bytes to spare. */
  if (answer->extra || x.rest || (x.begun > 0 && (!whole || code != CURLE_OK))) ha_curl_close(t);
  ha_curl_signals_release(&signals);
  return whole;
}

/* Not curl_version(): that one wakes LDAP and SASL, which leak. */
const char *ha_curl_version(void) { return curl_version_info(CURLVERSION_NOW)->version; }
