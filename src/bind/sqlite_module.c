/* SPDX-License-Identifier: MIT */
/* sqlite_module.c - healthauth.sqlite: the SQLite file of sys/sqlite as a userdata.
 * open(path, busy_ms, max_pages) -> file; its methods answer a value, false for "none" (or "not ours"), or nil, code, message.
 * lua/healthauth/stores/sqlite.lua makes a store of it. Results are in a userdata's buffers until they are Lua's: one of their own, since a
 * finaliser may use or close the file while they are copied. */
#include <limits.h>
#include <string.h>

#include "class.h"
#include "sys/sqlite.h"

#define TYPE "healthauth.sqlite"

static struct ha_sqlite *check_open(lua_State *L) {
  struct ha_sqlite *s = lha_class_check(L, 1, TYPE);
  luaL_argcheck(L, s->path != NULL, 1, TYPE " is closed");
  return s;
}

static const char *check_text(lua_State *L, int index, size_t max, size_t *n) {
  const char *p = luaL_checklstring(L, index, n);
  luaL_argcheck(L, *n >= 1 && *n <= max, index, "wrong length");
  return p;
}

static const char *code_name(enum ha_sqlite_code code) {
  switch (code) {
    case HA_SQLITE_CONFLICT: return "conflict";
    case HA_SQLITE_FULL: return "store_full";
    case HA_SQLITE_READ_ONLY: return "store_read_only";
    case HA_SQLITE_CORRUPT: return "store_corrupt";
    case HA_SQLITE_INSECURE: return "store_insecure";
    case HA_SQLITE_INVALID: return "record_invalid";
    default: return "store_unavailable";
  }
}

/* false for "none", else nil, code, message. */
static int answer(lua_State *L, const struct ha_sqlite *s, enum ha_sqlite_code code) {
  if (code == HA_SQLITE_NONE) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, code_name(code));
  lua_pushstring(L, s->message);
  return 3;
}

/* A file that is none, made before the results are there. */
static struct ha_sqlite *new_results(lua_State *L) { return lha_class_make(L, sizeof(struct ha_sqlite), TYPE); }

static void move(struct ha_buf *to, struct ha_buf *from) {
  size_t max = from->max;
  *to = *from;
  memset(from, 0, sizeof *from);
  from->max = max;
}

static void take_results(struct ha_sqlite *to, struct ha_sqlite *s) {
  move(&to->key, &s->key);
  move(&to->record, &s->record);
  move(&to->version, &s->version);
}

static int push_buffers(lua_State *L, struct ha_sqlite *results, const struct ha_buf *a, const struct ha_buf *b) {
  lua_pushlstring(L, a->data ? a->data : "", a->len);
  if (b) lua_pushlstring(L, b->data ? b->data : "", b->len);
  ha_sqlite_wipe(results);
  return b ? 2 : 1;
}

static int file_load(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen;
  const char *key = check_text(L, 2, HA_SQLITE_MAX_KEY, &klen);
  struct ha_sqlite *r = new_results(L);
  enum ha_sqlite_code code = ha_sqlite_load(s, key, klen);
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  take_results(r, s);
  return push_buffers(L, r, &r->record, &r->version);
}

static int file_save(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen, rlen, elen = 0, ilen;
  const char *key = check_text(L, 2, HA_SQLITE_MAX_KEY, &klen);
  const char *record = luaL_checklstring(L, 3, &rlen);
  const char *expected = luaL_optlstring(L, 4, NULL, &elen);
  const char *id = check_text(L, 5, HA_SQLITE_MAX_ID, &ilen);
  struct ha_sqlite *r;
  enum ha_sqlite_code code;
  luaL_argcheck(L, rlen <= HA_SQLITE_MAX_RECORD, 3, "too large");
  r = new_results(L);
  code = ha_sqlite_save(s, key, klen, record, rlen, expected, elen, id);
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  take_results(r, s);
  return push_buffers(L, r, &r->version, NULL);
}

static int file_delete(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen;
  const char *key = check_text(L, 2, HA_SQLITE_MAX_KEY, &klen);
  enum ha_sqlite_code code = ha_sqlite_delete(s, key, klen);
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  lua_pushboolean(L, 1);
  return 1;
}

static int64_t check_time(lua_State *L, int index) {
  double value = luaL_checknumber(L, index);
  luaL_argcheck(L, value >= 0 && value <= 9007199254740992.0, index, "out of range");
  return (int64_t)value;
}

/* acquire(key, id, now_ms, ttl_ms) -> fence */
static int file_acquire(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen, ilen;
  const char *key = check_text(L, 2, HA_SQLITE_MAX_KEY, &klen);
  const char *id = check_text(L, 3, HA_SQLITE_MAX_ID, &ilen);
  int64_t fence = 0, now = check_time(L, 4), ttl = check_time(L, 5);
  enum ha_sqlite_code code = ha_sqlite_acquire(s, key, klen, id, now, ttl, &fence);
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  lha_pushnumber(L, (double)fence);
  return 1;
}

/* release(key, id, now_ms) -> true when the lease was still ours */
static int file_release(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen, ilen;
  const char *key = check_text(L, 2, HA_SQLITE_MAX_KEY, &klen);
  const char *id = check_text(L, 3, HA_SQLITE_MAX_ID, &ilen);
  enum ha_sqlite_code code = ha_sqlite_release(s, key, klen, id, check_time(L, 4));
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  lua_pushboolean(L, 1);
  return 1;
}

/* next(key | nil) -> key, record */
static int file_next(lua_State *L) {
  struct ha_sqlite *s = check_open(L);
  size_t klen = 0;
  const char *key = luaL_optlstring(L, 2, "", &klen);
  struct ha_sqlite *r;
  enum ha_sqlite_code code;
  luaL_argcheck(L, klen <= HA_SQLITE_MAX_KEY, 2, "wrong length");
  r = new_results(L);
  code = ha_sqlite_next(s, key, klen);
  if (code != HA_SQLITE_OK) return answer(L, s, code);
  take_results(r, s);
  return push_buffers(L, r, &r->key, &r->record);
}

static int file_close(lua_State *L) {
  ha_sqlite_free(lha_class_check(L, 1, TYPE));
  lua_pushboolean(L, 1);
  return 1;
}

static int file_tostring(lua_State *L) {
  const struct ha_sqlite *s = lha_class_check(L, 1, TYPE);
  lua_pushstring(L, s->path ? TYPE : TYPE " (closed)");
  return 1;
}

static const luaL_Reg file_meta[] = {
  { "__gc", file_close }, { "__close", file_close }, { "__tostring", file_tostring }, { NULL, NULL },
};

static const luaL_Reg file_methods[] = {
  { "load", file_load },       { "save", file_save }, { "delete", file_delete }, { "acquire", file_acquire },
  { "release", file_release }, { "next", file_next }, { "close", file_close },   { NULL, NULL },
};

static int module_open(lua_State *L) {
  size_t plen;
  const char *path = luaL_checklstring(L, 1, &plen);
  lua_Integer busy_ms = luaL_checkinteger(L, 2), max_pages = luaL_optinteger(L, 3, 0);
  struct ha_sqlite *s;
  enum ha_sqlite_code code;
  luaL_argcheck(L, plen >= 1 && strlen(path) == plen, 1, "empty or with a NUL byte");
  luaL_argcheck(L, busy_ms >= 0 && busy_ms <= 600000, 2, "out of range");
  luaL_argcheck(L, max_pages >= 0 && max_pages <= INT_MAX, 3, "out of range");
  s = lha_class_make(L, sizeof *s, TYPE);
  code = ha_sqlite_init(s, path, (int)busy_ms, (int)max_pages);
  return code == HA_SQLITE_OK ? 1 : answer(L, s, code);
}

static const luaL_Reg module[] = { { "open", module_open }, { NULL, NULL } };

LHA_EXPORT int luaopen_healthauth_sqlite(lua_State *L);

int luaopen_healthauth_sqlite(lua_State *L) {
  lha_class_new(L, TYPE, file_meta, file_methods);
  lua_pop(L, 1);
  lua_newtable(L);
  lha_setfuncs(L, module);
  return 1;
}
