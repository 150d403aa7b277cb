/* SPDX-License-Identifier: MIT */
/* libcurl refusing: whichever option, header line or handle it does not take, the exchange ends before a connection is tried, and says that
 * nothing was sent. No protection is ever left out because its option was not accepted. Nothing leaves loopback. */
#include "faults.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <math.h>
#include <stdarg.h>
#undef curl_easy_setopt
#undef curl_multi_setopt

#include "check.h"
#include "sys/curl_parts.h"

#define TEXT(s) (s), sizeof(s) - 1

/* ---- stand-ins ---- */

static CURLcode refusal = CURLE_OUT_OF_MEMORY;
static unsigned performs;                          /* how often libcurl was set to work */
static long numbers[CURLOPT_LASTENTRY % 10000];    /* the last value of every option that is a number */
static CURLUPart lie_part;
static const char *lie;                            /* what libcurl's URL parser says of lie_part */

CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
  CURLcode (*next)(CURL *, CURLoption, ...), rc;
  va_list more;
  if (faults_here()) return refusal;
  FAULTS_NEXT(next, "curl_easy_setopt");
  va_start(more, option);
  if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) rc = next(easy, option, va_arg(more, curl_off_t));
  else if (option >= CURLOPTTYPE_OBJECTPOINT) rc = next(easy, option, va_arg(more, void *));
  else rc = next(easy, option, numbers[option] = va_arg(more, long));
  va_end(more);
  return rc;
}

CURLMcode curl_multi_setopt(CURLM *pool, CURLMoption option, ...) {
  CURLMcode (*next)(CURLM *, CURLMoption, ...), rc;
  va_list more;
  if (faults_here()) return CURLM_UNKNOWN_OPTION;
  FAULTS_NEXT(next, "curl_multi_setopt");
  va_start(more, option);
  rc = next(pool, option, va_arg(more, long));
  va_end(more);
  return rc;
}

CURL *curl_easy_init(void) {
  CURL *(*next)(void);
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "curl_easy_init");
  return next();
}

CURLM *curl_multi_init(void) {
  CURLM *(*next)(void);
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "curl_multi_init");
  return next();
}

CURLMcode curl_multi_add_handle(CURLM *pool, CURL *easy) {
  CURLMcode (*next)(CURLM *, CURL *);
  if (faults_here()) return CURLM_OUT_OF_MEMORY;
  FAULTS_NEXT(next, "curl_multi_add_handle");
  return next(pool, easy);
}

CURLMcode curl_multi_perform(CURLM *pool, int *running) {
  CURLMcode (*next)(CURLM *, int *);
  performs++;
  (void)faults_stop(); /* libcurl calls itself too */
  FAULTS_NEXT(next, "curl_multi_perform");
  return next(pool, running);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *line) {
  struct curl_slist *(*next)(struct curl_slist *, const char *);
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "curl_slist_append");
  return next(list, line);
}

CURLU *curl_url(void) {
  CURLU *(*next)(void);
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "curl_url");
  return next();
}

CURLUcode curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags) {
  CURLUcode (*next)(CURLU *, CURLUPart, const char *, unsigned);
  if (faults_here()) return CURLUE_OUT_OF_MEMORY;
  FAULTS_NEXT(next, "curl_url_set");
  return next(url, part, text, flags);
}

CURLUcode curl_url_get(CURLU *url, CURLUPart part, char **text, unsigned flags) {
  CURLUcode (*next)(CURLU *, CURLUPart, char **, unsigned);
  bool wanted = part == CURLUPART_SCHEME || part == CURLUPART_HOST || part == CURLUPART_PORT; /* the others are asked whether they are absent */
  if (lie && part == lie_part) {
    *text = strdup(lie);
    return *text ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
  }
  if (wanted && faults_here()) return CURLUE_OUT_OF_MEMORY;
  FAULTS_NEXT(next, "curl_url_get");
  return next(url, part, text, flags);
}

/* ---- requests ---- */

static const char *why;

enum { BODY = 1, PROXY = 2, TRUST = 4, CERT = 8, HEADERS = 16 };

static const struct row {
  const char *name, *method, *url;
  int with;
  size_t least; /* calls of libcurl that can fail */
} ROWS[] = {
  {"GET", "GET", "http://127.0.0.1:1/path?q", 0, 50},
  {"GET of localhost", "GET", "http://localhost:1/", 0, 50},
  {"HEAD", "HEAD", "https://[::1]:1/", 0, 50},
  {"DELETE", "DELETE", "https://localhost:1/", TRUST, 60},
  {"DELETE with a body", "DELETE", "https://localhost:1/", BODY, 60},
  {"POST", "POST", "https://localhost:1/token", BODY | PROXY | TRUST | CERT | HEADERS, 75},
};

static void fill(struct ha_curl_request *q, const struct row *row) {
  ha_curl_request_init(q);
  CHECK_EQ_INT(ha_curl_request_method(q, row->method, strlen(row->method), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(q, row->url, strlen(row->url), &why), HA_OK);
  if (row->with & BODY) CHECK_EQ_INT(ha_curl_request_body(q, TEXT("a=b"), &why), HA_OK);
  if (row->with & PROXY) CHECK_EQ_INT(ha_curl_request_proxy(q, TEXT("http://user:word@localhost:1"), &why), HA_OK);
  if (row->with & TRUST) CHECK_EQ_INT(ha_secret_set(&q->ca_file, TEXT("/nowhere/ca.pem")), HA_OK);
  if (row->with & CERT) {
    CHECK_EQ_INT(ha_secret_set(&q->cert_file, TEXT("/nowhere/cert.pem")), HA_OK);
    CHECK_EQ_INT(ha_secret_set(&q->key_password, TEXT("secret")), HA_OK);
  }
  if (row->with & HEADERS) {
    CHECK_EQ_INT(ha_curl_request_header(q, TEXT("Accept"), TEXT("application/json"), &why), HA_OK);
    CHECK_EQ_INT(ha_curl_request_header(q, TEXT("Content-Type"), TEXT("text/plain"), &why), HA_OK);
    CHECK_EQ_INT(ha_curl_request_header(q, TEXT("X-Empty"), TEXT(""), &why), HA_OK);
  }
  CHECK_EQ_INT(ha_curl_request_check(q, &why), HA_OK);
  q->timeout = q->connect_timeout = 1;
  q->max_body = q->max_headers = 1000;
}

/* One exchange: whether it got so far that libcurl was set to work. */
static bool works(struct ha_curl *t, const struct ha_curl_request *q, struct ha_curl_failure *f) {
  struct ha_http1 answer;
  performs = 0;
  ha_http1_init(&answer, 1000, 1000, false);
  CHECK(!ha_curl_perform(t, q, &answer, f)); /* nobody listens on port 1 */
  CHECK_EQ_STR(f->outcome, "not_sent");
  CHECK(f->kind && f->code && f->message && !strstr(f->message, "secret") && !strstr(f->message, "localhost"));
  ha_http1_free(&answer);
  return performs > 0;
}

static void each_call_refused(const struct row *row, CURLcode with, const char *code) {
  struct ha_curl_request q;
  struct ha_curl_failure f;
  size_t turn, calls;
  CHECK_CASE(row->name);
  refusal = with;
  fill(&q, row);
  for (turn = 1;; turn++) {
    struct ha_curl t = {NULL};
    bool worked;
    faults_start(turn);
    worked = works(&t, &q, &f);
    calls = faults_stop();
    CHECK(worked == (calls < turn));
    if (calls < turn) {
      ha_curl_close(&t);
      break;
    }
    CHECK(strcmp(f.code, code) == 0 || strcmp(f.code, "out_of_memory") == 0 || strcmp(f.code, "url_refused") == 0);
    CHECK(works(&t, &q, &f)); /* the same transport, when libcurl is well again */
    ha_curl_close(&t);
  }
  CHECK(turn > row->least);
  ha_curl_request_free(&q);
}

/* libcurl understanding another origin than our grammar did, or finding in the URL what must not be there. */
static void other_readings(void) {
  static const struct { const char *name; CURLUPart part; const char *text; } rows[] = {
    {"scheme", CURLUPART_SCHEME, "http"},   {"host", CURLUPART_HOST, "evil.example"}, {"host of the same length", CURLUPART_HOST, "localhosu"},
    {"host in brackets", CURLUPART_HOST, "[::1]"}, {"port", CURLUPART_PORT, "2"},  {"user", CURLUPART_USER, "u"},
    {"password", CURLUPART_PASSWORD, "p"},  {"options", CURLUPART_OPTIONS, "o"},      {"fragment", CURLUPART_FRAGMENT, "f"},
    {"zone", CURLUPART_ZONEID, "eth0"}};
  static const struct row row = {"", "GET", "https://localhost:1/", 0, 0};
  struct ha_curl t = {NULL};
  struct ha_curl_request q;
  struct ha_curl_failure f;
  size_t i;
  fill(&q, &row);
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].name);
    lie = rows[i].text;
    lie_part = rows[i].part;
    CHECK(!works(&t, &q, &f));
    CHECK_EQ_STR(f.code, "url_refused");
  }
  lie = NULL;
  CHECK(works(&t, &q, &f));
  CHECK_EQ_STR(f.code, "connect_failed");
  ha_curl_close(&t);
  ha_curl_request_free(&q);
}

/* A timeout of 0 would mean for ever, and one that does not fit would wrap. */
static void timeouts(void) {
  static const struct { double seconds; long want; } rows[] = {
    {1, 1000}, {1.5, 1500}, {0.0015, 2}, {1e-9, 1}, {0, 1}, {-5, 1}, {2147483.647, 2147483647L}, {2147484, 2147483647L}, {1e300, 2147483647L},
    {HUGE_VAL, 2147483647L}, {-HUGE_VAL, 1}, {(double)NAN, 1}};
  static const struct row row = {"", "GET", "http://127.0.0.1:1/", 0, 0};
  struct ha_curl_request q;
  size_t i;
  CHECK_CASE("timeouts");
  fill(&q, &row);
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct ha_curl_exchange x;
    CURL *easy = curl_easy_init();
    memset(&x, 0, sizeof x);
    x.request = &q;
    q.timeout = rows[i].seconds;
    q.connect_timeout = rows[i].seconds;
    CHECK_EQ_INT(ha_curl_setup(easy, &x), CURLE_OK);
    CHECK_EQ_INT(numbers[CURLOPT_TIMEOUT_MS], rows[i].want);
    CHECK_EQ_INT(numbers[CURLOPT_CONNECTTIMEOUT_MS], rows[i].want);
    curl_easy_cleanup(easy);
    ha_curl_setup_free(&x);
  }
  ha_curl_request_free(&q);
}

/* What must hold for every https request, whatever else it has. */
static void protections(void) {
  struct ha_curl_request q;
  struct ha_curl_failure f;
  size_t i;
  for (i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct ha_curl t = {NULL};
    int tls13;
    if (strncmp(ROWS[i].url, "https:", 6) != 0) continue;
    CHECK_CASE(ROWS[i].name);
    fill(&q, &ROWS[i]);
    for (tls13 = 0; tls13 < 2; tls13++) {
      q.tls13 = tls13 != 0;
      memset(numbers, 0x55, sizeof numbers);
      CHECK(works(&t, &q, &f));
      CHECK_EQ_INT(numbers[CURLOPT_SSL_VERIFYPEER], 1);
      CHECK_EQ_INT(numbers[CURLOPT_SSL_VERIFYHOST], 2);
      CHECK_EQ_INT(numbers[CURLOPT_PROXY_SSL_VERIFYPEER], 1);
      CHECK_EQ_INT(numbers[CURLOPT_PROXY_SSL_VERIFYHOST], 2);
      CHECK_EQ_INT(numbers[CURLOPT_SSLVERSION] & 0xFFFF, tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2);
      CHECK_EQ_INT(numbers[CURLOPT_FOLLOWLOCATION], 0);
      CHECK_EQ_INT(numbers[CURLOPT_HTTP09_ALLOWED], 0);
      CHECK_EQ_INT(numbers[CURLOPT_NETRC], CURL_NETRC_IGNORED);
    }
    ha_curl_close(&t);
    ha_curl_request_free(&q);
  }
}

int main(void) {
  size_t i;
  CHECK(ha_curl_global());
  for (i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    each_call_refused(&ROWS[i], CURLE_UNKNOWN_OPTION, "transport_failed");
    each_call_refused(&ROWS[i], CURLE_OUT_OF_MEMORY, "out_of_memory");
  }
  other_readings();
  timeouts();
  protections();
  return check_done();
}
