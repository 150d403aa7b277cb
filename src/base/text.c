/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "message.h"
#include "utf8.h"

/* White space, control characters, and the two separators that end a line for some screens: each run of them becomes one space. */
static bool gap(uint32_t c) { return c <= 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029; }

bool ha_text_invisible(uint32_t c) {
  return c == 0x061C || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || c == 0x2060 || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

enum ha_status ha_text_clean(struct ha_buf *out, const char *p, size_t n) {
  char text[HA_TEXT_MAX];
  size_t len = 0, at = 0;
  bool space = false;
  while (at < n) {
    uint32_t code = 0;
    const char *from = p + at;
    size_t took = ha_utf8_next(from, n - at, &code), size = took;
    if (took == 0) {
      from = "\xEF\xBF\xBD"; /* U+FFFD for this one byte */
      size = 3;
      took = 1;
      code = 0xFFFD;
    }
    at += took;
    if (gap(code)) {
      space = len > 0;
      continue;
    }
    if (ha_text_invisible(code)) continue;
    if (len + (space ? 1 : 0) + size > sizeof text) break;
    if (space) text[len++] = ' ';
    space = false;
    memcpy(text + len, from, size);
    len += size;
  }
  return ha_buf_add(out, text, len);
}

enum ha_status ha_text_code(struct ha_buf *out, const char *p, size_t n) {
  char text[HA_CODE_MAX];
  size_t i;
  if (n > sizeof text) n = sizeof text;
  for (i = 0; i < n; i++) {
    char c = p[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    text[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
  }
  return ha_buf_add(out, text, n);
}
