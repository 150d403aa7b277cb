/* http1_head.h - the judge of an HTTP/1.1 response head, one line at a time (RFC 9112 sections 2 to 6).
 * Strict where two readers could disagree: CRLF only, no folding, no space before the colon, no control byte, one meaning of the length,
 * no transfer coding but chunked, no content coding. Bounded in bytes, lines and interim (1xx) responses.
 * Every transport is judged here, so that one answer means the same through each. Owns the text of the fields; knows no socket. */
#ifndef HA_HTTP1_HEAD_H
#define HA_HTTP1_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum { HA_HTTP1_LINES = 256, HA_HTTP1_INTERIMS = 8 };

enum ha_http1_fault {
  HA_HTTP1_FINE = 0,
  HA_HTTP1_MALFORMED,    /* a status line, header line or trailer that breaks the grammar; lengths that contradict each other */
  HA_HTTP1_CODING,       /* Content-Encoding other than identity */
  HA_HTTP1_CHUNK,        /* the chunked coding breaks its grammar */
  HA_HTTP1_INTERIM,      /* 101 (nobody asked to switch), or more interim responses than HA_HTTP1_INTERIMS */
  HA_HTTP1_HEADERS_BIG,  /* more header bytes than the limit, or more lines than HA_HTTP1_LINES */
  HA_HTTP1_BODY_BIG,     /* more body bytes than the limit, announced or sent */
  HA_HTTP1_CUT,          /* the connection ended inside the response */
  HA_HTTP1_NO_MEMORY
};

/* What says where the body ends. */
enum ha_http1_framing { HA_HTTP1_NONE, HA_HTTP1_LENGTH, HA_HTTP1_CHUNKED, HA_HTTP1_CLOSE };

struct ha_http1_field {
  size_t name, name_len, value, value_len; /* in head->text */
};

struct ha_http1_head {
  bool head_request; /* the answer to HEAD has no body */
  size_t max_bytes;  /* of status lines, header lines and trailers together */
  size_t bytes;
  unsigned lines;
  unsigned interims;
  int status;        /* 0 until the status line was read */
  bool old;          /* HTTP/1.0 */
  bool has_length, has_coding;
  uint64_t length;
  enum ha_http1_framing framing; /* holds once the empty line was read */
  struct ha_buf text;
  struct ha_http1_field fields[HA_HTTP1_LINES];
  size_t count;
};

void ha_http1_head_init(struct ha_http1_head *h, size_t max_bytes, bool head_request);
void ha_http1_head_free(struct ha_http1_head *h); /* wipes; may be called again */

/* One whole line with its line end, as it came. *ended tells that it was the empty line behind the final response's head. */
enum ha_http1_fault ha_http1_head_line(struct ha_http1_head *h, const char *line, size_t len, bool *ended);

/* One line of a trailer section: judged and counted like a header line, then forgotten. */
enum ha_http1_fault ha_http1_head_trailer(struct ha_http1_head *h, const char *line, size_t len, bool *ended);

#endif
