/* query.h - reads an OAuth callback: a full URL, a request URI or a bare query string (RFC 6749 4.1.2, RFC 9207).
 * Cut at the first "?", "#..." dropped; names and values percent-decoded with + as space. Any parameter that comes twice, also under
 * another spelling, is told apart from what cannot be read. Owns the decoded bytes until ha_query_free. */
#ifndef HA_QUERY_H
#define HA_QUERY_H

#include "buf.h"

enum { HA_QUERY_MAX = 16384, HA_QUERY_PARAMETERS = 64 };

enum ha_query_fault { HA_QUERY_FINE = 0, HA_QUERY_MALFORMED, HA_QUERY_REPEATED, HA_QUERY_TOOBIG, HA_QUERY_NOMEM };

struct ha_query {
  struct ha_buf text; /* decoded names and values, one after another */
  struct ha_query_pair { size_t name, name_len, value, value_len; } pairs[HA_QUERY_PARAMETERS];
  size_t count;
};

void ha_query_init(struct ha_query *q);
void ha_query_free(struct ha_query *q);

/* A text with "?" is cut there; one without it is a bare query if it holds "=" and does not start with "/" or a scheme, else it has no
 * parameters (which is HA_QUERY_MALFORMED: a callback without any parameter cannot be read). Control bytes, NUL (raw or %00), bytes
 * above 0x7E in the raw text, broken escapes and decoded text that is no UTF-8 are HA_QUERY_MALFORMED. */
enum ha_query_fault ha_query_parse(struct ha_query *q, const char *text, size_t len);

/* The decoded value of name, or NULL; *len its length. */
const char *ha_query_get(const struct ha_query *q, const char *name, size_t *len);

#endif
