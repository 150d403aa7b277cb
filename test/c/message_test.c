/* SPDX-License-Identifier: MIT */
/* Header values, dates and cleaned texts. */
#include "base/message.h"

#include <stdlib.h>

#include "check.h"

#define LENGTH(table) (sizeof(table) / sizeof(table)[0])
#define BYTES(text) (text), sizeof(text) - 1

/* 2024-02-29 12:00:00 */
static const int64_t NOW = 1709208000;

struct date { const char *text; int64_t seconds; };

static const struct date DATES[] = {
  {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
  {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
  {"Sun Nov  6 08:49:37 1994", 784111777},
  {"Sun Nov 16 08:49:37 1994", 784975777},
  {"Sun Nov 06 08:49:37 1994", 784111777},
  {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
  {"Thu Jan  1 00:00:00 1970", 0},
  {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
  {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648LL},
  {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799LL},
  {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200LL},
  {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
  {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
  {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777}, /* any weekday is taken for the one it says */
  {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
  {"Saturday, 31-Dec-16 23:59:60 GMT", 1483228800},
  {"Sat Dec 31 23:59:60 2016", 1483228800},
  {"Thursday, 29-Feb-24 12:00:00 GMT", 1709208000},
  {"Tuesday, 29-Feb-00 00:00:00 GMT", 951782400},
  {"Thursday, 01-Jan-70 00:00:00 GMT", 3155760000LL}, /* 46 years ahead */
  {"Wednesday, 28-Feb-74 12:00:00 GMT", 3287044800LL},
  {"Thursday, 01-Mar-74 12:00:00 GMT", 3287131200LL}, /* NOW and fifty years: not more than that */
  {"Thursday, 01-Mar-74 12:00:01 GMT", 131371201}, /* more: the century before */
  {"Monday, 31-Dec-99 23:59:59 GMT", 946684799},
};

static const char *const NO_DATES[] = {
  "", " ", "now", "0", "120", "2024-02-29T12:00:00Z", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
  "Sun, 06 Nov 1994 08:49:37 gmt", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
  "Sun, 06 Nov 1994 08:49:37 GMTx", "sun, 06 Nov 1994 08:49:37 GMT", "SUN, 06 Nov 1994 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
  "06 Nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
  "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT", "Sun, 006 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
  "Sun, 06 NOV 1994 08:49:37 GMT", "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 06 November 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
  "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 994 08:49:37 GMT", "Sun, 06 Nov 11994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
  "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37.0 GMT", "Sun, 06 Nov 1994 08-49-37 GMT",
  "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT", "Sun, 06 Nov 1994 23:59:61 GMT",
  "Sun, 06 Nov 1994 08:49:99 GMT", "Sun, 06 Nov 1994 +8:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
  "Sun, 32 Jan 1994 08:49:37 GMT", "Fri, 30 Feb 2024 12:00:00 GMT", "Wed, 29 Feb 2023 12:00:00 GMT", "Thu, 29 Feb 1900 12:00:00 GMT",
  "Mon, 29 Feb 2100 12:00:00 GMT", "Sun, 31 Apr 1994 08:49:37 GMT", "Sun, 31 Jun 1994 08:49:37 GMT", "Sun, 31 Sep 1994 08:49:37 GMT",
  "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 6-Nov-94 08:49:37 GMT",
  "Sunday, 06-Nov-94 08:49:37", "Sunda, 06-Nov-94 08:49:37 GMT", "Someday, 06-Nov-94 08:49:37 GMT", "Sunday 06-Nov-94 08:49:37 GMT",
  "Friday, 29-Feb-23 12:00:00 GMT", "Friday, 30-Feb-24 12:00:00 GMT", "Friday, 31-Dec-99 24:00:00 GMT", "Sun Nov 6 08:49:37 1994",
  "Sun Nov   6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT", "Sun Nov  0 08:49:37 1994",
  "Sun, Nov  6 08:49:37 1994", "Sunday Nov  6 08:49:37 1994", "Sun Feb 30 08:49:37 1994", "Sun Feb 29 08:49:37 1994",
  "Sun Nov  6 24:49:37 1994", "Sun Nov  6 08:49:37  1994",
};

/* A copy without a byte behind it, so that the sanitizer sees a reader that goes too far. */
static char *exact(const char *text, size_t len) {
  char *copy = malloc(len ? len : 1);
  if (!copy) abort();
  memcpy(copy, text, len);
  return copy;
}

/* A whole date, and then the same date cut short or with one byte spoilt. */
static void check_spoilt(const char *text) {
  size_t n = strlen(text), i;
  int64_t got = -7;
  for (i = 0; i < n; i++) {
    char *copy = exact(text, i);
    CHECK(!ha_http_date(copy, i, NOW, &got));
    free(copy);
    copy = exact(text, n);
    copy[i] = '~';
    CHECK(!ha_http_date(copy, n, NOW, &got));
    free(copy);
  }
  CHECK_EQ_INT(got, -7);
}

static void test_dates(void) {
  int64_t got;
  size_t i;
  for (i = 0; i < LENGTH(DATES); i++) {
    CHECK_CASE(DATES[i].text);
    got = -7;
    CHECK(ha_http_date(DATES[i].text, strlen(DATES[i].text), NOW, &got));
    CHECK_EQ_INT(got, DATES[i].seconds);
    check_spoilt(DATES[i].text);
  }
  for (i = 0; i < LENGTH(NO_DATES); i++) {
    CHECK_CASE(NO_DATES[i]);
    got = -7;
    CHECK(!ha_http_date(NO_DATES[i], strlen(NO_DATES[i]), NOW, &got));
    CHECK_EQ_INT(got, -7);
  }
  CHECK_CASE("NUL");
  CHECK(!ha_http_date(BYTES("Sun, 06 Nov 1994 08:49:37 GMT\0"), NOW, &got));
  CHECK(!ha_http_date(BYTES("Sun, 06 Nov 1994\0" "08:49:37 GMT"), NOW, &got));
  CHECK_CASE("two digits of a year, seen from other times");
  CHECK(ha_http_date(BYTES("Sunday, 06-Nov-94 08:49:37 GMT"), 0, &got) && got == 784111777);
  CHECK(ha_http_date(BYTES("Sunday, 06-Nov-94 08:49:37 GMT"), -2208988800LL - 86400, &got)); /* 1899: 1894 is nearer than 1994 */
  CHECK_EQ_INT(got, -2371561823LL);
  CHECK(ha_http_date(BYTES("Sunday, 06-Nov-01 08:49:37 GMT"), 4070908800LL, &got)); /* 2099: two years ahead, not 98 back */
  CHECK_EQ_INT(got, 4160710177LL);
  CHECK(!ha_http_date(BYTES("Sunday, 29-Feb-00 08:49:37 GMT"), 4070908800LL, &got)); /* 2100 has none */
  CHECK(ha_http_date(BYTES("Friday, 15-Jun-74 12:00:00 GMT"), 1718452800, &got) && got == 3296289600LL); /* fifty years to the second */
  CHECK(ha_http_date(BYTES("Friday, 15-Jun-74 12:00:01 GMT"), 1718452800, &got) && got == 140529601);
  CHECK(ha_http_date(BYTES("Monday, 31-Dec-19 23:59:59 GMT"), -1, &got) && got == 1577836799);
  CHECK(ha_http_date(BYTES("Monday, 01-Jan-20 00:00:00 GMT"), -1, &got) && got == -1577923200LL);
  CHECK(ha_http_date(BYTES("Monday, 31-Dec-19 00:00:00 GMT"), -86400, &got) && got == 1577750400);
  CHECK(ha_http_date(BYTES("Monday, 31-Dec-19 00:00:01 GMT"), -86400, &got) && got == -1578009599LL);
  CHECK(ha_http_date(BYTES("Sunday, 06-Nov-94 08:49:37 GMT"), INT64_MAX, &got));
  CHECK(ha_http_date(BYTES("Sunday, 06-Nov-94 08:49:37 GMT"), INT64_MIN, &got));
  CHECK_CASE("");
}

/* Each day of eight hundred years, against a count by hand. */
static void test_calendar(void) {
  static const char *const MONTH[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static const int LONG[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t day = -135140, wrong = 0; /* 1600-01-01 */
  int y, m, d;
  for (y = 1600; y < 2400; y++) {
    for (m = 0; m < 12; m++) {
      int days = LONG[m] + (m == 1 && (y % 400 == 0 || (y % 4 == 0 && y % 100 != 0)));
      for (d = 1; d <= days; d++, day++) {
        char text[64];
        int64_t got = 0;
        int n = snprintf(text, sizeof text, "Mon, %02d %s %04d 00:00:00 GMT", d, MONTH[m], y);
        if (!ha_http_date(text, (size_t)n, 0, &got) || got != day * 86400) wrong++;
        n = snprintf(text, sizeof text, "Monday, %02d-%s-%02d 00:00:00 GMT", d, MONTH[m], y % 100);
        if (!ha_http_date(text, (size_t)n, day * 86400 + 5, &got) || got != day * 86400) wrong++;
      }
    }
  }
  CHECK_EQ_INT(wrong, 0);
  CHECK_EQ_INT(day, 157054); /* 2400-01-01 */
}

static void test_retry_after(void) {
  static const struct date FINE[] = {
    {"0", 0}, {"1", 1}, {"120", 120}, {"00120", 120}, {"31536000", 31536000}, {"31536001", 31536000}, {"2147483648", 31536000},
    {"18446744073709551616", 31536000}, {"99999999999999999999999999999999999999999999999999", 31536000}, {" 5\t", 5},
    {"Thu, 29 Feb 2024 12:00:00 GMT", 0}, {"Thu, 29 Feb 2024 12:00:01 GMT", 1}, {"Thu, 29 Feb 2024 11:59:59 GMT", 0},
    {"Thu, 29 Feb 2024 12:02:00 GMT", 120}, {"Thursday, 29-Feb-24 12:02:00 GMT", 120}, {"Thu Feb 29 12:02:00 2024", 120},
    {" Thu, 29 Feb 2024 12:02:00 GMT ", 120}, {"Sun, 06 Nov 1994 08:49:37 GMT", 0}, {"Fri, 31 Dec 9999 23:59:59 GMT", 31536000},
    {"Fri, 28 Feb 2025 12:00:00 GMT", 31536000}, {"Fri, 28 Feb 2025 11:59:59 GMT", 31535999}, {"Sat, 01 Jan 0000 00:00:00 GMT", 0},
  };
  static const char *const ABSENT[] = {
    "", " ", "\t", "1.5", "-1", "+1", "1e3", "0x10", "1,2", "1 2", "1s", "120;", "soon", "\"120\"", "1.", ".5", "--1",
    "Fri, 30 Feb 2024 12:00:00 GMT", "2024-02-29", "1\n", "\xD9\xA1", "NaN", "inf",
  };
  int64_t got;
  size_t i;
  for (i = 0; i < LENGTH(FINE); i++) {
    CHECK_CASE(FINE[i].text);
    got = -7;
    CHECK(ha_retry_after(FINE[i].text, strlen(FINE[i].text), NOW, &got));
    CHECK_EQ_INT(got, FINE[i].seconds);
  }
  for (i = 0; i < LENGTH(ABSENT); i++) {
    CHECK_CASE(ABSENT[i]);
    got = -7;
    CHECK(!ha_retry_after(ABSENT[i], strlen(ABSENT[i]), NOW, &got));
    CHECK_EQ_INT(got, -7);
  }
  CHECK_CASE("the ends of time");
  CHECK(ha_retry_after(BYTES("Sat, 01 Jan 0000 00:00:00 GMT"), INT64_MIN, &got) && got == HA_RETRY_AFTER_MAX);
  CHECK(ha_retry_after(BYTES("Fri, 31 Dec 9999 23:59:59 GMT"), INT64_MAX, &got) && got == 0);
  CHECK(!ha_retry_after(NULL, 0, NOW, &got));
  CHECK_CASE("");
}

struct pair { const char *text, *want; };

static void test_media(void) {
  static const char *const JSON[] = {
    "application/json", "Application/JSON", "application/json;charset=utf-8", "application/json ; charset=\"utf-8\" ",
    " application/json\t", "application/problem+json", "application/fhir+json; fhirVersion=4.0", "application/vnd.api.v1+JSON",
    "application/json;", "application/json; ;a=b;;", "application/json;a=\"x;y,\\\"z\"", "application/json;a=b;c=d",
    "application/a+b+json", "application/json;a=\"\"",
  };
  static const char *const OTHER[] = {
    "", " ", "json", "text/json", "text/html", "application/", "application/jsonx", "application/xjson", "application/+json",
    "application/json+xml", "application/json, text/html", "application/json text/html", "application /json", "application/ json",
    "/json", "application//json", "application/json/x", "application/json;a", "application/json;a=", "application/json;=b",
    "application/json;a =b", "application/json;a= b", "application/json;a=\"b", "application/json;a=\"b\"c", "application/json;a=b c",
    "application/json;a=\"\\", "application/json;a=\"x\ny\"", "application/json;a=\"\x7F\"", "application/json;a=\\\"",
    "application/problem-json", "text/x+json", "application/json\x01", "application/js\xC3\xB6n", "application/jso",
    "application/json;a=\"b\\\n\"", "*/*", "application/*+xml",
  };
  char *copy;
  size_t i;
  for (i = 0; i < LENGTH(JSON); i++) {
    CHECK_CASE(JSON[i]);
    CHECK(ha_media_is_json(JSON[i], strlen(JSON[i])));
  }
  for (i = 0; i < LENGTH(OTHER); i++) {
    CHECK_CASE(OTHER[i]);
    copy = exact(OTHER[i], strlen(OTHER[i]));
    CHECK(!ha_media_is_json(copy, strlen(OTHER[i])));
    free(copy);
  }
  CHECK_CASE("");
  CHECK(!ha_media_is_json(BYTES("application/json\0")));
  CHECK(ha_media_is(BYTES("Text/HTML; charset=x"), "text/html"));
  CHECK(!ha_media_is(BYTES("text/html; charset"), "text/html"));
  CHECK(!ha_media_is(BYTES("text/htmlx"), "text/html"));
  CHECK(!ha_media_is(BYTES("text/htm"), "text/html"));
  CHECK(!ha_media_is(BYTES(""), ""));
  CHECK(!ha_media_is(NULL, 0, "text/html"));
  CHECK(ha_same_word(BYTES("BeArer"), BYTES("bEaRER")));
  CHECK(ha_same_word("", 0, NULL, 0));
  CHECK(!ha_same_word(BYTES("bearer"), BYTES("bearer ")));
  CHECK(!ha_same_word(BYTES("@"), BYTES("`"))); /* 32 apart, but no letters */
  CHECK(!ha_same_word(BYTES("\xC4"), BYTES("\xE4")));
}

static void test_challenge(void) {
  static const struct pair CASES[] = {
    {"Bearer error=\"invalid_token\"", "invalid_token"},
    {"bearer ERROR=invalid_token", "invalid_token"},
    {"Bearer realm=\"x\", error=\"invalid_token\", error_description=\"a, b\"", "invalid_token"},
    {"Bearer realm=\"x\",error=\"insufficient_scope\",scope=\"a b\"", "insufficient_scope"},
    {"Bearer error = \"x\"", "x"},
    {"Bearer error\t=\t\"x\"", "x"},
    {"Basic realm=\"x\", Bearer error=\"invalid_token\"", "invalid_token"},
    {"Basic realm=\"a, Bearer error=\\\"no\\\"\", Bearer error=\"yes\"", "yes"},
    {"Negotiate, Bearer error=\"x\"", "x"},
    {"Negotiate abc==, Bearer error=\"x\"", "x"},
    {"Negotiate a/b+c~d-e._, Bearer error=\"x\"", "x"},
    {"Bearer error=\"x\", Basic realm=\"y\"", "x"},
    {"Bearer error=\"x\", Basic error=\"y\"", "x"},
    {"Basic error=\"y\", Bearer error=\"x\"", "x"},
    {"Bearer realm=\"x\", Basic error=\"y\"", ""},
    {"Bearer realm=\"x\", Bearer error=\"y\"", ""}, /* the first one speaks */
    {"Bearer error=\"x\", Bearer error=\"y\"", "x"},
    {"Bearer", ""},
    {"Bearer ", ""},
    {"Bearer abc=", ""},
    {"Bearer error", ""}, /* a token68 */
    {"Bearer error=", ""},
    {"Basic realm=\"x\"", ""},
    {"", ""},
    {" , ,", ""},
    {",,Bearer , , error=x,", "x"},
    {"Bearer   error=x", "x"},
    {"Bearer error=\"a\\\"b\\\\c\"", "a\"b\\c"},
    {"Bearer error=\"\"", ""},
    {"Bearer xerror=\"y\"", ""},
    {"Bearer error_description=\"error=z\"", ""},
    {"XBearer error=\"y\"", ""},
    {"Bearer realm=\"caf\xC3\xA9\", error=x", "x"},
    {"Digest realm=\"a\", qop=\"auth,auth-int\", nonce=\"x==\", Bearer error=x", "x"},
    {"Bearer realm=\"x\", realm=\"y\", error=z", "z"},
  };
  static const char *const BROKEN[] = {
    "error=\"x\"", "=x", "Bearer =x", "Bearer error=\"x", "Bearer error=\"x\\", "Bearer error=\"x\\\"", "Bearer error=\"x\"y",
    "Bearer error=x y=z", "Bearer realm=\"x\" error=\"y\"", "Bearer error=\"x\", error=\"y\"", "Bearer, error=x", "Bearer abc=, error=x",
    "Negotiate abc==, realm=x", "Bearer error=\"a\nb\"", "Bearer error=\"a\x01\"", "Bearer (error)", "Bearer a b", "\"Bearer\"",
    "Bearer error=x;", "Bearer error=\"x\";", "Bearer\nerror=x", "Bearer\terror=x", "Bearer error==\"x\"", "Bearer realm=\"x\", error=",
    "Bearer realm=\"x\", =y", "Be\xC3\xA4rer error=x", "Bearer error=\xC3\xA4", "Bearer ;",
  };
  struct ha_buf out;
  char *copy;
  size_t i;
  ha_buf_init(&out, 64);
  for (i = 0; i < LENGTH(CASES); i++) {
    CHECK_CASE(CASES[i].text);
    ha_buf_clear(&out);
    copy = exact(CASES[i].text, strlen(CASES[i].text));
    CHECK_EQ_INT(ha_bearer_error(&out, copy, strlen(CASES[i].text)), HA_OK);
    free(copy);
    CHECK_EQ_MEM(out.data, out.len, CASES[i].want, strlen(CASES[i].want));
  }
  for (i = 0; i < LENGTH(BROKEN); i++) {
    CHECK_CASE(BROKEN[i]);
    ha_buf_clear(&out);
    copy = exact(BROKEN[i], strlen(BROKEN[i]));
    CHECK_EQ_INT(ha_bearer_error(&out, copy, strlen(BROKEN[i])), HA_BAD);
    free(copy);
    CHECK_EQ_INT(out.len, 0);
  }
  CHECK_CASE("");
  ha_buf_free(&out);
  ha_buf_init(&out, 4);
  CHECK_EQ_INT(ha_buf_adds(&out, "ab"), HA_OK);
  CHECK_EQ_INT(ha_bearer_error(&out, BYTES("Bearer error=\"xyz\"")), HA_TOOBIG);
  CHECK_EQ_INT(ha_bearer_error(&out, BYTES("Bearer error=xyz")), HA_TOOBIG);
  CHECK_EQ_STR(out.data, "ab");
  CHECK_EQ_INT(ha_bearer_error(&out, BYTES("Bearer error=\"c\\d\"")), HA_OK);
  CHECK_EQ_STR(out.data, "abcd");
  ha_buf_free(&out);
}

static void test_clean(void) {
  static const struct pair CASES[] = {
    {"", ""}, {"plain", "plain"}, {"  a  b\t\r\n c  ", "a b c"}, {"\n\n", ""}, {"a\x1B[31mb", "a [31mb"}, {"a\x07", "a"},
    {"a\x7F" "b", "a b"}, {"\xC2\x85" "a\xC2\x9B" "b", "a b"},
    {"\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD1\x96\xD1\x82", "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD1\x96\xD1\x82"},
    {"a\xFF" "b", "a\xEF\xBF\xBD" "b"}, {"\xC3", "\xEF\xBF\xBD"}, {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"}, {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}, {"a\xD8\x9C" "b", "ab"}, {"a\xE2\x80\x8E\xE2\x80\x8F" "b", "ab"},
    {"a\xE2\x80\xAA\xE2\x80\xAE" "b", "ab"}, {"a\xE2\x81\xA6\xE2\x81\xA9" "b", "ab"},
    {"a\xE2\x80\x8B\xE2\x80\x8C\xE2\x80\x8D\xE2\x81\xA0" "b", "ab"}, {"\xEF\xBB\xBF" "a", "a"}, {"a\xE2\x80\xA8\xE2\x80\xA9" "b", "a b"},
    {"a\xF3\xA0\x80\x81\xF3\xA0\x81\xBF" "b", "ab"}, {"a \xE2\x80\x8B b", "a b"}, {"\xE2\x80\x8B a \xE2\x80\x8B", "a"},
    {"\xE2\x80\x90\xE2\x81\xA5\xE2\x81\xAA", "\xE2\x80\x90\xE2\x81\xA5\xE2\x81\xAA"}, {"\xF3\xA0\x82\x80", "\xF3\xA0\x82\x80"},
  };
  struct ha_buf out;
  char big[2000];
  size_t i;
  ha_buf_init(&out, 4096);
  for (i = 0; i < LENGTH(CASES); i++) {
    CHECK_CASE(CASES[i].text);
    ha_buf_clear(&out);
    CHECK_EQ_INT(ha_text_clean(&out, CASES[i].text, strlen(CASES[i].text)), HA_OK);
    CHECK_EQ_MEM(out.data, out.len, CASES[i].want, strlen(CASES[i].want));
  }
  CHECK_CASE("NUL");
  ha_buf_clear(&out);
  CHECK_EQ_INT(ha_text_clean(&out, BYTES("a\0b\0")), HA_OK);
  CHECK_EQ_STR(out.data, "a b");
  CHECK_CASE("length");
  memset(big, 'a', sizeof big);
  CHECK_EQ_INT(ha_text_clean(&out, big, sizeof big), HA_OK); /* appends */
  CHECK_EQ_INT(out.len, 3 + HA_TEXT_MAX);
  for (i = 0; i < 4; i++) { /* never cut inside a character, never ended by the space before one */
    memset(big, 'a', sizeof big);
    memcpy(big + HA_TEXT_MAX - i, "\xF0\x9F\x98\x80", 4);
    ha_buf_clear(&out);
    CHECK_EQ_INT(ha_text_clean(&out, big, sizeof big), HA_OK);
    CHECK_EQ_INT(out.len, HA_TEXT_MAX - i);
  }
  memset(big, 'a', sizeof big);
  big[HA_TEXT_MAX - 1] = ' ';
  ha_buf_clear(&out);
  CHECK_EQ_INT(ha_text_clean(&out, big, sizeof big), HA_OK);
  CHECK_EQ_INT(out.len, HA_TEXT_MAX - 1);
  ha_buf_clear(&out);
  CHECK_EQ_INT(ha_text_clean(&out, BYTES("a\xF3\xA0\x80\x80" "b\xF3\x9F\xBF\xBF")), HA_OK); /* the first tag, and what is before it */
  CHECK_EQ_STR(out.data, "ab\xF3\x9F\xBF\xBF");
  CHECK_CASE("code");
  for (i = 0; i < 256; i++) {
    static const char FROM[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    static const char TO[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789_";
    char c = (char)i;
    const char *known = i ? strchr(FROM, c) : NULL;
    ha_buf_clear(&out);
    CHECK_EQ_INT(ha_text_code(&out, &c, 1), HA_OK);
    CHECK_EQ_INT(out.data[0], known ? TO[known - FROM] : '_');
  }
  ha_buf_clear(&out);
  CHECK_EQ_INT(ha_text_code(&out, BYTES("Invalid-Grant 2.x\xC3\xA9\0_Z")), HA_OK);
  CHECK_EQ_STR(out.data, "invalid_grant_2_x____z");
  ha_buf_clear(&out);
  CHECK_EQ_INT(ha_text_code(&out, big, sizeof big), HA_OK);
  CHECK_EQ_INT(out.len, HA_CODE_MAX);
  ha_buf_free(&out);
  CHECK_CASE("no room");
  ha_buf_init(&out, 3);
  CHECK_EQ_INT(ha_text_clean(&out, BYTES("abcd")), HA_TOOBIG);
  CHECK_EQ_INT(ha_text_code(&out, BYTES("abcd")), HA_TOOBIG);
  CHECK_EQ_INT(out.len, 0);
  CHECK_CASE("");
  ha_buf_free(&out);
}

int main(void) {
  test_dates();
  test_calendar();
  test_retry_after();
  test_media();
  test_challenge();
  test_clean();
  return check_done();
}
