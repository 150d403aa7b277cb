/* SPDX-License-Identifier: MIT */
/* libFuzzer target: response bytes through the HTTP/1.1 reader. Byte 0 chooses how they are cut and whether it answers HEAD; whole and
 * cut feeding must end alike, and what counts as complete must keep the reader's promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/http1.h"

enum { MAX_HEADERS = 2048, MAX_BODY = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ha_status feed(struct ha_http1 *r, const char *p, size_t n, size_t step, size_t *total) {
  enum ha_status rc = HA_MORE;
  *total = 0;
  while (rc == HA_MORE && *total < n) {
    size_t used, take = step < n - *total ? step : n - *total;
    rc = ha_http1_feed(r, p + *total, take, &used);
    if (used > take || (rc == HA_MORE && used != take)) abort();
    *total += used;
  }
  return rc;
}

static void promises(const struct ha_http1 *r) {
  size_t i, n;
  if (r->body.len > MAX_BODY || r->head.bytes > MAX_HEADERS || r->head.count > HA_HTTP1_LINES) abort();
  if (!ha_http1_complete(r)) return;
  if (r->head.status < 200 || r->head.status > 599 || r->fault != HA_HTTP1_FINE) abort();
  if (r->head.framing == HA_HTTP1_LENGTH && r->body.len != r->head.length) abort();
  if (r->head.framing == HA_HTTP1_NONE && r->body.len != 0) abort();
  for (i = 0; i < r->head.count; i++) {
    const char *p = ha_http1_name(r, i, &n);
    if (n == 0 || memchr(p, ':', n) || memchr(p, '\n', n)) abort();
    p = ha_http1_value(r, i, &n);
    if (memchr(p, '\n', n) || memchr(p, '\r', n) || memchr(p, '\0', n)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ha_http1 whole, cut;
  size_t used_whole, used_cut, step;
  enum ha_status a, b;
  const char *p = (const char *)data + 1;
  bool head;
  if (size < 1) return 0;
  head = (data[0] & 1) != 0;
  step = (size_t)(data[0] >> 1) + 1;
  ha_http1_init(&whole, MAX_HEADERS, MAX_BODY, head);
  ha_http1_init(&cut, MAX_HEADERS, MAX_BODY, head);
  a = feed(&whole, p, size - 1, SIZE_MAX, &used_whole);
  b = feed(&cut, p, size - 1, step, &used_cut);
  if (a == HA_MORE) a = ha_http1_end(&whole);
  if (b == HA_MORE) b = ha_http1_end(&cut);
  if (a != b || whole.fault != cut.fault) abort();
  if (a == HA_OK) {
    if (used_whole != used_cut || whole.head.status != cut.head.status || whole.body.len != cut.body.len) abort();
    if (whole.body.len && memcmp(whole.body.data, cut.body.data, whole.body.len) != 0) abort();
  }
  promises(&whole);
  promises(&cut);
  ha_http1_free(&whole);
  ha_http1_free(&cut);
  return 0;
}
