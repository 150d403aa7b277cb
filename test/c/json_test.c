/* SPDX-License-Identifier: MIT */
/* The grammar's many cases are in spec/corpus/json.txt (test/json_agree.py); here are offsets, limits, memory, size and quoting. */
#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "failing.h"

static const struct ha_json_limits LIMITS = {32, 1000000};

#define TEXT(s) s, sizeof(s) - 1

static void verdicts(void) {
  static const struct {
    const char *text;
    size_t len, depth, values;
    enum ha_json_fault fault;
    size_t offset;
    char top;
  } cases[] = {
    {TEXT("{}"), 1, 0, HA_JSON_FINE, 2, '{'},
    {TEXT(" [] "), 1, 0, HA_JSON_FINE, 4, '['},
    {TEXT("\"a\""), 0, 0, HA_JSON_FINE, 3, '"'},
    {TEXT("-1.5e3"), 0, 0, HA_JSON_FINE, 6, '0'},
    {TEXT("0"), 0, 0, HA_JSON_FINE, 1, '0'},
    {TEXT("9"), 0, 0, HA_JSON_FINE, 1, '0'},
    {TEXT("true"), 0, 0, HA_JSON_FINE, 4, 't'},
    {TEXT("false"), 0, 0, HA_JSON_FINE, 5, 'f'},
    {TEXT("\tnull\n"), 0, 0, HA_JSON_FINE, 6, 'n'},
    /* syntax, at the first wrong byte; an escape is wrong as a whole */
    {TEXT(""), 9, 9, HA_JSON_SYNTAX, 0, 0},
    {TEXT("  "), 9, 9, HA_JSON_SYNTAX, 2, 0},
    {TEXT("{} x"), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("{\"a\":1}\0"), 9, 9, HA_JSON_SYNTAX, 7, 0},
    {TEXT("[1,]"), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("[1"), 9, 9, HA_JSON_SYNTAX, 2, 0},
    {TEXT("[1}"), 9, 9, HA_JSON_SYNTAX, 2, 0},
    {TEXT("{\"a\" 1}"), 9, 9, HA_JSON_SYNTAX, 5, 0},
    {TEXT("{\"a\":1,}"), 9, 9, HA_JSON_SYNTAX, 7, 0},
    {TEXT("{\"a\":1]"), 9, 9, HA_JSON_SYNTAX, 6, 0},
    {TEXT("trux"), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("01"), 9, 9, HA_JSON_SYNTAX, 1, 0},
    {TEXT("-"), 9, 9, HA_JSON_SYNTAX, 1, 0},
    {TEXT("1.x"), 9, 9, HA_JSON_SYNTAX, 2, 0},
    {TEXT("1e+"), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("\"ab\ncd\""), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("\"ab\\qcd\""), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("\"ab\\ud800\""), 9, 9, HA_JSON_SYNTAX, 3, 0},
    {TEXT("\"abc"), 9, 9, HA_JSON_SYNTAX, 4, 0},
    {TEXT("\xEF\xBB\xBF{}"), 9, 9, HA_JSON_SYNTAX, 0, 0},
    /* the other faults */
    {TEXT("[\"abcdefghijk\xFF\"]"), 9, 9, HA_JSON_UTF8, 13, 0},
    {TEXT("\"\xF0\x9F\x98"), 9, 9, HA_JSON_UTF8, 1, 0},
    {TEXT("[1, -1e309]"), 9, 9, HA_JSON_NUMBER, 4, 0},
    {TEXT("{\"a\":1,\"b\":2,\"a\":3,\"b\":4,\"a\":5}"), 9, 9, HA_JSON_DUPLICATE, 13, 0},
    {TEXT("{\"b\":1,\"a\":2,\"\\u0061\":3}"), 9, 9, HA_JSON_DUPLICATE, 13, 0},
    {TEXT("{\"x\":{\"a\":1,\"a\":1},\"x\":1}"), 9, 9, HA_JSON_DUPLICATE, 12, 0},
    {TEXT("{\"a\":1,\"a\":1,\"b\"}"), 9, 9, HA_JSON_SYNTAX, 16, 0}, /* a later fault in the same object comes first */
    /* depth: at the bracket too many */
    {TEXT("{}"), 0, 9, HA_JSON_DEPTH, 0, 0},
    {TEXT("[]"), 0, 9, HA_JSON_DEPTH, 0, 0},
    {TEXT("1"), 0, 9, HA_JSON_FINE, 1, '0'},
    {TEXT("[[]]"), 1, 9, HA_JSON_DEPTH, 1, 0},
    {TEXT("[[],[]]"), 2, 9, HA_JSON_FINE, 7, '['},
    {TEXT("[[],{\"a\":[]}]"), 2, 9, HA_JSON_DEPTH, 9, 0},
    /* count: members and elements of the whole text, at the first too many */
    {TEXT("[]"), 9, 0, HA_JSON_FINE, 2, '['},
    {TEXT("[1]"), 9, 0, HA_JSON_COUNT, 1, 0},
    {TEXT("{\"a\":1}"), 9, 0, HA_JSON_COUNT, 1, 0},
    {TEXT("[1,2]"), 9, 2, HA_JSON_FINE, 5, '['},
    {TEXT("[1,2,3]"), 9, 2, HA_JSON_COUNT, 5, 0},
    {TEXT("{\"a\":[1],\"b\":2}"), 9, 3, HA_JSON_FINE, 15, '{'},
    {TEXT("{\"a\":[1],\"b\":2}"), 9, 2, HA_JSON_COUNT, 9, 0},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ha_json_limits limits;
    struct ha_json_verdict v;
    char *exact = malloc(cases[i].len ? cases[i].len : 1); /* no byte behind the last: a sanitizer sees a read too far */
    if (!exact) abort();
    memcpy(exact, cases[i].text, cases[i].len);
    limits.depth = cases[i].depth;
    limits.values = cases[i].values;
    v = ha_json_judge(exact, cases[i].len, &limits);
    CHECK_CASE(cases[i].text);
    CHECK_EQ_INT(v.fault, cases[i].fault);
    CHECK_EQ_INT(v.offset, cases[i].offset);
    CHECK_EQ_INT(v.top, cases[i].top);
    free(exact);
  }
  CHECK_CASE("");
  CHECK_EQ_INT(ha_json_judge(NULL, 0, &LIMITS).fault, HA_JSON_SYNTAX);
}

/* A right text stops being right wherever it is cut: the closing byte is needed. */
static void cut_texts(void) {
  static const char text[] = "{\"a\\u0062\\ud83d\\ude00\":[1.5e3,true,null,\"\xC3\xA9\"],\"\":{\"x\":-0}}";
  size_t n, fine = 0;
  for (n = 0; n < sizeof text - 1; n++) fine += ha_json_judge(text, n, &LIMITS).fault == HA_JSON_FINE;
  CHECK_EQ_INT(fine, 0);
  CHECK_EQ_INT(ha_json_judge(text, n, &LIMITS).fault, HA_JSON_FINE);
}

/* Every place of a control byte or quote relative to the eight bytes that are read at once. */
static void places(void) {
  static const char stops[] = {'\0', '\x1F', '"', '\\', '\x80'};
  size_t at, len, s;
  for (len = 1; len < 40; len++)
    for (at = 0; at < len; at++)
      for (s = 0; s < sizeof stops; s++) {
        char text[64];
        struct ha_json_verdict v;
        memset(text, s % 2 ? '~' : ' ', sizeof text);
        text[0] = '"';
        text[len + 1] = '"';
        text[at + 1] = stops[s];
        v = ha_json_judge(text, len + 2, &LIMITS);
        if (stops[s] == '"') {
          CHECK(v.fault == HA_JSON_SYNTAX && v.offset > at + 1);
        } else if (stops[s] == '\\' && at + 1 == len) {
          CHECK(v.fault == HA_JSON_SYNTAX && v.offset == len + 2); /* it escapes the closing quote */
        } else {
          CHECK(v.fault == (stops[s] == '\x80' ? HA_JSON_UTF8 : HA_JSON_SYNTAX) && v.offset == at + 1);
        }
      }
}

static void deep(void) {
  enum { DEEP = 200000 };
  struct ha_json_limits limits = {1000, 1000000};
  char *text = malloc(2 * DEEP);
  if (!text) abort();
  memset(text, '[', DEEP);
  memset(text + DEEP, ']', DEEP);
  CHECK_EQ_INT(ha_json_judge(text + DEEP - 1000, 2000, &limits).fault, HA_JSON_FINE);
  CHECK_EQ_INT(ha_json_judge(text + DEEP - 1001, 2002, &limits).fault, HA_JSON_DEPTH);
  CHECK_EQ_INT(ha_json_judge(text + DEEP - 1001, 2002, &limits).offset, 1000);
  CHECK_EQ_INT(ha_json_judge(text, 2 * DEEP, &limits).fault, HA_JSON_DEPTH);
  limits.depth = DEEP; /* nothing recurses, so no depth can harm */
  CHECK_EQ_INT(ha_json_judge(text, 2 * DEEP, &limits).fault, HA_JSON_FINE);
  free(text);
}

/* Appends an object of n members named by a fixed shuffle of the numbers; twice >= 0 is repeated as the last name. */
static void add_object(struct ha_buf *out, int n, int twice, const char *prefix) {
  int i;
  char member[32];
  bool ok = ha_buf_addc(out, '{') == HA_OK;
  for (i = 0; i < n + (twice >= 0); i++) {
    long name = i < n ? (long)i * 7919 % n : twice;
    (void)snprintf(member, sizeof member, "%06ld\":%d", name, i);
    ok = ok && (i == 0 || ha_buf_addc(out, ',') == HA_OK) && ha_buf_addc(out, '"') == HA_OK && ha_buf_adds(out, prefix) == HA_OK &&
         ha_buf_adds(out, member) == HA_OK;
  }
  ok = ok && ha_buf_addc(out, '}') == HA_OK;
  CHECK(ok);
}

/* The offset of the last name's opening quote. */
static size_t last_name(const struct ha_buf *text) {
  size_t i = text->len, quotes = 0;
  while (quotes < 2) quotes += text->data[--i] == '"';
  return i;
}

/* Any size of object, sorted in runs and merges: no name is lost, the one that is there twice is found. */
static void many_names(void) {
  static const char *const prefixes[] = {"", "the same long beginning of every single name in this object, ", "\\u0061"};
  int n, p;
  struct ha_buf text;
  ha_buf_init(&text, 64 * 1024 * 1024);
  for (p = 0; p < 3; p++)
    for (n = 1; n < 150; n += n < 70 ? 1 : 13) {
      struct ha_json_verdict verdict;
      int twice;
      for (twice = -1; twice < n; twice += 1 + n / 8) {
        ha_buf_clear(&text);
        add_object(&text, n, twice, prefixes[p]);
        verdict = ha_json_judge(text.data, text.len, &LIMITS);
        CHECK_EQ_INT(verdict.fault, twice < 0 ? HA_JSON_FINE : HA_JSON_DUPLICATE);
        CHECK_EQ_INT(verdict.offset, twice < 0 ? text.len : last_name(&text)); /* of two, the one further on */
      }
    }
  ha_buf_clear(&text);
  add_object(&text, 200000, -1, prefixes[1]);
  CHECK_EQ_INT(ha_json_judge(text.data, text.len, &LIMITS).fault, HA_JSON_FINE);
  ha_buf_clear(&text);
  add_object(&text, 200000, 123456, "");
  CHECK_EQ_INT(ha_json_judge(text.data, text.len, &LIMITS).fault, HA_JSON_DUPLICATE);
  ha_buf_free(&text);
}

/* Names of outer objects wait while inner ones are judged and dropped. */
static void nested_names(void) {
  static const char fine[] = "{\"a\":{\"a\":{\"b\":1,\"a\":2},\"b\":[{\"b\":1},{\"b\":2}]},\"b\":{\"a\":1}}";
  static const char outer[] = "{\"a\":{\"c\":{\"b\":1,\"a\":2},\"b\":[{\"b\":1},{\"b\":2}]},\"b\":{\"x\":1},\"\\u0061\":3}";
  CHECK_EQ_INT(ha_json_judge(TEXT(fine), &LIMITS).fault, HA_JSON_FINE);
  CHECK_EQ_INT(ha_json_judge(TEXT(outer), &LIMITS).fault, HA_JSON_DUPLICATE);
  CHECK_EQ_INT(ha_json_judge(TEXT(outer), &LIMITS).offset, strstr(outer, "\"\\u0061") - outer);
}

static void no_memory(void) {
  struct ha_buf text;
  size_t nth, blocks;
  ha_buf_init(&text, 1024 * 1024);
  add_object(&text, 3000, -1, "");
  failing_start(0);
  CHECK_EQ_INT(ha_json_judge(text.data, text.len, &LIMITS).fault, HA_JSON_FINE);
  blocks = failing_seen;
  CHECK_EQ_INT(failing_stop(), 0);
  CHECK_EQ_INT(failing_bad, 0);
  CHECK(blocks >= 3);
  CHECK(failing_largest < 20 * text.len);
  for (nth = 1; nth <= blocks; nth++) {
    struct ha_json_verdict v;
    failing_start(nth);
    v = ha_json_judge(text.data, text.len, &LIMITS);
    CHECK_EQ_INT(failing_stop(), 0);
    CHECK_EQ_INT(v.fault, HA_JSON_NOMEM);
    CHECK_EQ_INT(v.top, 0);
  }
  failing_start(1);
  CHECK_EQ_INT(ha_json_judge(TEXT("{\"a\":[1,2,{\"b\":null}]}"), &LIMITS).fault, HA_JSON_FINE); /* small texts need no memory */
  CHECK_EQ_INT(failing_stop(), 0);
  ha_buf_free(&text);
}

static void quoting(void) {
  static const struct {
    const char *in;
    size_t n;
    const char *want; /* NULL = HA_BAD */
  } cases[] = {
    {TEXT(""), "\"\""},
    {TEXT("plain"), "\"plain\""},
    {TEXT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
    {TEXT("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
    {TEXT("\0\x01\x07\x0B\x0E\x1F"), "\"\\u0000\\u0001\\u0007\\u000B\\u000E\\u001F\""},
    {TEXT("\x7F"), "\"\x7F\""},
    {TEXT("0123456789\n0123456789"), "\"0123456789\\n0123456789\""},
    {TEXT("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
    {TEXT("\xFF"), NULL},
    {TEXT("0123456789\xC3"), NULL},
    {TEXT("\xED\xA0\x80"), NULL},
    {TEXT("\xC0\x80"), NULL},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ha_buf out;
    enum ha_status rc;
    ha_buf_init(&out, 1000);
    CHECK_EQ_INT(ha_buf_adds(&out, "x="), HA_OK);
    rc = ha_json_quote(&out, cases[i].in, cases[i].n);
    CHECK_EQ_INT(rc, cases[i].want ? HA_OK : HA_BAD);
    CHECK_EQ_STR(out.data + 2, cases[i].want ? cases[i].want : "");
    CHECK_EQ_INT(out.len, strlen(out.data));
    if (cases[i].want) CHECK_EQ_INT(ha_json_judge(out.data + 2, out.len - 2, &LIMITS).fault, HA_JSON_FINE);
    ha_buf_free(&out);
  }
}

/* Short of room or of memory, quote leaves the buffer as it was. */
static void quoting_all_or_nothing(void) {
  static const char in[] = "0123456789012345678901234567890123456789\n\x01\"\xC3\xA9";
  struct ha_buf out;
  size_t max, nth, want;
  ha_buf_init(&out, 1000);
  CHECK_EQ_INT(ha_json_quote(&out, TEXT(in)), HA_OK);
  want = out.len;
  ha_buf_free(&out);
  for (max = 2; max < want + 3; max++) {
    enum ha_status rc;
    ha_buf_init(&out, max);
    CHECK_EQ_INT(ha_buf_adds(&out, "x="), HA_OK);
    rc = ha_json_quote(&out, TEXT(in));
    CHECK_EQ_INT(rc, max < want + 2 ? HA_TOOBIG : HA_OK);
    if (rc != HA_OK) CHECK_EQ_STR(out.data, "x=");
    ha_buf_free(&out);
  }
  for (nth = 1; nth <= 2; nth++) {
    failing_start(nth);
    ha_buf_init(&out, 1000);
    CHECK_EQ_INT(ha_json_quote(&out, in, 40), nth == 1 ? HA_NOMEM : HA_OK);
    CHECK_EQ_INT(ha_json_quote(&out, in, 40), HA_NOMEM);
    CHECK_EQ_INT(out.len, nth == 1 ? 0 : 42);
    CHECK(out.len == 0 || out.data[out.len] == '\0');
    ha_buf_free(&out);
    CHECK_EQ_INT(failing_stop(), 0);
  }
}

int main(void) {
  verdicts();
  cut_texts();
  places();
  deep();
  many_names();
  nested_names();
  no_memory();
  quoting();
  quoting_all_or_nothing();
  return check_done();
}
