/* json.h - the judge of JSON text, and a writer of JSON strings.
 * Judges only: RFC 8259 grammar to the last byte, UTF-8, depth, number of members and elements, duplicate member names by their
 * unescaped spelling, numbers that a double holds finitely, no lone surrogates, no BOM. lua-cjson builds the values afterwards
 * (src/bind/json_value.c). Owns nothing after the call. Time is O(n log n) at worst, whatever the text. */
#ifndef HA_JSON_H
#define HA_JSON_H

#include "buf.h"

enum ha_json_fault {
  HA_JSON_FINE = 0,
  HA_JSON_SYNTAX,    /* not JSON: grammar, control bytes, trailing text, empty, BOM, bad escape, lone surrogate */
  HA_JSON_UTF8,      /* a string holds bytes that are no UTF-8 */
  HA_JSON_DUPLICATE, /* two members of one object have the same name */
  HA_JSON_NUMBER,    /* a number that no finite double can hold */
  HA_JSON_DEPTH,     /* nested deeper than limits.depth */
  HA_JSON_COUNT,     /* more members and elements than limits.values */
  HA_JSON_NOMEM
};

struct ha_json_limits {
  size_t depth;  /* [] and {} are depth 1 */
  size_t values; /* members plus elements in the whole text */
};

struct ha_json_verdict {
  enum ha_json_fault fault;
  size_t offset; /* of the first wrong byte */
  char top;      /* '{', '[', '"', '0' (any number), 't', 'f', 'n'; 0 when wrong */
};

struct ha_json_verdict ha_json_judge(const char *text, size_t len, const struct ha_json_limits *limits);

/* Appends p as a JSON string with its quotes; HA_BAD when p is no UTF-8. */
enum ha_status ha_json_quote(struct ha_buf *out, const char *p, size_t n) HA_MUST_USE;

#endif
