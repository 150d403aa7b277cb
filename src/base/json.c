/* SPDX-License-Identifier: MIT */
/* One pass over the text without recursion. Open containers and the member names seen so far live on one stack of slots: a container's
 * mark, then (for an object) its names, then what is nested in it. When an object ends its names are sorted by merging and equal
 * neighbours are duplicates; each of the log n rounds reads each name at most once, so long, alike or crafted names cost no more than
 * that. The price is that a fault further on in the same object is told before its duplicate. */
#include "json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "alloc.h"
#include "utf8.h"

enum { FIRST_SLOTS = 32, RUN = 8, BORDER_DIGITS = 309, DBL_MAX_EXPONENT = 308 };

/* 2^1024 - 2^970, halfway between the greatest double and the next power: from here on a decimal rounds to infinity. */
static const char BORDER[] =
  "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963"
  "3028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027"
  "0069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792";

/* A member's name, or the mark of an open container. */
struct slot {
  size_t at;  /* name: offset of its opening quote; mark: the base of the container around it */
  size_t raw; /* name: bytes between the quotes; mark: the kind of the container around it */
  size_t len; /* name: bytes when unescaped; the same as raw when nothing is escaped */
};

struct judge {
  const char *text;
  size_t len, at;
  size_t depth, values; /* open now; seen so far */
  struct ha_json_limits limits;
  enum ha_json_fault fault;
  struct slot *slots; /* cap slots, and behind them cap more to sort into */
  size_t cap, count;
  size_t base; /* first name of the innermost open container, whose mark is just before */
  char kind;   /* '{', '[' or, outside all, 0 */
  struct slot first[2 * FIRST_SLOTS]; /* enough for nearly every real answer without an allocation */
};

static bool wrong(struct judge *j, enum ha_json_fault fault, size_t at) {
  j->fault = fault;
  j->at = at;
  return false;
}

static bool bad_here(struct judge *j) { return wrong(j, HA_JSON_SYNTAX, j->at); }

/* The byte at the cursor; NUL at the end, which no rule of the grammar accepts either. */
static char peek(const struct judge *j) { return j->at < j->len ? j->text[j->at] : '\0'; }

static void space(struct judge *j) {
  while (j->at < j->len) {
    char c = j->text[j->at];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    j->at++;
  }
}

static bool push(struct judge *j, size_t at, size_t raw, size_t len) {
  struct slot *s;
  if (j->count == j->cap) {
    size_t cap = j->cap * 2;
    struct slot *block = cap <= SIZE_MAX / (2 * sizeof *block) ? ha_alloc(2 * cap * sizeof *block) : NULL;
    if (!block) return wrong(j, HA_JSON_NOMEM, j->at);
    memcpy(block, j->slots, j->count * sizeof *block);
    if (j->slots != j->first) ha_free(j->slots, 2 * j->cap * sizeof *block);
    j->slots = block;
    j->cap = cap;
  }
  s = &j->slots[j->count++];
  s->at = at;
  s->raw = raw;
  s->len = len;
  return true;
}

/* ---- strings ---- */

/* The four digits of \uXXXX at p, where p is the backslash; -1 when that is not what is there. */
static long unit(const char *p, size_t n) {
  long value = 0;
  size_t i;
  if (n < 6 || p[0] != '\\' || p[1] != 'u') return -1;
  for (i = 2; i < 6; i++) {
    char c = p[i];
    if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
    else if (c >= 'a' && c <= 'f') value = value * 16 + (c - 'a' + 10);
    else if (c >= 'A' && c <= 'F') value = value * 16 + (c - 'A' + 10);
    else return -1;
  }
  return value;
}

/* Reads one escape: its length and *code; 0 when it is wrong, also when it is half a surrogate pair. */
static size_t escape(const char *p, size_t n, uint32_t *code) {
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  long high, low;
  const char *letter;
  if (n < 2) return 0;
  if (p[1] != 'u') {
    letter = p[1] ? strchr(letters, p[1]) : NULL;
    if (!letter) return 0;
    *code = (unsigned char)meant[letter - letters];
    return 2;
  }
  high = unit(p, n);
  if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF)) return 0;
  *code = (uint32_t)high;
  if (high < 0xD800 || high > 0xDBFF) return 6;
  low = unit(p + 6, n - 6);
  if (low < 0xDC00 || low > 0xDFFF) return 0;
  *code = 0x10000u + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
  return 12;
}

/* The length of the plain bytes at p, ASCII without control bytes, quote and backslash; may stop short. */
static size_t plain(const char *p, size_t n) {
  const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
  size_t i = 0;
  while (n - i >= 8) {
    uint64_t word, quote, slash;
    memcpy(&word, p + i, 8);
    quote = word ^ ones * '"';
    slash = word ^ ones * '\\';
    if ((word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) break;
    i += 8;
  }
  while (i < n) {
    unsigned char c = (unsigned char)p[i];
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
    i++;
  }
  return i;
}

/* Reads the string at the cursor; *len becomes its unescaped length. */
static bool string(struct judge *j, size_t *len) {
  size_t i = j->at + 1, used;
  uint32_t code = 0;
  *len = 0;
  for (;;) {
    used = plain(j->text + i, j->len - i);
    i += used;
    *len += used;
    if (i == j->len) return wrong(j, HA_JSON_SYNTAX, i);
    if (j->text[i] == '"') {
      j->at = i + 1;
      return true;
    }
    if (j->text[i] == '\\') {
      used = escape(j->text + i, j->len - i, &code);
      if (used == 0) return wrong(j, HA_JSON_SYNTAX, i);
      *len += code < 0x80 ? 1u : code < 0x800 ? 2u : code < 0x10000 ? 3u : 4u;
    } else {
      if ((unsigned char)j->text[i] < 0x20) return wrong(j, HA_JSON_SYNTAX, i);
      used = ha_utf8_next(j->text + i, j->len - i, &code);
      if (used == 0) return wrong(j, HA_JSON_UTF8, i);
      *len += used;
    }
    i += used;
  }
}

/* ---- names ---- */

/* One character of a name that string() has accepted; its raw length. */
static size_t next(const char *p, size_t n, uint32_t *code) {
  return *p == '\\' ? escape(p, n, code) : ha_utf8_next(p, n, code);
}

/* Orders names by unescaped length, then by characters (which for UTF-8 is the order of the bytes, so that both ways agree). */
static int compare(const char *text, const struct slot *a, const struct slot *b) {
  const char *p = text + a->at + 1, *q = text + b->at + 1;
  size_t i = 0, k = 0;
  if (a->len != b->len) return a->len < b->len ? -1 : 1;
  if (a->raw == a->len && b->raw == b->len) return memcmp(p, q, a->raw);
  while (i < a->raw && k < b->raw) {
    uint32_t x = 0, y = 0;
    i += next(p + i, a->raw - i, &x);
    k += next(q + k, b->raw - k, &y);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0; /* equal lengths end together */
}

static void insert_runs(const char *text, struct slot *names, size_t n) {
  size_t i, k;
  for (i = 1; i < n; i++) {
    struct slot moved = names[i];
    for (k = i; k % RUN != 0 && compare(text, &names[k - 1], &moved) > 0; k--) names[k] = names[k - 1];
    names[k] = moved;
  }
}

/* Sorts n names, equal ones in the order of the text; answers where they are now, names or spare. */
static struct slot *sort(const char *text, struct slot *names, struct slot *spare, size_t n) {
  size_t width, start;
  insert_runs(text, names, n);
  for (width = RUN; width < n; width *= 2) {
    struct slot *sorted = spare;
    for (start = 0; start < n; start += 2 * width) {
      size_t left = start, middle = n - start > width ? start + width : n, right = middle;
      size_t end = n - start > 2 * width ? start + 2 * width : n, to;
      for (to = start; to < end; to++) {
        bool take_left = left < middle && (right == end || compare(text, &names[left], &names[right]) <= 0);
        spare[to] = take_left ? names[left++] : names[right++];
      }
    }
    spare = names;
    names = sorted;
  }
  return names;
}

/* Refuses the object that ends here when two of its names are one; the fault is at the first that is there again. */
static bool names_differ(struct judge *j) {
  size_t n = j->count - j->base, i, again = SIZE_MAX;
  struct slot *names;
  if (n < 2) return true;
  names = sort(j->text, j->slots + j->base, j->slots + j->cap, n);
  for (i = 1; i < n; i++)
    if (names[i].at < again && compare(j->text, &names[i - 1], &names[i]) == 0) again = names[i].at;
  return again == SIZE_MAX ? true : wrong(j, HA_JSON_DUPLICATE, again);
}

/* ---- numbers and literals ---- */

static bool digit(char c) { return c >= '0' && c <= '9'; }

static size_t digits(struct judge *j) {
  size_t start = j->at;
  while (digit(peek(j))) j->at++;
  return j->at - start;
}

/* True when the digits of [at, end), of which the first is not 0, are below the border as fractions of one, point left out. */
static bool below_border(const char *at, const char *end) {
  size_t i = 0;
  for (; at < end && i < BORDER_DIGITS; at++) {
    if (*at == '.') continue;
    if (*at != BORDER[i]) return *at < BORDER[i];
    i++;
  }
  for (; i < BORDER_DIGITS; i++)
    if (BORDER[i] != '0') return true;
  return false;
}

/* By hand, because strtod follows the locale. whole: digits before the point; [at, end): all digits and the point. */
static bool holds(const char *at, const char *end, size_t whole, int64_t exponent) {
  const char *point = at + whole, *first = at;
  int64_t place;
  while (first < end && (*first == '0' || *first == '.')) first++;
  if (first == end) return true;
  place = first < point ? point - first - 1 : point - first;
  if (exponent < DBL_MAX_EXPONENT - place) return true;
  if (exponent > DBL_MAX_EXPONENT - place) return false;
  return below_border(first, end);
}

static bool number(struct judge *j) {
  size_t start = j->at, from, end, whole;
  int64_t exponent = 0;
  if (peek(j) == '-') j->at++;
  from = j->at;
  if (!digit(peek(j))) return bad_here(j);
  if (peek(j) == '0') j->at++;
  else digits(j);
  whole = j->at - from;
  if (peek(j) == '.') {
    j->at++;
    if (digits(j) == 0) return bad_here(j);
  }
  end = j->at;
  if (peek(j) == 'e' || peek(j) == 'E') {
    bool minus = false;
    j->at++;
    if (peek(j) == '+' || peek(j) == '-') minus = j->text[j->at++] == '-';
    if (!digit(peek(j))) return bad_here(j);
    for (; digit(peek(j)); j->at++) /* stops counting far above the length of any text */
      if (exponent < INT64_MAX / 100) exponent = exponent * 10 + (j->text[j->at] - '0');
    if (minus) exponent = -exponent;
  }
  if (!holds(j->text + from, j->text + end, whole, exponent)) return wrong(j, HA_JSON_NUMBER, start);
  return true;
}

static bool literal(struct judge *j, const char *word) {
  for (; *word; word++, j->at++)
    if (peek(j) != *word) return bad_here(j);
  return true;
}

/* ---- structure ---- */

/* Goes to the first byte of the next value: counts it and, in an object, reads its name and colon. */
static bool item(struct judge *j) {
  size_t start = j->at, len;
  if (j->kind == '{' && peek(j) != '"') return bad_here(j);
  if (j->values == j->limits.values) return wrong(j, HA_JSON_COUNT, start);
  j->values++;
  if (j->kind == '[') return true;
  if (!string(j, &len) || !push(j, start, j->at - start - 2, len)) return false;
  space(j);
  if (peek(j) != ':') return bad_here(j);
  j->at++;
  space(j);
  return true;
}

static void leave(struct judge *j) {
  struct slot mark = j->slots[j->base - 1];
  j->count = j->base - 1;
  j->base = mark.at;
  j->kind = (char)mark.raw;
  j->depth--;
  j->at++;
}

static char closer(const struct judge *j) { return j->kind == '{' ? '}' : ']'; }

/* Enters the container at the cursor; *more tells that it is not empty and the cursor is at its first value. */
static bool enter(struct judge *j, bool *more) {
  char kind = peek(j);
  if (j->depth == j->limits.depth) return wrong(j, HA_JSON_DEPTH, j->at);
  if (!push(j, j->base, (size_t)(unsigned char)j->kind, 0)) return false;
  j->depth++;
  j->base = j->count;
  j->kind = kind;
  j->at++;
  space(j);
  *more = peek(j) != closer(j);
  if (*more) return item(j);
  leave(j);
  return true;
}

static bool value(struct judge *j, bool *more) {
  size_t len;
  *more = false;
  switch (peek(j)) {
  case '{':
  case '[': return enter(j, more);
  case '"': return string(j, &len);
  case 't': return literal(j, "true");
  case 'f': return literal(j, "false");
  case 'n': return literal(j, "null");
  default: return number(j);
  }
}

/* After a value: ends the containers that end here; *more tells that the cursor is at another value. */
static bool after(struct judge *j, bool *more) {
  *more = false;
  for (;;) {
    space(j);
    if (j->depth == 0) return j->at == j->len ? true : bad_here(j);
    if (peek(j) == ',') {
      j->at++;
      space(j);
      *more = true;
      return item(j);
    }
    if (peek(j) != closer(j)) return bad_here(j);
    if (!names_differ(j)) return false;
    leave(j);
  }
}

static char top(char c) { return c == '-' || digit(c) ? '0' : c; }

struct ha_json_verdict ha_json_judge(const char *text, size_t len, const struct ha_json_limits *limits) {
  struct ha_json_verdict verdict;
  struct judge j;
  bool more = true, fine = true;
  j.text = text;
  j.len = len;
  j.at = j.depth = j.values = j.count = j.base = 0;
  j.limits = *limits;
  j.fault = HA_JSON_FINE;
  j.slots = j.first;
  j.cap = FIRST_SLOTS;
  j.kind = '\0';
  space(&j);
  verdict.top = top(peek(&j));
  while (fine && more) {
    fine = value(&j, &more);
    if (fine && !more) fine = after(&j, &more);
  }
  if (!fine) verdict.top = '\0';
  if (j.slots != j.first) ha_free(j.slots, 2 * j.cap * sizeof *j.slots);
  verdict.fault = j.fault;
  verdict.offset = j.at;
  return verdict;
}

/* ---- writing ---- */

static enum ha_status quote_byte(struct ha_buf *out, unsigned char c) {
  static const char hex[] = "0123456789ABCDEF", letters[] = "btn?fr"; /* from 0x08 on; 0x0B has no letter */
  char text[6] = {'\\', 'u', '0', '0', '0', '0'};
  if (c == '"' || c == '\\') text[1] = (char)c;
  else if (c >= '\b' && c <= '\r' && c != '\v') text[1] = letters[c - '\b'];
  text[4] = hex[c >> 4];
  text[5] = hex[c & 15];
  return ha_buf_add(out, text, text[1] == 'u' ? 6 : 2);
}

enum ha_status ha_json_quote(struct ha_buf *out, const char *p, size_t n) {
  size_t start = out->len, i = 0, run;
  uint32_t code;
  enum ha_status rc = ha_buf_addc(out, '"');
  while (i < n && rc == HA_OK) {
    run = plain(p + i, n - i);
    if (run == 0 && (unsigned char)p[i] >= 0x80) {
      run = ha_utf8_next(p + i, n - i, &code);
      if (run == 0) rc = HA_BAD;
    }
    if (rc != HA_OK) break;
    rc = run ? ha_buf_add(out, p + i, run) : quote_byte(out, (unsigned char)p[i]);
    i += run ? run : 1;
  }
  if (rc == HA_OK) rc = ha_buf_addc(out, '"');
  if (rc == HA_OK) return HA_OK;
  out->len = start; /* all or nothing */
  if (out->data) out->data[start] = '\0';
  return rc;
}
