/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
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

void lha_secret_push(lua_State *L, const struct ha_secret *s) {
#if LUA_VERSION_NUM < 502
  char near[4096]; /* most tokens: this is the way of every request */
  size_t n = s->len;
  if (s->data && n <= sizeof near) {
    memcpy(near, s->data, n);
    lua_pushlstring(L, near, n);
    ha_wipe(near, n);
  } else if (s->data) {
    struct ha_buf *far = lha_bytes_new(L, SIZE_MAX); /* s is another from here on, perhaps */
    if (s->data) {
      lha_must(L, ha_buf_add(far, s->data, s->len));
      lua_pushlstring(L, far->data, far->len);
    } else {
      lua_pushnil(L);
    }
    ha_buf_free(far);
    lua_remove(L, -2);
  } else {
    lua_pushnil(L);
  }
#else
  if (s->data) lua_pushlstring(L, s->data, s->len);
  else lua_pushnil(L);
#endif
}

void lha_must(lua_State *L, enum ha_status rc) {
  if (rc == HA_OK) return;
  luaL_error(L, rc == HA_NOMEM ? "not enough memory" : rc == HA_TOOBIG ? "too large" : "malformed");
}
