/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <string.h>

#include "base/message.h"
#include "bytes.h"
#include "class.h"

static const char TYPE[] = "healthauth.error";

static const char *const KINDS[] = {"argument", "network", "timeout", "tls",   "protocol", "too_large",
                                    "denied",   "http",    "state",   "store", "unsupported", NULL};
static const char *const ACTIONS[] = {"retry", "wait", "reauthorize", "fix_request", "fix_credentials", "step_up", "give_up", NULL};
static const char *const OUTCOMES[] = {"not_sent", "answered", "unknown", NULL};

static bool listed(const char *const *list, const char *word) {
  for (; word && *list; list++)
    if (strcmp(*list, word) == 0) return true;
  return false;
}

bool lha_is_kind(const char *word) { return listed(KINDS, word); }
bool lha_is_action(const char *word) { return listed(ACTIONS, word); }
bool lha_is_outcome(const char *word) { return listed(OUTCOMES, word); }

void lha_error_push(lua_State *L, const char *kind, const char *code, const char *message) {
  lua_createtable(L, 0, 8);
  luaL_getmetatable(L, TYPE);
  lua_setmetatable(L, -2);
  lha_error_word(L, "kind", kind);
  lha_error_word(L, "code", code);
  lha_error_word(L, "message", message);
}

void lha_error_word(lua_State *L, const char *name, const char *word) {
  if (!word) return;
  lua_pushstring(L, word);
  lua_setfield(L, -2, name);
}

void lha_error_text(lua_State *L, const char *name, const char *p, size_t n) {
  struct ha_buf *clean = lha_bytes_new(L, HA_TEXT_MAX + 8);
  lha_must(L, ha_text_clean(clean, p, n));
  if (clean->len) {
    lua_pushlstring(L, clean->data, clean->len); /* err, bytes, text */
    lua_setfield(L, -3, name);
  }
  ha_buf_free(clean);
  lua_pop(L, 1);
}

bool lha_is_error(lua_State *L, int index) {
  bool same;
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, TYPE);
  same = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return same;
}

/* Appends prefix and err[name] when the field is a text; what does not fit is left out. */
static bool add_field(lua_State *L, struct ha_buf *line, const char *prefix, const char *name, const char *suffix) {
  bool there = false;
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
    size_t n;
    const char *p;
    if (lua_type(L, -1) == LUA_TNUMBER) lha_pushnumber(L, lua_tonumber(L, -1));
    else lua_pushvalue(L, -1);
    p = lua_tolstring(L, -1, &n);
    if (n > HA_TEXT_MAX) n = HA_TEXT_MAX;
    lha_must(L, ha_buf_adds(line, prefix));
    lha_must(L, ha_buf_add(line, p, n));
    lha_must(L, ha_buf_adds(line, suffix));
    lua_pop(L, 1);
    there = true;
  }
  lua_pop(L, 1);
  return there;
}

/* provider operation: kind (code): message [HTTP status] */
static int error_tostring(lua_State *L) {
  struct ha_buf *line, *clean;
  bool provider, operation;
  size_t keep;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  line = lha_bytes_new(L, 8 * HA_TEXT_MAX);
  provider = add_field(L, line, "", "provider", "");
  operation = add_field(L, line, provider ? " " : "", "operation", "");
  if (provider || operation) lha_must(L, ha_buf_adds(line, ": "));
  if (!add_field(L, line, "", "kind", "")) lha_must(L, ha_buf_adds(line, "error"));
  add_field(L, line, " (", "code", ")");
  keep = line->len;
  add_field(L, line, ": ", "message", "");
  if (line->len > HA_TEXT_MAX - 16 && keep < HA_TEXT_MAX - 16) { /* the status stays readable */
    line->len = HA_TEXT_MAX - 16;
    while (line->len > keep && ((unsigned char)line->data[line->len] & 0xC0) == 0x80) line->len--; /* no letter is cut in two */
  }
  add_field(L, line, " [HTTP ", "status", "]");
  clean = lha_bytes_new(L, HA_TEXT_MAX + 8);
  lha_must(L, ha_text_clean(clean, line->data, line->len));
  lua_pushlstring(L, clean->data ? clean->data : "", clean->len);
  ha_buf_free(line);
  ha_buf_free(clean);
  return 1;
}

void lha_error_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__tostring", error_tostring}, {NULL, NULL}};
  (void)luaL_newmetatable(L, TYPE);
  lha_setfuncs(L, meta);
  lua_pushstring(L, TYPE);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, TYPE);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

int lha_error_function(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lha_error_push(L, NULL, NULL, NULL);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2); /* err, key, key, value */
    lua_rawset(L, 2);
  }
  lua_getfield(L, 2, "kind");
  if (!lha_is_kind(lua_tostring(L, -1))) return luaL_error(L, "core.error: unknown kind");
  lua_getfield(L, 2, "code");
  if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "core.error: code expected");
  lua_getfield(L, 2, "message");
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n;
    const char *p = lua_tolstring(L, -1, &n);
    lua_pushvalue(L, 2);
    lha_error_text(L, "message", p, n);
  }
  lua_settop(L, 2);
  return 1;
}

int lha_is_error_function(lua_State *L) {
  lua_pushboolean(L, lha_is_error(L, 1));
  return 1;
}
