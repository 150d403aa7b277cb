/* SPDX-License-Identifier: MIT */
#include "http1_head.h"

#include <string.h>

#include "secret.h"

static const char VERSION[] = "HTTP/1.";
enum { VERSION_LEN = sizeof VERSION - 1, STATUS_END = VERSION_LEN + 5 }; /* "HTTP/1.1 200" */

void ha_http1_head_init(struct ha_http1_head *h, size_t max_bytes, bool head_request) {
  memset(h, 0, sizeof *h);
  h->head_request = head_request;
  h->max_bytes = max_bytes;
  ha_buf_init(&h->text, max_bytes);
}

void ha_http1_head_free(struct ha_http1_head *h) {
  ha_buf_free(&h->text);
  h->count = 0;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool same_word(const char *p, size_t n, const char *word) {
  size_t i;
  if (n != strlen(word)) return false;
  for (i = 0; i < n; i++)
    if (lower(p[i]) != word[i]) return false;
  return true;
}

/* Text in which nothing can hide: tab, space, visible ASCII, and bytes from 0x80 on, which RFC 9110 still allows. */
static bool visible(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if ((c < 0x20 && c != '\t') || c == 0x7F) return false;
  }
  return true;
}

static enum ha_http1_fault count_line(struct ha_http1_head *h, size_t len) {
  if (len > h->max_bytes - h->bytes || h->lines >= HA_HTTP1_LINES) return HA_HTTP1_HEADERS_BIG;
  h->bytes += len;
  h->lines++;
  return HA_HTTP1_FINE;
}

static enum ha_http1_fault status_line(struct ha_http1_head *h, const char *line, size_t len) {
  const char *p = line + VERSION_LEN;
  if (len < STATUS_END || memcmp(line, VERSION, VERSION_LEN) != 0) return HA_HTTP1_MALFORMED;
  if ((p[0] != '0' && p[0] != '1') || p[1] != ' ' || p[2] < '1' || p[2] > '5' || !digit(p[3]) || !digit(p[4])) return HA_HTTP1_MALFORMED;
  if (len > STATUS_END && line[STATUS_END] != ' ') return HA_HTTP1_MALFORMED;
  if (!visible(line + STATUS_END, len - STATUS_END)) return HA_HTTP1_MALFORMED;
  h->old = p[0] == '0';
  h->status = (p[2] - '0') * 100 + (p[3] - '0') * 10 + (p[4] - '0');
  if (h->status >= 200) return HA_HTTP1_FINE;
  if (h->status == 101 || h->old || ++h->interims > HA_HTTP1_INTERIMS) return HA_HTTP1_INTERIM;
  return HA_HTTP1_FINE;
}

/* The same number twice is one number; "5, 5" is not: digits only. */
static enum ha_http1_fault content_length(struct ha_http1_head *h, const char *p, size_t n) {
  const uint64_t most = UINT64_MAX / 16;
  uint64_t value = 0;
  size_t i;
  if (n == 0) return HA_HTTP1_MALFORMED;
  for (i = 0; i < n; i++) {
    if (!digit(p[i])) return HA_HTTP1_MALFORMED;
    value = value > most ? value : value * 10 + (uint64_t)(p[i] - '0'); /* stays absurd once it is: any limit is smaller */
  }
  if (h->has_length && h->length != value) return HA_HTTP1_MALFORMED;
  h->has_length = true;
  h->length = value;
  return HA_HTTP1_FINE;
}

/* Splits "name: value"; the value loses the white space around it. */
static bool split(const char *line, size_t len, struct ha_http1_field *at) {
  const char *colon = memchr(line, ':', len);
  size_t from, to = len;
  if (!colon) return false;
  at->name_len = (size_t)(colon - line);
  from = at->name_len + 1;
  while (from < to && (line[from] == ' ' || line[from] == '\t')) from++;
  while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t')) to--;
  at->value = from;
  at->value_len = to - from;
  return ha_is_field_name(line, at->name_len) && visible(line + from, to - from);
}

static enum ha_http1_fault keep(struct ha_http1_head *h, const char *line, const struct ha_http1_field *at) {
  struct ha_http1_field *field = &h->fields[h->count];
  if (ha_buf_reserve(&h->text, at->name_len + at->value_len) != HA_OK) return HA_HTTP1_NO_MEMORY; /* the size was counted before */
  field->name = h->text.len;
  field->name_len = at->name_len;
  if (ha_buf_add(&h->text, line, at->name_len) != HA_OK) return HA_HTTP1_NO_MEMORY;
  field->value = h->text.len;
  field->value_len = at->value_len;
  if (ha_buf_add(&h->text, line + at->value, at->value_len) != HA_OK) return HA_HTTP1_NO_MEMORY;
  h->count++;
  return HA_HTTP1_FINE;
}

static enum ha_http1_fault field_line(struct ha_http1_head *h, const char *line, size_t len) {
  struct ha_http1_field at;
  const char *value;
  enum ha_http1_fault fault = HA_HTTP1_FINE;
  if (!split(line, len, &at)) return HA_HTTP1_MALFORMED; /* a folded line begins with a space: its name is none */
  if (h->status < 200) return HA_HTTP1_FINE;             /* interim fields say nothing that we use */
  value = line + at.value;
  if (same_word(line, at.name_len, "content-length")) {
    fault = content_length(h, value, at.value_len);
  } else if (same_word(line, at.name_len, "transfer-encoding")) {
    if (h->has_coding || h->old || !same_word(value, at.value_len, "chunked")) return HA_HTTP1_MALFORMED;
    h->has_coding = true;
  } else if (same_word(line, at.name_len, "content-encoding")) {
    if (!same_word(value, at.value_len, "identity")) return HA_HTTP1_CODING;
  }
  return fault == HA_HTTP1_FINE ? keep(h, line, &at) : fault;
}

static enum ha_http1_fault head_end(struct ha_http1_head *h, bool *ended) {
  if (h->status < 200) { /* an interim response: the next status line follows */
    h->status = 0;
    return HA_HTTP1_FINE;
  }
  if (h->has_coding && h->has_length) return HA_HTTP1_MALFORMED;
  /* A 204 that announces a body would make its bytes the next answer's. */
  if (h->status == 204 && (h->has_coding || h->length > 0)) return HA_HTTP1_MALFORMED;
  if (h->head_request || h->status == 204 || h->status == 304) h->framing = HA_HTTP1_NONE;
  else if (h->has_coding) h->framing = HA_HTTP1_CHUNKED;
  else if (h->has_length) h->framing = HA_HTTP1_LENGTH;
  else h->framing = HA_HTTP1_CLOSE;
  *ended = true;
  return HA_HTTP1_FINE;
}

static bool has_line_end(const char *line, size_t len) { return len >= 2 && line[len - 2] == '\r' && line[len - 1] == '\n'; }

enum ha_http1_fault ha_http1_head_line(struct ha_http1_head *h, const char *line, size_t len, bool *ended) {
  enum ha_http1_fault fault = count_line(h, len);
  *ended = false;
  if (fault != HA_HTTP1_FINE) return fault;
  if (!has_line_end(line, len)) return HA_HTTP1_MALFORMED;
  len -= 2;
  if (h->status == 0) return status_line(h, line, len);
  return len == 0 ? head_end(h, ended) : field_line(h, line, len);
}

enum ha_http1_fault ha_http1_head_trailer(struct ha_http1_head *h, const char *line, size_t len, bool *ended) {
  struct ha_http1_field at;
  enum ha_http1_fault fault = count_line(h, len);
  *ended = false;
  if (fault != HA_HTTP1_FINE) return fault;
  if (!has_line_end(line, len)) return HA_HTTP1_MALFORMED;
  len -= 2;
  if (len == 0) *ended = true;
  else if (!split(line, len, &at)) return HA_HTTP1_MALFORMED;
  return HA_HTTP1_FINE;
}
