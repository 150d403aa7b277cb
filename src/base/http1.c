/* SPDX-License-Identifier: MIT */
#include "http1.h"

#include <string.h>

enum state {
  READ_HEAD,
  READ_LENGTH,     /* left bytes of body */
  READ_CLOSE,      /* body until the connection ends */
  READ_SIZE,       /* hex digits of a chunk size */
  READ_SPACE,      /* white space behind the digits: an extension must follow */
  READ_EXTENSION,
  READ_SIZE_LF,
  READ_CHUNK,      /* left bytes of this chunk */
  READ_CHUNK_CR,
  READ_CHUNK_LF,
  READ_TRAILER,
  READ_DONE,
  READ_FAILED
};

enum {
  SIZE_DIGITS = 16,     /* hex digits of a chunk size, leading zeros included */
  EXTENSION_BYTES = 4096 /* of one response */
};

void ha_http1_init(struct ha_http1 *r, size_t max_headers, size_t max_body, bool head_request) {
  memset(r, 0, sizeof *r);
  ha_http1_head_init(&r->head, max_headers, head_request);
  ha_buf_init(&r->line, max_headers);
  ha_buf_init(&r->body, max_body);
  r->state = READ_HEAD;
}

void ha_http1_free(struct ha_http1 *r) {
  ha_http1_head_free(&r->head);
  ha_buf_free(&r->line);
  ha_buf_free(&r->body);
}

static enum ha_status answer(const struct ha_http1 *r) {
  switch (r->fault) {
    case HA_HTTP1_FINE: return r->state == READ_DONE ? HA_OK : HA_MORE;
    case HA_HTTP1_HEADERS_BIG:
    case HA_HTTP1_BODY_BIG: return HA_TOOBIG;
    case HA_HTTP1_NO_MEMORY: return HA_NOMEM;
    default: return HA_BAD;
  }
}

static void fail(struct ha_http1 *r, enum ha_http1_fault fault) {
  r->fault = fault;
  r->state = READ_FAILED;
  ha_http1_free(r); /* half an answer is of no use to anyone */
}

static void next_chunk(struct ha_http1 *r) {
  r->state = READ_SIZE;
  r->left = 0;
  r->digits = 0;
}

static void begin_body(struct ha_http1 *r) {
  switch (r->head.framing) {
    case HA_HTTP1_NONE: r->state = READ_DONE; break;
    case HA_HTTP1_CHUNKED: next_chunk(r); break;
    case HA_HTTP1_CLOSE: r->state = READ_CLOSE; break;
    case HA_HTTP1_LENGTH:
      r->left = r->head.length;
      r->state = r->left ? READ_LENGTH : READ_DONE;
      if (r->left > r->body.max) fail(r, HA_HTTP1_BODY_BIG);
      else if (ha_buf_reserve(&r->body, (size_t)r->left) != HA_OK) fail(r, HA_HTTP1_NO_MEMORY);
      break;
  }
}

/* A reader that waits for a line end would wait for ever on what is no HTTP at all: the first bytes are looked at as they come. */
static bool begins_well(const struct ha_http1 *r) {
  static const char start[] = "HTTP/1.";
  size_t n = r->line.len < sizeof start - 1 ? r->line.len : sizeof start - 1;
  return r->head.status != 0 || n == 0 || memcmp(r->line.data, start, n) == 0;
}

static void one_line(struct ha_http1 *r) {
  bool ended = false;
  bool trailer = r->state == READ_TRAILER;
  enum ha_http1_fault fault = trailer ? ha_http1_head_trailer(&r->head, r->line.data, r->line.len, &ended)
                                      : ha_http1_head_line(&r->head, r->line.data, r->line.len, &ended);
  ha_buf_clear(&r->line);
  if (fault != HA_HTTP1_FINE) {
    fail(r, fault);
  } else if (ended) {
    ha_buf_free(&r->line);
    if (trailer) r->state = READ_DONE;
    else begin_body(r);
  }
}

/* Takes bytes up to and with the next LF, and no more than the limit leaves: a longer line cannot be saved by its end. */
static size_t feed_line(struct ha_http1 *r, const char *p, size_t n) {
  const char *lf = memchr(p, '\n', n);
  size_t take = lf ? (size_t)(lf - p) + 1 : n;
  size_t room = r->head.max_bytes - r->head.bytes - r->line.len;
  bool big = take > room;
  if (big) take = room;
  if (ha_buf_add(&r->line, p, take) != HA_OK) fail(r, HA_HTTP1_NO_MEMORY);
  else if (r->state == READ_HEAD && !begins_well(r)) fail(r, HA_HTTP1_MALFORMED);
  else if (big) fail(r, HA_HTTP1_HEADERS_BIG);
  else if (lf) one_line(r);
  return take;
}

static size_t feed_body(struct ha_http1 *r, const char *p, size_t n) {
  size_t take = r->state != READ_CLOSE && n > r->left ? (size_t)r->left : n;
  enum ha_status rc = ha_buf_add(&r->body, p, take);
  if (rc != HA_OK) {
    fail(r, rc == HA_TOOBIG ? HA_HTTP1_BODY_BIG : HA_HTTP1_NO_MEMORY);
    return take;
  }
  if (r->state == READ_CLOSE) return take;
  r->left -= take;
  if (r->left == 0) r->state = r->state == READ_CHUNK ? READ_CHUNK_CR : READ_DONE;
  return take;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

static void size_byte(struct ha_http1 *r, char c) {
  int value = hex_value(c);
  if (value >= 0 && r->digits < SIZE_DIGITS) {
    r->left = r->left * 16 + (uint64_t)value;
    r->digits++;
  } else if (r->digits == 0 || value >= 0) {
    fail(r, HA_HTTP1_CHUNK);
  } else if (c == '\r') {
    r->state = READ_SIZE_LF;
  } else if (c == ';') {
    r->state = READ_EXTENSION;
  } else if (c == ' ' || c == '\t') {
    r->state = READ_SPACE;
  } else {
    fail(r, HA_HTTP1_CHUNK);
  }
}

static void extension_byte(struct ha_http1 *r, char c) {
  unsigned char u = (unsigned char)c;
  bool space = c == ' ' || c == '\t';
  if (++r->overhead > EXTENSION_BYTES) {
    fail(r, HA_HTTP1_CHUNK);
  } else if (r->state == READ_SPACE) {
    if (c == ';') r->state = READ_EXTENSION;
    else if (!space) fail(r, HA_HTTP1_CHUNK);
  } else if (c == '\r') {
    r->state = READ_SIZE_LF;
  } else if ((u < 0x20 && !space) || u == 0x7F) {
    fail(r, HA_HTTP1_CHUNK);
  }
}

static void control_byte(struct ha_http1 *r, char c) {
  switch (r->state) {
    case READ_SIZE: size_byte(r, c); break;
    case READ_SPACE:
    case READ_EXTENSION: extension_byte(r, c); break;
    case READ_CHUNK_CR:
      if (c == '\r') r->state = READ_CHUNK_LF;
      else fail(r, HA_HTTP1_CHUNK);
      break;
    case READ_CHUNK_LF:
      if (c == '\n') next_chunk(r);
      else fail(r, HA_HTTP1_CHUNK);
      break;
    default: /* READ_SIZE_LF */
      if (c != '\n') fail(r, HA_HTTP1_CHUNK);
      else if (r->left > r->body.max - r->body.len) fail(r, HA_HTTP1_BODY_BIG);
      else r->state = r->left ? READ_CHUNK : READ_TRAILER;
      break;
  }
}

enum ha_status ha_http1_feed(struct ha_http1 *r, const char *p, size_t n, size_t *used) {
  size_t at = 0;
  while (at < n && r->state < READ_DONE) {
    switch (r->state) {
      case READ_HEAD:
      case READ_TRAILER: at += feed_line(r, p + at, n - at); break;
      case READ_LENGTH:
      case READ_CHUNK:
      case READ_CLOSE: at += feed_body(r, p + at, n - at); break;
      default: control_byte(r, p[at++]); break;
    }
  }
  if (r->state == READ_DONE && at < n) r->extra = true;
  *used = at;
  return answer(r);
}

enum ha_status ha_http1_end(struct ha_http1 *r) {
  if (r->state == READ_CLOSE) r->state = READ_DONE;
  else if (r->state < READ_DONE) fail(r, HA_HTTP1_CUT);
  return answer(r);
}

bool ha_http1_complete(const struct ha_http1 *r) { return r->state == READ_DONE; }

bool ha_http1_started(const struct ha_http1 *r) { return r->state != READ_HEAD || r->line.len > 0 || r->head.bytes > 0; }

bool ha_http1_close_delimited(const struct ha_http1 *r) { return r->state == READ_DONE && r->head.framing == HA_HTTP1_CLOSE; }

const char *ha_http1_name(const struct ha_http1 *r, size_t i, size_t *len) {
  *len = r->head.fields[i].name_len;
  return *len ? r->head.text.data + r->head.fields[i].name : "";
}

const char *ha_http1_value(const struct ha_http1 *r, size_t i, size_t *len) {
  *len = r->head.fields[i].value_len;
  return *len ? r->head.text.data + r->head.fields[i].value : "";
}
