/* arena.h - many small things with one end: blocks that are given back together, wiped.
 * A zeroed struct is an empty arena. Nothing is given back before ha_arena_free, which may be called twice. */
#ifndef HA_ARENA_H
#define HA_ARENA_H

#include <stddef.h>

struct ha_arena_block;

struct ha_arena {
  struct ha_arena_block *first;
};

void *ha_arena_alloc(struct ha_arena *a, size_t size);                 /* zeroed, aligned for any type; NULL when there is no memory */
char *ha_arena_text(struct ha_arena *a, const char *p, size_t n);      /* a copy with NUL behind it */
void ha_arena_free(struct ha_arena *a);

#endif
