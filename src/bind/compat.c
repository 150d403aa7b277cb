/* SPDX-License-Identifier: MIT */
#include "compat.h"

void lha_setfuncs(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void lha_setowned(lua_State *L, int index) {
  index = lha_absindex(L, index);
#if LUA_VERSION_NUM >= 504
  (void)lua_setiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_setuservalue(L, index);
#else
  lua_setfenv(L, index);
#endif
}

void lha_getowned(lua_State *L, int index) {
  index = lha_absindex(L, index);
#if LUA_VERSION_NUM >= 504
  (void)lua_getiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_getuservalue(L, index);
#else
  lua_getfenv(L, index);
#endif
}

void lha_pushnumber(lua_State *L, double value) {
#if LUA_VERSION_NUM >= 503
  const double exact = 9007199254740992.0; /* 2^53 */
  if (value >= -exact && value <= exact && value == (double)(lua_Integer)value) {
    lua_pushinteger(L, (lua_Integer)value);
    return;
  }
#endif
  lua_pushnumber(L, value);
}
