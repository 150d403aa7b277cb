/* SPDX-License-Identifier: MIT */
/* sweep_luajit.h - LuaJIT (2.1 of 2023) dies when one of its assembler functions finds no memory for its new string: also in
 * `("x"):rep(20):sub(1, 16)` alone, without anything of ours. For the sweep they are plain C functions, whose failure it survives. */
#ifndef SWEEP_LUAJIT_H
#define SWEEP_LUAJIT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

static size_t sweep_position(lua_Integer at, size_t size) {
  if (at >= 0) return (size_t)at;
  return (size_t)-at > size ? 0 : size - (size_t)-at + 1;
}

static int sweep_sub(lua_State *L) {
  size_t size;
  const char *p = luaL_checklstring(L, 1, &size);
  size_t from = sweep_position(luaL_checkinteger(L, 2), size), to = sweep_position(luaL_optinteger(L, 3, -1), size);
  if (from == 0) from = 1;
  if (to > size) to = size;
  if (from <= to) lua_pushlstring(L, p + from - 1, to - from + 1);
  else lua_pushliteral(L, "");
  return 1;
}

/* Each byte through `change`; from behind where it is NULL. */
static int sweep_map(lua_State *L, char (*change)(char)) {
  size_t size, i;
  const char *p = luaL_checklstring(L, 1, &size);
  char *out = lua_newuserdata(L, size + 1);
  for (i = 0; i < size; i++) out[i] = change ? change(p[i]) : p[size - 1 - i];
  lua_pushlstring(L, out, size);
  return 1;
}
static char sweep_low(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }
static char sweep_high(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }
static int sweep_lower(lua_State *L) { return sweep_map(L, sweep_low); }
static int sweep_upper(lua_State *L) { return sweep_map(L, sweep_high); }
static int sweep_reverse(lua_State *L) { return sweep_map(L, NULL); }

static int sweep_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_callmeta(L, 1, "__tostring")) return 1;
  switch (lua_type(L, 1)) {
    case LUA_TNUMBER: lua_settop(L, 1); (void)lua_tolstring(L, 1, NULL); break;
    case LUA_TSTRING: lua_settop(L, 1); break;
    case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, 1) ? "true" : "false"); break;
    case LUA_TNIL: lua_pushliteral(L, "nil"); break;
    default: lua_pushfstring(L, "%s: %p", luaL_typename(L, 1), lua_topointer(L, 1)); break;
  }
  return 1;
}

static void sweep_luajit(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"sub", sweep_sub}, {"lower", sweep_lower}, {"upper", sweep_upper}, {"reverse", sweep_reverse}, {NULL, NULL}};
  const luaL_Reg *f;
  lua_getglobal(L, "string");
  for (f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, sweep_tostring);
  lua_setglobal(L, "tostring");
}

#endif
