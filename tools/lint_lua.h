/* SPDX-License-Identifier: MIT */
/* lint_lua.h - tells the analyzers what Lua's manual says and its headers do not: these never return. Included first by tools/lint.sh, so it
 * includes nothing itself: feature macros of the file come after it. */
#ifndef LINT_LUA_H
#define LINT_LUA_H

struct lua_State;
extern int lua_error(struct lua_State *L) __attribute__((noreturn));
extern int luaL_error(struct lua_State *L, const char *format, ...) __attribute__((noreturn));
extern int luaL_argerror(struct lua_State *L, int arg, const char *extra) __attribute__((noreturn));

#endif
