/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdbool.h>

static bool follows(unsigned char c) { return (c & 0xC0) == 0x80; }

size_t ha_utf8_next(const char *p, size_t n, uint32_t *code) {
  const unsigned char *in = (const unsigned char *)p;
  if (n == 0) return 0;
  if (in[0] < 0x80) {
    *code = in[0];
    return 1;
  }
  if (in[0] < 0xC2 || in[0] > 0xF4) return 0; /* a following byte, an overlong form, or above U+10FFFF */
  if (n < 2 || !follows(in[1])) return 0;
  if (in[0] < 0xE0) {
    *code = (in[0] & 0x1Fu) << 6 | (in[1] & 0x3Fu);
    return 2;
  }
  if (n < 3 || !follows(in[2])) return 0;
  if (in[0] < 0xF0) {
    if ((in[0] == 0xE0 && in[1] < 0xA0) || (in[0] == 0xED && in[1] > 0x9F)) return 0; /* overlong; surrogate */
    *code = (in[0] & 0x0Fu) << 12 | (in[1] & 0x3Fu) << 6 | (in[2] & 0x3Fu);
    return 3;
  }
  if (n < 4 || !follows(in[3])) return 0;
  if ((in[0] == 0xF0 && in[1] < 0x90) || (in[0] == 0xF4 && in[1] > 0x8F)) return 0; /* overlong; above U+10FFFF */
  *code = (in[0] & 0x07u) << 18 | (in[1] & 0x3Fu) << 12 | (in[2] & 0x3Fu) << 6 | (in[3] & 0x3Fu);
  return 4;
}
