/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "json_value.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static const char DECODER[] = "healthauth.json.decoder"; /* registry keys */
static const char MAKER[] = "healthauth.json.new";
static locale_t c_locale;                                /* made once, kept for the life of the process */

void lha_json_open(lua_State *L) {
  if (!c_locale) c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!c_locale) luaL_error(L, "healthauth: the C locale cannot be made");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "new");
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, MAKER);
  lua_call(L, 0, 1); /* cjson, ours */
  lua_getfield(L, -1, "decode");
  lua_setfield(L, LUA_REGISTRYINDEX, DECODER);
  lua_pop(L, 2);
}

/* lua-cjson makes every number a float on 5.3 and 5.4: whole ones become integers again, in place. */
static void restore_integers(lua_State *L, int table) {
#if LUA_VERSION_NUM >= 503
  luaL_checkstack(L, 6, "JSON nested too deep");
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -1) == LUA_TTABLE) {
      restore_integers(L, lua_gettop(L));
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
      lha_pushnumber(L, lua_tonumber(L, -1));
      lua_pushvalue(L, -3);
      lua_insert(L, -2); /* key, old, key, new */
      lua_rawset(L, table);
    }
    lua_pop(L, 1);
  }
#else
  (void)L;
  (void)table;
#endif
}

static const char *fault_code(enum ha_json_fault fault) {
  switch (fault) {
    case HA_JSON_FINE: return NULL;
    case HA_JSON_DUPLICATE: return "duplicate_key";
    case HA_JSON_NUMBER: return "json_number";
    case HA_JSON_DEPTH: return "json_depth";
    case HA_JSON_COUNT: return "json_values";
    case HA_JSON_NOMEM:
    case HA_JSON_SYNTAX:
    case HA_JSON_UTF8: break;
  }
  return "not_json";
}

/* Calls the function at index, with the text at argument where that is not 0, and leaves its result or error on top. Raises nothing. */
static int call_at(lua_State *L, int index, int argument) {
  lua_pushvalue(L, index);
  if (argument) lua_pushvalue(L, argument);
  return lua_pcall(L, argument ? 1 : 0, 1, 0);
}

/* Builds the value of a text that the judge let through; it, or an error, is on top. lua-cjson looks at the locale when an instance is made,
 * for all of them: where the last one was made under a decimal comma, it takes no fraction under ours, until one more is made here. */
static int build(lua_State *L, const char *text, size_t len) {
  int top = lua_gettop(L), maker = top + 1, decoder = top + 2, argument = top + 3, rc;
  locale_t before;
  lua_getfield(L, LUA_REGISTRYINDEX, MAKER);
  lua_getfield(L, LUA_REGISTRYINDEX, DECODER);
  lua_pushlstring(L, text, len);
  before = uselocale(c_locale);
  rc = call_at(L, decoder, argument);
  if (rc == LUA_ERRRUN) {
    rc = call_at(L, maker, 0);
    if (rc == LUA_OK) rc = call_at(L, decoder, argument);
    uselocale(before);
    (void)call_at(L, maker, 0); /* for those who use lua-cjson beside us */
    lua_pop(L, 1);
  }
  uselocale(before);
  lua_replace(L, maker);
  lua_settop(L, maker);
  return rc;
}

const char *lha_json_decode(lua_State *L, const char *text, size_t len, size_t depth) {
  struct ha_json_limits limits;
  struct ha_json_verdict verdict;
  int rc;
  limits.depth = depth < LHA_JSON_RECORD_DEPTH ? depth : LHA_JSON_RECORD_DEPTH;
  limits.values = depth > LHA_JSON_DEPTH_MAX ? LHA_JSON_RECORD_VALUES : LHA_JSON_VALUES;
  verdict = ha_json_judge(text, len, &limits);
  if (verdict.fault == HA_JSON_NOMEM) luaL_error(L, "not enough memory"); /* no verdict: nobody may take the text for a bad one */
  if (verdict.fault != HA_JSON_FINE) return fault_code(verdict.fault);
  luaL_checkstack(L, 16, "no stack");
  rc = build(L, text, len);
  if (rc == LUA_ERRMEM) lua_error(L);
  if (rc != LUA_OK) { /* the judge is stricter than lua-cjson: this would be a text that only it refuses */
    lua_pop(L, 1);
    return "not_json";
  }
  if (lua_type(L, -1) == LUA_TTABLE) {
    restore_integers(L, lua_gettop(L));
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    lha_pushnumber(L, lua_tonumber(L, -1));
    lua_remove(L, -2);
  }
  return NULL;
}

static const char *encode_value(lua_State *L, int index, struct ha_buf *out, int depth);

/* Raises for want of memory: a text that is only too long is the value's fault. out belongs to Lua (lha_bytes_new). */
static const char *added(lua_State *L, enum ha_status rc) {
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return rc == HA_OK ? NULL : rc == HA_BAD ? "a string that is no UTF-8" : "the text grew too large";
}

static const char *add(lua_State *L, struct ha_buf *out, const char *text) { return added(L, ha_buf_adds(out, text)); }

static const char *add_string(lua_State *L, int index, struct ha_buf *out) {
  size_t n;
  const char *p = lua_tolstring(L, index, &n);
  return added(L, ha_json_quote(out, p, n));
}

static const char *add_number(lua_State *L, int index, struct ha_buf *out) {
  double v = lua_tonumber(L, index);
  char text[40];
  int digits;
  locale_t before;
  if (!(v - v == 0)) return "a number that is not finite";
  before = uselocale(c_locale);
  if (v >= -9007199254740992.0 && v <= 9007199254740992.0 && floor(v) == v) (void)snprintf(text, sizeof text, "%.0f", v);
  else
    for (digits = 15; digits <= 17; digits++) { /* the fewest that come back as the same number */
      (void)snprintf(text, sizeof text, "%.*g", digits, v);
      if (strtod(text, NULL) == v) break;
    }
  uselocale(before);
  return add(L, out, text);
}

static int compare_strings(lua_State *L, int a, int b) {
  size_t an, bn;
  const char *ap = lua_tolstring(L, a, &an), *bp = lua_tolstring(L, b, &bn);
  int d = memcmp(ap, bp, an < bn ? an : bn);
  if (d) return d;
  return an < bn ? -1 : an > bn;
}

/* Sorts the strings 1..n of the table at index (heap sort: no recursion, no call into Lua). */
static void sort_keys(lua_State *L, int t, int n) {
  int start = n / 2, end = n;
  while (end > 1) {
    int root, child;
    if (start > 0) {
      start--;
    } else {
      end--;
      lua_rawgeti(L, t, 1);
      lua_rawgeti(L, t, end + 1);
      lua_rawseti(L, t, 1);
      lua_rawseti(L, t, end + 1);
      if (end == 1) break;
    }
    for (root = start; (child = 2 * root + 1) < end; root = child) {
      int swap;
      lua_rawgeti(L, t, child + 1);
      if (child + 1 < end) {
        lua_rawgeti(L, t, child + 2);
        if (compare_strings(L, -2, -1) < 0) child++;
        lua_pop(L, 2);
        lua_rawgeti(L, t, child + 1);
      }
      lua_rawgeti(L, t, root + 1); /* child, root */
      swap = compare_strings(L, -1, -2) < 0;
      if (!swap) {
        lua_pop(L, 2);
        break;
      }
      lua_rawseti(L, t, child + 1);
      lua_rawseti(L, t, root + 1);
    }
  }
}

static const char *encode_object(lua_State *L, int index, struct ha_buf *out, int depth) {
  const char *why = add(L, out, "{");
  int n = 0, i, keys;
  lua_newtable(L);
  keys = lua_gettop(L);
  lua_pushnil(L);
  while (!why && lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      why = "a key that is no string";
      lua_pop(L, 1);
      break;
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, keys, ++n);
  }
  if (!why) sort_keys(L, keys, n);
  for (i = 1; !why && i <= n; i++) {
    lua_rawgeti(L, keys, i);
    if (i > 1) why = add(L, out, ",");
    if (!why) why = add_string(L, -1, out);
    if (!why) why = add(L, out, ":");
    lua_rawget(L, index);
    if (!why) why = encode_value(L, lua_gettop(L), out, depth + 1);
    lua_pop(L, 1);
  }
  lua_settop(L, keys - 1);
  return why ? why : add(L, out, "}");
}

static const char *encode_array(lua_State *L, int index, int n, struct ha_buf *out, int depth) {
  const char *why = add(L, out, "[");
  int i, count = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    count++;
    lua_pop(L, 1);
  }
  if (count != n) return "a table that is neither a list nor an object";
  for (i = 1; !why && i <= n; i++) {
    if (i > 1) why = add(L, out, ",");
    lua_rawgeti(L, index, i);
    if (!why) why = encode_value(L, lua_gettop(L), out, depth + 1);
    lua_pop(L, 1);
  }
  return why ? why : add(L, out, "]");
}

static const char *encode_value(lua_State *L, int index, struct ha_buf *out, int depth) {
  if (depth > LHA_JSON_RECORD_DEPTH) return "nested too deep";
  luaL_checkstack(L, 8, "no stack");
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: return add(L, out, lua_toboolean(L, index) ? "true" : "false");
    case LUA_TNUMBER: return add_number(L, index, out);
    case LUA_TSTRING: return add_string(L, index, out);
    case LUA_TLIGHTUSERDATA: return lua_touserdata(L, index) ? "a value of another kind" : add(L, out, "null");
    case LUA_TTABLE: {
      int n = (int)lua_rawlen(L, index);
      return n > 0 ? encode_array(L, index, n, out, depth) : encode_object(L, index, out, depth);
    }
    default: return "a value of another kind";
  }
}

const char *lha_json_encode(lua_State *L, int index, struct ha_buf *out) {
  return encode_value(L, lha_absindex(L, index), out, LHA_JSON_RECORD_DEPTH - LHA_JSON_DEPTH_MAX);
}

int lha_json_decode_function(lua_State *L) {
  size_t n, depth = LHA_JSON_DEPTH;
  const char *text = luaL_checklstring(L, 1, &n), *code;
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_getfield(L, 2, "depth");
    if (lua_type(L, -1) == LUA_TNUMBER) {
      double wanted = lua_tonumber(L, -1);
      depth = wanted >= 1 && wanted <= LHA_JSON_RECORD_DEPTH ? (size_t)wanted : LHA_JSON_DEPTH;
    }
    lua_pop(L, 1);
  }
  code = lha_json_decode(L, text, n, depth);
  if (!code) return 1;
  lua_pushnil(L);
  lua_pushstring(L, code);
  return 2;
}

int lha_json_encode_function(lua_State *L) {
  struct ha_buf *out;
  const char *why;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  out = lha_bytes_new(L, LHA_JSON_TEXT_MAX);
  why = encode_value(L, 1, out, 0);
  if (why) return luaL_error(L, "JSON cannot hold %s", why);
  lua_pushlstring(L, out->data, out->len);
  ha_buf_free(out);
  return 1;
}
