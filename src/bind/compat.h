/* compat.h - lifts Lua 5.1 and LuaJIT to the few 5.4 names that we use, and nothing else.
 * Also the one export mark: a module shows luaopen_* and no other symbol. */
#ifndef LHA_COMPAT_H
#define LHA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if defined(__GNUC__)
#  define LHA_EXPORT __attribute__((visibility("default")))
#else
#  define LHA_EXPORT
#endif

#if LUA_VERSION_NUM < 502
#  ifndef LUA_OK
#    define LUA_OK 0
#  endif
#  define lua_rawlen lua_objlen
#  define lha_absindex(L, i) ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)
#else
#  define lha_absindex lua_absindex
#endif

#if LUA_VERSION_NUM >= 504
#  define lha_newuserdata(L, n) lua_newuserdatauv((L), (n), 1)
#else
#  define lha_newuserdata lua_newuserdata
#endif

/* Puts each function into the table on top of the stack. */
void lha_setfuncs(lua_State *L, const luaL_Reg *functions);

/* The one Lua table that a userdata of ours owns: uservalue on 5.3 and 5.4, environment on 5.1 and LuaJIT.
 * lha_setowned pops a table and hangs it on the userdata at index; lha_getowned pushes it. */
void lha_setowned(lua_State *L, int index);
void lha_getowned(lua_State *L, int index);

/* Pushes a number, as an integer where the runtime has integers and it is one. */
void lha_pushnumber(lua_State *L, double value);

#endif
