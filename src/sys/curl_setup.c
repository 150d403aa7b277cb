/* SPDX-License-Identifier: MIT */
/* Every option and callback of one exchange. A callback copies bytes and returns; none calls out. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "curl_parts.h"

enum { IDLE_SECONDS = 20, LIFE_SECONDS = 300 };

#define SET(option, value) do { if (rc == CURLE_OK) rc = curl_easy_setopt(easy, (option), (value)); } while (0)

static bool reads(const struct ha_curl_request *q) { return strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0; }

/* ---- callbacks ---- */

/* Head and body go through the one reader, in the order and the bytes in which they came. */
static size_t take(struct ha_curl_exchange *x, const char *p, size_t n) {
  size_t used;
  enum ha_status rc = ha_http1_feed(x->answer, p, n, &used);
  if (rc == HA_OK && (x->request->url.https || x->request->proxy.https)) x->rest = ha_curl_tls_rest(x->easy);
  if (rc == HA_MORE || (rc == HA_OK && used == n)) return n;
  return 0; /* wrong, or bytes behind the end: libcurl drops the connection */
}

static size_t on_header(char *p, size_t size, size_t n, void *ud) {
  struct ha_curl_exchange *x = ud;
  if (x->begun == 0) return size * n; /* a proxy speaks */
  return take(x, p, size * n);
}

static size_t on_body(char *p, size_t size, size_t n, void *ud) { return take(ud, p, size * n); }

static size_t on_read(char *to, size_t size, size_t n, void *ud) {
  struct ha_curl_exchange *x = ud;
  size_t left = x->request->body.len - x->sent, room = size * n;
  size_t give = left < room ? left : room;
  if (give) memcpy(to, x->request->body.data + x->sent, give);
  x->sent += give;
  return give;
}

/* libcurl rewinds a body to send it a second time. A token request leaves once. */
static int on_seek(void *ud, curl_off_t offset, int origin) {
  struct ha_curl_exchange *x = ud;
  if (origin == SEEK_SET && offset == 0 && x->sent == 0) return CURL_SEEKFUNC_OK;
  x->rewound = true;
  return CURL_SEEKFUNC_FAIL;
}

/* The last moment before the request is sent; the second one in an exchange is libcurl trying again on a new connection. */
static int on_begin(void *ud, char *peer, char *local, int peer_port, int local_port) {
  struct ha_curl_exchange *x = ud;
  (void)peer;
  (void)local;
  (void)peer_port;
  (void)local_port;
  if (x->begun > 0 && !reads(x->request)) {
    x->rewound = true;
    return CURL_PREREQFUNC_ABORT;
  }
  x->begun++;
  return CURL_PREREQFUNC_OK;
}

static bool is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, a, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 24 == 127;
  }
  if (a->sa_family == AF_INET6) {
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) != 0;
  }
  return false;
}

/* A descriptor that is no standard stream: where the program has closed those, what it prints would go to the server, and what it reads
 * would be the answer. */
static curl_socket_t new_socket(int family, int type, int protocol) {
  int s = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), higher;
  if (s < 0 || s > STDERR_FILENO) return s;
  higher = fcntl(s, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  (void)close(s);
  return higher;
}

static curl_socket_t on_open(void *ud, curlsocktype purpose, struct curl_sockaddr *a) {
  struct ha_curl_exchange *x = ud;
  size_t i;
  if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
  if (!x->request->url.https && !is_loopback(&a->addr)) {
    x->foreign_peer = true;
    return CURL_SOCKET_BAD;
  }
  for (i = 0; i < HA_CURL_LINKS; i++)
    if (x->handle->links[i] < 0) return x->handle->links[i] = new_socket(a->family, a->socktype, a->protocol);
  return CURL_SOCKET_BAD;
}

static int on_close(void *ud, curl_socket_t s) {
  struct ha_curl_handle *h = ud;
  size_t i;
  for (i = 0; i < HA_CURL_LINKS; i++)
    if (h->links[i] == s) h->links[i] = -1;
  return close(s);
}

/* ---- options ---- */

/* The URL was judged by our grammar; libcurl's own reading must come to the same origin. */
static CURLcode set_url(CURL *easy, struct ha_curl_exchange *x) {
  const struct ha_url *u = &x->request->url;
  static const CURLUPart forbidden[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT, CURLUPART_ZONEID};
  CURLcode rc = CURLE_OK;
  char *scheme = NULL, *host = NULL, *port = NULL, text[8];
  bool same;
  size_t i;
  x->url = curl_url();
  if (!x->url) return CURLE_OUT_OF_MEMORY;
  if (curl_url_set(x->url, CURLUPART_URL, u->text.data, CURLU_PATH_AS_IS) != CURLUE_OK) return CURLE_URL_MALFORMAT;
  (void)snprintf(text, sizeof text, "%u", u->port);
  same = curl_url_get(x->url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(x->url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
         curl_url_get(x->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
  if (same) {
    bool v6 = host[0] == '[';
    size_t n = strlen(host) - (v6 ? 2 : 0);
    same = strcmp(scheme, u->https ? "https" : "http") == 0 && strcmp(port, text) == 0 && n == u->host_len &&
           memcmp(host + (v6 ? 1 : 0), u->text.data + u->host, n) == 0;
  }
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  for (i = 0; same && i < sizeof forbidden / sizeof *forbidden; i++) {
    char *part = NULL;
    same = curl_url_get(x->url, forbidden[i], &part, 0) != CURLUE_OK;
    curl_free(part);
  }
  if (!same) return CURLE_URL_MALFORMAT;
  SET(CURLOPT_CURLU, x->url);
  SET(CURLOPT_REQUEST_TARGET, u->text.data + u->path);
  return rc;
}

static CURLcode add(struct curl_slist **list, const char *line) {
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (!longer) return CURLE_OUT_OF_MEMORY;
  *list = longer;
  return CURLE_OK;
}

static CURLcode set_headers(CURL *easy, struct ha_curl_exchange *x) {
  const struct ha_curl_request *q = x->request;
  CURLcode rc = add(&x->headers, "Accept-Encoding: identity");
  const char *line = q->headers.data;
  size_t i;
  /* "Name:" takes away what libcurl would send by itself. */
  if (rc == CURLE_OK) rc = add(&x->headers, "Expect:");
  if (rc == CURLE_OK && !q->accepts) rc = add(&x->headers, "Accept:");
  if (rc == CURLE_OK && !q->typed) rc = add(&x->headers, "Content-Type:");
  for (i = 0; i < q->header_count && rc == CURLE_OK; i++, line += strlen(line) + 1) rc = add(&x->headers, line);
  SET(CURLOPT_HTTPHEADER, x->headers);
  SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* none of them is for a proxy */
  return rc;
}

static CURLcode set_method(CURL *easy, struct ha_curl_exchange *x) {
  const struct ha_curl_request *q = x->request;
  bool may_lack = strcmp(q->method, "DELETE") == 0 || strcmp(q->method, "OPTIONS") == 0; /* a body, and then its length too */
  CURLcode rc = CURLE_OK;
  if (strcmp(q->method, "HEAD") == 0) {
    SET(CURLOPT_NOBODY, 1L);
  } else if (strcmp(q->method, "GET") == 0 || (may_lack && !q->has_body)) {
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_CUSTOMREQUEST, q->method);
  } else {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
    SET(CURLOPT_CUSTOMREQUEST, q->method);
  }
  SET(CURLOPT_READFUNCTION, on_read);
  SET(CURLOPT_READDATA, x);
  SET(CURLOPT_SEEKFUNCTION, on_seek);
  SET(CURLOPT_SEEKDATA, x);
  /* Without a body libcurl has nothing to rewind and would send it twice; a new connection is never tried again. */
  SET(CURLOPT_FRESH_CONNECT, (long)(!reads(q) && q->body.len == 0));
  return rc;
}

static CURLcode set_callbacks(CURL *easy, struct ha_curl_exchange *x) {
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, x);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, x);
  SET(CURLOPT_PREREQFUNCTION, on_begin);
  SET(CURLOPT_PREREQDATA, x);
  SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
  SET(CURLOPT_OPENSOCKETDATA, x);
  SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
  SET(CURLOPT_CLOSESOCKETDATA, x->handle); /* called long after this exchange */
  SET(CURLOPT_ERRORBUFFER, x->error);
  return rc;
}

static CURLcode set_protocol(CURL *easy) {
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_HTTP09_ALLOWED, 0L);
  SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  SET(CURLOPT_HTTP_TRANSFER_DECODING, 0L); /* the reader undoes the chunks itself: libcurl's reading of them is lax */
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700 /* the thread that asks the resolver is left to itself when time is up, not waited for */
  SET(CURLOPT_QUICK_EXIT, 1L);
#endif
  SET(CURLOPT_NOPROGRESS, 1L);
  SET(CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
  SET(CURLOPT_MAXLIFETIME_CONN, (long)LIFE_SECONDS);
  return rc;
}

static long milliseconds(double seconds) {
  double ms = ceil(seconds * 1000.0);
  if (!(ms >= 1)) return 1; /* 0 would mean for ever */
  return ms > 2147483647.0 ? 2147483647L : (long)ms;
}

static CURLcode set_tls(CURL *easy, const struct ha_curl_request *q) {
  CURLcode rc = CURLE_OK;
  long least = q->tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2; /* said here, OPENSSL_CONF cannot lower it */
  SET(CURLOPT_SSLVERSION, least | CURL_SSLVERSION_MAX_DEFAULT);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_DEFAULT);
  SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
  if (q->ca_file.data || q->ca_path.data) { /* replaces the system's trust, adds nothing to it */
    SET(CURLOPT_CAINFO, q->ca_file.data);
    SET(CURLOPT_CAPATH, q->ca_path.data);
    SET(CURLOPT_PROXY_CAINFO, q->ca_file.data);
    SET(CURLOPT_PROXY_CAPATH, q->ca_path.data);
  }
  if (rc == CURLE_OK) rc = ha_curl_tls_setup(easy);
  if (q->cert_file.data) SET(CURLOPT_SSLCERT, q->cert_file.data);
  if (q->cert_file.data) SET(CURLOPT_SSLKEY, q->key_file.data ? q->key_file.data : q->cert_file.data);
  /* With no password at all OpenSSL would ask for one at the terminal, or read it from standard input, and wait for ever. */
  if (q->cert_file.data) SET(CURLOPT_KEYPASSWD, q->key_password.data ? q->key_password.data : "");
  return rc;
}

static CURLcode set_route(CURL *easy, struct ha_curl_exchange *x) {
  const struct ha_curl_request *q = x->request;
  const struct ha_url *ends[2];
  CURLcode rc = CURLE_OK;
  size_t i;
  bool proxied = q->proxy.text.len > 0;
  SET(CURLOPT_PROXY, proxied ? q->proxy.text.data : ""); /* "" also shuts out the environment */
  SET(CURLOPT_NOPROXY, "");
  SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
  if (proxied && q->proxy_user.len > 0) {
    SET(CURLOPT_PROXYUSERNAME, q->proxy_user.data);
    SET(CURLOPT_PROXYPASSWORD, q->proxy_password.len ? q->proxy_password.data : "");
  }
  ends[0] = &q->url;
  ends[1] = proxied ? &q->proxy : NULL;
  for (i = 0; i < 2; i++) { /* localhost is loopback by definition, not by what a resolver says */
    char line[64];
    if (!ends[i] || ends[i]->host_len != 9 || memcmp(ends[i]->text.data + ends[i]->host, "localhost", 9) != 0) continue;
    (void)snprintf(line, sizeof line, "localhost:%u:127.0.0.1,[::1]", ends[i]->port);
    if (rc == CURLE_OK) rc = add(&x->resolve, line);
  }
  if (x->resolve) SET(CURLOPT_RESOLVE, x->resolve);
  SET(CURLOPT_TIMEOUT_MS, milliseconds(q->timeout));
  SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(q->connect_timeout));
  return rc;
}

CURLcode ha_curl_setup(CURL *easy, struct ha_curl_exchange *x) {
  CURLcode rc = set_callbacks(easy, x);
  if (rc == CURLE_OK) rc = set_protocol(easy);
  if (rc == CURLE_OK) rc = set_url(easy, x);
  if (rc == CURLE_OK) rc = set_route(easy, x);
  if (rc == CURLE_OK) rc = set_headers(easy, x);
  if (rc == CURLE_OK) rc = set_method(easy, x);
  if (rc == CURLE_OK && (x->request->url.https || x->request->proxy.https)) rc = set_tls(easy, x->request);
  return rc;
}

void ha_curl_setup_free(struct ha_curl_exchange *x) {
  struct curl_slist *line;
  for (line = x->headers; line; line = line->next) ha_wipe(line->data, strlen(line->data));
  curl_slist_free_all(x->headers);
  curl_slist_free_all(x->resolve);
  if (x->url) curl_url_cleanup(x->url);
  x->headers = x->resolve = NULL;
  x->url = NULL;
  ha_wipe(x->error, sizeof x->error);
}
