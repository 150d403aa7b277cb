/* SPDX-License-Identifier: MIT */
/* Reading an OAuth callback: where the query is, how it is decoded, and the three ways in which it can be wrong. */
#include "base/query.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "check.h"

/* A fine text and what is read: name=value lines joined with "|" (names and values decoded). */
struct good { const char *text, *read; };

static const struct good GOOD[] = {
  {"https://app.example/cb?code=abc&state=xyz", "code=abc|state=xyz"},
  {"http://127.0.0.1:8080/cb?code=abc", "code=abc"},
  {"com.example.app:/done?code=abc", "code=abc"},
  {"/cb?code=abc&state=xyz", "code=abc|state=xyz"},
  {"?code=abc", "code=abc"},
  {"code=abc", "code=abc"},
  {"code=abc&state=xyz", "code=abc|state=xyz"},
  {"code=a=b==", "code=a=b=="},
  {"code=a?b=c", "b=c"}, /* cut at the first "?", wherever it stands */
  {"/cb?code=a?b", "code=a?b"},
  {"/cb?a=1?b=2&c=3", "a=1?b=2|c=3"},
  {"/cb?code=abc#frag", "code=abc"},
  {"/cb?code=abc#?code=def", "code=abc"},
  {"code=abc#_=_", "code=abc"},
  {"/cb?code=a%23b", "code=a#b"},
  {"/cb?code=a+b%20c%2Bd", "code=a b c+d"},
  {"/cb?c%6Fde=abc", "code=abc"},
  {"/cb?a+b=c", "a b=c"},
  {"/cb?%61=%C3%A9%e2%82%ac", "a=\xC3\xA9\xE2\x82\xAC"},
  {"/cb?a=%F0%9F%98%80", "a=\xF0\x9F\x98\x80"},
  {"/cb?code", "code="},
  {"/cb?code=", "code="},
  {"/cb?code&state", "code=|state="},
  {"/cb?=x", "=x"},
  {"/cb?=", "="},
  {"/cb?&&code=abc&&state=x&", "code=abc|state=x"},
  {"/cb?a=1&A=2", "a=1|A=2"}, /* names have a case */
  {"/cb?a=1;a=2", "a=1;a=2"},
  {"/cb?a=%26b%3Dc", "a=&b=c"},
  {"/cb?error=access_denied&error_description=No%0Away", "error=access_denied|error_description=No\nway"},
  {"/cb?code=x%25y", "code=x%y"},
  {"/cb?code=%2541", "code=%41"}, /* decoded once */
  {"/cb?state=a:b/c", "state=a:b/c"},
  {"state=a:b", "state=a:b"},
  {"1x:y=z", "1x:y=z"}, /* no scheme starts with a digit */
  {"/cb?u=https://x/?y", "u=https://x/?y"},
  {"/cb?iss=https%3A%2F%2Fissuer.example&code=1&state=2", "iss=https://issuer.example|code=1|state=2"},
  {"/cb?a=b c", "a=b c"},
  {"/cb?a=~", "a=~"},
  {"-:x=y", "-:x=y"},
  {"a_:x=y", "a_:x=y"}, /* no scheme has a "_" */
};

struct wrong { const char *text; enum ha_query_fault fault; };

static const struct wrong WRONG[] = {
  {"", HA_QUERY_MALFORMED},
  {"?", HA_QUERY_MALFORMED},
  {"&", HA_QUERY_MALFORMED},
  {"/cb", HA_QUERY_MALFORMED},
  {"/cb?", HA_QUERY_MALFORMED},
  {"/cb?&&", HA_QUERY_MALFORMED},
  {"/cb?#code=abc", HA_QUERY_MALFORMED},
  {"/cb#?code=abc", HA_QUERY_MALFORMED},
  {"/cb#code=abc", HA_QUERY_MALFORMED},
  {"#code=abc", HA_QUERY_MALFORMED},
  {"/code=abc", HA_QUERY_MALFORMED},
  {"code", HA_QUERY_MALFORMED},
  {"abc", HA_QUERY_MALFORMED},
  {"https://app.example/cb", HA_QUERY_MALFORMED},
  {"https://app.example/code=abc", HA_QUERY_MALFORMED},
  {"https:code=abc", HA_QUERY_MALFORMED},
  {"com.example.app:/code=abc", HA_QUERY_MALFORMED},
  {"a+b-c.1:x=y", HA_QUERY_MALFORMED},
  {"azAZ09:x=y", HA_QUERY_MALFORMED},
  {"zaZA:x=y", HA_QUERY_MALFORMED},
  {"A:x=y", HA_QUERY_MALFORMED},
  {"Z:x=y", HA_QUERY_MALFORMED},
  {"z:x=y", HA_QUERY_MALFORMED},
  {"/cb?code=%", HA_QUERY_MALFORMED},
  {"/cb?code=%4", HA_QUERY_MALFORMED},
  {"/cb?code=%zz", HA_QUERY_MALFORMED},
  {"/cb?code=%4&x=1", HA_QUERY_MALFORMED},
  {"/cb?co%de=1", HA_QUERY_MALFORMED},
  {"/cb?code=%00", HA_QUERY_MALFORMED},
  {"/cb?co%00de=1", HA_QUERY_MALFORMED},
  {"/cb?code=%FF", HA_QUERY_MALFORMED},
  {"/cb?code=%C3", HA_QUERY_MALFORMED},
  {"/cb?code=%C3%28", HA_QUERY_MALFORMED},
  {"/cb?code=%C0%80", HA_QUERY_MALFORMED},
  {"/cb?code=%ED%A0%80", HA_QUERY_MALFORMED},
  {"/cb?code=%F4%90%80%80", HA_QUERY_MALFORMED},
  {"/cb?a=%C3&%A9=b", HA_QUERY_MALFORMED},
  {"/cb?%FF=a", HA_QUERY_MALFORMED},
  {"/cb?code=a\nb", HA_QUERY_MALFORMED},
  {"/cb?code=a\r\n", HA_QUERY_MALFORMED},
  {"/cb?code=a\tb", HA_QUERY_MALFORMED},
  {"/cb?code=a\x7F", HA_QUERY_MALFORMED},
  {"/cb?code=\xC3\xA9", HA_QUERY_MALFORMED},
  {"/\xC3\xA9?code=a", HA_QUERY_MALFORMED},
  {"/cb\n?code=a", HA_QUERY_MALFORMED},
  {"/cb?code=a#\x01", HA_QUERY_MALFORMED},
  {"/cb?code=a&code=b", HA_QUERY_REPEATED},
  {"/cb?code=a&code=a", HA_QUERY_REPEATED},
  {"/cb?code=a&state=x&code=b", HA_QUERY_REPEATED},
  {"/cb?code=a&c%6fde=b", HA_QUERY_REPEATED},
  {"/cb?%63%6F%64%65=a&code=b", HA_QUERY_REPEATED},
  {"/cb?a+b=1&a%20b=2", HA_QUERY_REPEATED},
  {"/cb?code&code=a", HA_QUERY_REPEATED},
  {"/cb?foo=1&foo=2&code=a", HA_QUERY_REPEATED},
  {"/cb?=1&=2", HA_QUERY_REPEATED},
  {"code=a&code=b", HA_QUERY_REPEATED},
  {"/cb?code=a&code=b&state=%zz", HA_QUERY_MALFORMED}, /* what cannot be read comes first, */
  {"/cb?state=%zz&code=a&code=b", HA_QUERY_MALFORMED}, /* in any order */
};

static void describe(const struct ha_query *q, char *out, size_t size) {
  size_t i;
  out[0] = '\0';
  for (i = 0; i < q->count; i++) {
    const struct ha_query_pair *p = &q->pairs[i];
    size_t used = strlen(out);
    (void)snprintf(out + used, size - used, "%s%.*s=%.*s", i ? "|" : "", (int)p->name_len, q->text.data + p->name, (int)p->value_len,
             q->text.data + p->value);
  }
}

/* A copy without a byte behind it, so that the sanitizer sees a reader that goes too far. */
static char *exact(const char *text, size_t len) {
  char *copy = malloc(len ? len : 1);
  if (!copy) abort();
  memcpy(copy, text, len);
  return copy;
}

static enum ha_query_fault parse(struct ha_query *q, const char *text) {
  char *copy = exact(text, strlen(text));
  enum ha_query_fault fault = ha_query_parse(q, copy, strlen(text));
  free(copy);
  return fault;
}

static void test_tables(void) {
  struct ha_query q;
  char read[512];
  size_t i;
  ha_query_init(&q);
  for (i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
    CHECK_CASE(GOOD[i].text);
    CHECK_EQ_INT(parse(&q, GOOD[i].text), HA_QUERY_FINE);
    describe(&q, read, sizeof read);
    CHECK_EQ_STR(read, GOOD[i].read);
  }
  for (i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
    CHECK_CASE(WRONG[i].text);
    CHECK_EQ_INT(parse(&q, WRONG[i].text), WRONG[i].fault);
    CHECK_EQ_INT(q.count, 0);
    CHECK(q.text.data == NULL);
  }
  CHECK_CASE("raw NUL");
  CHECK_EQ_INT(ha_query_parse(&q, "code=a\0b", 8), HA_QUERY_MALFORMED);
  CHECK_CASE("");
  ha_query_free(&q);
  ha_query_free(&q);
}

static void test_get(void) {
  struct ha_query q;
  const char *value;
  size_t len = 7;
  ha_query_init(&q);
  CHECK(ha_query_get(&q, "code", &len) == NULL);
  CHECK_EQ_INT(ha_query_parse(&q, "/cb?code=a%20b&empty=&flag&=n", 29), HA_QUERY_FINE);
  value = ha_query_get(&q, "code", &len);
  CHECK_EQ_MEM(value, len, "a b", 3);
  value = ha_query_get(&q, "empty", &len);
  CHECK(value != NULL);
  CHECK_EQ_INT(len, 0);
  value = ha_query_get(&q, "flag", &len);
  CHECK(value != NULL);
  CHECK_EQ_INT(len, 0);
  value = ha_query_get(&q, "", &len);
  CHECK_EQ_MEM(value, len, "n", 1);
  CHECK(ha_query_get(&q, "cod", &len) == NULL);
  CHECK(ha_query_get(&q, "code2", &len) == NULL);
  CHECK_EQ_INT(len, 0);
  CHECK_EQ_INT(ha_query_parse(&q, "=", 1), HA_QUERY_FINE);
  CHECK(ha_query_get(&q, "", &len) != NULL);
  ha_query_free(&q);
}

static void test_limits(void) {
  struct ha_query q;
  static char text[HA_QUERY_MAX + 1];
  size_t i, n = 0, len;
  ha_query_init(&q);
  memset(text, 'a', sizeof text);
  memcpy(text, "code=", 5);
  CHECK_EQ_INT(ha_query_parse(&q, text, HA_QUERY_MAX), HA_QUERY_FINE);
  CHECK(ha_query_get(&q, "code", &len) != NULL);
  CHECK_EQ_INT(len, HA_QUERY_MAX - 5);
  CHECK_EQ_INT(ha_query_parse(&q, text, HA_QUERY_MAX + 1), HA_QUERY_TOOBIG);
  CHECK_EQ_INT(q.count, 0);
  for (i = 0; i < HA_QUERY_PARAMETERS + 1; i++) n += (size_t)sprintf(text + n, "&p%d=%d", (int)i, (int)i);
  CHECK_EQ_INT(ha_query_parse(&q, text, n), HA_QUERY_TOOBIG);
  n = strlen(text) - strlen("&p64=64");
  CHECK_EQ_INT(ha_query_parse(&q, text, n), HA_QUERY_FINE);
  CHECK_EQ_INT(q.count, HA_QUERY_PARAMETERS);
  ha_query_free(&q);
}

static int budget, blocks; /* allocations left before they fail; blocks not given back */

static void *scarce(size_t size) {
  if (budget-- <= 0) return NULL;
  blocks++;
  return malloc(size);
}

static void release(void *block, size_t size) {
  (void)size;
  blocks--;
  free(block);
}

static const struct ha_allocator SCARCE = {scarce, release};

static void test_memory(void) {
  int n, failed = 0;
  ha_alloc_use(&SCARCE);
  for (n = 0; n < 10; n++) {
    struct ha_query q;
    enum ha_query_fault fault;
    ha_query_init(&q);
    budget = n;
    fault = ha_query_parse(&q, "/cb?code=a%20b&state=%D0%B0", 27);
    CHECK(fault == HA_QUERY_FINE || fault == HA_QUERY_NOMEM);
    if (fault == HA_QUERY_NOMEM) {
      failed++;
      CHECK_EQ_INT(q.count, 0);
      CHECK_EQ_INT(blocks, 0);
    }
    ha_query_free(&q);
    CHECK_EQ_INT(blocks, 0);
  }
  CHECK(failed > 0 && failed < 10);
  ha_alloc_use(NULL);
}

int main(void) {
  test_tables();
  test_get();
  test_limits();
  test_memory();
  return check_done();
}
