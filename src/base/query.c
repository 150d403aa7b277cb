/* SPDX-License-Identifier: MIT */
#include "query.h"

#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "utf8.h"

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* RFC 3986 3.1: a name and ":", so "com.example.app:/done" is no bare query. */
static bool starts_with_scheme(const char *p, size_t n) {
  size_t i;
  if (n == 0 || !letter(p[0])) return false;
  for (i = 1; i < n; i++)
    if (!letter(p[i]) && !(p[i] >= '0' && p[i] <= '9') && p[i] != '+' && p[i] != '-' && p[i] != '.') break;
  return i < n && p[i] == ':';
}

/* Shortens *p to the query; false when there is none. The fragment goes first: a "?" in it starts no query. */
static bool find_query(const char **p, size_t *n) {
  const char *mark = memchr(*p, '#', *n);
  if (mark) *n = (size_t)(mark - *p);
  mark = memchr(*p, '?', *n);
  if (mark) {
    *n -= (size_t)(mark + 1 - *p);
    *p = mark + 1;
    return true;
  }
  return memchr(*p, '=', *n) != NULL && (*p)[0] != '/' && !starts_with_scheme(*p, *n);
}

static bool is_text(const char *p, size_t n) {
  size_t i = 0;
  while (i < n) {
    uint32_t code = 0;
    size_t took = ha_utf8_next(p + i, n - i, &code);
    if (took == 0 || code == 0) return false;
    i += took;
  }
  return true;
}

/* Appends one decoded name or value. */
static enum ha_query_fault decode(struct ha_query *q, const char *p, size_t n, size_t *at, size_t *len) {
  enum ha_status rc;
  *at = q->text.len;
  rc = ha_percent_decode(&q->text, p, n, true);
  if (rc == HA_NOMEM) return HA_QUERY_NOMEM;
  if (rc != HA_OK) return HA_QUERY_MALFORMED;
  *len = q->text.len - *at;
  return *len == 0 || is_text(q->text.data + *at, *len) ? HA_QUERY_FINE : HA_QUERY_MALFORMED;
}

static bool seen_before(const struct ha_query *q, const struct ha_query_pair *pair) {
  size_t i;
  for (i = 0; i < q->count; i++) {
    const struct ha_query_pair *other = &q->pairs[i];
    if (other->name_len == pair->name_len && memcmp(q->text.data + other->name, q->text.data + pair->name, pair->name_len) == 0)
      return true;
  }
  return false;
}

/* Reads to the end also after a repeated name, so that "cannot be read" does not depend on the order of the parameters. */
static enum ha_query_fault read_pairs(struct ha_query *q, const char *p, size_t n) {
  enum ha_query_fault fault = HA_QUERY_FINE, outcome = HA_QUERY_FINE;
  size_t at = 0;
  while (at < n) {
    const char *piece = p + at, *end = memchr(piece, '&', n - at), *equals;
    size_t len = end ? (size_t)(end - piece) : n - at, name_len;
    struct ha_query_pair pair;
    at += len + 1;
    if (len == 0) continue;
    equals = memchr(piece, '=', len);
    name_len = equals ? (size_t)(equals - piece) : len;
    if (q->count == HA_QUERY_PARAMETERS) return HA_QUERY_TOOBIG;
    fault = decode(q, piece, name_len, &pair.name, &pair.name_len);
    if (fault == HA_QUERY_FINE) {
      size_t skip = equals ? name_len + 1 : name_len;
      fault = decode(q, piece + skip, len - skip, &pair.value, &pair.value_len);
    }
    if (fault != HA_QUERY_FINE) return fault;
    if (seen_before(q, &pair)) outcome = HA_QUERY_REPEATED;
    q->pairs[q->count++] = pair;
  }
  return q->count == 0 ? HA_QUERY_MALFORMED : outcome;
}

void ha_query_init(struct ha_query *q) {
  memset(q, 0, sizeof *q);
  ha_buf_init(&q->text, HA_QUERY_MAX);
}

void ha_query_free(struct ha_query *q) {
  ha_buf_free(&q->text);
  ha_query_init(q);
}

enum ha_query_fault ha_query_parse(struct ha_query *q, const char *text, size_t len) {
  enum ha_query_fault fault;
  size_t i;
  ha_query_free(q);
  if (len > HA_QUERY_MAX) return HA_QUERY_TOOBIG;
  for (i = 0; i < len; i++)
    if (text[i] < 0x20 || text[i] > 0x7E) return HA_QUERY_MALFORMED;
  if (len == 0 || !find_query(&text, &len) || len == 0) return HA_QUERY_MALFORMED;
  if (ha_buf_reserve(&q->text, len) != HA_OK) return HA_QUERY_NOMEM;
  fault = read_pairs(q, text, len);
  if (fault != HA_QUERY_FINE) ha_query_free(q);
  return fault;
}

const char *ha_query_get(const struct ha_query *q, const char *name, size_t *len) {
  size_t i, n = strlen(name);
  for (i = 0; i < q->count; i++) {
    const struct ha_query_pair *pair = &q->pairs[i];
    if (pair->name_len == n && memcmp(q->text.data + pair->name, name, n) == 0) {
      *len = pair->value_len;
      return q->text.data + pair->value;
    }
  }
  *len = 0;
  return NULL;
}
