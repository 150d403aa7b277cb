/* codec.h - bytes to text and back: form and percent coding (RFC 3986, WHATWG form), base64, base64url (RFC 4648), hex.
 * Every encoder appends to a buffer of the caller's and changes nothing when it fails. */
#ifndef HA_CODEC_H
#define HA_CODEC_H

#include <stdbool.h>

#include "buf.h"

/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ ; a space is %20. Right in a form body, a query and Basic credentials. */
enum ha_status ha_percent_encode(struct ha_buf *out, const void *p, size_t n) HA_MUST_USE;

/* Undoes percent coding; plus_is_space for form and query. HA_BAD on a broken escape. */
enum ha_status ha_percent_decode(struct ha_buf *out, const char *p, size_t n, bool plus_is_space) HA_MUST_USE;

enum ha_status ha_base64_encode(struct ha_buf *out, const void *p, size_t n) HA_MUST_USE;    /* with padding */
enum ha_status ha_base64url_encode(struct ha_buf *out, const void *p, size_t n) HA_MUST_USE; /* without padding */
enum ha_status ha_base64url_decode(struct ha_buf *out, const char *p, size_t n) HA_MUST_USE; /* strict: no padding, no spare bits */
enum ha_status ha_hex_encode(struct ha_buf *out, const void *p, size_t n) HA_MUST_USE;       /* lower case */

/* Adds name=value to a form body or query, with & where the buffer is not empty. */
enum ha_status ha_form_add(struct ha_buf *out, const char *name, size_t nlen, const char *value, size_t vlen) HA_MUST_USE;

#endif
