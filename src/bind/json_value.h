/* json_value.h - JSON text to Lua values and back.
 * Ring 0 judges the text first (base/json.h); a private lua-cjson instance builds the tables, called protected and under the C locale,
 * whatever the locale is under which lua-cjson was loaded.
 * Numbers that are whole become integers where the runtime has them. JSON null is lua-cjson's null (light userdata NULL).
 * The writer is ours: lua-cjson cannot write numbers of more than 14 digits, and a record must come back as it went. */
#ifndef LHA_JSON_VALUE_H
#define LHA_JSON_VALUE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"
#include "compat.h"

/* A record holds what an answer may hold, with a little around it: it must be readable again. */
enum {
  LHA_JSON_DEPTH = 32, LHA_JSON_DEPTH_MAX = 200, LHA_JSON_RECORD_DEPTH = LHA_JSON_DEPTH_MAX + 8,
  LHA_JSON_VALUES = 20000, LHA_JSON_RECORD_VALUES = LHA_JSON_VALUES + 64,
  LHA_JSON_TEXT_MAX = 16 * 1024 * 1024
};

/* Loads lua-cjson and keeps its decoder. Raises when lua-cjson is not there. */
void lha_json_open(lua_State *L);

/* Pushes the value and answers NULL, or pushes nothing and answers a static error code ("not_json", "duplicate_key", ...). */
const char *lha_json_decode(lua_State *L, const char *text, size_t len, size_t depth);

/* Appends the value at index as JSON with its keys in order, at most LHA_JSON_DEPTH_MAX deep; NULL or a static sentence that says what JSON cannot hold. */
const char *lha_json_encode(lua_State *L, int index, struct ha_buf *out);

/* core.json_decode(text [, {depth=}]) and core.json_encode(value). */
int lha_json_decode_function(lua_State *L);
int lha_json_encode_function(lua_State *L);

#endif
