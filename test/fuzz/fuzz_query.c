/* SPDX-License-Identifier: MIT */
/* fuzz_query - libFuzzer target of the callback reader.
 * What was read must be UTF-8 without NUL, each name once; written out as a query again it must read as the same pairs, and with one of
 * them twice it must be refused as repeated. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/query.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

static void check_text(const struct ha_query *q, size_t at, size_t len) {
  size_t end = at + len;
  require(at <= q->text.len && len <= q->text.len - at);
  while (at < end) {
    uint32_t code = 0;
    size_t took = ha_utf8_next(q->text.data + at, end - at, &code);
    require(took > 0 && code != 0);
    at += took;
  }
}

static void check_same(const struct ha_query *a, const struct ha_query *b) {
  size_t i;
  require(a->count == b->count);
  for (i = 0; i < a->count; i++) {
    const struct ha_query_pair *x = &a->pairs[i], *y = &b->pairs[i];
    require(x->name_len == y->name_len && memcmp(a->text.data + x->name, b->text.data + y->name, x->name_len) == 0);
    require(x->value_len == y->value_len && memcmp(a->text.data + x->value, b->text.data + y->value, x->value_len) == 0);
  }
}

static void check_pairs(const struct ha_query *q) {
  struct ha_query again;
  struct ha_buf form, text;
  size_t i, len;
  ha_query_init(&again);
  ha_buf_init(&form, 3 * HA_QUERY_MAX + 2 * HA_QUERY_PARAMETERS);
  ha_buf_init(&text, form.max + 8);
  require(q->count > 0 && q->count <= HA_QUERY_PARAMETERS && q->text.len <= HA_QUERY_MAX);
  for (i = 0; i < q->count; i++) {
    const struct ha_query_pair *p = &q->pairs[i];
    const char *data = q->text.data;
    char *name;
    check_text(q, p->name, p->name_len);
    check_text(q, p->value, p->value_len);
    name = malloc(p->name_len + 1);
    require(name != NULL);
    memcpy(name, data + p->name, p->name_len);
    name[p->name_len] = '\0';
    require(ha_query_get(q, name, &len) == data + p->value && len == p->value_len); /* found, so no earlier one has this name */
    free(name);
    require(ha_form_add(&form, data + p->name, p->name_len, data + p->value, p->value_len) == HA_OK);
  }
  require(ha_buf_addc(&text, '?') == HA_OK && ha_buf_add(&text, form.data, form.len) == HA_OK);
  if (text.len <= HA_QUERY_MAX) {
    require(ha_query_parse(&again, text.data, text.len) == HA_QUERY_FINE);
    check_same(q, &again);
  }
  ha_buf_clear(&form);
  require(ha_form_add(&form, q->text.data + q->pairs[0].name, q->pairs[0].name_len, "", 0) == HA_OK);
  require(ha_buf_addc(&text, '&') == HA_OK);
  if (ha_buf_add(&text, form.data, form.len) == HA_OK && text.len <= HA_QUERY_MAX && q->count < HA_QUERY_PARAMETERS)
    require(ha_query_parse(&again, text.data, text.len) == HA_QUERY_REPEATED && again.count == 0);
  ha_buf_free(&form);
  ha_buf_free(&text);
  ha_query_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ha_query q;
  enum ha_query_fault fault;
  ha_query_init(&q);
  fault = ha_query_parse(&q, (const char *)data, size);
  require(fault != HA_QUERY_NOMEM);
  require((fault == HA_QUERY_FINE) == (q.count > 0) && (fault == HA_QUERY_FINE) == (q.text.data != NULL));
  if (fault == HA_QUERY_FINE) check_pairs(&q);
  ha_query_free(&q);
  return 0;
}
