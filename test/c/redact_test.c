/* SPDX-License-Identifier: MIT */
/* Secrets are taken out of a text in every spelling that a server may echo, in time that does not depend on what the text holds. */
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/message.h"
#include "base/secret.h"
#include "check.h"

#define LENGTH(table) (sizeof(table) / sizeof(table)[0])

/* Up to three secrets; the text; what is left of it. */
struct row { const char *secrets[3], *text, *want; };

static const struct row ROWS[] = {
  {{NULL}, "nothing to hide", "nothing to hide"},
  {{"s3cr"}, "", ""},
  {{"s3cr"}, "s3cr", "[secret]"},
  {{"s3cr"}, "a s3cr b s3cr", "a [secret] b [secret]"},
  {{"s3cr"}, "s3crs3cr", "[secret][secret]"},
  {{"s3cr"}, "s3c S3CR s3c", "s3c S3CR s3c"},
  {{"abc"}, "abc is too short", "abc is too short"}, /* shorter than HA_REDACT_MIN */
  {{""}, "text", "text"},
  {{"abcd", "abcdef"}, "xabcdefx xabcdx", "x[secret]x x[secret]x"}, /* the longest at each place */
  {{"abcdef", "abcd"}, "xabcdefx xabcdx", "x[secret]x x[secret]x"},
  {{"abcd", "cdef"}, "xabcdefx", "x[secret]x"}, /* nothing of the second one is left over */
  {{"abcd", "efgh"}, "abcdefgh", "[secret][secret]"},
  {{"aaaa"}, "aaaaaa", "[secret]"},
  {{"abab"}, "xabababx", "x[secret]x"},
  {{"aabaaab"}, "aabaabaaab", "aab[secret]"}, /* what was read as a beginning is one again */
  {{"p@ss/w+rd="}, "raw p@ss/w+rd=.", "raw [secret]."},
  {{"p@ss/w+rd="}, "a=p%40ss%2Fw%2Brd%3D&b", "a=[secret]&b"},
  {{"p@ss/w+rd="}, "a=p%40ss%2fw%2brd%3d&b", "a=[secret]&b"},
  {{"p@ss/w+rd="}, "a=p%40ss/w%2Brd%3d&b", "a=[secret]&b"}, /* escaped in part */
  {{"p@ss/w+rd="}, "a=%70%40%73s/w+rd=&b", "a=[secret]&b"}, /* escaped where it need not be */
  {{"p@ss/w+rd="}, "a=p%40ss%2Fw+rd%3D&b", "a=[secret]&b"},
  {{"my pass"}, "my pass my+pass my%20pass", "[secret] [secret] [secret]"},
  {{"my+pass"}, "my+pass my%2Bpass my%20pass", "[secret] [secret] my%20pass"},
  {{"100%25x"}, "100%25x 100%2525x", "[secret] [secret]"},
  {{"100%"}, "100% 100%25", "[secret] [secret]"},
  {{"abcd"}, "%abcd %61bcd %6 %", "%[secret] [secret] %6 %"},
  {{"ab/cd"}, "%ab%2Fcd %ab%2fcd", "%[secret] %[secret]"}, /* the stray % takes the first two letters for an escape */
  {{"g/ab/"}, "%6g/ab%2f", "%6[secret]"}, /* %6g is no escape */
  {{"JOKE/af"}, "%4a%4F%4B%45/%61%66", "[secret]"},
  {{"abcd"}, "x%61%62%63%64%65", "x[secret]%65"},
  {{"\xD0\xBA\xD0\xBB"}, "\xD0\xBA\xD0\xBB %D0%BA%d0%bb", "[secret] [secret]"},
  {{"Test+"}, "546573742b 546573742B 5465737 x546573742b", "[secret] [secret] 5465737 x[secret]"},
  {{"test"}, "dGVzdA== dGVzdA dGVzdA%3D%3D", "[secret] [secret] [secret]"},
  {{"tests"}, "dGVzdHM= dGVzdHM", "[secret] [secret]"},
  {{"tester"}, "dGVzdGVy", "[secret]"},
  {{"\xFB\xFF\xFE\xFB\xFF\xFE"}, "+//++//+ -__--__- %2B%2F%2F%2B%2B%2F%2F%2B", "[secret] [secret] [secret]"},
  {{"\xFB\xFF\xFE\xFB"}, "+//++w== +//++w -__--w -__--w==", "[secret] [secret] [secret] [secret]"},
  /* "id:client-secret", "ab:client-secret", "abc:client-secret!": the first and last character may depend on the neighbours */
  {{"client-secret"}, "Basic aWQ6Y2xpZW50LXNlY3JldA==", "Basic aWQ6[secret]"},
  {{"client-secret"}, "Basic YWI6Y2xpZW50LXNlY3JldA==", "Basic YWI6[secret]"},
  {{"client-secret"}, "Basic YWJjOmNsaWVudC1zZWNyZXQh", "Basic YWJjOm[secret]Qh"},
  {{"client-secret"}, "Basic YWJjZDpjbGllbnQtc2VjcmV0", "Basic YWJjZDp[secret]"},
  {{"\xFB\xFF\xFE\xFB\xFF\xFE\xFB\xFF\xFE"}, "YTr7__77__77__4 YTr7//77//77//4", "YTr[secret]4 YTr[secret]4"}, /* "a:" before it */
  {{"secret_8", "secret7"}, "aWQ6c2VjcmV0Xzg= aWQ6c2VjcmV0Nw==", "aWQ6[secret] aWQ6[secret]"}, /* whole base64 of both */
  {{"secret_8", "secret7"}, "aTpzZWNyZXRfOA== aTpzZWNyZXQ3", "aTp[secret]A== aTpzZWNyZXQ3"}, /* shifted: from eight bytes on */
  /* characters that ha_text_clean drops do not hide it: zero width, a tag, BOM, bidi */
  {{"abcd"}, "x ab\xE2\x80\x8B" "cd x", "x [secret] x"},
  {{"abcd"}, "\xEF\xBB\xBF" "a\xF3\xA0\x80\xA0" "b\xD8\x9C\xE2\x80\x8F" "cd", "[secret]"},
  {{"test"}, "dGVz\xE2\x81\xA0" "dA==", "[secret]"},
  {{"abcd"}, "ab\xE2\x80" "cd \xE2\x80\x8B", "ab\xE2\x80" "cd \xE2\x80\x8B"}, /* broken UTF-8 is not dropped, and shows */
  /* a JSON text inside a string of another */
  {{"a/b\"c\\d"}, "{\\\"x\\\":a\\/b\\\"c\\\\d}", "{\\\"x\\\":[secret]}"},
  {{"abcd"}, "a\\u0062c\\u0064 \\u00", "[secret] \\u00"},
  {{"ab=d"}, "ab\\u003Dd ab\\u003dd ab\\u0099d ab\\=d", "[secret] [secret] ab\\u0099d ab\\=d"},
  {{"ab\\c"}, "ab\\c ab\\\\c", "[secret] [secret]"},
  {{"abcd"}, "abc\\", "abc\\"},
  {{"abcd", "wxyz", "mnop"}, "mnop=wxyz&abcd", "[secret]=[secret]&[secret]"},
};

static void fill(struct ha_secret *made, const struct ha_secret **list, const char *const *texts) {
  size_t i;
  for (i = 0; i < 3; i++) {
    made[i].data = NULL;
    made[i].len = 0;
    list[i] = i == 1 && !texts[i] ? NULL : &made[i]; /* no secret at all, and an absent one */
    if (texts[i]) CHECK_EQ_INT(ha_secret_set(&made[i], texts[i], strlen(texts[i])), HA_OK);
  }
}

static void test_rows(void) {
  size_t i, k;
  for (i = 0; i < LENGTH(ROWS); i++) {
    struct ha_secret made[3];
    const struct ha_secret *list[3];
    struct ha_buf out;
    CHECK_CASE(ROWS[i].text);
    ha_buf_init(&out, 256);
    CHECK_EQ_INT(ha_buf_addc(&out, '>'), HA_OK);
    fill(made, list, ROWS[i].secrets);
    CHECK_EQ_INT(ha_redact(&out, ROWS[i].text, strlen(ROWS[i].text), list, 3), HA_OK);
    CHECK_EQ_MEM(out.data + 1, out.len - 1, ROWS[i].want, strlen(ROWS[i].want));
    ha_buf_free(&out);
    for (k = 0; k < 3; k++) ha_secret_clear(&made[k]);
  }
  CHECK_CASE("");
}

static void test_bytes_and_room(void) {
  struct ha_secret s = {NULL, 0};
  const struct ha_secret *list[1];
  struct ha_buf out;
  list[0] = &s;
  CHECK_EQ_INT(ha_secret_set(&s, "a\0bc", 4), HA_OK);
  ha_buf_init(&out, 12);
  CHECK_EQ_INT(ha_redact(&out, "x\0a\0bcy", 7, list, 1), HA_OK);
  CHECK_EQ_MEM(out.data, out.len, "x\0[secret]y", 11);
  CHECK_EQ_INT(ha_redact(&out, "zz", 2, list, 1), HA_TOOBIG);
  CHECK_EQ_INT(ha_redact(&out, "a\0bc", 4, list, 1), HA_TOOBIG);
  CHECK_EQ_MEM(out.data, out.len, "x\0[secret]y", 11);
  CHECK_EQ_INT(ha_redact(&out, "z", 1, NULL, 0), HA_OK);
  CHECK_EQ_INT(ha_redact(&out, NULL, 0, list, 1), HA_OK);
  CHECK_EQ_INT(out.len, 12);
  ha_buf_free(&out);
  CHECK_EQ_INT(ha_buf_adds(&out, "start"), HA_OK);
  CHECK_EQ_INT(ha_redact(&out, "zz a\0bc", 7, list, 1), HA_TOOBIG); /* what was added before it did not fit is gone again */
  CHECK_EQ_MEM(out.data, 12, "start\0\0\0\0\0\0\0", 12);
  CHECK_EQ_INT(out.len, 5);
  ha_buf_free(&out);
  ha_secret_clear(&s);
}

/* The worst text for a simple search: a long secret that nearly matches everywhere, and one that matches everywhere. */
static void test_worst_case(void) {
  enum { TEXT = 1 << 20, SECRET = 16384 };
  struct ha_secret near = {NULL, 0}, everywhere = {NULL, 0};
  const struct ha_secret *list[2];
  struct ha_buf out;
  char *text = malloc(TEXT);
  clock_t start = clock();
  list[0] = &near;
  list[1] = &everywhere;
  ha_buf_init(&out, 2 * TEXT);
  if (text) {
    memset(text, 'a', TEXT);
    text[TEXT / 2] = 'b';
    CHECK_EQ_INT(ha_secret_set(&near, text + TEXT / 2 - SECRET + 2, SECRET), HA_OK);
    text[TEXT / 2] = 'a';
    CHECK_EQ_INT(ha_redact(&out, text, TEXT, list, 1), HA_OK);
    CHECK_EQ_INT(out.len, TEXT);
    CHECK_EQ_INT(ha_secret_set(&everywhere, text, SECRET), HA_OK);
    ha_buf_clear(&out);
    CHECK_EQ_INT(ha_redact(&out, text, TEXT, list, 2), HA_OK);
    CHECK_EQ_STR(out.data, "[secret]");
    CHECK((clock() - start) / CLOCKS_PER_SEC < 20); /* a quadratic search takes minutes, this well under a second */
  }
  free(text);
  ha_buf_free(&out);
  ha_secret_clear(&near);
  ha_secret_clear(&everywhere);
}

static int budget, blocks; /* allocations left before they fail; blocks not given back */

static bool once; /* only the one allocation fails, those behind it do not */

static void *scarce(size_t size) {
  if (once ? budget-- == 0 : budget-- <= 0) return NULL;
  blocks++;
  return malloc(size);
}

static void release(void *block, size_t size) {
  (void)size;
  blocks--;
  free(block);
}

static const struct ha_allocator SCARCE = {scarce, release};

static void test_memory(bool only_one) {
  static const char *const SECRETS[3] = {"p@ss/w+rd=", "other one", NULL};
  static const char TEXT[] = "a=p%40ss%2Fw+rd%3D&b=other+one&c=d";
  struct ha_secret made[3];
  const struct ha_secret *list[3];
  int n, k, failed = 0, fine = 0;
  budget = 1000;
  once = only_one;
  ha_alloc_use(&SCARCE);
  fill(made, list, SECRETS);
  for (n = 0; n < 200; n++) {
    struct ha_buf out;
    enum ha_status rc;
    int before = blocks;
    ha_buf_init(&out, 4096);
    budget = n;
    rc = ha_redact(&out, TEXT, sizeof TEXT - 1, list, 3);
    CHECK(rc == HA_OK || rc == HA_NOMEM);
    if (rc == HA_OK) CHECK_EQ_STR(out.data, "a=[secret]&b=[secret]&c=d");
    else CHECK_EQ_INT(out.len, 0);
    if (rc == HA_OK) fine++;
    else failed++;
    ha_buf_free(&out);
    CHECK_EQ_INT(blocks, before);
  }
  CHECK(failed > 0 && fine > 0);
  for (k = 0; k < 3; k++) ha_secret_clear(&made[k]);
  CHECK_EQ_INT(blocks, 0);
  once = false;
  ha_alloc_use(NULL);
}

/* What is too short to hold a secret is not searched for it: there is memory for the text alone. */
static void test_short_texts(void) {
  static const char *const SECRETS[3] = {"12345", "a long one, a long one, a long one", NULL};
  struct ha_secret made[3];
  const struct ha_secret *list[3];
  struct ha_buf out;
  int k;
  budget = 1000;
  ha_alloc_use(&SCARCE);
  fill(made, list, SECRETS);
  ha_buf_init(&out, 64);
  budget = 2; /* marks and out */
  CHECK_EQ_INT(ha_redact(&out, "1234", 4, list, 3), HA_OK);
  CHECK_EQ_STR(out.data, "1234");
  budget = 1000;
  CHECK_EQ_INT(ha_redact(&out, "12345", 5, list, 3), HA_OK);
  CHECK_EQ_STR(out.data, "1234[secret]");
  ha_buf_free(&out);
  for (k = 0; k < 3; k++) ha_secret_clear(&made[k]);
  CHECK_EQ_INT(blocks, 0);
  ha_alloc_use(NULL);
}

/* The small appenders too: nothing is added when there is no memory. */
static void test_memory_of_texts(void) {
  struct ha_buf out;
  ha_alloc_use(&SCARCE);
  budget = 0;
  ha_buf_init(&out, 4096);
  CHECK_EQ_INT(ha_text_clean(&out, "text", 4), HA_NOMEM);
  CHECK_EQ_INT(ha_text_code(&out, "text", 4), HA_NOMEM);
  CHECK_EQ_INT(ha_bearer_error(&out, "Bearer error=\"x\"", 16), HA_NOMEM);
  CHECK_EQ_INT(ha_bearer_error(&out, "Bearer error=x", 14), HA_NOMEM);
  CHECK_EQ_INT(out.len, 0);
  CHECK_EQ_INT(blocks, 0);
  ha_buf_free(&out);
  ha_alloc_use(NULL);
}

int main(void) {
  test_rows();
  test_bytes_and_room();
  test_worst_case();
  test_memory(false);
  test_memory(true);
  test_short_texts();
  test_memory_of_texts();
  return check_done();
}
