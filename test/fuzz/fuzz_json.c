/* SPDX-License-Identifier: MIT */
/* fuzz_json - libFuzzer target of the judge and of the string writer.
 * The input is judged with two limits, and then quoted: what the writer makes must be one string that the judge takes, and wrapped in an
 * object with the same name twice it must be a duplicate. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ha_json_limits WIDE = {1000, 1000000}, NARROW = {3, 20};

static void require(int holds) {
  if (!holds) abort();
}

static struct ha_json_verdict judge(const char *text, size_t len, const struct ha_json_limits *limits) {
  struct ha_json_verdict v = ha_json_judge(text, len, limits);
  require(v.offset <= len);
  require((v.fault == HA_JSON_FINE) == (v.top != 0));
  require(v.fault != HA_JSON_NOMEM);
  return v;
}

static void add(struct ha_buf *b, const char *text) {
  if (ha_buf_adds(b, text) != HA_OK) abort();
}

/* [TEXT,TEXT] is right when TEXT is (the other way round it may be: 1,2 is no text, but good inside brackets). */
static void wrapped(const char *text, size_t len) {
  struct ha_buf b;
  ha_buf_init(&b, 2 * len + 3);
  add(&b, "[");
  require(ha_buf_add(&b, text, len) == HA_OK);
  add(&b, ",");
  require(ha_buf_add(&b, text, len) == HA_OK);
  add(&b, "]");
  require(judge(b.data, b.len, &WIDE).fault == HA_JSON_FINE);
  ha_buf_free(&b);
}

static void quoted(const char *text, size_t len) {
  struct ha_buf one, two;
  enum ha_status rc;
  ha_buf_init(&one, 6 * len + 2);
  rc = ha_json_quote(&one, text, len);
  require(rc == HA_OK || rc == HA_BAD);
  if (rc == HA_BAD) {
    require(one.len == 0);
  } else {
    struct ha_json_verdict v = judge(one.data, one.len, &WIDE);
    require(v.fault == HA_JSON_FINE && v.top == '"' && v.offset == one.len);
    ha_buf_init(&two, 2 * one.len + 16);
    add(&two, "{");
    require(ha_buf_add(&two, one.data, one.len) == HA_OK);
    add(&two, ":1}");
    require(judge(two.data, two.len, &WIDE).fault == HA_JSON_FINE);
    two.data[two.len - 1] = ',';
    require(ha_buf_add(&two, one.data, one.len) == HA_OK);
    add(&two, ":2}");
    require(judge(two.data, two.len, &WIDE).fault == HA_JSON_DUPLICATE);
    ha_buf_free(&two);
  }
  ha_buf_free(&one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct ha_json_verdict wide = judge(text, size, &WIDE), narrow = judge(text, size, &NARROW);
  if (narrow.fault == HA_JSON_FINE) require(wide.fault == HA_JSON_FINE && wide.top == narrow.top);
  if (narrow.fault != wide.fault) require(narrow.fault == HA_JSON_DEPTH || narrow.fault == HA_JSON_COUNT);
  if (wide.fault == HA_JSON_FINE && size < WIDE.depth) wrapped(text, size);
  quoted(text, size);
  return 0;
}
