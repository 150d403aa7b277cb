/* SPDX-License-Identifier: MIT */
/* Header values: words, media types and challenges, by the grammar of RFC 9110. */
#include <string.h>

#include "message.h"

struct rest { const char *p; size_t n; }; /* what is left of the value */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool alnum(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'); }

static bool token_byte(char c) { return alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL); }

static bool token68_byte(char c) { return alnum(c) || (c != '\0' && strchr("-._~+/", c) != NULL); }

bool ha_same_word(const char *a, size_t alen, const char *b, size_t blen) {
  size_t i;
  if (alen != blen) return false;
  for (i = 0; i < alen; i++)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

static void skip(struct rest *r, size_t n) {
  if (n == 0) return; /* p may be NULL then */
  r->p += n;
  r->n -= n;
}

static void skip_space(struct rest *r) {
  while (r->n > 0 && (*r->p == ' ' || *r->p == '\t')) skip(r, 1);
}

static bool skip_char(struct rest *r, char c) {
  if (r->n == 0 || *r->p != c) return false;
  skip(r, 1);
  return true;
}

static size_t take_token(struct rest *r, const char **p) {
  size_t n = 0;
  *p = r->p;
  while (n < r->n && token_byte(r->p[n])) n++;
  skip(r, n);
  return n;
}

/* A token or a quoted-string (with its quotes); 0 when there is neither. */
static size_t take_value(struct rest *r, const char **p) {
  size_t i;
  if (r->n == 0 || *r->p != '"') return take_token(r, p);
  *p = r->p;
  for (i = 1; i < r->n && r->p[i] != '"'; i++) {
    if (r->p[i] == '\\' && ++i == r->n) return 0;
    if (((unsigned char)r->p[i] < 0x20 && r->p[i] != '\t') || r->p[i] == 0x7F) return 0;
  }
  if (i >= r->n) return 0;
  skip(r, i + 1);
  return i + 1;
}

/* RFC 9110 8.3.1: type/subtype *( OWS ";" OWS [ name=value ] ). The length of type/subtype at *name, 0 when it is no media type. */
static size_t read_media(const char *p, size_t n, const char **name) {
  struct rest r;
  const char *part;
  size_t len;
  r.p = p;
  r.n = n;
  skip_space(&r);
  *name = r.p;
  if (!take_token(&r, &part) || !skip_char(&r, '/') || !take_token(&r, &part)) return 0;
  len = (size_t)(r.p - *name);
  for (skip_space(&r); r.n > 0; skip_space(&r)) {
    if (!skip_char(&r, ';')) return 0;
    skip_space(&r);
    if (r.n == 0 || *r.p == ';') continue;
    if (!take_token(&r, &part) || !skip_char(&r, '=') || !take_value(&r, &part)) return 0;
  }
  return len;
}

bool ha_media_is(const char *p, size_t n, const char *name) {
  const char *found;
  size_t len = read_media(p, n, &found);
  return len > 0 && ha_same_word(found, len, name, strlen(name));
}

bool ha_media_is_json(const char *p, size_t n) {
  static const char PREFIX[] = "application/", SUFFIX[] = "+json";
  const size_t prefix = sizeof PREFIX - 1, suffix = sizeof SUFFIX - 1;
  const char *found;
  size_t len = read_media(p, n, &found);
  if (len <= prefix || !ha_same_word(found, prefix, PREFIX, prefix)) return false;
  if (ha_same_word(found + prefix, len - prefix, "json", 4)) return true;
  return len > prefix + suffix && ha_same_word(found + len - suffix, suffix, SUFFIX, suffix);
}

/* The error parameter, still in its quotes. */
struct found {
  const char *value;
  size_t len;
  bool bearer;      /* inside the first Bearer challenge */
  bool bearer_seen;
  bool parameters;  /* a parameter may come now: not behind a token68, not before the first scheme */
};

/* One parameter whose name is taken and whose "=" is next. */
static bool read_parameter(struct rest *r, const char *name, size_t name_len, struct found *f) {
  const char *value;
  size_t len;
  if (!f->parameters || !skip_char(r, '=')) return false;
  skip_space(r);
  len = take_value(r, &value);
  if (len == 0) return false;
  if (f->bearer && ha_same_word(name, name_len, "error", 5)) {
    if (f->value) return false; /* RFC 6750 3: at most once */
    f->value = value;
    f->len = len;
  }
  return true;
}

/* "abc==" up to a comma or the end, else nothing is taken. */
static bool skip_token68(struct rest *r) {
  struct rest ahead = *r;
  while (ahead.n > 0 && token68_byte(*ahead.p)) skip(&ahead, 1);
  if (ahead.p == r->p) return false;
  while (skip_char(&ahead, '=')) continue;
  skip_space(&ahead);
  if (ahead.n > 0 && *ahead.p != ',') return false;
  *r = ahead;
  return true;
}

/* What comes between two commas: a parameter of the challenge before, or a new scheme with what follows it. */
static bool read_element(struct rest *r, struct found *f) {
  const char *name;
  size_t len = take_token(r, &name);
  bool spaced = r->n > 0 && *r->p == ' ';
  if (len == 0) return false;
  skip_space(r);
  if (r->n > 0 && *r->p == '=') return read_parameter(r, name, len, f);
  f->bearer = !f->bearer_seen && ha_same_word(name, len, "bearer", 6);
  f->bearer_seen = f->bearer_seen || f->bearer;
  f->parameters = spaced;
  if (r->n == 0 || *r->p == ',') return true;
  if (!spaced) return false;
  if (skip_token68(r)) {
    f->parameters = false;
    return true;
  }
  len = take_token(r, &name);
  skip_space(r);
  return len > 0 && read_parameter(r, name, len, f);
}

static enum ha_status add_unquoted(struct ha_buf *out, const char *p, size_t n) {
  size_t i, start = out->len;
  enum ha_status rc = HA_OK;
  if (n == 0 || p[0] != '"') return ha_buf_add(out, p, n);
  for (i = 1; rc == HA_OK && i + 1 < n; i++) {
    if (p[i] == '\\') i++;
    rc = ha_buf_addc(out, p[i]);
  }
  if (rc != HA_OK && out->data) {
    out->len = start;
    out->data[start] = '\0';
  }
  return rc;
}

enum ha_status ha_bearer_error(struct ha_buf *out, const char *p, size_t n) {
  struct found f;
  struct rest r;
  memset(&f, 0, sizeof f);
  r.p = p;
  r.n = n;
  for (;;) {
    skip_space(&r);
    if (r.n == 0) break;
    if (skip_char(&r, ',')) continue; /* RFC 9110 5.6.1.2: empty elements are nothing */
    if (!read_element(&r, &f)) return HA_BAD;
    skip_space(&r);
    if (r.n > 0 && *r.p != ',') return HA_BAD;
  }
  return f.value ? add_unquoted(out, f.value, f.len) : HA_OK;
}
