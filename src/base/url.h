/* url.h - the one grammar of URLs, so narrow that nobody can read it two ways.
 * Accepts http and https; no userinfo, no backslash, no `%` and no non-ASCII in the host, no control byte or space anywhere.
 * Host: a DNS name (labels of a-z 0-9 - _, at most 63 each and 253 in all, not all digits or 0x.. in the last label), four decimal numbers
 * 0-255 without leading zeros, or an IPv6 address in brackets (no zone). 2130706433, 0x7f.1, 127.1, 0177.0.0.1 are refused.
 * Writes back canonically: scheme and host in lower case, IPv6 by RFC 5952, no default port, "/" for an empty path, no dot segments
 * (a path with /./ or /../, also %2e-spelt, is refused rather than resolved), fragment refused. Owns the canonical text only. */
#ifndef HA_URL_H
#define HA_URL_H

#include <stdbool.h>

#include "buf.h"

enum { HA_URL_MAX = 8192 };

struct ha_url {
  struct ha_buf text;  /* canonical, NUL-terminated */
  bool https;
  bool loopback;       /* localhost, 127.0.0.0/8 or [::1] by the grammar above, nothing else */
  unsigned port;       /* 1-65535, the default filled in */
  size_t host, host_len;   /* in text; an IPv6 host without its brackets */
  size_t path;             /* offset of the path's "/" in text; [0, path) is the origin: scheme://host[:port] */
  size_t query;            /* offset of "?" in text, or text.len when there is none */
};

void ha_url_init(struct ha_url *u);
void ha_url_free(struct ha_url *u);

/* HA_BAD with *why (a short static sentence for people, holding nothing of the input) when the text is refused. */
enum ha_status ha_url_parse(struct ha_url *u, const char *text, size_t len, const char **why) HA_MUST_USE;

/* base + path, joined with exactly one slash, query allowed in path only; then parsed as above. base has no query. */
enum ha_status ha_url_join(struct ha_url *u, const struct ha_url *base, const char *path, size_t len, const char **why) HA_MUST_USE;

/* Whether a path that starts with one slash can be joined to a base: HA_BAD with *why when it cannot. */
enum ha_status ha_url_path(const char *path, size_t len, const char **why) HA_MUST_USE;

bool ha_url_same_origin(const struct ha_url *a, const struct ha_url *b);

#endif
