/* class.h - one way to make a userdata type.
 * The type name is what a user reads in an error ("healthauth.session"). Metamethods and methods are two const tables; __gc, __close and
 * close are one function, safe twice. __metatable hides the metatable, so no script can edit it. */
#ifndef LHA_CLASS_H
#define LHA_CLASS_H

#include "compat.h"

/* Registers the type and leaves its method table on the stack (a Lua layer may add verbs to it). meta and methods may be empty, not NULL. */
void lha_class_new(lua_State *L, const char *type, const luaL_Reg *meta, const luaL_Reg *methods);

/* A zeroed userdata with its metatable set: harmless as it is, __gc owns it from here. */
void *lha_class_make(lua_State *L, size_t size, const char *type);

/* The userdata at index if it is one of that type, else NULL; never raises. */
void *lha_class_test(lua_State *L, int index, const char *type);

/* The same, raising a bad argument error. */
void *lha_class_check(lua_State *L, int index, const char *type);

#endif
