/* utf8.h - strict UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF. */
#ifndef HA_UTF8_H
#define HA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Reads one character: its length in bytes (1-4) and *code; 0 when the bytes at p are not a whole valid character. */
size_t ha_utf8_next(const char *p, size_t n, uint32_t *code);

#endif
