/* SPDX-License-Identifier: MIT */
/* The foundations: allocation seam, buffer, secrets, codecs. */
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/secret.h"
#include "check.h"
#include "failing.h"

#define TEXT(s) s, sizeof(s) - 1
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { ROOM = 1000 };

/* ---- alloc ---- */

static void blocks(void) {
  char *p;
  size_t i, set = 0;
  failing_start(0);
  p = ha_alloc(100);
  for (i = 0; i < 100; i++) set += p[i] != 0;
  CHECK_EQ_INT(set, 0);
  memset(p, 'x', 100);
  ha_free(p, 100);
  CHECK_EQ_INT(failing_bad, 0); /* it came back wiped */
  p = ha_alloc(0);
  CHECK(p != NULL);
  *p = 'x';
  ha_free(p, 0);
  ha_free(NULL, 10);
  CHECK_EQ_INT(failing_bad, 0);
  CHECK_EQ_INT(failing_stop(), 0);
  failing_start(1);
  CHECK(ha_alloc(1) == NULL);
  CHECK_EQ_INT(failing_stop(), 0);
}

static void wiping(void) {
  char bytes[4] = {'a', 'b', 'c', 'd'};
  ha_wipe(bytes, 3);
  CHECK_EQ_MEM(bytes, 4, "\0\0\0d", 4);
  ha_wipe(NULL, 0);
  CHECK_EQ_INT(bytes[3], 'd');
}

/* ---- buf ---- */

static void buffer_grows(void) {
  struct ha_buf b;
  size_t i, wrong = 0;
  failing_start(0);
  ha_buf_init(&b, 100000);
  CHECK(b.data == NULL && b.len == 0);
  for (i = 0; i < 10000; i++) {
    if (ha_buf_addc(&b, (char)('a' + i % 26)) != HA_OK || b.data[b.len] != '\0') wrong++;
  }
  for (i = 0; i < 10000; i++) wrong += b.data[i] != (char)('a' + i % 26);
  CHECK_EQ_INT(wrong, 0);
  CHECK_EQ_INT(b.len, 10000);
  CHECK_EQ_INT(failing_out, 1);
  CHECK(failing_seen > 1 && failing_seen < 20); /* it grew, by doubling */
  CHECK_EQ_INT(failing_bad, 0);                 /* and wiped every block that it left */
  ha_buf_free(&b);
  CHECK(b.data == NULL && b.len == 0 && b.max == 100000);
  ha_buf_free(&b);
  CHECK_EQ_INT(ha_buf_adds(&b, "again"), HA_OK);
  CHECK_EQ_STR(b.data, "again");
  ha_buf_free(&b);
  CHECK_EQ_INT(failing_bad, 0);
  CHECK_EQ_INT(failing_stop(), 0);
}

static void buffer_keeps_its_maximum(void) {
  static const size_t maxima[] = {0, 1, 5, 63, 64, 65, 127, 128, 129, 1000};
  size_t m, i;
  for (m = 0; m < COUNT(maxima); m++) {
    struct ha_buf b;
    size_t max = maxima[m], wrong = 0;
    ha_buf_init(&b, max);
    failing_start(0);
    for (i = 0; i < max; i++) wrong += ha_buf_addc(&b, 'x') != HA_OK;
    CHECK_EQ_INT(wrong, 0);
    CHECK_EQ_INT(ha_buf_addc(&b, 'y'), HA_TOOBIG);
    CHECK_EQ_INT(ha_buf_reserve(&b, 1), HA_TOOBIG);
    CHECK_EQ_INT(ha_buf_add(&b, "yz", SIZE_MAX), HA_TOOBIG);
    CHECK_EQ_INT(b.len, max);
    CHECK(max == 0 || (b.data[max - 1] == 'x' && b.data[max] == '\0'));
    CHECK(failing_largest <= (max + 1 > 64 ? max + 1 : 64));
    ha_buf_clear(&b);
    CHECK_EQ_INT(ha_buf_reserve(&b, max), HA_OK);
    CHECK_EQ_INT(ha_buf_reserve(&b, max + 1), HA_TOOBIG);
    ha_buf_free(&b);
    CHECK_EQ_INT(failing_bad, 0);
    CHECK_EQ_INT(failing_stop(), 0);
  }
}

static void buffer_details(void) {
  struct ha_buf b;
  char *block;
  size_t i, left = 0;
  ha_buf_init(&b, SIZE_MAX); /* as large as may be: the sums inside do not wrap */
  CHECK_EQ_INT(ha_buf_adds(&b, "secret"), HA_OK);
  CHECK_EQ_INT(ha_buf_reserve(&b, SIZE_MAX), HA_TOOBIG);
  CHECK_EQ_INT(ha_buf_reserve(&b, SIZE_MAX - 6), HA_TOOBIG);
  CHECK_EQ_STR(b.data, "secret");
  CHECK_EQ_INT(ha_buf_add(&b, "\0x", 2), HA_OK);
  CHECK_EQ_MEM(b.data, b.len, "secret\0x", 8);
  CHECK_EQ_INT(ha_buf_add(&b, NULL, 0), HA_OK);
  CHECK_EQ_INT(ha_buf_adds(&b, ""), HA_OK);
  CHECK_EQ_INT(b.len, 8);
  block = b.data;
  ha_buf_clear(&b);
  for (i = 0; i < b.cap; i++) left += b.data[i] != 0;
  CHECK(left == 0 && b.len == 0 && b.data == block);
  CHECK_EQ_INT(ha_buf_reserve(&b, 200), HA_OK);
  block = b.data;
  for (i = 0; i < 200; i++) left += ha_buf_addc(&b, 'x') != HA_OK;
  CHECK(left == 0 && b.data == block); /* reserved is reserved */
  ha_buf_free(&b);
}

static void buffer_without_memory(void) {
  struct ha_buf b;
  size_t nth;
  for (nth = 1; nth <= 4; nth++) {
    enum ha_status rc = HA_OK;
    size_t len = 0;
    failing_start(nth);
    ha_buf_init(&b, 100000);
    while (rc == HA_OK) {
      len = b.len;
      rc = ha_buf_adds(&b, "0123456789");
    }
    CHECK_EQ_INT(rc, HA_NOMEM);
    CHECK_EQ_INT(b.len, len);
    CHECK(len == 0 ? b.data == NULL : strlen(b.data) == len);
    CHECK_EQ_INT(nth == 1, len == 0);
    ha_buf_free(&b);
    CHECK_EQ_INT(failing_bad, 0);
    CHECK_EQ_INT(failing_stop(), 0);
  }
}

/* ---- secret ---- */

static void secrets(void) {
  struct ha_secret a = {NULL, 0}, b = {NULL, 0};
  failing_start(0);
  CHECK_EQ_INT(ha_secret_set(&a, "", 0), HA_OK);
  CHECK(a.data != NULL && a.len == 0); /* empty is not absent */
  CHECK_EQ_INT(ha_secret_set(&a, NULL, 0), HA_OK);
  CHECK_EQ_INT(ha_secret_set(&a, "one\0two", 7), HA_OK);
  CHECK_EQ_MEM(a.data, a.len + 1, "one\0two\0", 8);
  CHECK_EQ_INT(ha_secret_set(&a, a.data + 4, 3), HA_OK); /* from itself */
  CHECK_EQ_MEM(a.data, a.len + 1, "two\0", 4);
  CHECK_EQ_INT(failing_largest, 8);
  CHECK_EQ_INT(ha_secret_set(&b, "old", 3), HA_OK);
  ha_secret_move(&b, &a);
  CHECK_EQ_STR(b.data, "two");
  CHECK(a.data == NULL && a.len == 0);
  ha_secret_move(&b, &b);
  CHECK_EQ_STR(b.data, "two");
  ha_secret_move(&b, &a);
  CHECK(b.data == NULL && b.len == 0);
  ha_secret_clear(&b);
  CHECK_EQ_INT(ha_secret_set(&b, "x", SIZE_MAX), HA_TOOBIG);
  CHECK_EQ_INT(failing_bad, 0);
  CHECK_EQ_INT(failing_stop(), 0);
  failing_start(2);
  CHECK_EQ_INT(ha_secret_set(&a, "kept", 4), HA_OK);
  CHECK_EQ_INT(ha_secret_set(&a, "lost", 4), HA_NOMEM);
  CHECK_EQ_STR(a.data, "kept");
  ha_secret_clear(&a);
  CHECK_EQ_INT(failing_stop(), 0);
}

static void equality(void) {
  static const struct {
    const char *a, *b;
    size_t alen, blen;
    bool same;
  } cases[] = {
    {"", "", 0, 0, true},        {NULL, NULL, 0, 0, true},    {"a", "a", 1, 1, true},      {"a", "b", 1, 1, false},
    {"a", "", 1, 0, false},      {"", "a", 0, 1, false},      {"ab", "a", 2, 1, false},    {"a", "ab", 1, 2, false},
    {"a\0b", "a\0b", 3, 3, true}, {"a\0b", "a\0c", 3, 3, false}, {"\x80", "\0", 1, 1, false}, {"xa", "ya", 2, 2, false},
  };
  char x[64], y[64];
  size_t i, bit;
  for (i = 0; i < COUNT(cases); i++) CHECK_EQ_INT(ha_equal(cases[i].a, cases[i].alen, cases[i].b, cases[i].blen), cases[i].same);
  memset(x, 0x55, sizeof x);
  for (i = 0; i < sizeof x; i++)
    for (bit = 0; bit < 8; bit++) {
      memcpy(y, x, sizeof y);
      y[i] = (char)(y[i] ^ 1 << bit);
      CHECK(!ha_equal(x, sizeof x, y, sizeof y));
    }
}

/* The byte classes of header parts, each byte alone and in the middle. */
static void header_bytes(void) {
  int c;
  for (c = 0; c < 256; c++) {
    char one[1], three[3] = {'a', 'a', 'a'};
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    bool visible = c >= 0x21 && c <= 0x7E;
    bool name = alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
    one[0] = three[1] = (char)(unsigned char)c;
    CHECK_EQ_INT(ha_is_token(one, 1), visible);
    CHECK_EQ_INT(ha_is_token(three, 3), visible);
    CHECK_EQ_INT(ha_is_field_value(one, 1), visible);
    CHECK_EQ_INT(ha_is_field_value(three, 3), visible || c == ' ' || c == '\t');
    CHECK_EQ_INT(ha_is_field_value(three, 2), visible);
    CHECK_EQ_INT(ha_is_field_value(three + 1, 2), visible);
    CHECK_EQ_INT(ha_is_field_name(one, 1), name);
    CHECK_EQ_INT(ha_is_field_name(three, 3), name);
  }
  CHECK(!ha_is_token("", 0));
  CHECK(ha_is_field_value("", 0));
  CHECK(!ha_is_field_name("", 0));
}

/* ---- codec ---- */

typedef enum ha_status coder(struct ha_buf *out, const void *p, size_t n);

static enum ha_status form_pair(struct ha_buf *out, const void *p, size_t n) { return ha_form_add(out, p, n, p, n); }

static void encoding(void) {
  static const struct {
    const char *name;
    coder *code;
    const char *in;
    size_t n;
    const char *want;
  } cases[] = {
    {"RFC 4648 10", ha_base64_encode, TEXT(""), ""},
    {"RFC 4648 10", ha_base64_encode, TEXT("f"), "Zg=="},
    {"RFC 4648 10", ha_base64_encode, TEXT("fo"), "Zm8="},
    {"RFC 4648 10", ha_base64_encode, TEXT("foo"), "Zm9v"},
    {"RFC 4648 10", ha_base64_encode, TEXT("foob"), "Zm9vYg=="},
    {"RFC 4648 10", ha_base64_encode, TEXT("fooba"), "Zm9vYmE="},
    {"RFC 4648 10", ha_base64_encode, TEXT("foobar"), "Zm9vYmFy"},
    {"RFC 7617 2", ha_base64_encode, TEXT("Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
    {"last letters", ha_base64_encode, TEXT("\xFB\xEF\xFF"), "++//"},
    {"url: no padding", ha_base64url_encode, TEXT("f"), "Zg"},
    {"url: no padding", ha_base64url_encode, TEXT("fo"), "Zm8"},
    {"url", ha_base64url_encode, TEXT("foobar"), "Zm9vYmFy"},
    {"url: empty", ha_base64url_encode, TEXT(""), ""},
    {"url: last letters", ha_base64url_encode, TEXT("\xFB\xEF\xFF"), "--__"},
    {"RFC 7636 B", ha_base64url_encode,
     TEXT("\x13\xD3\x1E\x96\x1A\x1A\xD8\xEC\x2F\x16\xB1\x0C\x4C\x98\x2E\x08\x76\xA8\x78\xAD\x6D\xF1\x44\x56\x6E\xE1\x89\x4A\xCB\x70"
          "\xF9\xC3"),
     "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
    {"hex", ha_hex_encode, TEXT("\x00\x01\x7F\x80\xAB\xFF"), "00017f80abff"},
    {"hex: empty", ha_hex_encode, TEXT(""), ""},
    {"percent: unreserved", ha_percent_encode, TEXT("AZaz09-._~"), "AZaz09-._~"},
    {"percent: others", ha_percent_encode, TEXT(" !\"#$%&'()*+,/:;<=>?@[\\]^`{|}"),
     "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D"},
    {"percent: bytes", ha_percent_encode, TEXT("\0\n\x7F\xC3\xA9\xFF"), "%00%0A%7F%C3%A9%FF"},
    {"percent: empty", ha_percent_encode, TEXT(""), ""},
    {"form", form_pair, TEXT("a b&c=d"), "a%20b%26c%3Dd=a%20b%26c%3Dd"},
    {"form: empty", form_pair, TEXT(""), "="},
  };
  size_t i, max;
  for (i = 0; i < COUNT(cases); i++) {
    struct ha_buf out;
    size_t need = strlen(cases[i].want);
    CHECK_CASE(cases[i].name);
    for (max = 0; max <= need + 1; max++) { /* with every maximum that is too small: nothing is left behind */
      enum ha_status rc;
      ha_buf_init(&out, max);
      rc = cases[i].code(&out, cases[i].in, cases[i].n);
      CHECK_EQ_INT(rc, max < need ? HA_TOOBIG : HA_OK);
      CHECK_EQ_MEM(out.data, out.len, cases[i].want, max < need ? 0 : need);
      CHECK(!out.data || out.data[out.len] == '\0');
      ha_buf_free(&out);
    }
    failing_start(1);
    ha_buf_init(&out, ROOM);
    CHECK_EQ_INT(cases[i].code(&out, "some", 4), HA_NOMEM);
    CHECK_EQ_INT(out.len, 0);
    ha_buf_free(&out);
    CHECK_EQ_INT(failing_stop(), 0);
  }
  CHECK_CASE("");
}

/* Appending behind what is there: undone to there, and only to there. */
static void encoding_behind(void) {
  static coder *const coders[] = {ha_base64_encode, ha_base64url_encode, ha_hex_encode, ha_percent_encode, form_pair};
  char bytes[100];
  size_t i;
  memset(bytes, 0xFF, sizeof bytes);
  for (i = 0; i < COUNT(coders); i++) {
    struct ha_buf out;
    ha_buf_init(&out, 110); /* every coder makes more of 100 bytes */
    CHECK_EQ_INT(ha_buf_adds(&out, "kept"), HA_OK);
    CHECK_EQ_INT(coders[i](&out, bytes, sizeof bytes), HA_TOOBIG);
    CHECK_EQ_STR(out.data, "kept");
    CHECK_EQ_INT(out.len, 4);
    CHECK_EQ_INT(coders[i](&out, bytes, 3), HA_OK);
    CHECK_EQ_MEM(out.data, 4, "kept", 4);
    CHECK(out.len > 6);
    ha_buf_free(&out);
    failing_start(2); /* room for the first block, not for the second */
    ha_buf_init(&out, ROOM);
    CHECK_EQ_INT(ha_buf_adds(&out, "kept"), HA_OK);
    CHECK_EQ_INT(coders[i](&out, bytes, sizeof bytes), HA_NOMEM);
    CHECK_EQ_STR(out.data, "kept");
    ha_buf_free(&out);
    CHECK_EQ_INT(failing_bad, 0);
    CHECK_EQ_INT(failing_stop(), 0);
  }
}

static void form(void) {
  struct ha_buf out;
  ha_buf_init(&out, ROOM);
  CHECK_EQ_INT(ha_form_add(&out, TEXT("grant_type"), TEXT("authorization_code")), HA_OK);
  CHECK_EQ_INT(ha_form_add(&out, TEXT("redirect_uri"), TEXT("https://a.example/cb?x=1&y= +")), HA_OK);
  CHECK_EQ_INT(ha_form_add(&out, TEXT("empty"), NULL, 0), HA_OK);
  CHECK_EQ_STR(out.data, "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fa.example%2Fcb%3Fx%3D1%26y%3D%20%2B&empty=");
  ha_buf_free(&out);
}

static void percent_decoding(void) {
  static const struct {
    const char *in;
    size_t n;
    bool plus;
    const char *want; /* NULL = HA_BAD */
    size_t want_len;
  } cases[] = {
    {TEXT(""), false, TEXT("")},          {TEXT("abc"), false, TEXT("abc")},      {TEXT("a%20b"), false, TEXT("a b")},
    {TEXT("a+b"), true, TEXT("a b")},     {TEXT("a+b"), false, TEXT("a+b")},      {TEXT("%2B+"), true, TEXT("+ ")},
    {TEXT("%41%4a%4A"), false, TEXT("AJJ")}, {TEXT("%00"), false, TEXT("\0")},    {TEXT("%FF%fe"), false, TEXT("\xFF\xFE")},
    {TEXT("%2541"), false, TEXT("%41")},  {TEXT("x%41"), false, TEXT("xA")},      {TEXT("%41x"), false, TEXT("Ax")},
    {TEXT("%"), false, NULL, 0},          {TEXT("%4"), false, NULL, 0},           {TEXT("a%"), false, NULL, 0},
    {TEXT("a%4"), false, NULL, 0},        {TEXT("%4g"), false, NULL, 0},          {TEXT("%g4"), false, NULL, 0},
    {TEXT("%%41"), false, NULL, 0},       {TEXT("%+1"), true, NULL, 0},           {TEXT("% 41"), false, NULL, 0},
    {TEXT("%-1"), false, NULL, 0},        {TEXT("abc%41%zz"), false, NULL, 0},    {TEXT("%u0041"), false, NULL, 0},
  };
  struct ha_buf out;
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    CHECK_CASE(cases[i].in);
    ha_buf_init(&out, ROOM);
    CHECK_EQ_INT(ha_buf_adds(&out, "k"), HA_OK);
    CHECK_EQ_INT(ha_percent_decode(&out, cases[i].in, cases[i].n, cases[i].plus), cases[i].want ? HA_OK : HA_BAD);
    CHECK_EQ_MEM(out.data + 1, out.len - 1, cases[i].want, cases[i].want_len);
    CHECK(out.data[0] == 'k' && out.data[out.len] == '\0');
    ha_buf_free(&out);
  }
  CHECK_CASE("");
  ha_buf_init(&out, 3); /* the maximum is of what comes out */
  CHECK_EQ_INT(ha_percent_decode(&out, TEXT("%41%42%43"), false), HA_OK);
  CHECK_EQ_STR(out.data, "ABC");
  CHECK_EQ_INT(ha_percent_decode(&out, TEXT("%44"), false), HA_TOOBIG);
  CHECK_EQ_STR(out.data, "ABC");
  ha_buf_free(&out);
  failing_start(1);
  CHECK_EQ_INT(ha_percent_decode(&out, TEXT("%41"), false), HA_NOMEM);
  CHECK_EQ_INT(failing_stop(), 0);
}

static void base64url_decoding(void) {
  static const struct {
    const char *in;
    size_t n;
    const char *want; /* NULL = HA_BAD */
    size_t want_len;
  } cases[] = {
    {TEXT(""), TEXT("")},
    {TEXT("Zg"), TEXT("f")},
    {TEXT("Zm8"), TEXT("fo")},
    {TEXT("Zm9v"), TEXT("foo")},
    {TEXT("Zm9vYg"), TEXT("foob")},
    {TEXT("Zm9vYmFy"), TEXT("foobar")},
    {TEXT("--__"), TEXT("\xFB\xEF\xFF")},
    {TEXT("AA"), TEXT("\0")},
    {TEXT("_w"), TEXT("\xFF")},
    {TEXT("Z"), NULL, 0},      /* six bits are no byte */
    {TEXT("Zm9vY"), NULL, 0},
    {TEXT("Zg=="), NULL, 0},   /* no padding */
    {TEXT("Zm8="), NULL, 0},
    {TEXT("Zh"), NULL, 0},     /* spare bits */
    {TEXT("Zm9"), NULL, 0},
    {TEXT("_x"), NULL, 0},
    {TEXT("++//"), NULL, 0},   /* the other alphabet */
    {TEXT("Zm 9v"), NULL, 0},
    {TEXT("Zm9v\n"), NULL, 0},
    {TEXT("Zm9v\0"), NULL, 0},
    {TEXT("Zm\xC3\xA9"), NULL, 0},
  };
  struct ha_buf out;
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    CHECK_CASE(cases[i].in);
    ha_buf_init(&out, ROOM);
    CHECK_EQ_INT(ha_buf_adds(&out, "k"), HA_OK);
    CHECK_EQ_INT(ha_base64url_decode(&out, cases[i].in, cases[i].n), cases[i].want ? HA_OK : HA_BAD);
    CHECK_EQ_MEM(out.data + 1, out.len - 1, cases[i].want, cases[i].want_len);
    CHECK(out.data[0] == 'k' && out.data[out.len] == '\0');
    ha_buf_free(&out);
  }
  CHECK_CASE("");
  ha_buf_init(&out, 2);
  CHECK_EQ_INT(ha_base64url_decode(&out, TEXT("Zm9v")), HA_TOOBIG);
  CHECK_EQ_INT(out.len, 0);
  CHECK_EQ_INT(ha_base64url_decode(&out, TEXT("Zm8")), HA_OK);
  CHECK_EQ_STR(out.data, "fo");
  ha_buf_free(&out);
  failing_start(1);
  CHECK_EQ_INT(ha_base64url_decode(&out, TEXT("Zg")), HA_NOMEM);
  CHECK_EQ_INT(failing_stop(), 0);
}

/* Every byte value, at every length up to 256, comes back. */
static void round_trips(void) {
  char bytes[256];
  size_t n, wrong = 0;
  for (n = 0; n < sizeof bytes; n++) bytes[n] = (char)(unsigned char)(n * 7 + 3);
  for (n = 0; n <= sizeof bytes; n++) {
    struct ha_buf text, back;
    ha_buf_init(&text, ROOM);
    ha_buf_init(&back, ROOM);
    if (ha_base64url_encode(&text, bytes, n) != HA_OK || text.len != (n * 8 + 5) / 6) wrong++;
    if (ha_base64url_decode(&back, text.data, text.len) != HA_OK || !ha_equal(back.data, back.len, bytes, n)) wrong++;
    ha_buf_clear(&text);
    ha_buf_clear(&back);
    if (ha_percent_encode(&text, bytes, n) != HA_OK) wrong++;
    if (ha_percent_decode(&back, text.data, text.len, true) != HA_OK || !ha_equal(back.data, back.len, bytes, n)) wrong++;
    ha_buf_free(&text);
    ha_buf_free(&back);
  }
  CHECK_EQ_INT(wrong, 0);
}

int main(void) {
  blocks();
  wiping();
  buffer_grows();
  buffer_keeps_its_maximum();
  buffer_details();
  buffer_without_memory();
  secrets();
  equality();
  header_bytes();
  encoding();
  encoding_behind();
  form();
  percent_decoding();
  base64url_decoding();
  round_trips();
  return check_done();
}
