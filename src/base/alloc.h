/* alloc.h - the one allocation seam.
 * Everything that our C code owns comes from ha_alloc and goes back through ha_free, which wipes it first.
 * A test build swaps the functions to fail or to watch each block; nobody else may. */
#ifndef HA_ALLOC_H
#define HA_ALLOC_H

#include <stddef.h>

struct ha_allocator {
  void *(*alloc)(size_t size);             /* NULL when there is no memory */
  void (*release)(void *block, size_t size); /* block is already wiped */
};

/* A block of size bytes, zeroed; NULL when there is none. size 0 counts as 1. */
void *ha_alloc(size_t size);

/* Wipes size bytes and gives the block back. NULL is allowed. size is the one given to ha_alloc. */
void ha_free(void *block, size_t size);

/* Tests only: replaces the seam; NULL restores malloc and free. */
void ha_alloc_use(const struct ha_allocator *allocator);

/* Overwrites n bytes in a way that the compiler may not drop. */
void ha_wipe(void *p, size_t n);

#endif
