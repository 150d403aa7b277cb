/* SPDX-License-Identifier: MIT */
/* What may be asked of the curl transport, and what is refused with which sentence. Nothing is sent here. */
#include <stdlib.h>

#include "check.h"
#include "sys/curl.h"

#define TEXT(s) (s), sizeof(s) - 1

static const char *why;

static void methods(void) {
  static const struct { const char *name; size_t n; enum ha_status want; } rows[] = {
    {TEXT("GET"), HA_OK},     {TEXT("HEAD"), HA_OK},    {TEXT("POST"), HA_OK},  {TEXT("PUT"), HA_OK},   {TEXT("PATCH"), HA_OK},  {TEXT("DELETE"), HA_OK},
    {TEXT("get"), HA_BAD},    {TEXT("GETS"), HA_BAD},   {TEXT("GE"), HA_BAD},   {TEXT(""), HA_BAD},     {TEXT("TRACE"), HA_BAD}, {TEXT("CONNECT"), HA_BAD},
    {TEXT("GET\0"), HA_BAD},  {TEXT("GET /"), HA_BAD}};
  struct ha_curl_request q;
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].name);
    ha_curl_request_init(&q);
    CHECK_EQ_INT(ha_curl_request_method(&q, rows[i].name, rows[i].n, &why), rows[i].want);
    CHECK_EQ_STR(q.method, rows[i].want == HA_OK ? rows[i].name : "");
    ha_curl_request_free(&q);
  }
}

static void headers(void) {
  static const struct { const char *name, *value; enum ha_status want; const char *line; } rows[] = {
    {"X-Key", "value", HA_OK, "X-Key: value"},
    {"X-Empty", "", HA_OK, "X-Empty;"},
    {"Accept", "text/plain", HA_OK, "Accept: text/plain"},
    {"cOnTeNt-tYpE", "text/plain", HA_OK, "cOnTeNt-tYpE: text/plain"},
    {"X Key", "value", HA_BAD, NULL},
    {"", "value", HA_BAD, NULL},
    {"X-Key:", "value", HA_BAD, NULL},
    {"X-Key", "a\r\nb", HA_BAD, NULL},
    {"X-Key", "a\x7F", HA_BAD, NULL},
    {"Host", "evil.example", HA_BAD, NULL},
    {"content-LENGTH", "5", HA_BAD, NULL},
    {"Transfer-Encoding", "chunked", HA_BAD, NULL},
    {"Connection", "close", HA_BAD, NULL},
    {"Expect", "100-continue", HA_BAD, NULL},
    {"Proxy-Authorization", "Basic x", HA_BAD, NULL},
    {"Range", "bytes=0-1", HA_BAD, NULL},
    {"Accept-Encoding", "gzip", HA_BAD, NULL},
    {"Accept-Encoding", "Identity", HA_OK, NULL}, /* sent by itself */
  };
  struct ha_curl_request q;
  size_t i;
  char *big;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].name);
    ha_curl_request_init(&q);
    CHECK_EQ_INT(ha_curl_request_header(&q, rows[i].name, strlen(rows[i].name), rows[i].value, strlen(rows[i].value), &why), rows[i].want);
    CHECK_EQ_INT(q.header_count, rows[i].line != NULL);
    if (rows[i].line) CHECK_EQ_MEM(q.headers.data, q.headers.len, rows[i].line, strlen(rows[i].line) + 1);
    CHECK_EQ_INT(q.accepts, strcmp(rows[i].name, "Accept") == 0);
    CHECK_EQ_INT(q.typed, rows[i].name[0] == 'c' && rows[i].want == HA_OK);
    ha_curl_request_free(&q);
  }
  CHECK_CASE("many and long");
  ha_curl_request_init(&q);
  for (i = 0; i < HA_CURL_HEADERS; i++) CHECK_EQ_INT(ha_curl_request_header(&q, TEXT("X"), TEXT("y"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_header(&q, TEXT("X"), TEXT("y"), &why), HA_BAD);
  CHECK_EQ_STR(why, "too many headers");
  ha_curl_request_free(&q);
  ha_curl_request_init(&q);
  big = malloc(HA_CURL_HEADER_BYTES);
  if (!big) abort();
  memset(big, 'x', HA_CURL_HEADER_BYTES);
  CHECK_EQ_INT(ha_curl_request_header(&q, TEXT("X"), big, HA_CURL_HEADER_BYTES - 3, &why), HA_BAD);
  CHECK_EQ_STR(why, "the headers are too long");
  CHECK_EQ_INT(q.headers.len, 0);
  CHECK_EQ_INT(ha_curl_request_header(&q, TEXT("X"), big, HA_CURL_HEADER_BYTES - 4, &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_header(&q, TEXT("X"), TEXT("y"), &why), HA_BAD);
  CHECK_EQ_INT(q.header_count, 1);
  ha_curl_request_free(&q);
  free(big);
}

static void proxies(void) {
  static const struct { const char *text; enum ha_status want; const char *url, *user, *password; } rows[] = {
    {"http://proxy.example:3128", HA_OK, "http://proxy.example:3128/", "", ""},
    {"https://proxy.example", HA_OK, "https://proxy.example/", "", ""},
    {"http://user@proxy.example", HA_OK, "http://proxy.example/", "user", ""},
    {"http://user:@proxy.example", HA_OK, "http://proxy.example/", "user", ""},
    {"http://user:pass@proxy.example:1", HA_OK, "http://proxy.example:1/", "user", "pass"},
    {"http://us%20er:p%3A%40ss@proxy.example", HA_OK, "http://proxy.example/", "us er", "p:@ss"},
    {"http://user:a:b@proxy.example", HA_OK, "http://proxy.example/", "user", "a:b"},
    {"", HA_BAD, NULL, NULL, NULL},
    {"proxy.example:3128", HA_BAD, NULL, NULL, NULL},
    {"socks5h://proxy.example", HA_BAD, NULL, NULL, NULL},
    {"ftp://proxy.example", HA_BAD, NULL, NULL, NULL},
    {"://proxy.example", HA_BAD, NULL, NULL, NULL},
    {"a@b://proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://:pass@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://us%3Aer:pass@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://us%zzer@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://user:pa%0Ass@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://us%7Fer@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://proxy.example/path@other.example", HA_BAD, NULL, NULL, NULL},
    {"http://proxy.example?q@other.example", HA_BAD, NULL, NULL, NULL},
    {"http://proxy.example#f@other.example", HA_BAD, NULL, NULL, NULL},
    {"http://user@other@proxy.example", HA_BAD, NULL, NULL, NULL},
    {"http://proxy.example/path", HA_BAD, NULL, NULL, NULL},
    {"http://proxy.example/?q", HA_BAD, NULL, NULL, NULL},
    {"http://", HA_BAD, NULL, NULL, NULL},
  };
  struct ha_curl_request q;
  size_t i, n = (size_t)HA_URL_MAX + 10;
  char *big;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].text);
    ha_curl_request_init(&q);
    why = NULL;
    CHECK_EQ_INT(ha_curl_request_proxy(&q, rows[i].text, strlen(rows[i].text), &why), rows[i].want);
    if (rows[i].want == HA_OK) {
      CHECK_EQ_MEM(q.proxy.text.data, q.proxy.text.len, rows[i].url, strlen(rows[i].url));
      CHECK_EQ_MEM(q.proxy_user.data, q.proxy_user.len, rows[i].user, strlen(rows[i].user));
      CHECK_EQ_MEM(q.proxy_password.data, q.proxy_password.len, rows[i].password, strlen(rows[i].password));
    } else {
      CHECK(why && !strstr(why, "example") && !strstr(why, "pass")); /* a sentence of ours, with nothing of theirs in it */
    }
    ha_curl_request_free(&q);
  }
  CHECK_CASE("long");
  big = malloc(n);
  if (!big) abort();
  memset(big, 'x', n);
  memcpy(big, "http://", sizeof "http://" - 1);
  ha_curl_request_init(&q);
  CHECK_EQ_INT(ha_curl_request_proxy(&q, big, n, &why), HA_BAD);
  CHECK_EQ_STR(why, "proxy is too long");
  big[2000] = '@';
  CHECK_EQ_INT(ha_curl_request_proxy(&q, big, n, &why), HA_BAD);
  ha_curl_request_free(&q);
  free(big);
}

static void whole_requests(void) {
  static const struct { const char *name, *method, *url, *proxy, *body; int key, cert; const char *want; } rows[] = {
    {"nothing", NULL, NULL, NULL, NULL, 0, 0, "method is missing"},
    {"no URL", "GET", NULL, NULL, NULL, 0, 0, "url is missing"},
    {"a GET", "GET", "https://a.example/", NULL, NULL, 0, 0, NULL},
    {"a GET with a body", "GET", "https://a.example/", NULL, "x", 0, 0, "GET and HEAD have no body"},
    {"a HEAD with an empty body", "HEAD", "https://a.example/", NULL, "", 0, 0, "GET and HEAD have no body"},
    {"a POST", "POST", "https://a.example/", "http://proxy.example", "x", 0, 0, NULL},
    {"http by a proxy elsewhere", "GET", "http://localhost/", "http://proxy.example", NULL, 0, 0, "http goes through a loopback proxy only"},
    {"http by a proxy here", "GET", "http://localhost/", "http://127.0.0.1:1", NULL, 0, 0, NULL},
    {"a key alone", "GET", "https://a.example/", NULL, NULL, 1, 0, "key_file needs cert_file"},
    {"key and certificate", "GET", "https://a.example/", NULL, NULL, 1, 1, NULL},
  };
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct ha_curl_request q;
    CHECK_CASE(rows[i].name);
    ha_curl_request_init(&q);
    if (rows[i].method) CHECK_EQ_INT(ha_curl_request_method(&q, rows[i].method, strlen(rows[i].method), &why), HA_OK);
    if (rows[i].url) CHECK_EQ_INT(ha_curl_request_url(&q, rows[i].url, strlen(rows[i].url), &why), HA_OK);
    if (rows[i].proxy) CHECK_EQ_INT(ha_curl_request_proxy(&q, rows[i].proxy, strlen(rows[i].proxy), &why), HA_OK);
    if (rows[i].body) CHECK_EQ_INT(ha_curl_request_body(&q, rows[i].body, strlen(rows[i].body), &why), HA_OK);
    if (rows[i].key) CHECK_EQ_INT(ha_secret_set(&q.key_file, TEXT("key.pem")), HA_OK);
    if (rows[i].cert) CHECK_EQ_INT(ha_secret_set(&q.cert_file, TEXT("cert.pem")), HA_OK);
    why = NULL;
    CHECK_EQ_INT(ha_curl_request_check(&q, &why), rows[i].want ? HA_BAD : HA_OK);
    CHECK_EQ_STR(why, rows[i].want);
    ha_curl_request_free(&q);
  }
}

int main(void) {
  methods();
  headers();
  proxies();
  whole_requests();
  return check_done();
}
