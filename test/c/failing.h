/* SPDX-License-Identifier: MIT */
/* failing.h - an allocator for tests: fails the nth allocation, counts what is out, and sees that what comes back is wiped and whole.
 * failing_start(n) fails the nth allocation from now (0 = none) and every one after it; failing_stop() restores malloc and answers how
 * many blocks are still out. failing_bad counts blocks that came back unwiped or with another size than they were asked with. */
#ifndef FAILING_H
#define FAILING_H

#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"

static size_t failing_seen, failing_at, failing_out, failing_bad, failing_largest;

static inline void *failing_alloc_(size_t size) {
  size_t *block;
  failing_seen++;
  if (failing_at && failing_seen >= failing_at) return NULL;
  block = (size_t *)malloc(2 * sizeof *block + size); /* the size, one word to keep the alignment, the caller's bytes */
  if (!block) return NULL;
  block[0] = size;
  failing_out++;
  if (size > failing_largest) failing_largest = size;
  return block + 2;
}

static inline void failing_release_(void *p, size_t size) {
  size_t *block = (size_t *)p - 2, i;
  int bad = block[0] != size;
  for (i = 0; i < block[0]; i++) bad |= ((const char *)p)[i] != 0;
  failing_bad += bad != 0;
  failing_out--;
  free(block);
}

static inline void failing_start(size_t nth) {
  static const struct ha_allocator watched = {failing_alloc_, failing_release_};
  failing_seen = failing_out = failing_bad = failing_largest = 0;
  failing_at = nth;
  ha_alloc_use(&watched);
}

static inline size_t failing_stop(void) {
  ha_alloc_use(NULL);
  return failing_out;
}

#endif
