/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include "check.h"

/* The definition, from the other end: encodes a code point the only way that is allowed; 0 for one that may not be. */
static size_t encode(uint32_t code, char *to) {
  if (code < 0x80) {
    to[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    to[0] = (char)(unsigned char)(0xC0 | code >> 6);
    to[1] = (char)(unsigned char)(0x80 | (code & 63));
    return 2;
  }
  if (code >= 0xD800 && code <= 0xDFFF) return 0;
  if (code < 0x10000) {
    to[0] = (char)(unsigned char)(0xE0 | code >> 12);
    to[1] = (char)(unsigned char)(0x80 | (code >> 6 & 63));
    to[2] = (char)(unsigned char)(0x80 | (code & 63));
    return 3;
  }
  if (code > 0x10FFFF) return 0;
  to[0] = (char)(unsigned char)(0xF0 | code >> 18);
  to[1] = (char)(unsigned char)(0x80 | (code >> 12 & 63));
  to[2] = (char)(unsigned char)(0x80 | (code >> 6 & 63));
  to[3] = (char)(unsigned char)(0x80 | (code & 63));
  return 4;
}

/* Every character is read back whole, and not at all when it is cut short. */
static void every_character(void) {
  uint32_t code;
  size_t wrong = 0, cut = 0;
  for (code = 0; code <= 0x10FFFF; code++) {
    char bytes[4];
    uint32_t got = 0;
    size_t k, n = encode(code, bytes);
    if (n == 0) continue;
    if (ha_utf8_next(bytes, n, &got) != n || got != code) wrong++;
    for (k = 0; k < n; k++)
      if (ha_utf8_next(bytes, k, &got) != 0) cut++;
  }
  CHECK_EQ_INT(wrong, 0);
  CHECK_EQ_INT(cut, 0);
}

/* Every sequence of up to four bytes from the interesting ones is accepted exactly when encoding its answer gives it back; the number
 * of accepted ones is what counting by hand gives, so that refusing all would not pass. */
static void only_one_spelling(void) {
  static const unsigned char edge[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
                                       0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFC, 0xFE, 0xFF};
  enum { N = sizeof edge };
  size_t a, b, c, d, wrong = 0, lengths[5] = {0, 0, 0, 0, 0};
  for (a = 0; a < N; a++)
    for (b = 0; b < N; b++)
      for (c = 0; c < N; c++)
        for (d = 0; d < N; d++) {
          char in[4], again[4];
          uint32_t code = 0;
          size_t n;
          in[0] = (char)edge[a];
          in[1] = (char)edge[b];
          in[2] = (char)edge[c];
          in[3] = (char)edge[d];
          n = ha_utf8_next(in, sizeof in, &code);
          lengths[n]++;
          if (n && (encode(code, again) != n || memcmp(in, again, n) != 0)) wrong++;
        }
  CHECK_EQ_INT(wrong, 0);
  /* six following bytes: 80 8F 90 9F A0 BF */
  CHECK_EQ_INT(lengths[1], 3 * N * N * N);
  CHECK_EQ_INT(lengths[2], 2 * 6 * N * N);                           /* C2 DF */
  CHECK_EQ_INT(lengths[3], (4 * 6 + 2 + 4) * 6 * N);                 /* E1 EC EE EF; E0 with A0 BF; ED with 80 8F 90 9F */
  CHECK_EQ_INT(lengths[4], (2 * 6 + 4 + 2) * 6 * 6);                 /* F1 F3; F0 with 90 9F A0 BF; F4 with 80 8F */
}

static void named_cases(void) {
  static const struct {
    const char *name, *bytes;
    size_t n, want;
    uint32_t code;
  } cases[] = {
    {"nothing", "", 0, 0, 0},
    {"NUL", "\0", 1, 1, 0},
    {"letter", "A", 1, 1, 'A'},
    {"one of many", "AB", 2, 1, 'A'},
    {"e acute", "\xC3\xA9", 2, 2, 0xE9},
    {"euro", "\xE2\x82\xAC", 3, 3, 0x20AC},
    {"grinning face", "\xF0\x9F\x98\x80", 4, 4, 0x1F600},
    {"replacement character", "\xEF\xBF\xBD", 3, 3, 0xFFFD},
    {"last", "\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
    {"overlong slash", "\xC0\xAF", 2, 0, 0},
    {"overlong NUL", "\xC0\x80", 2, 0, 0},
    {"overlong in three", "\xE0\x9F\xBF", 3, 0, 0},
    {"overlong in four", "\xF0\x8F\xBF\xBF", 4, 0, 0},
    {"high surrogate", "\xED\xA0\x80", 3, 0, 0},
    {"low surrogate", "\xED\xBF\xBF", 3, 0, 0},
    {"above the last", "\xF4\x90\x80\x80", 4, 0, 0},
    {"Latin-1", "\xE9t\xE9", 3, 0, 0},
    {"following byte alone", "\xA9", 1, 0, 0},
    {"five bytes", "\xF8\x88\x80\x80\x80", 5, 0, 0},
  };
  size_t i;
  for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t code = 0;
    CHECK_CASE(cases[i].name);
    CHECK_EQ_INT(ha_utf8_next(cases[i].bytes, cases[i].n, &code), cases[i].want);
    if (cases[i].want) CHECK_EQ_INT(code, cases[i].code);
  }
  CHECK_CASE("");
}

int main(void) {
  every_character();
  only_one_spelling();
  named_cases();
  return check_done();
}
