/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <stdint.h>
#include <string.h>

#include "alloc.h"

enum ha_status ha_secret_set(struct ha_secret *s, const void *p, size_t n) {
  char *block;
  if (n == SIZE_MAX) return HA_TOOBIG;
  block = ha_alloc(n + 1);
  if (!block) return HA_NOMEM;
  if (n) memcpy(block, p, n);
  ha_secret_clear(s);
  s->data = block;
  s->len = n;
  return HA_OK;
}

void ha_secret_clear(struct ha_secret *s) {
  if (s->data) ha_free(s->data, s->len + 1);
  s->data = NULL;
  s->len = 0;
}

void ha_secret_move(struct ha_secret *to, struct ha_secret *from) {
  if (to == from) return;
  ha_secret_clear(to);
  *to = *from;
  from->data = NULL;
  from->len = 0;
}

bool ha_equal(const void *a, size_t alen, const void *b, size_t blen) {
  const volatile unsigned char *x = a, *y = b;
  unsigned char differ = (unsigned char)(alen != blen);
  size_t i, n = alen < blen ? alen : blen;
  for (i = 0; i < n; i++) differ = (unsigned char)(differ | (x[i] ^ y[i]));
  return differ == 0;
}

bool ha_is_token(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if (p[i] < 0x21 || p[i] > 0x7E) return false;
  return n > 0;
}

bool ha_is_field_value(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if ((p[i] < 0x20 || p[i] > 0x7E) && p[i] != '\t') return false;
  return n == 0 || (p[0] > 0x20 && p[n - 1] > 0x20);
}

bool ha_is_field_name(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++) {
    char c = p[i];
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) continue;
    if (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)) return false;
  }
  return n > 0;
}
