/* SPDX-License-Identifier: MIT */
#include "url.h"

#include <stdint.h>
#include <string.h>

enum { HOST_MAX = 253, LABEL_MAX = 63, IPV6_TEXT_MAX = 46, IPV6_GROUPS = 8 };

static const char TOO_LONG[] = "the URL is longer than 8192 bytes";

static bool digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool alnum(char c) { return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

static int hex_value(char c) {
  if (digit(c)) return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return -1;
}

static bool is_word(const char *p, size_t n, const char *word) {
  size_t i;
  if (strlen(word) != n) return false;
  for (i = 0; i < n; i++)
    if (lower(p[i]) != word[i]) return false;
  return true;
}

static bool all_digits(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if (!digit(p[i])) return false;
  return n > 0;
}

/* A decimal number without sign or leading zero, at most max; it has at most five digits, so nothing can wrap. */
static bool read_decimal(const char *p, size_t n, unsigned max, unsigned *value) {
  unsigned v = 0;
  size_t i;
  if (n > 5 || !all_digits(p, n) || (n > 1 && p[0] == '0')) return false;
  for (i = 0; i < n; i++) v = v * 10 + (unsigned)(p[i] - '0');
  *value = v;
  return v <= max;
}

/* Four decimal numbers, nothing else: whatever inet_aton would read besides is refused. */
static bool read_ipv4(const char *p, size_t n, unsigned out[4]) {
  size_t at = 0, i;
  for (i = 0; i < 4; i++) {
    size_t start = at;
    while (at < n && p[at] != '.') at++;
    if (!read_decimal(p + start, at - start, 255, &out[i])) return false;
    if (i < 3 && at++ == n) return false;
  }
  return at == n;
}

/* RFC 4291 2.2: eight groups, one "::" for one or more of them, an IPv4 tail for the last two. */
static bool read_ipv6(const char *p, size_t n, unsigned groups[IPV6_GROUPS]) {
  size_t at = 0, count = 0, gap = SIZE_MAX;
  memset(groups, 0, IPV6_GROUPS * sizeof groups[0]);
  if (n >= 2 && p[0] == ':' && p[1] == ':') {
    gap = 0;
    at = 2;
  }
  while (at < n) {
    size_t start = at;
    unsigned v = 0;
    if (count == IPV6_GROUPS) return false;
    while (at < n && hex_value(p[at]) >= 0 && at - start < 5) v = v * 16 + (unsigned)hex_value(p[at++]);
    if (at < n && p[at] == '.') {
      unsigned four[4];
      if (count > IPV6_GROUPS - 2 || !read_ipv4(p + start, n - start, four)) return false;
      groups[count++] = four[0] * 256 + four[1];
      groups[count++] = four[2] * 256 + four[3];
      break; /* the tail is the end */
    }
    if (at == start || at - start > 4) return false;
    groups[count++] = v;
    if (at == n) break;
    if (p[at++] != ':' || at == n) return false; /* a lone ":" at the end */
    if (p[at] == ':') {
      if (gap != SIZE_MAX) return false;
      gap = count;
      at++;
    }
  }
  if (gap == SIZE_MAX) return count == IPV6_GROUPS;
  if (count == IPV6_GROUPS) return false; /* "::" must stand for something */
  memmove(groups + gap + (IPV6_GROUPS - count), groups + gap, (count - gap) * sizeof groups[0]);
  memset(groups + gap, 0, (IPV6_GROUPS - count) * sizeof groups[0]);
  return true;
}

static size_t put_number(char *out, unsigned v, unsigned base) {
  char reversed[8];
  size_t n = 0, i;
  do {
    reversed[n++] = "0123456789abcdef"[v % base];
    v /= base;
  } while (v);
  for (i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
  return n;
}

/* RFC 5952: the first longest run of two or more zero groups becomes "::"; only an IPv4-mapped address keeps its dotted tail. */
static size_t write_ipv6(char *out, const unsigned g[IPV6_GROUPS]) {
  size_t i, n = 0, from = IPV6_GROUPS, run = 1;
  bool mapped = g[5] == 0xFFFF;
  for (i = 0; i < IPV6_GROUPS; i++) {
    size_t end = i;
    while (end < IPV6_GROUPS && g[end] == 0) end++;
    if (end - i > run) {
      from = i;
      run = end - i;
    }
    if (i < 5 && g[i] != 0) mapped = false;
  }
  for (i = 0; i < IPV6_GROUPS;) {
    if (i == from) {
      out[n++] = ':';
      out[n++] = ':';
      i += run;
      continue;
    }
    if (n > 0 && out[n - 1] != ':') out[n++] = ':';
    if (mapped && i == 6) {
      n += put_number(out + n, g[6] / 256, 10);
      out[n++] = '.';
      n += put_number(out + n, g[6] % 256, 10);
      out[n++] = '.';
      n += put_number(out + n, g[7] / 256, 10);
      out[n++] = '.';
      n += put_number(out + n, g[7] % 256, 10);
      break;
    }
    n += put_number(out + n, g[i++], 16);
  }
  return n;
}

/* NULL when it is a DNS name or a dotted IPv4 address, else why not. */
static const char *check_name(const char *p, size_t n, bool *loopback) {
  size_t i, label = 0;
  unsigned four[4];
  if (n == 0) return "the URL has no host";
  if (n > HOST_MAX) return "the host name is too long";
  for (i = 0; i <= n; i++) {
    if (i < n && p[i] != '.') {
      if (!alnum(p[i]) && p[i] != '-' && p[i] != '_') return "the host holds a character that no host name may hold";
      continue;
    }
    if (i == label) return "the host has an empty label or a dot at its end";
    if (i - label > LABEL_MAX) return "a label of the host is too long";
    if (p[label] == '-' || p[i - 1] == '-') return "a label of the host starts or ends with a hyphen";
    if (i < n) label = i + 1;
  }
  if (all_digits(p + label, n - label)) {
    if (!read_ipv4(p, n, four)) return "the host looks like a number but is not four decimal numbers";
    *loopback = four[0] == 127;
  } else if (n - label >= 2 && p[label] == '0' && lower(p[label + 1]) == 'x') {
    return "the host looks like a number but is not four decimal numbers";
  } else {
    *loopback = is_word(p, n, "localhost");
  }
  return NULL;
}

/* RFC 3986 pchar and "/", without "%". */
static bool path_byte(char c) { return alnum(c) || (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL); }

/* The dot segment rule looks at what any server could make of the path: %2e is a dot, %2f and %5c separate, ";" ends a segment's name. */
static const char *check_path(const char *p, size_t n) {
  size_t i, dots = 0, others = 0;
  bool parameters = false;
  if (n > 1 && p[1] == '/') return "the path starts with two slashes";
  for (i = 0; i <= n; i++) {
    int c = i < n ? (unsigned char)p[i] : '/';
    if (c == '%') {
      int high = i + 2 < n ? hex_value(p[i + 1]) : -1, low = i + 2 < n ? hex_value(p[i + 2]) : -1;
      if (high < 0 || low < 0) return "the path holds a % that is no escape";
      c = high * 16 + low;
      i += 2;
      if (c < 0x20 || c == 0x7F) return "the path holds an escaped control character";
      if (c == '\\') c = '/';
    } else if (i < n && !path_byte(p[i])) {
      return "the path holds a character that must be escaped";
    }
    if (c == '/') {
      if (others == 0 && (dots == 1 || dots == 2)) return "the path has a dot segment";
      dots = others = 0;
      parameters = false;
    } else if (c == ';') {
      parameters = true;
    } else if (!parameters) {
      if (c == '.') dots++;
      else others++;
    }
  }
  return NULL;
}

static const char *check_query(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++) {
    if (p[i] == '%') {
      if (i + 2 >= n || hex_value(p[i + 1]) < 0 || hex_value(p[i + 2]) < 0) return "the query holds a % that is no escape";
      i += 2;
    } else if (!path_byte(p[i]) && p[i] != '?') {
      return "the query holds a character that must be escaped";
    }
  }
  return NULL;
}

/* Where the parts of the text are, and all that can be said before anything is allocated. */
struct parts {
  const char *host, *rest; /* host: of a name or IPv4 address; rest: path and query */
  size_t host_len, rest_len, path_len;
  unsigned groups[IPV6_GROUPS];
  bool ipv6; /* the host is in groups */
};

static const char *cut_host(struct parts *s, struct ha_url *u, const char *p, size_t n) {
  const char *why;
  size_t at = 0;
  if (memchr(p, '@', n)) return "the URL has a user name";
  if (n > 0 && p[0] == '[') {
    while (at < n && p[at] != ']') at++;
    if (at == n || !read_ipv6(p + 1, at - 1, s->groups)) return "the host is no IPv6 address";
    s->ipv6 = true;
    at++;
  } else {
    while (at < n && p[at] != ':') at++;
    s->host = p;
    s->host_len = at;
    why = check_name(p, at, &u->loopback);
    if (why) return why;
  }
  if (at == n) return NULL;
  if (p[at] != ':' || !read_decimal(p + at + 1, n - at - 1, 65535, &u->port) || u->port == 0)
    return "the port is not a number from 1 to 65535 without leading zeros";
  return NULL;
}

static const char *cut(struct parts *s, struct ha_url *u, const char *p, size_t n) {
  const char *why;
  size_t i = 0;
  memset(s, 0, sizeof *s);
  for (i = 0; i < n; i++) {
    if (p[i] <= 0x20 || p[i] >= 0x7F) return "the URL holds a space, a control character or a character outside ASCII";
    if (p[i] == '\\') return "the URL holds a backslash";
    if (p[i] == '#') return "the URL has a fragment";
  }
  if (n >= 8 && is_word(p, 8, "https://")) u->https = true;
  else if (n < 7 || !is_word(p, 7, "http://")) return "the URL does not start with https:// or http://";
  p += u->https ? 8 : 7;
  n -= u->https ? 8 : 7;
  u->port = u->https ? 443 : 80;
  for (i = 0; i < n && p[i] != '/' && p[i] != '?'; i++) continue;
  why = cut_host(s, u, p, i);
  if (why) return why;
  s->rest = p + i;
  s->rest_len = n - i;
  for (i = 0; i < s->rest_len && s->rest[i] != '?'; i++) continue;
  s->path_len = i;
  why = check_path(s->rest, s->path_len);
  if (!why && s->path_len < s->rest_len) why = check_query(s->rest + s->path_len + 1, s->rest_len - s->path_len - 1);
  return why;
}

static enum ha_status add_host(struct ha_url *u, const struct parts *s) {
  char ipv6[IPV6_TEXT_MAX], port[8];
  size_t i, n;
  enum ha_status rc = s->ipv6 ? ha_buf_addc(&u->text, '[') : HA_OK;
  u->host = u->text.len;
  if (s->ipv6) {
    n = write_ipv6(ipv6, s->groups);
    u->loopback = n == 3 && memcmp(ipv6, "::1", 3) == 0;
    if (rc == HA_OK) rc = ha_buf_add(&u->text, ipv6, n);
    if (rc == HA_OK) rc = ha_buf_addc(&u->text, ']');
  } else {
    n = s->host_len;
    if (rc == HA_OK) rc = ha_buf_add(&u->text, s->host, n);
    for (i = 0; rc == HA_OK && i < n; i++) u->text.data[u->host + i] = lower(s->host[i]);
  }
  u->host_len = n;
  if (rc == HA_OK && u->port != (u->https ? 443u : 80u)) {
    rc = ha_buf_addc(&u->text, ':');
    if (rc == HA_OK) rc = ha_buf_add(&u->text, port, put_number(port, u->port, 10));
  }
  return rc;
}

static enum ha_status write_url(struct ha_url *u, const struct parts *s) {
  enum ha_status rc = ha_buf_adds(&u->text, u->https ? "https://" : "http://");
  if (rc == HA_OK) rc = add_host(u, s);
  u->path = u->text.len;
  if (rc == HA_OK && s->path_len == 0) rc = ha_buf_addc(&u->text, '/');
  u->query = u->text.len + s->path_len;
  if (rc == HA_OK) rc = ha_buf_add(&u->text, s->rest, s->rest_len);
  return rc;
}

void ha_url_init(struct ha_url *u) {
  memset(u, 0, sizeof *u);
  ha_buf_init(&u->text, HA_URL_MAX);
}

void ha_url_free(struct ha_url *u) {
  ha_buf_free(&u->text);
  ha_url_init(u);
}

enum ha_status ha_url_parse(struct ha_url *u, const char *text, size_t len, const char **why) {
  struct ha_url next; /* u changes only when all is well; text may be u's own */
  struct parts s;
  enum ha_status rc;
  *why = NULL;
  if (len > HA_URL_MAX) {
    *why = TOO_LONG;
    return HA_BAD;
  }
  ha_url_init(&next);
  *why = cut(&s, &next, text, len);
  if (*why) return HA_BAD;
  rc = ha_buf_reserve(&next.text, len < HA_URL_MAX ? len + 1 : len);
  if (rc == HA_OK) rc = write_url(&next, &s);
  if (rc != HA_OK) {
    ha_url_free(&next);
    *why = rc == HA_NOMEM ? "there is not enough memory" : TOO_LONG;
    return rc == HA_NOMEM ? rc : HA_BAD;
  }
  ha_url_free(u);
  *u = next;
  return HA_OK;
}

enum ha_status ha_url_join(struct ha_url *u, const struct ha_url *base, const char *path, size_t len, const char **why) {
  struct ha_buf text;
  size_t end = base->text.len;
  enum ha_status rc;
  *why = NULL;
  if (end == 0 || base->query != end) *why = "the base URL is empty or has a query";
  else if (len > 1 && path[0] == '/' && path[1] == '/') *why = "the path starts with two slashes";
  if (*why) return HA_BAD;
  while (end > base->path && base->text.data[end - 1] == '/') end--;
  if (len > 0 && path[0] == '/') {
    path++;
    len--;
  }
  ha_buf_init(&text, HA_URL_MAX);
  rc = ha_buf_add(&text, base->text.data, end);
  if (rc == HA_OK) rc = ha_buf_addc(&text, '/');
  if (rc == HA_OK) rc = ha_buf_add(&text, path, len);
  if (rc == HA_OK) {
    rc = ha_url_parse(u, text.data, text.len, why);
  } else {
    *why = rc == HA_NOMEM ? "there is not enough memory" : TOO_LONG;
    if (rc == HA_TOOBIG) rc = HA_BAD;
  }
  ha_buf_free(&text);
  return rc;
}

enum ha_status ha_url_path(const char *path, size_t len, const char **why) {
  struct ha_url base, u;
  enum ha_status rc;
  *why = "a path starts with a slash";
  if (len == 0 || path[0] != '/') return HA_BAD;
  ha_url_init(&base);
  ha_url_init(&u);
  rc = ha_url_parse(&base, "https://h/", 10, why);
  if (rc == HA_OK) rc = ha_url_join(&u, &base, path, len, why);
  ha_url_free(&base);
  ha_url_free(&u);
  return rc;
}

bool ha_url_same_origin(const struct ha_url *a, const struct ha_url *b) {
  return a->path != 0 && a->path == b->path && memcmp(a->text.data, b->text.data, a->path) == 0;
}
