/* tools.h - small functions of healthauth.core for the Lua layer: digests, random bytes, codecs, URLs, clocks. */
#ifndef LHA_TOOLS_H
#define LHA_TOOLS_H

#include "compat.h"

extern const luaL_Reg lha_tools[];

#endif
