/* SPDX-License-Identifier: MIT */
/* hiredis_module.c - healthauth.hiredis: a connection of sys/redis as a userdata.
 * new() -> connection (closed); connection:connect(host, port, ms) or :connect_unix(path, ms) -> true | nil, "unsent", why;
 * connection:command(ms, word, ...) -> reply | nil, "reply", text (the server's error) | nil, "unsent" or "lost", why.
 * A reply is a string, a number, false (Redis' nil) or a list of those; an error inside a list is false too.
 * The reply belongs to a userdata while Lua copies it: one of its own, since a finaliser may use or close the connection meanwhile. */
#include "class.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "sys/redis.h"

#define TYPE "healthauth.hiredis"

static struct ha_redis *check(lua_State *L) { return lha_class_check(L, 1, TYPE); }

static int check_timeout(lua_State *L, int index) {
  lua_Number ms = luaL_checknumber(L, index);
  luaL_argcheck(L, ms >= 1 && ms <= 600000, index, "out of range");
  return (int)ms;
}

/* hiredis would take what stands before a NUL byte for the whole. */
static const char *check_text(lua_State *L, int index) {
  size_t n;
  const char *p = luaL_checklstring(L, index, &n);
  luaL_argcheck(L, n >= 1 && strlen(p) == n, index, "empty or with a NUL byte");
  return p;
}

static int answer(lua_State *L, const struct ha_redis *r, enum ha_redis_code code) {
  if (code == HA_REDIS_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, code == HA_REDIS_UNSENT ? "unsent" : "lost");
  lua_pushstring(L, r->message);
  return 3;
}

static int connection_connect(lua_State *L) {
  struct ha_redis *r = check(L);
  const char *host = check_text(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  int ms = check_timeout(L, 4);
  luaL_argcheck(L, port >= 1 && port <= 65535, 3, "out of range");
  return answer(L, r, ha_redis_connect(r, host, (int)port, ms));
}

static int connection_connect_unix(lua_State *L) {
  struct ha_redis *r = check(L);
  const char *path = check_text(L, 2);
  int ms = check_timeout(L, 3);
  return answer(L, r, ha_redis_connect_unix(r, path, ms));
}

static void push_reply(lua_State *L, const struct redisReply *reply) {
  size_t i;
  luaL_checkstack(L, 4, "reply too deep");
  switch (reply->type) {
    case REDIS_REPLY_STRING: case REDIS_REPLY_STATUS: lua_pushlstring(L, reply->str, reply->len); break;
    case REDIS_REPLY_INTEGER: lha_pushnumber(L, (double)reply->integer); break;
    case REDIS_REPLY_ARRAY:
      lua_createtable(L, (int)reply->elements, 0); /* HA_REDIS_MAX_ELEMENTS at most */
      for (i = 0; i < reply->elements; i++) {
        push_reply(L, reply->element[i]);
        lua_rawseti(L, -2, (int)i + 1);
      }
      break;
    default: lua_pushboolean(L, 0); break;
  }
}

static int connection_command(lua_State *L) {
  struct ha_redis *r = check(L), *kept;
  const char *argv[HA_REDIS_MAX_ARGUMENTS];
  size_t lengths[HA_REDIS_MAX_ARGUMENTS];
  int i, ms = check_timeout(L, 2), argc = lua_gettop(L) - 2;
  enum ha_redis_code code;
  luaL_argcheck(L, argc >= 1 && argc <= HA_REDIS_MAX_ARGUMENTS, 3, "wrong number of words");
  for (i = 0; i < argc; i++) {
    luaL_checktype(L, i + 3, LUA_TSTRING); /* a number would be changed in place */
    argv[i] = lua_tolstring(L, i + 3, &lengths[i]);
  }
  kept = lha_class_make(L, sizeof *kept, TYPE); /* never connected */
  code = ha_redis_command(r, argc, argv, lengths, ms);
  if (code != HA_REDIS_OK) return answer(L, r, code);
  kept->reply = r->reply;
  r->reply = NULL;
  if (kept->reply->type == REDIS_REPLY_ERROR) {
    lua_pushnil(L);
    lua_pushliteral(L, "reply");
    lua_pushlstring(L, kept->reply->str, kept->reply->len);
    ha_redis_wipe(kept);
    return 3;
  }
  push_reply(L, kept->reply);
  ha_redis_wipe(kept);
  return 1;
}

static int connection_alive(lua_State *L) {
  lua_pushboolean(L, ha_redis_alive(check(L)));
  return 1;
}

static int connection_close(lua_State *L) {
  ha_redis_close(check(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int connection_tostring(lua_State *L) {
  lua_pushstring(L, check(L)->context ? TYPE : TYPE " (closed)");
  return 1;
}

static const luaL_Reg connection_meta[] = {
  { "__gc", connection_close }, { "__close", connection_close }, { "__tostring", connection_tostring }, { NULL, NULL },
};

static const luaL_Reg connection_methods[] = {
  { "connect", connection_connect }, { "connect_unix", connection_connect_unix }, { "command", connection_command },
  { "alive", connection_alive },     { "close", connection_close },               { NULL, NULL },
};

static int module_new(lua_State *L) {
  (void)lha_class_make(L, sizeof(struct ha_redis), TYPE);
  return 1;
}

static const luaL_Reg module[] = { { "new", module_new }, { NULL, NULL } };

LHA_EXPORT int luaopen_healthauth_hiredis(lua_State *L);

int luaopen_healthauth_hiredis(lua_State *L) {
  lha_class_new(L, TYPE, connection_meta, connection_methods);
  lua_pop(L, 1);
  lua_newtable(L);
  lha_setfuncs(L, module);
  return 1;
}
