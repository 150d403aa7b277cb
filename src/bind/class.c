/* SPDX-License-Identifier: MIT */
#include "class.h"

#include <string.h>

void lha_class_new(lua_State *L, const char *type, const luaL_Reg *meta, const luaL_Reg *methods) {
  (void)luaL_newmetatable(L, type); /* meta */
  lha_setfuncs(L, meta);
  lua_pushstring(L, type);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, type);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L); /* meta, methods */
  lha_setfuncs(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_remove(L, -2); /* methods */
}

void *lha_class_make(lua_State *L, size_t size, const char *type) {
  void *block = lha_newuserdata(L, size);
  memset(block, 0, size);
  luaL_getmetatable(L, type);
  lua_setmetatable(L, -2);
  return block;
}

void *lha_class_test(lua_State *L, int index, const char *type) {
  void *block = lua_touserdata(L, index);
  if (!block || lua_islightuserdata(L, index) || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, type);
  if (!lua_rawequal(L, -1, -2)) block = NULL;
  lua_pop(L, 2);
  return block;
}

void *lha_class_check(lua_State *L, int index, const char *type) {
  void *block = lha_class_test(L, index, type);
  if (!block) {
    const char *got = luaL_typename(L, index);
    const char *text = lua_pushfstring(L, "%s expected, got %s", type, got);
    luaL_argerror(L, index, text);
  }
  return block;
}
