/* SPDX-License-Identifier: MIT */
/* module.c - healthauth.core: the list of its parts. */
#include "base/version.h"
#include "bytes.h"
#include "compat.h"
#include "error.h"
#include "exchange.h"
#include "http1_reader.h"
#include "json_value.h"
#include "provider.h"
#include "session.h"
#include "tools.h"

LHA_EXPORT int luaopen_healthauth_core(lua_State *L);

int luaopen_healthauth_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"error", lha_error_function},
                                       {"is_error", lha_is_error_function},
                                       {"json_decode", lha_json_decode_function},
                                       {"json_encode", lha_json_encode_function},
                                       {"provider", lha_provider_function},
                                       {"session", lha_session_function},
                                       {"http1_reader", lha_http1_reader_function},
                                       {"authorize_url", lha_authorize_function},
                                       {NULL, NULL}};
  luaL_checkstack(L, 20, "no stack");
  lha_bytes_open(L);
  lha_error_open(L);
  lha_http1_reader_open(L);
  lha_json_open(L);
  lha_provider_open(L);
  lha_exchange_open(L);
  lua_newtable(L);
  lha_setfuncs(L, functions);
  lha_setfuncs(L, lha_tools);
  lua_newtable(L);
  lha_setfuncs(L, lha_session_inside);
  lua_setfield(L, -2, "inside"); /* what the Lua layer may do to a session, and users need not */
  lha_session_open(L);
  lua_setfield(L, -2, "session_methods");
  lua_pushliteral(L, HA_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
