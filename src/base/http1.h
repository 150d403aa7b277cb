/* http1.h - strict incremental reader of one HTTP/1.1 response. No I/O: it is fed the bytes that came, cut anywhere.
 * "Not complete yet" and "wrong" are different answers; a reader that failed stays failed and never shows half a response.
 * Everything is bounded: header bytes and lines, interim responses, body bytes, chunk lines and extensions. Owns head and body. */
#ifndef HA_HTTP1_H
#define HA_HTTP1_H

#include "http1_head.h"

struct ha_http1 {
  struct ha_http1_head head;
  struct ha_buf line; /* the unfinished header or trailer line */
  struct ha_buf body; /* decoded */
  int state;
  enum ha_http1_fault fault;
  bool extra;         /* bytes came after the response's end: the connection must not be used again */
  uint64_t left;      /* of the body or the chunk */
  unsigned digits;    /* of the chunk size */
  unsigned overhead;  /* chunk extension bytes so far */
};

void ha_http1_init(struct ha_http1 *r, size_t max_headers, size_t max_body, bool head_request);
void ha_http1_free(struct ha_http1 *r); /* wipes; may be called again; init before the next use */

/* HA_OK: complete, *used bytes belonged to it (r->extra when that is not all). HA_MORE: all were used. Else failed: see r->fault. */
enum ha_status ha_http1_feed(struct ha_http1 *r, const char *p, size_t n, size_t *used) HA_MUST_USE;

/* The peer ended the connection in good order: completes a body that nothing else frames, else HA_BAD with HA_HTTP1_CUT. */
enum ha_status ha_http1_end(struct ha_http1 *r) HA_MUST_USE;

bool ha_http1_complete(const struct ha_http1 *r);
bool ha_http1_started(const struct ha_http1 *r); /* at least one byte was fed */

/* Only the connection's end told where the body ends. */
bool ha_http1_close_delimited(const struct ha_http1 *r);

/* Field i of the final response, i below r->head.count. */
const char *ha_http1_name(const struct ha_http1 *r, size_t i, size_t *len);
const char *ha_http1_value(const struct ha_http1 *r, size_t i, size_t *len);

#endif
