/* SPDX-License-Identifier: MIT */
/* through_lua.h - a fuzz target that goes through Lua: test/fuzz/NAME.lua returns a function of one string, which raises when something that
 * must hold does not. One state for the life of the process, run from the root of the project. */
#ifndef THROUGH_LUA_H
#define THROUGH_LUA_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind/compat.h"

int luaopen_healthauth_core(lua_State *L);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void through_fail(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  (void)fprintf(stderr, "%s\n", text ? text : "(an error that is no text)");
  abort();
}

static inline lua_State *through_open(const char *script) {
  lua_State *L = luaL_newstate();
  if (!L) abort();
  luaL_openlibs(L);
  luaL_requiref(L, "healthauth.core", luaopen_healthauth_core, 0);
  lua_settop(L, 0);
  if (luaL_dostring(L, "package.path = 'lua/?.lua;lua/?/init.lua;?.lua'") || luaL_loadfile(L, script) || lua_pcall(L, 0, 1, 0)) through_fail(L);
  return L; /* 1: the function */
}

static inline int through_run(lua_State *L, const uint8_t *data, size_t size) {
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  if (lua_pcall(L, 1, 0, 0)) through_fail(L);
  return 0;
}

#endif
