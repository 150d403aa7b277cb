/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdint.h>
#include <string.h>

#include "alloc.h"

struct ha_arena_block {
  struct ha_arena_block *next;
  size_t size, used;
  double align; /* the bytes start here; double is the widest type that we keep */
};

enum { BLOCK_SIZE = 1024 };

static const size_t HEAD = offsetof(struct ha_arena_block, align);

void *ha_arena_alloc(struct ha_arena *a, size_t size) {
  struct ha_arena_block *b = a->first;
  size_t rounded;
  if (size > SIZE_MAX / 4) return NULL;
  rounded = (size + sizeof(double) - 1) / sizeof(double) * sizeof(double);
  if (!b || rounded > b->size - b->used) {
    size_t whole = HEAD + (rounded > BLOCK_SIZE - HEAD ? rounded : BLOCK_SIZE - HEAD);
    b = ha_alloc(whole);
    if (!b) return NULL;
    b->next = a->first;
    b->size = whole;
    b->used = HEAD;
    a->first = b;
  }
  b->used += rounded;
  return (char *)b + b->used - rounded;
}

char *ha_arena_text(struct ha_arena *a, const char *p, size_t n) {
  char *copy = n < SIZE_MAX / 4 ? ha_arena_alloc(a, n + 1) : NULL;
  if (copy && n) memcpy(copy, p, n);
  return copy;
}

void ha_arena_free(struct ha_arena *a) {
  while (a->first) {
    struct ha_arena_block *b = a->first;
    a->first = b->next;
    ha_free(b, b->size);
  }
}
