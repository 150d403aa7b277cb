/* SPDX-License-Identifier: MIT */
/* fuzz_message - libFuzzer target of everything that reads a stranger's header values and texts.
 * Each function gets the whole input; for masking, the first line is a secret and the rest the text, and the secret is also planted into
 * the text in each spelling that we promise to find. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/message.h"
#include "base/secret.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

static int unwanted(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         c == 0x2060 || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

static void fuzz_clean(const char *p, size_t n) {
  struct ha_buf once, twice;
  size_t at = 0;
  ha_buf_init(&once, HA_TEXT_MAX);
  ha_buf_init(&twice, HA_TEXT_MAX);
  require(ha_text_clean(&once, p, n) == HA_OK);
  while (at < once.len) {
    uint32_t code = 0;
    size_t took = ha_utf8_next(once.data + at, once.len - at, &code);
    require(took > 0 && !unwanted(code));
    at += took;
  }
  require(!once.len || (once.data[0] != ' ' && once.data[once.len - 1] != ' ' && !memmem(once.data, once.len, "  ", 2)));
  require(ha_text_clean(&twice, once.data, once.len) == HA_OK);
  require(once.len == twice.len && (once.len == 0 || memcmp(once.data, twice.data, once.len) == 0));
  ha_buf_clear(&once);
  require(ha_text_code(&once, p, n) == HA_OK);
  require(once.len == (n < HA_CODE_MAX ? n : HA_CODE_MAX));
  for (at = 0; at < once.len; at++) require(strchr("abcdefghijklmnopqrstuvwxyz0123456789_", once.data[at]) && once.data[at]);
  ha_buf_free(&once);
  ha_buf_free(&twice);
}

static void fuzz_headers(const char *p, size_t n, int64_t now) {
  static const int64_t FIRST = -62167219200LL, LAST = 253402300800LL; /* of year 0; behind 9999 (and its leap second) */
  struct ha_buf out;
  int64_t date = 0, wait = -1, later = -1;
  enum ha_status rc;
  int is_date = ha_http_date(p, n, now, &date);
  if (is_date) require((n == 24 || n >= 29) && n <= 33 && date >= FIRST && date <= LAST + 100LL * 366 * 86400);
  if (ha_retry_after(p, n, now, &wait)) {
    require(wait >= 0 && wait <= HA_RETRY_AFTER_MAX);
    if (n > 0 && p[0] >= '0' && p[0] <= '9') require(ha_retry_after(p, n, 0, &later) && later == wait);
  } else {
    require(wait == -1 && !is_date);
  }
  if (ha_media_is_json(p, n)) require(n >= 16 && !ha_media_is(p, n, "text/html") && memchr(p, '/', n));
  if (ha_media_is(p, n, "application/json")) require(ha_media_is_json(p, n));
  ha_buf_init(&out, n);
  rc = ha_bearer_error(&out, p, n);
  require(rc == HA_OK || rc == HA_BAD);
  if (rc == HA_BAD) require(out.len == 0);
  if (out.len) require(out.len < n);
  ha_buf_free(&out);
}

/* True when the mask itself, or the mask with a neighbour, cannot look like the secret. */
static int unlike_mask(const struct ha_secret *s) {
  size_t i;
  for (i = 0; i < s->len; i++)
    if (s->data[i] && strchr("[secrt]", s->data[i])) return 0;
  return 1;
}

static void plant(struct ha_buf *text, const char *p, size_t n, const struct ha_buf *spelling) {
  size_t half = n / 2;
  require(ha_buf_add(text, p, half) == HA_OK && ha_buf_add(text, spelling->data, spelling->len) == HA_OK);
  require(ha_buf_add(text, p + half, n - half) == HA_OK);
}

static void fuzz_redact(const char *p, size_t n) {
  const char *line = n ? memchr(p, '\n', n) : NULL;
  struct ha_secret s = {NULL, 0};
  const struct ha_secret *list[1];
  struct ha_buf text, out, spelling;
  enum ha_status rc = HA_OK;
  size_t len, i, kind;
  if (!line || n > 4096) return;
  len = (size_t)(line - p);
  list[0] = &s;
  require(ha_secret_set(&s, p, len) == HA_OK);
  p += len + 1;
  n -= len + 1;
  kind = n % 6; /* one spelling a run */
  for (i = 0; kind == 5 && i < s.len; i++)
    if ((unsigned char)s.data[i] >= 0x80) kind = 0; /* its own bytes could be dropped, or be part of what is */
  ha_buf_init(&text, n + 4 * len + 8);
  ha_buf_init(&out, 8 * (n + 4 * len + 8));
  ha_buf_init(&spelling, 4 * len + 8);
  if (kind == 0) rc = ha_buf_add(&spelling, s.data, s.len);
  if (kind == 5) { /* with a zero-width space in it, which clean text has not */
    rc = ha_buf_add(&spelling, s.data, s.len / 2);
    if (rc == HA_OK) rc = ha_buf_adds(&spelling, "\xE2\x80\x8B");
    if (rc == HA_OK) rc = ha_buf_add(&spelling, s.data + s.len / 2, s.len - s.len / 2);
  }
  if (kind == 1 || kind == 2) rc = ha_percent_encode(&spelling, s.data, s.len);
  for (i = 0; kind == 2 && i < spelling.len; i++)
    if (spelling.data[i] == '%') /* letters outside of escapes stay as they are */
      for (len = i + 1; len < i + 3; len++)
        if (spelling.data[len] >= 'A') spelling.data[len] = (char)(spelling.data[len] | 0x20);
  if (kind == 3) rc = ha_base64_encode(&spelling, s.data, s.len);
  if (kind == 4) rc = ha_base64url_encode(&spelling, s.data, s.len);
  require(rc == HA_OK);
  plant(&text, p, n, &spelling);
  require(ha_redact(&out, text.data, text.len, list, 1) == HA_OK);
  if (s.len < HA_REDACT_MIN) {
    require(out.len == text.len && (out.len == 0 || memcmp(out.data, text.data, out.len) == 0));
  } else {
    require(memmem(out.data, out.len, "[secret]", 8) != NULL);
    if (unlike_mask(&s)) require(!memmem(out.data, out.len, s.data, s.len));
  }
  ha_buf_free(&text);
  ha_buf_free(&out);
  ha_buf_free(&spelling);
  ha_secret_clear(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  fuzz_clean(text, size);
  fuzz_headers(text, size, 1709208000);
  fuzz_headers(text, size, INT64_MIN);
  fuzz_headers(text, size, INT64_MAX);
  fuzz_redact(text, size);
  return 0;
}
