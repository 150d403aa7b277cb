/* SPDX-License-Identifier: MIT */
/* The parts of the curl transport that no server can show: memory that fails, signals, a resolver that lies. Nothing leaves loopback. */
#include "faults.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "failing.h"
#include "sys/curl.h"
#include "sys/curl_parts.h"

static const char *why;

#define TEXT(s) (s), sizeof(s) - 1

static enum ha_status fill(struct ha_curl_request *q) {
  enum ha_status rc = ha_curl_request_method(q, TEXT("POST"), &why);
  if (rc == HA_OK) rc = ha_curl_request_url(q, TEXT("http://localhost:1/path"), &why);
  if (rc == HA_OK) rc = ha_curl_request_header(q, TEXT("X-Key"), TEXT("value"), &why);
  if (rc == HA_OK) rc = ha_curl_request_header(q, TEXT("X-Empty"), TEXT(""), &why);
  if (rc == HA_OK) rc = ha_curl_request_body(q, TEXT("a=b"), &why);
  if (rc == HA_OK) rc = ha_curl_request_proxy(q, TEXT("http://user:pass%20word@localhost:1"), &why);
  if (rc == HA_OK) rc = ha_secret_set(&q->key_password, TEXT("secret"));
  q->timeout = q->connect_timeout = 10;
  q->max_body = q->max_headers = 1000;
  return rc;
}

static void request_without_memory(void) {
  size_t turn;
  bool whole = false;
  for (turn = 1; turn < 100 && !whole; turn++) {
    struct ha_curl_request q;
    enum ha_status rc;
    failing_start(turn);
    ha_curl_request_init(&q);
    rc = fill(&q);
    CHECK(rc == HA_OK || rc == HA_NOMEM);
    whole = rc == HA_OK;
    if (whole) {
      CHECK_EQ_INT(ha_curl_request_check(&q, &why), HA_OK);
      CHECK_EQ_STR(q.proxy_user.data, "user");
      CHECK_EQ_STR(q.proxy_password.data, "pass word");
      CHECK_EQ_STR(q.proxy.text.data, "http://localhost:1/");
    }
    ha_curl_request_free(&q);
    ha_curl_request_free(&q);
    CHECK_EQ_INT(failing_stop(), 0);
    CHECK_EQ_INT(failing_bad, 0);
  }
  CHECK(whole && turn > 5);
}

/* No memory for the handle: nothing was sent, and the next exchange works as well as it can on a port where nobody listens. */
static void transport_without_memory(void) {
  struct ha_curl t = {NULL};
  struct ha_curl_request q;
  struct ha_http1 answer;
  struct ha_curl_failure f;
  ha_curl_request_init(&q);
  CHECK_EQ_INT(fill(&q), HA_OK);
  ha_http1_init(&answer, 1000, 1000, false);
  failing_start(1);
  CHECK(!ha_curl_perform(&t, &q, &answer, &f));
  CHECK_EQ_STR(f.code, "out_of_memory");
  CHECK_EQ_STR(f.outcome, "not_sent");
  CHECK(t.handle == NULL);
  CHECK_EQ_INT(failing_stop(), 0);
  CHECK(!ha_curl_perform(&t, &q, &answer, &f));
  CHECK_EQ_STR(f.code, "proxy_failed");
  CHECK_EQ_STR(f.outcome, "not_sent");
  ha_curl_close(&t);
  ha_curl_close(&t);
  ha_http1_free(&answer);
  ha_curl_request_free(&q);
}

/* http, and a resolver that answers with an address of somebody else: no socket is opened. 192.0.2.1 is nobody's (RFC 5737). */
static void lying_resolver(void) {
  struct ha_curl_request q;
  struct ha_http1 answer;
  struct ha_curl_handle handle;
  struct ha_curl_exchange x;
  struct ha_curl_failure f;
  struct curl_slist *lie = curl_slist_append(NULL, "localhost:1:192.0.2.1");
  CURL *easy = curl_easy_init();
  CURLcode code;
  size_t i;
  memset(&handle, 0, sizeof handle);
  for (i = 0; i < HA_CURL_LINKS; i++) handle.links[i] = -1;
  memset(&x, 0, sizeof x);
  memset(&f, 0, sizeof f);
  ha_curl_request_init(&q);
  CHECK_EQ_INT(ha_curl_request_method(&q, TEXT("GET"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(&q, TEXT("http://localhost:1/"), &why), HA_OK);
  q.timeout = q.connect_timeout = 10; /* not waited for */
  ha_http1_init(&answer, 1000, 1000, false);
  x.request = &q;
  x.answer = &answer;
  x.handle = &handle;
  CHECK_EQ_INT(ha_curl_setup(easy, &x), CURLE_OK);
  CHECK_EQ_INT(curl_easy_setopt(easy, CURLOPT_RESOLVE, lie), CURLE_OK);
  code = curl_easy_perform(easy);
  CHECK(code != CURLE_OK);
  CHECK(x.foreign_peer);
  ha_curl_verdict(&f, code, &x);
  CHECK_EQ_STR(f.code, "connect_failed");
  CHECK_EQ_STR(f.outcome, "not_sent");
  for (i = 0; i < HA_CURL_LINKS; i++) CHECK_EQ_INT(handle.links[i], -1);
  curl_easy_cleanup(easy);
  curl_slist_free_all(lie);
  ha_curl_setup_free(&x);
  ha_http1_free(&answer);
  ha_curl_request_free(&q);
}

/* The C library's, but for one name. */
static volatile sig_atomic_t asked, answered_at_last;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (node && strcmp(node, "slow.example") == 0) {
    const struct timespec pause = {5, 0};
    asked = 1;
    (void)nanosleep(&pause, NULL);
    answered_at_last = 1;
    return EAI_AGAIN;
  }
  FAULTS_NEXT(next, "getaddrinfo");
  return next(node, service, hints, found);
}

/* A resolver that does not answer holds nobody for longer than the time that was given, and what asks it ends by itself. */
static void slow_resolver(void) {
  struct ha_curl t = {NULL};
  struct ha_curl_request q;
  struct ha_http1 answer;
  struct ha_curl_failure f;
  const struct timespec pause = {0, 50000000};
  int i;
  ha_curl_request_init(&q);
  CHECK_EQ_INT(ha_curl_request_method(&q, TEXT("POST"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(&q, TEXT("https://slow.example/"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_body(&q, TEXT("a=b"), &why), HA_OK);
  q.timeout = 1.5;
  q.connect_timeout = 1; /* a busy machine may need it to get as far as to ask */
  ha_http1_init(&answer, 1000, 1000, false);
  CHECK(!ha_curl_perform(&t, &q, &answer, &f));
  CHECK(asked && !answered_at_last);
  CHECK_EQ_STR(f.code, "connect_timeout");
  CHECK_EQ_STR(f.outcome, "not_sent");
  ha_curl_close(&t);
  for (i = 0; i < 600 && !answered_at_last; i++) (void)nanosleep(&pause, NULL);
  CHECK(answered_at_last);
  (void)nanosleep(&pause, NULL);
  ha_http1_free(&answer);
  ha_curl_request_free(&q);
}

/* localhost is told to libcurl and never asked of a resolver, as the server and as the proxy; no other name is. */
static void localhost_needs_no_resolver(void) {
  static const struct { const char *url, *proxy, *told[2]; } rows[] = {
    {"http://localhost:81/", NULL, {"localhost:81:127.0.0.1,[::1]", NULL}},
    {"https://LOCALHOST/x", NULL, {"localhost:443:127.0.0.1,[::1]", NULL}},
    {"https://localhosts/", NULL, {NULL, NULL}},
    {"https://localhos/", NULL, {NULL, NULL}},
    {"https://localhosd/", NULL, {NULL, NULL}},
    {"http://127.0.0.1:81/", NULL, {NULL, NULL}},
    {"https://api.example.org/", "http://localhost:3128", {"localhost:3128:127.0.0.1,[::1]", NULL}},
    {"https://localhost:81/", "http://localhost:3128", {"localhost:81:127.0.0.1,[::1]", "localhost:3128:127.0.0.1,[::1]"}},
  };
  size_t i, k;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct ha_curl_request q;
    struct ha_curl_handle handle;
    struct ha_curl_exchange x;
    const struct curl_slist *line;
    CURL *easy = curl_easy_init();
    CHECK_CASE(rows[i].url);
    memset(&handle, 0, sizeof handle);
    memset(&x, 0, sizeof x);
    ha_curl_request_init(&q);
    CHECK_EQ_INT(ha_curl_request_method(&q, TEXT("GET"), &why), HA_OK);
    CHECK_EQ_INT(ha_curl_request_url(&q, rows[i].url, strlen(rows[i].url), &why), HA_OK);
    if (rows[i].proxy) CHECK_EQ_INT(ha_curl_request_proxy(&q, rows[i].proxy, strlen(rows[i].proxy), &why), HA_OK);
    x.request = &q;
    x.handle = &handle;
    CHECK_EQ_INT(ha_curl_setup(easy, &x), CURLE_OK);
    for (line = x.resolve, k = 0; line && k < 2; line = line->next, k++) CHECK_EQ_STR(line->data, rows[i].told[k] ? rows[i].told[k] : "");
    CHECK(!line && (k == 2 || !rows[i].told[k]));
    curl_easy_cleanup(easy);
    ha_curl_setup_free(&x);
    ha_curl_request_free(&q);
  }
  CHECK_CASE("");
}

static volatile sig_atomic_t arrived;

static void on_pipe(int number) {
  (void)number;
  arrived++;
}

static bool blocked(void) {
  sigset_t now;
  return pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGPIPE) == 1;
}

static void signals(void) {
  struct ha_curl_signals s;
  struct sigaction action;
  sigset_t pipe_only;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_pipe;
  CHECK_EQ_INT(sigaction(SIGPIPE, &action, NULL), 0);

  ha_curl_signals_hold(&s); /* one of ours: gone afterwards */
  CHECK(blocked());
  CHECK_EQ_INT(raise(SIGPIPE), 0);
  ha_curl_signals_release(&s);
  CHECK(!blocked());
  CHECK_EQ_INT(arrived, 0);

  ha_curl_signals_hold(&s); /* none came */
  ha_curl_signals_release(&s);
  ha_curl_signals_release(&s);
  CHECK(!blocked());
  CHECK_EQ_INT(arrived, 0);

  CHECK_EQ_INT(sigemptyset(&pipe_only), 0); /* the program holds one back itself: it stays */
  CHECK_EQ_INT(sigaddset(&pipe_only, SIGPIPE), 0);
  CHECK_EQ_INT(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL), 0);
  CHECK_EQ_INT(raise(SIGPIPE), 0);
  ha_curl_signals_hold(&s);
  ha_curl_signals_release(&s);
  CHECK(blocked());
  CHECK_EQ_INT(arrived, 0);
  CHECK_EQ_INT(pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL), 0);
  CHECK_EQ_INT(arrived, 1);
}

static void refusals(void) {
  static const struct { const char *url; enum ha_status rc; } rows[] = {
    {"http://localhost/", HA_OK},   {"http://127.0.0.1:8080/x?y", HA_OK}, {"https://example.org/", HA_OK},
    {"http://example.org/", HA_BAD}, {"http://127.0.0.1.example.org/", HA_BAD}, {"gopher://localhost/", HA_BAD}, {"", HA_BAD}};
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct ha_curl_request q;
    CHECK_CASE(rows[i].url);
    ha_curl_request_init(&q);
    CHECK_EQ_INT(ha_curl_request_url(&q, rows[i].url, strlen(rows[i].url), &why), rows[i].rc);
    ha_curl_request_free(&q);
  }
  CHECK_CASE("");
}

/* ---- a fork while a connection is idle ---- */

/* Takes one connection, answers every request on it, and answers how many there were once the client has closed it. */
static void *serve(void *listener) {
  static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  static long served;
  char block[4096];
  int s = accept(*(int *)listener, NULL, NULL);
  if (s < 0) return &served;
  while (recv(s, block, sizeof block, 0) > 0) { /* a GET of ours fits into one segment */
    served++;
    if (send(s, reply, sizeof reply - 1, MSG_NOSIGNAL) < 0) break;
  }
  if (s >= 0) (void)close(s);
  return &served;
}

static bool answered(struct ha_curl *t, unsigned port) {
  struct ha_curl_request q;
  struct ha_http1 answer;
  struct ha_curl_failure f;
  char url[64];
  bool whole;
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
  ha_curl_request_init(&q);
  CHECK_EQ_INT(ha_curl_request_method(&q, TEXT("GET"), &why), HA_OK);
  CHECK_EQ_INT(ha_curl_request_url(&q, url, strlen(url), &why), HA_OK);
  q.timeout = q.connect_timeout = 5;
  q.max_headers = q.max_body = 1000;
  ha_http1_init(&answer, 1000, 1000, false);
  whole = ha_curl_perform(t, &q, &answer, &f);
  ha_http1_free(&answer);
  ha_curl_request_free(&q);
  return whole;
}

/* The child closes its copies and says nothing on them: the parent goes on with the connection that it has. */
static void forked(void) {
  struct ha_curl t = {NULL};
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  pthread_t server;
  void *served = NULL;
  int status = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  pid_t child;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 4) == 0);
  CHECK_EQ_INT(getsockname(listener, (struct sockaddr *)&at, &size), 0);
  CHECK_EQ_INT(pthread_create(&server, NULL, serve, &listener), 0);
  CHECK(answered(&t, ntohs(at.sin_port)));
  (void)fflush(stdout);
  child = fork();
  if (child == 0) {
    struct ha_curl_handle *left = t.handle;
    ha_curl_close(&t);
    exit(t.handle == NULL && left->links[0] == -1 && left->owner != getpid() ? 0 : 1); /* kept, with nothing open */
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  CHECK(answered(&t, ntohs(at.sin_port)));
  ha_curl_close(&t);
  CHECK_EQ_INT(pthread_join(server, &served), 0);
  CHECK_EQ_INT(served ? *(long *)served : 0, 2);
  (void)close(listener);
}

int main(void) {
  CHECK(ha_curl_global());
  CHECK(ha_curl_version()[0] >= '7');
  refusals();
  request_without_memory();
  transport_without_memory();
  lying_resolver();
  slow_resolver();
  localhost_needs_no_resolver();
  signals();
  forked();
  return check_done();
}
