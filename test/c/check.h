/* SPDX-License-Identifier: MIT */
/* check.h - the smallest harness for C unit tests.
 * One program per test file: CHECK lines in any function, then `return check_done();` as the last line of main. A failure prints where
 * and what and goes on; check_done prints the totals and answers 1 when something failed or nothing was checked. CHECK_CASE names the
 * row of a table, so that a failure in a loop says which one. The arguments are evaluated once. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static unsigned long check_passed_, check_failed_;
static const char *check_case_ = "";

/* Names the case that the next checks are about; "" for none. */
#define CHECK_CASE(name) (check_case_ = (name))

#define CHECK(cond) check_true_(__FILE__, __LINE__, #cond, (cond) ? 1 : 0)
#define CHECK_EQ_INT(got, want) check_int_(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_EQ_STR(got, want) check_str_(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_EQ_MEM(got, got_len, want, want_len) check_mem_(__FILE__, __LINE__, #got, (got), (got_len), (want), (want_len))

static inline int check_note_(const char *file, int line, int ok) {
  if (ok) {
    check_passed_++;
  } else {
    check_failed_++;
    printf("%s:%d: ", file, line);
    if (*check_case_) printf("[%s] ", check_case_);
  }
  return ok;
}

static inline void check_true_(const char *file, int line, const char *what, int ok) {
  if (!check_note_(file, line, ok)) printf("%s does not hold\n", what);
}

static inline void check_int_(const char *file, int line, const char *what, long long got, long long want) {
  if (!check_note_(file, line, got == want)) printf("%s is %lld, wanted %lld\n", what, got, want);
}

static inline void check_str_(const char *file, int line, const char *what, const char *got, const char *want) {
  int same = got && want ? strcmp(got, want) == 0 : got == want;
  if (!check_note_(file, line, same)) printf("%s is \"%s\", wanted \"%s\"\n", what, got ? got : "(NULL)", want ? want : "(NULL)");
}

static inline void check_bytes_(const void *p, size_t n) {
  const unsigned char *in = (const unsigned char *)p;
  size_t i;
  putchar('"');
  for (i = 0; i < n; i++) {
    if (in[i] >= 0x20 && in[i] < 0x7F) putchar(in[i]);
    else printf("\\x%02X", in[i]);
  }
  putchar('"');
}

static inline void check_mem_(const char *file, int line, const char *what, const void *got, size_t got_len, const void *want,
                              size_t want_len) {
  int same = got_len == want_len && (got_len == 0 || (got && want && memcmp(got, want, got_len) == 0));
  if (check_note_(file, line, same)) return;
  printf("%s is ", what);
  check_bytes_(got, got ? got_len : 0);
  printf(", wanted ");
  check_bytes_(want, want ? want_len : 0);
  putchar('\n');
}

static inline int check_done(void) {
  printf("%lu passed, %lu failed, 0 skipped\n", check_passed_, check_failed_);
  return check_failed_ != 0 || check_passed_ == 0;
}

#endif
