/* buf.h - bounded byte buffer for bodies and secrets.
 * Owns one block; grows to a fixed maximum by new block, copy, wipe old; wipes every block that it leaves.
 * init cannot fail, free may be called twice, a failed add changes nothing. Knows nothing of Lua or curl. */
#ifndef HA_BUF_H
#define HA_BUF_H

#include <stddef.h>

#include "status.h"

struct ha_buf {
  char *data;  /* NULL while empty; always one byte more than len is there, and it is NUL */
  size_t len;
  size_t cap;  /* size of the block */
  size_t max;  /* len never passes this */
};

void ha_buf_init(struct ha_buf *b, size_t max);
void ha_buf_free(struct ha_buf *b);  /* wipes; the buffer is empty and usable again */
void ha_buf_clear(struct ha_buf *b); /* wipes the content, keeps the block */

enum ha_status ha_buf_reserve(struct ha_buf *b, size_t more) HA_MUST_USE; /* room for more bytes without a new block */
enum ha_status ha_buf_add(struct ha_buf *b, const void *p, size_t n) HA_MUST_USE;
enum ha_status ha_buf_adds(struct ha_buf *b, const char *text) HA_MUST_USE;
enum ha_status ha_buf_addc(struct ha_buf *b, char c) HA_MUST_USE;

#endif
