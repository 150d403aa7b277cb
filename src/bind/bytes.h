/* bytes.h - a wiping buffer that Lua owns, for the length of one C function.
 * Pushes a userdata whose __gc frees and wipes the buffer, so that an error raised anywhere loses nothing. */
#ifndef LHA_BYTES_H
#define LHA_BYTES_H

#include "base/buf.h"
#include "base/secret.h"
#include "compat.h"

void lha_bytes_open(lua_State *L);
struct ha_buf *lha_bytes_new(lua_State *L, size_t max);

/* Pushes the value of s as a string, nil when it is absent. 5.1 and LuaJIT collect garbage before lua_pushlstring copies, and a finaliser of the
 * program's may then replace or clear s: there a copy of ours is what is pushed. */
void lha_secret_push(lua_State *L, const struct ha_secret *s);

/* The status of ring 0 as an error where nothing else is sensible: raises "not enough memory" or "too large". HA_OK does nothing. */
void lha_must(lua_State *L, enum ha_status rc);

#endif
