/* SPDX-License-Identifier: MIT */
/* The callbacks that libcurl is given, called as no server can make it call them, and the words that each of its codes becomes. */
#include "faults.h"

#define CURL_DISABLE_TYPECHECK
#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#undef curl_easy_setopt

#include "check.h"
#include "sys/curl_parts.h"

#define TEXT(s) (s), sizeof(s) - 1

/* ---- the callbacks, caught as they are set ---- */

static curl_write_callback on_header, on_body;
static curl_read_callback on_read;
static curl_seek_callback on_seek;
static curl_opensocket_callback on_open;
static curl_closesocket_callback on_close;
static curl_prereq_callback on_begin;
static curl_ssl_ctx_callback on_context;

CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
  CURLcode (*next)(CURL *, CURLoption, ...), rc = CURLE_OK;
  va_list more;
  FAULTS_NEXT(next, "curl_easy_setopt");
  va_start(more, option);
  switch (option) {
    case CURLOPT_HEADERFUNCTION: on_header = va_arg(more, curl_write_callback); break;
    case CURLOPT_WRITEFUNCTION: on_body = va_arg(more, curl_write_callback); break;
    case CURLOPT_READFUNCTION: on_read = va_arg(more, curl_read_callback); break;
    case CURLOPT_SEEKFUNCTION: on_seek = va_arg(more, curl_seek_callback); break;
    case CURLOPT_OPENSOCKETFUNCTION: on_open = va_arg(more, curl_opensocket_callback); break;
    case CURLOPT_CLOSESOCKETFUNCTION: on_close = va_arg(more, curl_closesocket_callback); break;
    case CURLOPT_SSL_CTX_FUNCTION: on_context = va_arg(more, curl_ssl_ctx_callback); break;
    case CURLOPT_PREREQFUNCTION: on_begin = va_arg(more, curl_prereq_callback); break;
    default:
      if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) rc = next(easy, option, va_arg(more, curl_off_t));
      else if (option >= CURLOPTTYPE_OBJECTPOINT) rc = next(easy, option, va_arg(more, void *));
      else rc = next(easy, option, va_arg(more, long));
  }
  va_end(more);
  return rc;
}

/* ---- once a process ---- */

extern char **environ;
static bool seen_key_log, no_library;

CURLcode curl_global_init(long flags) {
  CURLcode (*next)(long);
  seen_key_log = getenv("SSLKEYLOGFILE") != NULL;
  if (no_library) return CURLE_FAILED_INIT;
  FAULTS_NEXT(next, "curl_global_init");
  return next(flags);
}

/* The file that would get the keys of every session is hidden from libcurl, and only from it; no transport is better than a leak. */
static void begins(void) {
  static char log[] = "SSLKEYLOGFILE=/nowhere/keys", other[] = "OTHER=1";
  char *nine[11], *two[4], **before = environ;
  struct ha_curl_request q;
  struct ha_curl_failure f;
  struct ha_http1 answer;
  struct ha_curl t = {NULL};
  const char *why;
  size_t i;
  CHECK_CASE("begins");
  for (i = 0; i < 9; i++) nine[i] = log;
  nine[9] = other;
  nine[10] = NULL;
  environ = nine;
  CHECK(!ha_curl_global());
  for (i = 0; i < 9; i++) CHECK(nine[i] == log);
  no_library = true;
  environ = NULL;
  CHECK(!ha_curl_global());
  ha_curl_request_init(&q);
  CHECK_EQ_INT(ha_curl_request_method(&q, TEXT("GET"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(&q, TEXT("http://localhost:1/"), &why), HA_OK);
  ha_http1_init(&answer, 1000, 1000, false);
  CHECK(!ha_curl_perform(&t, &q, &answer, &f));
  CHECK_EQ_STR(f.code, "out_of_memory");
  CHECK_EQ_STR(f.outcome, "not_sent");
  ha_http1_free(&answer);
  ha_curl_request_free(&q);
  no_library = false;
  two[0] = other;
  two[1] = log;
  two[2] = log;
  two[3] = NULL;
  environ = two;
  seen_key_log = true;
  CHECK(ha_curl_global());
  CHECK(!seen_key_log);
  CHECK(two[0] == other && two[1] == log && two[2] == log);
  environ = before;
}

static struct ha_curl_request request;
static struct ha_http1 answer;
static struct ha_curl_handle handle;
static struct ha_curl_exchange x;

static void open_exchange(const char *method, const char *url, const char *body) {
  const char *why;
  size_t i;
  CURL *easy = curl_easy_init();
  ha_curl_request_init(&request);
  CHECK_EQ_INT(ha_curl_request_method(&request, method, strlen(method), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(&request, url, strlen(url), &why), HA_OK);
  if (body) CHECK_EQ_INT(ha_curl_request_body(&request, body, strlen(body), &why), HA_OK);
  request.timeout = request.connect_timeout = 1;
  ha_http1_init(&answer, 1000, 1000, false);
  memset(&handle, 0, sizeof handle);
  for (i = 0; i < HA_CURL_LINKS; i++) handle.links[i] = -1;
  memset(&x, 0, sizeof x);
  x.request = &request;
  x.answer = &answer;
  x.handle = &handle;
  CHECK_EQ_INT(ha_curl_setup(easy, &x), CURLE_OK);
  curl_easy_cleanup(easy);
}

static void close_exchange(void) {
  ha_curl_setup_free(&x);
  ha_http1_free(&answer);
  ha_curl_request_free(&request);
}

/* A token request leaves once: libcurl may take its body from the start when nothing of it has gone, and begin once. */
static void leaves_once(void) {
  static const struct { const char *method; int second; } rows[] = {{"POST", CURL_PREREQFUNC_ABORT}, {"DELETE", CURL_PREREQFUNC_ABORT},
                                                                   {"GET", CURL_PREREQFUNC_OK},     {"HEAD", CURL_PREREQFUNC_OK}};
  char none[] = "", block[8];
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].method);
    open_exchange(rows[i].method, "https://localhost:1/", NULL);
    CHECK_EQ_INT(on_begin(&x, none, none, 1, 1), CURL_PREREQFUNC_OK);
    CHECK_EQ_INT(on_begin(&x, none, none, 1, 1), rows[i].second);
    CHECK_EQ_INT(x.rewound, rows[i].second == CURL_PREREQFUNC_ABORT);
    close_exchange();
  }
  CHECK_CASE("body");
  open_exchange("POST", "https://localhost:1/", "twelve bytes");
  CHECK_EQ_INT(on_seek(&x, 0, SEEK_SET), CURL_SEEKFUNC_OK); /* nothing has gone yet */
  CHECK(!x.rewound);
  CHECK_EQ_INT(on_seek(&x, 3, SEEK_SET), CURL_SEEKFUNC_FAIL);
  CHECK(x.rewound);
  x.rewound = false;
  CHECK_EQ_INT(on_seek(&x, 0, SEEK_END), CURL_SEEKFUNC_FAIL);
  CHECK(x.rewound);
  x.rewound = false;
  CHECK_EQ_INT(on_read(block, 1, sizeof block, &x), 8);
  CHECK_EQ_MEM(block, 8, "twelve b", 8);
  CHECK_EQ_INT(on_seek(&x, 0, SEEK_SET), CURL_SEEKFUNC_FAIL);
  CHECK(x.rewound);
  CHECK_EQ_INT(on_read(block, 2, 4, &x), 4); /* two by four */
  CHECK_EQ_MEM(block, 4, "ytes", 4);
  CHECK_EQ_INT(on_read(block, 1, sizeof block, &x), 0);
  close_exchange();
}

/* What a proxy says before the tunnel stands is not the answer; what comes behind the answer ends the connection. */
static void bytes_in_order(void) {
  char proxy[] = "HTTP/1.1 407 Proxy Authentication Required\r\n", head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", body[] = "{}", more[] = "x";
  CHECK_CASE("order");
  open_exchange("GET", "https://localhost:1/", NULL);
  CHECK_EQ_INT(on_header(proxy, 1, sizeof proxy - 1, &x), sizeof proxy - 1);
  CHECK(!ha_http1_started(&answer));
  x.begun = 1;
  CHECK_EQ_INT(on_header(head, 1, sizeof head - 1, &x), sizeof head - 1);
  CHECK(ha_http1_started(&answer) && !ha_http1_complete(&answer));
  CHECK_EQ_INT(on_body(body, 2, 1, &x), 2);
  CHECK(ha_http1_complete(&answer));
  CHECK_EQ_INT(answer.head.status, 200);
  CHECK_EQ_INT(on_body(more, 1, 1, &x), 0);
  close_exchange();
}

/* Where TLS cannot be asked whether more has come, more may have. */
static void unknown_rest(void) {
  char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", body[] = "{}";
  static const struct { const char *url; bool rest; } rows[] = {{"https://localhost:1/", true}, {"http://localhost:1/", false}};
  size_t i;
  for (i = 0; i < 2; i++) {
    CURL *easy = curl_easy_init();
    CHECK_CASE(rows[i].url);
    open_exchange("GET", rows[i].url, NULL);
    x.begun = 1;
    x.easy = easy;
    CHECK_EQ_INT(on_header(head, 1, sizeof head - 1, &x), sizeof head - 1);
    CHECK(!x.rest);
    CHECK_EQ_INT(on_body(body, 1, 2, &x), 2);
    CHECK_EQ_INT(x.rest, rows[i].rest);
    close_exchange();
    curl_easy_cleanup(easy);
  }
}

/* OpenSSL's way to read on behind records without data is switched off in each context that libcurl makes. */
static void reads_record_by_record(void) {
  enum { CTRL_MODE = 33, AUTO_RETRY = 4 };
  const void *(*method)(void);
  void *(*new_context)(const void *), *context;
  void (*free_context)(void *);
  long (*control)(void *, int, long, void *);
  CHECK_CASE("record by record");
  FAULTS_NEXT(method, "TLS_client_method"); /* libcurl brings them */
  FAULTS_NEXT(new_context, "SSL_CTX_new");
  FAULTS_NEXT(free_context, "SSL_CTX_free");
  FAULTS_NEXT(control, "SSL_CTX_ctrl");
  on_context = NULL;
  open_exchange("GET", "http://localhost:1/", NULL);
  CHECK(!on_context);
  close_exchange();
  open_exchange("GET", "https://localhost:1/", NULL);
  context = new_context(method());
  CHECK(on_context && context && (control(context, CTRL_MODE, 0, NULL) & AUTO_RETRY));
  if (on_context && context) CHECK_EQ_INT(on_context(NULL, context, NULL), CURLE_OK);
  CHECK(!(control(context, CTRL_MODE, 0, NULL) & AUTO_RETRY));
  free_context(context);
  close_exchange();
}

static int opened(const char *ip, curlsocktype purpose) {
  struct curl_sockaddr a;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
  memset(&a, 0, sizeof a);
  memset(&in, 0, sizeof in);
  memset(&in6, 0, sizeof in6);
  memset(&un, 0, sizeof un);
  in.sin_family = AF_INET;
  in6.sin6_family = AF_INET6;
  un.sun_family = AF_UNIX;
  a.socktype = SOCK_STREAM;
  if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) memcpy(&a.addr, &in, sizeof in), a.family = AF_INET, a.addrlen = sizeof in;
  else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1) a.family = AF_INET6, a.addrlen = sizeof in6;
  else a.family = AF_UNIX, a.addrlen = sizeof un;
  if (a.family != AF_INET) { /* curl_sockaddr ends in a struct sockaddr, behind which libcurl keeps the rest of a longer address */
    struct { struct curl_sockaddr head; char rest[sizeof un]; } longer;
    size_t at = (size_t)((char *)&longer.head.addr - (char *)&longer);
    memset(&longer, 0, sizeof longer);
    longer.head = a;
    if (a.family == AF_INET6) memcpy((char *)&longer + at, &in6, sizeof in6);
    else memcpy((char *)&longer + at, &un, sizeof un);
    return on_open(&x, purpose, &longer.head);
  }
  return on_open(&x, purpose, &a);
}

static void peers(void) {
  static const struct { const char *ip; bool loopback; } rows[] = {
    {"127.0.0.1", true}, {"127.255.255.254", true}, {"128.0.0.1", false}, {"126.255.255.255", false}, {"0.0.0.0", false}, {"192.0.2.1", false},
    {"::1", true},       {"::2", false},            {"::", false},        {"2001:db8::1", false},     {"::1:0:0:0:1", false}, {"::ffff:192.0.2.1", false},
    {"0:1::1", false},   {"0:0:0:1::1", false},     {"a socket of the file system", false}};
  static const char *const urls[] = {"http://localhost:1/", "https://localhost:1/"};
  size_t i, u;
  for (u = 0; u < 2; u++) {
    open_exchange("GET", urls[u], NULL);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
      int s;
      CHECK_CASE(rows[i].ip);
      x.foreign_peer = false;
      s = opened(rows[i].ip, CURLSOCKTYPE_IPCXN);
      CHECK_EQ_INT(s != CURL_SOCKET_BAD, rows[i].loopback || u == 1);
      CHECK_EQ_INT(x.foreign_peer, !rows[i].loopback && u == 0);
      if (s != CURL_SOCKET_BAD) {
        CHECK_EQ_INT(handle.links[0], s);
        CHECK_EQ_INT(on_close(&handle, s), 0);
      }
      CHECK_EQ_INT(handle.links[0], -1);
    }
    CHECK_EQ_INT(opened("127.0.0.1", CURLSOCKTYPE_ACCEPT), CURL_SOCKET_BAD); /* we listen for nobody */
    close_exchange();
  }
}

/* Sockets are counted: none is opened that could not be looked at before it is used again. */
static void links(void) {
  size_t i;
  int first;
  CHECK_CASE("links");
  open_exchange("GET", "http://localhost:1/", NULL);
  for (i = 0; i < HA_CURL_LINKS; i++) CHECK(opened("127.0.0.1", CURLSOCKTYPE_IPCXN) >= 0);
  CHECK_EQ_INT(opened("127.0.0.1", CURLSOCKTYPE_IPCXN), CURL_SOCKET_BAD);
  CHECK(!x.foreign_peer);
  first = handle.links[3];
  CHECK_EQ_INT(on_close(&handle, first), 0);
  CHECK_EQ_INT(handle.links[3], -1);
  CHECK(opened("127.0.0.1", CURLSOCKTYPE_IPCXN) >= 0 && handle.links[3] >= 0);
  for (i = 0; i < HA_CURL_LINKS; i++) CHECK_EQ_INT(on_close(&handle, handle.links[i]), 0);
  for (i = 0; i < HA_CURL_LINKS; i++) CHECK_EQ_INT(handle.links[i], -1);
  close_exchange();
}

/* Where the program has closed its standard streams, no connection takes their place. */
static void no_standard_stream(void) {
  int kept = dup(STDIN_FILENO), s;
  CHECK_CASE("standard streams");
  open_exchange("GET", "http://localhost:1/", NULL);
  CHECK_EQ_INT(close(STDIN_FILENO), 0);
  s = opened("127.0.0.1", CURLSOCKTYPE_IPCXN);
  CHECK(s > STDERR_FILENO && handle.links[0] == s);
  CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC && (fcntl(s, F_GETFL) & O_NONBLOCK));
  CHECK_EQ_INT(fcntl(STDIN_FILENO, F_GETFD), -1);
  CHECK_EQ_INT(on_close(&handle, s), 0);
  CHECK(dup2(kept, STDIN_FILENO) == STDIN_FILENO && close(kept) == 0);
  close_exchange();
}

/* ---- verdicts ---- */

enum { NEW, BEGUN, STARTED }; /* before the request was sent; after; and something of the answer was there */

static const struct {
  CURLcode code;
  int when;
  const char *error, *kind, *want;
} VERDICTS[] = {
  {CURLE_OPERATION_TIMEDOUT, NEW, "", "timeout", "connect_timeout"},
  {CURLE_OPERATION_TIMEDOUT, BEGUN, "", "timeout", "timeout"},
  {CURLE_COULDNT_RESOLVE_HOST, NEW, "", "network", "resolve_failed"},
  {CURLE_COULDNT_RESOLVE_PROXY, NEW, "", "network", "proxy_failed"},
  {CURLE_PROXY, NEW, "", "network", "connect_failed"},
  {CURLE_COULDNT_CONNECT, NEW, "", "network", "connect_failed"},
  {CURLE_COULDNT_CONNECT, BEGUN, "", "network", "connection_lost"}, /* a kept connection died, and no new one could be made */
  {CURLE_PEER_FAILED_VERIFICATION, NEW, "", "tls", "tls_verify_failed"},
  {CURLE_PEER_FAILED_VERIFICATION, NEW, "no alternative certificate subject name", "tls", "tls_host_mismatch"},
  {CURLE_PEER_FAILED_VERIFICATION, NEW, "does not match", "tls", "tls_host_mismatch"},
  {CURLE_SSL_CONNECT_ERROR, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_CERTPROBLEM, NEW, "", "tls", "tls_client_certificate"},
  {CURLE_SSL_CACERT_BADFILE, NEW, "", "tls", "tls_ca_unreadable"},
  {CURLE_SSL_CIPHER, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_ENGINE_NOTFOUND, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_ENGINE_SETFAILED, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_ENGINE_INITFAILED, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_ISSUER_ERROR, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_PINNEDPUBKEYNOTMATCH, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_INVALIDCERTSTATUS, NEW, "", "tls", "tls_failed"},
  {CURLE_SSL_CLIENTCERT, NEW, "", "tls", "tls_failed"},
  {CURLE_UNSUPPORTED_PROTOCOL, BEGUN, "", "protocol", "header_malformed"},
  {CURLE_WEIRD_SERVER_REPLY, BEGUN, "", "protocol", "header_malformed"},
  {CURLE_BAD_CONTENT_ENCODING, BEGUN, "", "protocol", "content_encoding"},
  {CURLE_URL_MALFORMAT, NEW, "", "network", "url_refused"},
  {CURLE_BAD_FUNCTION_ARGUMENT, NEW, "", "network", "transport_failed"},
  {CURLE_BAD_FUNCTION_ARGUMENT, BEGUN, "", "protocol", "header_malformed"},
  {CURLE_OUT_OF_MEMORY, NEW, "", "network", "out_of_memory"},
  {CURLE_OUT_OF_MEMORY, BEGUN, "", "too_large", "headers_too_large"},
  {CURLE_OK, NEW, "", "network", "connect_failed"},
  {CURLE_OK, BEGUN, "", "network", "connection_lost"},
  {CURLE_OK, STARTED, "", "network", "body_truncated"},
  {CURLE_PARTIAL_FILE, STARTED, "", "network", "body_truncated"},
  {CURLE_GOT_NOTHING, BEGUN, "", "network", "connection_lost"},
  {CURLE_SEND_ERROR, BEGUN, "", "network", "connection_lost"},
  {CURLE_RECV_ERROR, BEGUN, "", "network", "connection_lost"},
  {CURLE_RECV_ERROR, BEGUN, "alert certificate required", "tls", "tls_failed"},
  {CURLE_RECV_ERROR, STARTED, "chunked-encoding", "protocol", "chunk_malformed"},
  {CURLE_SEND_FAIL_REWIND, BEGUN, "", "network", "connection_lost"},
  {CURLE_FTP_WEIRD_PASS_REPLY, NEW, "", "network", "transport_failed"},
  {CURLE_UNKNOWN_OPTION, NEW, "", "network", "transport_failed"},
};

static void verdicts(void) {
  static const struct { long number; const char *word; } chain[] = {{9, "not valid yet"}, {10, "expired"},     {18, "by itself"}, {19, "not trusted"},
                                                                    {20, "not trusted"},  {21, "not trusted"}, {23, "cannot be"}};
  static const struct { enum ha_http1_fault fault; const char *code; } reader[] = {
    {HA_HTTP1_MALFORMED, "header_malformed"},      {HA_HTTP1_CODING, "content_encoding"}, {HA_HTTP1_CHUNK, "chunk_malformed"},
    {HA_HTTP1_INTERIM, "interim_refused"},         {HA_HTTP1_HEADERS_BIG, "headers_too_large"}, {HA_HTTP1_BODY_BIG, "body_too_large"},
    {HA_HTTP1_CUT, "body_truncated"},              {HA_HTTP1_NO_MEMORY, "out_of_memory"}};
  struct ha_curl_failure f;
  size_t i, used;
  for (i = 0; i < sizeof VERDICTS / sizeof *VERDICTS; i++) {
    CHECK_CASE(curl_easy_strerror(VERDICTS[i].code));
    open_exchange("POST", "https://localhost:1/", NULL);
    if (VERDICTS[i].when >= BEGUN) x.begun = 1;
    if (VERDICTS[i].when == STARTED) CHECK_EQ_INT(ha_http1_feed(&answer, TEXT("HTTP/1.1 200 OK\r\n"), &used), HA_MORE);
    (void)snprintf(x.error, sizeof x.error, "%s", VERDICTS[i].error);
    memset(&f, 0, sizeof f);
    ha_curl_verdict(&f, VERDICTS[i].code, &x);
    CHECK_EQ_STR(f.kind, VERDICTS[i].kind);
    CHECK_EQ_STR(f.code, VERDICTS[i].want);
    CHECK_EQ_STR(f.outcome, VERDICTS[i].when == NEW ? "not_sent" : "unknown");
    CHECK_EQ_INT(f.number, VERDICTS[i].code);
    CHECK(f.message && (!x.error[0] || !strstr(f.message, x.error))); /* libcurl's own text is not passed on */
    x.rewound = true; /* this weighs more than what libcurl says of it */
    ha_curl_verdict(&f, VERDICTS[i].code, &x);
    CHECK_EQ_STR(f.code, "connection_lost");
    x.foreign_peer = true;
    ha_curl_verdict(&f, VERDICTS[i].code, &x);
    CHECK_EQ_STR(f.code, "connect_failed");
    close_exchange();
  }
  open_exchange("POST", "https://localhost:1/", NULL);
  for (i = 0; i < sizeof chain / sizeof *chain; i++) {
    CHECK_CASE(chain[i].word);
    x.verified = chain[i].number;
    ha_curl_verdict(&f, CURLE_PEER_FAILED_VERIFICATION, &x);
    CHECK_EQ_STR(f.code, "tls_verify_failed");
    CHECK(strstr(f.message, chain[i].word) != NULL);
  }
  x.begun = 1;
  for (i = 0; i < sizeof reader / sizeof *reader; i++) { /* what our reader refused, whatever libcurl made of it */
    CHECK_CASE(reader[i].code);
    answer.fault = reader[i].fault;
    ha_curl_verdict(&f, CURLE_WRITE_ERROR, &x);
    CHECK_EQ_STR(f.code, reader[i].code);
    CHECK_EQ_STR(f.outcome, "unknown");
  }
  close_exchange();
}

int main(void) {
  begins();
  leaves_once();
  bytes_in_order();
  unknown_rest();
  reads_record_by_record();
  peers();
  links();
  no_standard_stream();
  verdicts();
  return check_done();
}
