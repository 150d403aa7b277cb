/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "curl.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "curl_parts.h"

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
  curl_easy_cleanup(h->easy);
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
  h->easy = curl_easy_init();
  if (h->easy) return h;
  ha_free(h, sizeof *h);
  return NULL;
}

static bool usable(struct ha_curl *t) {
  if (t->handle && (t->handle->owner != getpid() || any_stale(t->handle))) ha_curl_close(t);
  if (!t->handle) t->handle = new_handle();
  return t->handle != NULL;
}

bool ha_curl_perform(struct ha_curl *t, const struct ha_curl_request *q, struct ha_http1 *answer, struct ha_curl_failure *failure) {
  struct ha_curl_exchange x;
  struct ha_curl_signals signals;
  CURLcode code;
  bool whole;
  memset(&x, 0, sizeof x);
  memset(failure, 0, sizeof *failure);
  x.request = q;
  x.answer = answer;
  if (!usable(t)) {
    ha_curl_verdict(failure, CURLE_OUT_OF_MEMORY, &x);
    return false;
  }
  x.handle = t->handle;
  ha_curl_signals_hold(&signals);
  code = ha_curl_setup(t->handle->easy, &x);
  if (code == CURLE_OK) {
    code = curl_easy_perform(t->handle->easy);
    (void)curl_easy_getinfo(t->handle->easy, CURLINFO_SSL_VERIFYRESULT, &x.verified);
  }
  curl_easy_reset(t->handle->easy); /* no pointer of this exchange stays; live connections do */
  ha_curl_signals_release(&signals);
  /* Only libcurl's word that all went well lets the connection's end finish a body. */
  whole = ha_http1_complete(answer) || (code == CURLE_OK && ha_http1_end(answer) == HA_OK);
  if (!whole) ha_curl_verdict(failure, code, &x);
  ha_curl_setup_free(&x);
  /* A connection whose last exchange went wrong is in no known state; nor is one whose answer had bytes to spare. */
  if (answer->extra || (x.begun > 0 && (!whole || code != CURLE_OK))) ha_curl_close(t);
  return whole;
}

const char *ha_curl_version(void) { return curl_version(); }
