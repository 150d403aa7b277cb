/* SPDX-License-Identifier: MIT */
/* fuzz_codec - libFuzzer target of form, percent, base64, base64url and hex coding, there and back.
 * Any bytes come back from each encoder as they went; what a decoder takes has one spelling (base64url) or at least one value (percent);
 * a bounded buffer ends in HA_TOO_BIG with nothing changed in it. Byte 0 chooses the bound; the rest is the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum ha_status (*encoder)(struct ha_buf *, const void *, size_t);

static void require(int holds) {
  if (!holds) abort();
}

static int same(const struct ha_buf *b, const char *p, size_t n) {
  return b->len == n && (n == 0 || memcmp(b->data, p, n) == 0);
}

static const char *LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* Nothing but letters, digits and these. */
static void check_alphabet(const struct ha_buf *b, const char *more) {
  size_t i;
  for (i = 0; i < b->len; i++) require(b->data[i] && (strchr(LETTERS, b->data[i]) || strchr(more, b->data[i])));
}

static void check_percent(const char *p, size_t n) {
  struct ha_buf text, back, again;
  ha_buf_init(&text, 3 * n);
  ha_buf_init(&back, 3 * n);
  ha_buf_init(&again, 3 * n);
  require(ha_percent_encode(&text, p, n) == HA_OK);
  check_alphabet(&text, "-._~%");
  require(ha_percent_decode(&back, text.data ? text.data : "", text.len, false) == HA_OK && same(&back, p, n));
  require(ha_percent_decode(&again, text.data ? text.data : "", text.len, true) == HA_OK && same(&again, p, n)); /* no + is ever written */
  ha_buf_clear(&back);
  if (ha_percent_decode(&back, p, n, false) == HA_OK) { /* its value is written and read as the same */
    require(back.len <= n);
    ha_buf_clear(&text);
    ha_buf_clear(&again);
    require(ha_percent_encode(&text, back.data ? back.data : "", back.len) == HA_OK);
    require(ha_percent_decode(&again, text.data ? text.data : "", text.len, false) == HA_OK && same(&again, back.data, back.len));
  } else {
    require(back.len == 0 && n > 0 && memchr(p, '%', n));
  }
  ha_buf_free(&text);
  ha_buf_free(&back);
  ha_buf_free(&again);
}

static void check_base64(const char *p, size_t n) {
  struct ha_buf url, plain, back;
  size_t i;
  ha_buf_init(&url, 2 * n + 4);
  ha_buf_init(&plain, 2 * n + 4);
  ha_buf_init(&back, n);
  require(ha_base64url_encode(&url, p, n) == HA_OK && ha_base64_encode(&plain, p, n) == HA_OK);
  check_alphabet(&url, "-_");
  check_alphabet(&plain, "+/=");
  require(plain.len == (n + 2) / 3 * 4 && url.len == (4 * n + 2) / 3);
  for (i = 0; i < url.len; i++) /* the same digits, two of them written otherwise */
    require(url.data[i] == (plain.data[i] == '+' ? '-' : plain.data[i] == '/' ? '_' : plain.data[i]));
  require(ha_base64url_decode(&back, url.data ? url.data : "", url.len) == HA_OK && same(&back, p, n));
  ha_buf_clear(&back);
  if (ha_base64url_decode(&back, p, n) == HA_OK) { /* one spelling of each value */
    ha_buf_clear(&url);
    require(ha_base64url_encode(&url, back.data ? back.data : "", back.len) == HA_OK && same(&url, p, n));
  } else {
    require(back.len == 0);
  }
  ha_buf_free(&url);
  ha_buf_free(&plain);
  ha_buf_free(&back);
}

static void check_hex(const char *p, size_t n) {
  struct ha_buf text;
  size_t i;
  ha_buf_init(&text, 2 * n);
  require(ha_hex_encode(&text, p, n) == HA_OK && text.len == 2 * n);
  for (i = 0; i < n; i++) {
    char two[3] = {text.data[2 * i], text.data[2 * i + 1], '\0'};
    require(strtoul(two, NULL, 16) == (unsigned char)p[i] && (two[0] < 'A' || two[0] >= 'a') && (two[1] < 'A' || two[1] >= 'a'));
  }
  ha_buf_free(&text);
}

/* name=value, read again by hand: split at the one & and the one = that can be in it. */
static void check_form(const char *p, size_t n) {
  struct ha_buf form, name, value;
  const char *equals, *amp;
  size_t half = n / 2;
  ha_buf_init(&form, 6 * n + 8);
  ha_buf_init(&name, n);
  ha_buf_init(&value, n);
  require(ha_form_add(&form, "a", 1, "", 0) == HA_OK && ha_form_add(&form, p, half, p + half, n - half) == HA_OK);
  amp = memchr(form.data, '&', form.len);
  require(amp == form.data + 2 && !memchr(amp + 1, '&', form.len - 3));
  equals = memchr(amp, '=', form.len - 2);
  require(equals && !memchr(equals + 1, '=', (size_t)(form.data + form.len - equals - 1)));
  require(ha_percent_decode(&name, amp + 1, (size_t)(equals - amp - 1), true) == HA_OK && same(&name, p, half));
  require(ha_percent_decode(&value, equals + 1, (size_t)(form.data + form.len - equals - 1), true) == HA_OK && same(&value, p + half, n - half));
  ha_buf_free(&form);
  ha_buf_free(&name);
  ha_buf_free(&value);
}

/* In a buffer of any bound: all of it, or HA_TOOBIG and nothing. */
static void check_bound(encoder encode, size_t bound, const char *p, size_t n) {
  struct ha_buf whole, small;
  enum ha_status rc;
  ha_buf_init(&whole, 3 * n + 4);
  ha_buf_init(&small, bound + 2);
  require(ha_buf_adds(&small, "x=") == HA_OK);
  require(encode(&whole, p, n) == HA_OK);
  rc = encode(&small, p, n);
  if (whole.len <= bound) require(rc == HA_OK && small.len == whole.len + 2 && (!whole.len || memcmp(small.data + 2, whole.data, whole.len) == 0));
  else require(rc == HA_TOOBIG && same(&small, "x=", 2) && small.data[2] == '\0');
  ha_buf_free(&whole);
  ha_buf_free(&small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *p = (const char *)data + 1;
  size_t n;
  if (size < 1) return 0;
  n = size - 1;
  check_percent(p, n);
  check_base64(p, n);
  check_hex(p, n);
  check_form(p, n);
  check_bound(ha_percent_encode, data[0], p, n);
  check_bound(ha_base64_encode, data[0], p, n);
  check_bound(ha_base64url_encode, data[0], p, n);
  check_bound(ha_hex_encode, data[0], p, n);
  return 0;
}
