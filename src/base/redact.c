/* SPDX-License-Identifier: MIT */
/* Takes secrets out of a text that a stranger wrote. Each spelling of a secret is searched by Knuth-Morris-Pratt, in the text as it is, in
 * the text with its percent escapes undone, with the escapes of JSON undone (gateways put a JSON text into a string of another), and
 * without the characters that ha_text_clean drops, so the time is (text + secret) for each spelling, whatever the text holds. What is found
 * is first marked, byte by byte; overlapping finds become one mark. Only for rare error paths. */
#include <stdint.h>
#include <string.h>

#include "alloc.h"
#include "codec.h"
#include "message.h"
#include "secret.h"
#include "utf8.h"

enum {
  COVERED = 1, /* this byte belongs to a secret */
  JOINED = 2,  /* and to the same find as the byte before it */
  INNER_MIN = 8 /* shorter secrets are not searched inside other base64: a few characters would be found anywhere */
};

static const char MASK[] = "[secret]";

/* How a reader may take the text. */
enum reading { PERCENT, FORM, JSON, VISIBLE };

/* One reading of the text: the text itself, or what a reader makes of it. */
struct view {
  const char *bytes;
  char *own;            /* bytes, when they are decoded ones */
  unsigned char *marks; /* one for each byte */
  size_t len;
};

struct work {
  struct view text, percent, form, json, visible;
};

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Bytes of invisible characters at p. */
static size_t invisible(const char *p, size_t n) {
  size_t at = 0, took;
  uint32_t code = 0;
  while (at < n && (unsigned char)p[at] >= 0x80 && (took = ha_utf8_next(p + at, n - at, &code)) > 0 && ha_text_invisible(code)) at += took;
  return at;
}

/* One character of a JSON string, ASCII only behind \\u. */
static size_t unescape_one(const char *p, size_t n, char *c) {
  *c = *p;
  if (*p != '\\' || n < 2) return 1;
  if (n >= 6 && p[1] == 'u' && p[2] == '0' && p[3] == '0' && p[4] >= '0' && p[4] <= '7' && hex_value(p[5]) >= 0) {
    *c = (char)((p[4] - '0') * 16 + hex_value(p[5]));
    return 6;
  }
  if (p[1] != '"' && p[1] != '\\' && p[1] != '/') return 1;
  *c = p[1];
  return 2;
}

/* One character of the text as a lenient decoder reads it: how many bytes it is made of. */
static size_t decode_one(const char *p, size_t n, enum reading how, char *c) {
  if (how == VISIBLE) {
    size_t skipped = invisible(p, n);
    *c = skipped < n ? p[skipped] : '\0';
    return skipped < n ? skipped + 1 : n;
  }
  if (how == JSON) return unescape_one(p, n, c);
  *c = *p == '+' && how == FORM ? ' ' : *p;
  if (*p != '%' || n < 3 || hex_value(p[1]) < 0 || hex_value(p[2]) < 0) return 1;
  *c = (char)(unsigned char)(hex_value(p[1]) * 16 + hex_value(p[2]));
  return 3;
}

/* Marks every place where pattern stands. fall[i]: the length of the longest proper prefix of pattern that ends at i. */
static enum ha_status search(struct view *v, const char *pattern, size_t m) {
  size_t *fall, i, k = 0, done = 0;
  if (m == 0 || m > v->len) return HA_OK;
  if (m > SIZE_MAX / sizeof *fall) return HA_TOOBIG;
  fall = ha_alloc(m * sizeof *fall);
  if (!fall) return HA_NOMEM;
  for (i = 1; i < m; i++) {
    while (k > 0 && pattern[i] != pattern[k]) k = fall[k - 1];
    if (pattern[i] == pattern[k]) k++;
    fall[i] = k;
  }
  for (i = 0, k = 0; i < v->len; i++) {
    size_t from, j;
    while (k > 0 && v->bytes[i] != pattern[k]) k = fall[k - 1];
    if (v->bytes[i] == pattern[k]) k++;
    if (k < m) continue;
    from = i + 1 - m;
    for (j = from < done ? done : from; j <= i; j++) v->marks[j] = (unsigned char)(v->marks[j] | COVERED | (j > from ? JOINED : 0));
    done = i + 1; /* each byte is marked once for a pattern: overlapping finds cost nothing more */
    k = fall[k - 1];
  }
  ha_free(fall, m * sizeof *fall);
  return HA_OK;
}

static enum ha_status search_all(struct work *w, const char *pattern, size_t m) {
  enum ha_status rc = search(&w->text, pattern, m);
  if (rc == HA_OK) rc = search(&w->percent, pattern, m);
  if (rc == HA_OK) rc = search(&w->form, pattern, m);
  if (rc == HA_OK) rc = search(&w->json, pattern, m);
  if (rc == HA_OK) rc = search(&w->visible, pattern, m);
  return rc;
}

/* The usual escaped spellings as they stand: the decoded views miss one that a stray "%" before it swallows. */
static enum ha_status search_escaped(struct work *w, struct ha_buf *code, const struct ha_secret *s) {
  size_t i;
  enum ha_status rc = ha_percent_encode(code, s->data, s->len);
  if (rc != HA_OK || code->len == s->len) return rc; /* the same as the secret */
  rc = search(&w->text, code->data, code->len);
  for (i = 0; i < code->len; i++) {
    if (code->data[i] != '%') continue;
    code->data[i + 1] = lower(code->data[i + 1]);
    code->data[i + 2] = lower(code->data[i + 2]);
    i += 2;
  }
  return rc == HA_OK ? search(&w->text, code->data, code->len) : rc;
}

/* Base64 of the secret alone, with and without padding. */
static enum ha_status search_base64(struct work *w, struct ha_buf *code, const struct ha_secret *s, bool url) {
  size_t bare = (s->len * 8 + 5) / 6;
  enum ha_status rc = url ? ha_base64url_encode(code, s->data, s->len) : ha_base64_encode(code, s->data, s->len);
  while (rc == HA_OK && code->len % 4 != 0) rc = ha_buf_addc(code, '=');
  if (rc == HA_OK) rc = search_all(w, code->data, code->len);
  if (rc == HA_OK && bare < code->len) rc = search_all(w, code->data, bare);
  return rc;
}

/* Base64 of something that holds the secret, such as "id:secret": the characters that depend on the secret alone, for each of the three
 * ways in which it can lie in groups of three bytes. */
static enum ha_status search_inner(struct work *w, struct ha_buf *code, const struct ha_secret *s, size_t shift, bool url) {
  static const char ZEROS[2] = {0, 0};
  struct ha_buf plain;
  size_t first = (shift * 8 + 5) / 6, end = (shift + s->len) * 8 / 6;
  enum ha_status rc;
  ha_buf_init(&plain, shift + s->len);
  rc = ha_buf_add(&plain, ZEROS, shift);
  if (rc == HA_OK) rc = ha_buf_add(&plain, s->data, s->len);
  if (rc == HA_OK) rc = url ? ha_base64url_encode(code, plain.data, plain.len) : ha_base64_encode(code, plain.data, plain.len);
  if (rc == HA_OK) rc = search_all(w, code->data + first, end - first);
  ha_buf_free(&plain);
  return rc;
}

/* In hexadecimal digits of either case. */
static enum ha_status search_hex(struct work *w, struct ha_buf *code, const struct ha_secret *s) {
  size_t i;
  enum ha_status rc = ha_hex_encode(code, s->data, s->len);
  if (rc == HA_OK) rc = search_all(w, code->data, code->len);
  for (i = 0; rc == HA_OK && i < code->len; i++)
    if (code->data[i] >= 'a') code->data[i] = (char)(code->data[i] - 'a' + 'A');
  return rc == HA_OK ? search_all(w, code->data, code->len) : rc;
}

static enum ha_status search_secret(struct work *w, const struct ha_secret *s) {
  struct ha_buf code;
  size_t shift;
  int url;
  enum ha_status rc;
  if (s->len > SIZE_MAX / 8 - 4) return HA_TOOBIG; /* lengths are counted in bits below */
  rc = search_all(w, s->data, s->len);
  ha_buf_init(&code, (s->len + 4) * 3);
  if (rc == HA_OK) rc = search_escaped(w, &code, s);
  ha_buf_clear(&code);
  if (rc == HA_OK) rc = search_hex(w, &code, s);
  for (url = 0; rc == HA_OK && url < 2; url++) {
    ha_buf_clear(&code);
    rc = search_base64(w, &code, s, url == 1);
    for (shift = 0; rc == HA_OK && s->len >= INNER_MIN && shift < 3; shift++) {
      ha_buf_clear(&code);
      rc = search_inner(w, &code, s, shift, url == 1);
    }
  }
  ha_buf_free(&code);
  return rc;
}

static enum ha_status open_decoded(struct view *v, const struct view *text, enum reading how) {
  size_t at = 0;
  v->own = ha_alloc(text->len);
  v->marks = ha_alloc(text->len);
  v->bytes = v->own;
  if (!v->own || !v->marks) return HA_NOMEM;
  while (at < text->len) at += decode_one(text->bytes + at, text->len - at, how, &v->own[v->len++]);
  return HA_OK;
}

/* Carries the marks of a decoded view over to the bytes of the text that each character came from. */
static void project(struct view *text, const struct view *v, enum reading how) {
  size_t at = 0, i;
  for (i = 0; i < v->len; i++) {
    char c;
    size_t j, took = decode_one(text->bytes + at, text->len - at, how, &c);
    for (j = 0; v->marks[i] && j < took; j++)
      text->marks[at + j] = (unsigned char)(text->marks[at + j] | (j > 0 ? COVERED | JOINED : v->marks[i]));
    at += took;
  }
}

static void close_view(struct view *v, size_t size) {
  ha_free(v->marks, size);
  ha_free(v->own, size);
}

static bool any_invisible(const struct view *text) {
  size_t i;
  for (i = 0; i < text->len; i++)
    if (invisible(text->bytes + i, text->len - i) > 0) return true;
  return false;
}

static enum ha_status open_views(struct work *w) {
  const struct view *text = &w->text;
  enum ha_status rc = HA_OK;
  w->text.marks = ha_alloc(text->len);
  if (!w->text.marks) return HA_NOMEM;
  if (memchr(text->bytes, '%', text->len)) rc = open_decoded(&w->percent, text, PERCENT);
  if (rc == HA_OK && memchr(text->bytes, '+', text->len)) rc = open_decoded(&w->form, text, FORM);
  if (rc == HA_OK && memchr(text->bytes, '\\', text->len)) rc = open_decoded(&w->json, text, JSON);
  if (rc == HA_OK && any_invisible(text)) rc = open_decoded(&w->visible, text, VISIBLE);
  return rc;
}

static enum ha_status write_masked(struct ha_buf *out, const struct view *text) {
  size_t at = 0, start = out->len;
  enum ha_status rc = HA_OK;
  while (rc == HA_OK && at < text->len) {
    size_t end = at + 1;
    bool secret = (text->marks[at] & COVERED) != 0;
    if (secret) while (end < text->len && (text->marks[end] & JOINED)) end++;
    else while (end < text->len && !(text->marks[end] & COVERED)) end++;
    rc = secret ? ha_buf_adds(out, MASK) : ha_buf_add(out, text->bytes + at, end - at);
    at = end;
  }
  if (rc != HA_OK && out->data) {
    ha_wipe(out->data + start, out->len - start);
    out->len = start;
  }
  return rc;
}

enum ha_status ha_redact(struct ha_buf *out, const char *text, size_t n, const struct ha_secret *const *secrets, size_t count) {
  struct work w;
  size_t i;
  enum ha_status rc;
  if (n == 0) return HA_OK;
  memset(&w, 0, sizeof w);
  w.text.bytes = text;
  w.text.len = n;
  rc = open_views(&w);
  for (i = 0; rc == HA_OK && i < count; i++) /* no spelling is shorter than the secret: a document of many small texts costs little */
    if (secrets[i] && secrets[i]->data && secrets[i]->len >= HA_REDACT_MIN && secrets[i]->len <= n) rc = search_secret(&w, secrets[i]);
  if (rc == HA_OK) {
    project(&w.text, &w.percent, PERCENT);
    project(&w.text, &w.form, FORM);
    project(&w.text, &w.json, JSON);
    project(&w.text, &w.visible, VISIBLE);
    rc = write_masked(out, &w.text);
  }
  close_view(&w.text, n);
  close_view(&w.percent, n);
  close_view(&w.form, n);
  close_view(&w.json, n);
  close_view(&w.visible, n);
  return rc;
}
