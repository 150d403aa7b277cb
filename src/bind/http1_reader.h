/* http1_reader.h - healthauth.http1: the strict response reader of ring 0 for transports that are written in Lua.
 * It is fed the bytes that came and answers "more", "done" or why not. It owns all that it read and wipes it when it is closed or collected. */
#ifndef LHA_HTTP1_READER_H
#define LHA_HTTP1_READER_H

#include "compat.h"

void lha_http1_reader_open(lua_State *L);

/* core.http1_reader { method, body_limit, header_limit } -> reader */
int lha_http1_reader_function(lua_State *L);

#endif
