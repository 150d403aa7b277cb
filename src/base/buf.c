/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <stdint.h>
#include <string.h>

#include "alloc.h"

enum { FIRST_BLOCK = 64 };

void ha_buf_init(struct ha_buf *b, size_t max) {
  b->data = NULL;
  b->len = 0;
  b->cap = 0;
  b->max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4; /* doubling cannot wrap */
}

void ha_buf_free(struct ha_buf *b) {
  ha_free(b->data, b->cap);
  ha_buf_init(b, b->max);
}

void ha_buf_clear(struct ha_buf *b) {
  if (b->data) ha_wipe(b->data, b->cap);
  b->len = 0;
}

enum ha_status ha_buf_reserve(struct ha_buf *b, size_t more) {
  size_t need, cap;
  char *block;
  if (more > b->max - b->len) return HA_TOOBIG;
  need = b->len + more + 1;
  if (need <= b->cap) return HA_OK;
  cap = b->cap ? b->cap : FIRST_BLOCK;
  while (cap < need) cap *= 2;
  if (cap > b->max + 1) cap = b->max + 1;
  block = ha_alloc(cap);
  if (!block) return HA_NOMEM;
  if (b->len) memcpy(block, b->data, b->len);
  ha_free(b->data, b->cap);
  b->data = block;
  b->cap = cap;
  return HA_OK;
}

enum ha_status ha_buf_add(struct ha_buf *b, const void *p, size_t n) {
  enum ha_status rc = ha_buf_reserve(b, n);
  if (rc != HA_OK) return rc;
  if (n) memcpy(b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = '\0';
  return HA_OK;
}

enum ha_status ha_buf_adds(struct ha_buf *b, const char *text) { return ha_buf_add(b, text, strlen(text)); }

enum ha_status ha_buf_addc(struct ha_buf *b, char c) { return ha_buf_add(b, &c, 1); }
