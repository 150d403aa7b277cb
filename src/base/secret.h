/* secret.h - one value that must not leak: a key, a token, a code.
 * Owns one exact-size block, wiped when it is replaced or cleared; never moved by realloc. A zeroed struct is an empty one.
 * "Absent" (data NULL) and "empty" (len 0) are different. */
#ifndef HA_SECRET_H
#define HA_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

struct ha_secret {
  char *data; /* NUL behind the last byte; NULL = absent */
  size_t len;
};

enum ha_status ha_secret_set(struct ha_secret *s, const void *p, size_t n) HA_MUST_USE; /* on failure the old value stays */
void ha_secret_clear(struct ha_secret *s);
void ha_secret_move(struct ha_secret *to, struct ha_secret *from); /* to's old value is wiped, from is absent after */

/* True when both have the same bytes; the time depends on the lengths only. */
bool ha_equal(const void *a, size_t alen, const void *b, size_t blen);

/* A bearer token, code or key that may stand in a header: one or more bytes 0x21-0x7E. */
bool ha_is_token(const char *p, size_t n);

/* A header value: bytes 0x20-0x7E and tab, no space at either end; may be empty. */
bool ha_is_field_value(const char *p, size_t n);

/* A header name: RFC 9110 token, one or more bytes. */
bool ha_is_field_name(const char *p, size_t n);

#endif
