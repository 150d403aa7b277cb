/* SPDX-License-Identifier: MIT */
/* faults.h - for a test program that stands in for functions of a library (its own symbols come before the library's). Each stand-in asks
 * faults_here() whether this is the call that must fail, and else passes the call on to FAULTS_NEXT(name).
 * faults_start(n): the nth call from now fails (0: none, calls are only counted); faults_stop() answers how many there were.
 * Include it first: RTLD_NEXT wants _GNU_SOURCE. */
#ifndef FAULTS_H
#define FAULTS_H

#ifndef _GNU_SOURCE
#  define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t faults_seen_, faults_at_;
static bool faults_armed_;

static inline void faults_start(size_t nth) {
  faults_seen_ = 0;
  faults_at_ = nth;
  faults_armed_ = true;
}

static inline size_t faults_stop(void) {
  faults_armed_ = false;
  return faults_seen_;
}

static inline bool faults_here(void) {
  if (!faults_armed_) return false;
  faults_seen_++;
  return faults_seen_ == faults_at_;
}

/* The library's own function, into a pointer to function. */
static inline void faults_next_(void *function, size_t size, const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found || size != sizeof found) {
    (void)fprintf(stderr, "no %s behind this program\n", name);
    abort();
  }
  memcpy(function, &found, size);
}
#define FAULTS_NEXT(pointer, name) faults_next_((void *)&(pointer), sizeof(pointer), (name))

#endif
