/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include "class.h"

static const char TYPE[] = "healthauth.bytes";

static int bytes_close(lua_State *L) {
  struct ha_buf *b = lha_class_test(L, 1, TYPE);
  if (b) ha_buf_free(b);
  return 0;
}

void lha_bytes_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", bytes_close}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lha_class_new(L, TYPE, meta, none);
  lua_pop(L, 1);
}

struct ha_buf *lha_bytes_new(lua_State *L, size_t max) {
  struct ha_buf *b = lha_class_make(L, sizeof *b, TYPE);
  ha_buf_init(b, max);
  return b;
}

void lha_must(lua_State *L, enum ha_status rc) {
  if (rc == HA_OK) return;
  luaL_error(L, rc == HA_NOMEM ? "not enough memory" : rc == HA_TOOBIG ? "too large" : "malformed");
}
