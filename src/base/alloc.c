/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

static const struct ha_allocator *chosen;

void ha_alloc_use(const struct ha_allocator *allocator) { chosen = allocator; }

void ha_wipe(void *p, size_t n) {
  if (n == 0) return;
  memset(p, 0, n);
#if defined(__GNUC__)
  __asm__ __volatile__("" : : "r"(p) : "memory"); /* the store above has a reader now: it cannot be dropped */
#endif
}

void *ha_alloc(size_t size) {
  void *block;
  if (size == 0) size = 1;
  block = chosen ? chosen->alloc(size) : malloc(size);
  if (block) memset(block, 0, size);
  return block;
}

void ha_free(void *block, size_t size) {
  if (!block) return;
  if (size == 0) size = 1;
  ha_wipe(block, size);
  if (chosen) chosen->release(block, size);
  else free(block);
}
