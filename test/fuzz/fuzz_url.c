/* SPDX-License-Identifier: MIT */
/* fuzz_url - libFuzzer target of the URL grammar.
 * The first line is a URL, the second a path to join. What is accepted must read again as itself, hold plain bytes only, agree with the
 * system's own readers of addresses, and be called loopback by nothing but its canonical host. */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

static void check_ipv6(const char *host) {
  struct in6_addr address;
  char text[INET6_ADDRSTRLEN];
  require(inet_pton(AF_INET6, host, &address) == 1);
  require(inet_ntop(AF_INET6, &address, text, sizeof text) != NULL);
  /* The C library writes the deprecated ::/96 with dots, RFC 5952 does not. */
  if (!IN6_IS_ADDR_V4COMPAT(&address)) require(strcmp(text, host) == 0);
}

static void check_ipv4_or_name(const char *host) {
  struct in_addr address;
  if (inet_aton(host, &address)) require(strcmp(inet_ntoa(address), host) == 0); /* one spelling, or no number at all */
}

static void check_accepted(const struct ha_url *u) {
  struct ha_url again;
  const char *why, *text = u->text.data;
  char host[256];
  size_t i;
  require(u->text.len <= HA_URL_MAX && strlen(text) == u->text.len);
  for (i = 0; i < u->text.len; i++) require(text[i] > 0x20 && text[i] < 0x7F && !strchr("\\#\"<>^`{|}", text[i]));
  require(strncmp(text, u->https ? "https://" : "http://", u->https ? 8 : 7) == 0);
  require(u->port >= 1 && u->port <= 65535);
  require(text[u->path] == '/' && u->path < u->query && u->query <= u->text.len);
  require(u->query == u->text.len || text[u->query] == '?');
  require(u->host + u->host_len <= u->path && u->host_len > 0 && u->host_len < sizeof host);
  require(!memchr(text, '@', u->path));
  memcpy(host, text + u->host, u->host_len);
  host[u->host_len] = '\0';
  if (strchr(host, ':')) check_ipv6(host);
  else check_ipv4_or_name(host);
  require(u->loopback == (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
                          (strncmp(host, "127.", 4) == 0 && inet_addr(host) != INADDR_NONE)));
  require(!strstr(text + u->path, "/../") || strstr(text + u->path, "/../") > text + u->query);
  ha_url_init(&again);
  require(ha_url_parse(&again, text, u->text.len, &why) == HA_OK && why == NULL);
  require(again.text.len == u->text.len && memcmp(again.text.data, text, u->text.len) == 0);
  require(again.https == u->https && again.loopback == u->loopback && again.port == u->port && again.host == u->host &&
          again.host_len == u->host_len && again.path == u->path && again.query == u->query);
  require(ha_url_same_origin(&again, u));
  ha_url_free(&again);
}

/* What the C library reads as an IPv6 address is one here too, and the other way round. */
static void check_bracketed(const char *p, size_t n) {
  char host[64], text[80];
  struct in6_addr address;
  struct ha_url u;
  const char *why;
  if (n >= sizeof host || memchr(p, '\0', n)) return;
  memcpy(host, p, n);
  host[n] = '\0';
  memcpy(text, "http://[", 8);
  memcpy(text + 8, p, n);
  text[8 + n] = ']';
  ha_url_init(&u);
  require((ha_url_parse(&u, text, n + 9, &why) == HA_OK) == (inet_pton(AF_INET6, host, &address) == 1));
  if (u.text.data) check_accepted(&u);
  ha_url_free(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL, *why = NULL;
  size_t len = line ? (size_t)(line - text) : size;
  struct ha_url u, joined;
  enum ha_status rc;
  ha_url_init(&u);
  ha_url_init(&joined);
  rc = ha_url_parse(&u, text, len, &why);
  require(rc == HA_OK || rc == HA_BAD);
  require((rc == HA_OK) == (why == NULL) && (rc == HA_OK) == (u.text.data != NULL));
  if (rc == HA_OK) {
    check_accepted(&u);
    rc = line ? ha_url_join(&joined, &u, line + 1, size - len - 1, &why) : HA_BAD;
    if (rc == HA_OK) {
      check_accepted(&joined);
      require(ha_url_same_origin(&joined, &u)); /* no path leads elsewhere */
    }
  }
  check_bracketed(text, len);
  ha_url_free(&u);
  ha_url_free(&joined);
  return 0;
}
