/* message.h - reading what a stranger's server says: header values, dates, and texts that people will see.
 * All pure functions over bytes; nothing is owned. */
#ifndef HA_MESSAGE_H
#define HA_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum { HA_TEXT_MAX = 512, HA_CODE_MAX = 64 };

/* Appends at most HA_TEXT_MAX bytes of p as clean text: valid UTF-8 (each bad byte becomes U+FFFD), no C0/C1 control or DEL (a run of white
 * space or control bytes becomes one space, ends trimmed), no bidi controls (U+061C 200E 200F 202A-202E 2066-2069), no zero-width or
 * line/paragraph separators or BOM (U+200B-200D 2028 2029 2060 FEFF), no tag characters (U+E0000-E007F), never cut inside a character. */
enum ha_status ha_text_clean(struct ha_buf *out, const char *p, size_t n) HA_MUST_USE;

/* What is not seen but changes what is, and is dropped by ha_text_clean: zero-width, bidi controls, BOM, tags. */
bool ha_text_invisible(uint32_t c);

/* Appends p as a machine word: ASCII lower case, every byte but a-z 0-9 _ becomes _, at most HA_CODE_MAX bytes. */
enum ha_status ha_text_code(struct ha_buf *out, const char *p, size_t n) HA_MUST_USE;

/* HTTP-date, all three forms of RFC 9110 5.6.7, strict; false when it is none. Two-digit years per the RFC, relative to now. */
bool ha_http_date(const char *p, size_t n, int64_t now, int64_t *seconds);

/* Retry-After: digits or an HTTP-date. Whole seconds >= 0, a past date is 0, clamped to HA_RETRY_AFTER_MAX; false = absent or unreadable. */
enum { HA_RETRY_AFTER_MAX = 31536000 };
bool ha_retry_after(const char *p, size_t n, int64_t now, int64_t *seconds);

/* application/json or application/<x>+json, any case, parameters allowed and well-formed. */
bool ha_media_is_json(const char *p, size_t n);
/* The type/subtype of p equals name (lower case), parameters allowed. */
bool ha_media_is(const char *p, size_t n, const char *name);

/* WWW-Authenticate (RFC 9110 11.6.1, RFC 6750 3): appends the error parameter of the first Bearer challenge to out. HA_BAD when the header
 * cannot be read; HA_OK with nothing appended when there is no Bearer challenge or no error in it. Several challenges in one value work. */
enum ha_status ha_bearer_error(struct ha_buf *out, const char *p, size_t n) HA_MUST_USE;

/* ASCII, without regard to case. */
bool ha_same_word(const char *a, size_t alen, const char *b, size_t blen);

/* Appends text with every occurrence of each secret (of at least HA_REDACT_MIN bytes; raw, form-encoded, in base64, in
 * hexadecimal, escaped as in JSON, or with characters in between that ha_text_clean would drop) replaced by [secret]. */
struct ha_secret;
enum { HA_REDACT_MIN = 4 };
enum ha_status ha_redact(struct ha_buf *out, const char *text, size_t n, const struct ha_secret *const *secrets, size_t count) HA_MUST_USE;

#endif
