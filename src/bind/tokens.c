/* SPDX-License-Identifier: MIT */
#include "tokens.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/message.h"
#include "base/utf8.h"
#include "bytes.h"
#include "json_value.h"

void lha_tokens_clear(struct lha_tokens *t) {
  ha_secret_clear(&t->access);
  ha_secret_clear(&t->refresh);
  ha_secret_clear(&t->type);
  ha_secret_clear(&t->scope);
  ha_secret_clear(&t->name);
  ha_secret_clear(&t->extra);
  t->expires_at = 0;
  t->obtained_at = 0;
  t->refresh_at = 0;
  t->expires = false;
}

void lha_tokens_move(struct lha_tokens *to, struct lha_tokens *from) {
  struct lha_tokens taken = *from;
  memset(from, 0, sizeof *from);
  lha_tokens_clear(to);
  *to = taken;
}

static void push_text(lua_State *L, const char *name, const struct ha_secret *s) {
  if (!s->data) return;
  lha_secret_push(L, s);
  lua_setfield(L, -2, name);
}

static void push_extra(lua_State *L, const struct ha_secret *extra) {
  size_t n;
  const char *text;
  lha_secret_push(L, extra);
  text = lua_tolstring(L, -1, &n);
  if (!text || lha_json_decode(L, text, n, LHA_JSON_DEPTH_MAX) != NULL) lua_newtable(L);
  lua_remove(L, -2);
}

void lha_tokens_push(lua_State *L, const struct lha_tokens *t) {
  luaL_checkstack(L, 8, "no stack");
  lua_createtable(L, 0, 7);
  push_text(L, "access_token", &t->access);
  push_text(L, "token_type", &t->type);
  push_text(L, "refresh_token", &t->refresh);
  push_text(L, "scope", &t->scope);
  push_text(L, "name", &t->name);
  if (t->expires) {
    lha_pushnumber(L, t->expires_at);
    lua_setfield(L, -2, "expires_at");
  }
  push_extra(L, &t->extra);
  lua_setfield(L, -2, "extra");
}

void lha_tokens_times(lua_State *L, const struct lha_tokens *t) {
  if (t->obtained_at > 0) {
    lha_pushnumber(L, t->obtained_at);
    lua_setfield(L, -2, "obtained_at");
  }
  if (t->refresh_at > 0) {
    lha_pushnumber(L, t->refresh_at);
    lua_setfield(L, -2, "refresh_at");
  }
}

static void push_member(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

/* A record is JSON, which can hold nothing but UTF-8. */
static bool is_text(const char *p, size_t n) {
  size_t i = 0;
  while (i < n) {
    uint32_t code;
    size_t step = ha_utf8_next(p + i, n - i, &code);
    if (step == 0 || code == 0) return false;
    i += step;
  }
  return true;
}

/* A text member into *to; false when it is there and wrong. The stack is as before. */
static bool read_text(lua_State *L, int index, const char *name, bool token, size_t max, struct ha_secret *to) {
  bool fine = true;
  push_member(L, index, name);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n;
    const char *p = lua_tolstring(L, -1, &n);
    fine = n <= max && (token ? ha_is_token(p, n) : is_text(p, n));
    if (fine) lha_must(L, ha_secret_set(to, p, n));
  } else {
    fine = lua_isnil(L, -1);
  }
  lua_pop(L, 1);
  return fine;
}

static const char *read_extra(lua_State *L, int index, struct lha_tokens *t) {
  const char *wrong = NULL;
  push_member(L, index, "extra");
  if (lua_type(L, -1) == LUA_TTABLE) {
    bool empty;
    lua_pushnil(L);
    empty = lua_next(L, -2) == 0;
    if (!empty) {
      struct ha_buf *text;
      lua_pop(L, 2);
      text = lha_bytes_new(L, LHA_EXTRA_MAX); /* extra, bytes */
      wrong = lha_json_encode(L, lua_gettop(L) - 1, text);
      if (!wrong) lha_must(L, ha_secret_set(&t->extra, text->data, text->len));
      ha_buf_free(text);
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    wrong = "extra is no table";
  }
  lua_pop(L, 1);
  return wrong;
}

/* A time in seconds: 1 = read, 0 = absent, -1 = wrong. */
static int read_time(lua_State *L, int index, const char *name, double *to) {
  int rc = 0;
  push_member(L, index, name);
  if (lua_type(L, -1) == LUA_TNUMBER) {
    double v = lua_tonumber(L, -1);
    rc = v >= 0 && v <= LHA_TIME_MAX ? 1 : -1;
    if (rc == 1) *to = floor(v);
  } else if (!lua_isnil(L, -1)) {
    rc = -1;
  }
  lua_pop(L, 1);
  return rc;
}

const char *lha_tokens_read(lua_State *L, int index, struct lha_tokens *t, const char **why) {
  static const char *const KNOWN[] = {"access_token", "refresh_token", "token_type", "expires_at", "obtained_at", "refresh_at", "scope", "name", "extra", NULL};
  int timed;
  luaL_checkstack(L, 8, "no stack");
  index = lha_absindex(L, index);
  if (lua_type(L, index) != LUA_TTABLE) {
    *why = "the set of tokens is no table";
    return "token_malformed";
  }
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *const *k = KNOWN;
    lua_pop(L, 1);
    while (*k && (lua_type(L, -1) != LUA_TSTRING || strcmp(*k, lua_tostring(L, -1)) != 0)) k++;
    if (!*k) {
      lua_pop(L, 1);
      *why = "the set of tokens has an unknown member";
      return "token_malformed";
    }
  }
  *why = "a token is not a text of the bytes 0x21 to 0x7E";
  if (!read_text(L, index, "access_token", true, LHA_TOKEN_MAX, &t->access)) return "token_malformed";
  if (!read_text(L, index, "refresh_token", true, LHA_TOKEN_MAX, &t->refresh)) return "token_malformed";
  *why = "a member of the set of tokens has a wrong type";
  if (!read_text(L, index, "token_type", true, 64, &t->type) || !read_text(L, index, "scope", false, LHA_SCOPE_MAX, &t->scope) ||
      !read_text(L, index, "name", false, 256, &t->name))
    return "token_malformed";
  if (t->type.data && !ha_same_word(t->type.data, t->type.len, "bearer", 6)) {
    *why = "token_type is not Bearer";
    return "token_malformed";
  }
  timed = read_time(L, index, "expires_at", &t->expires_at);
  if (timed < 0 || read_time(L, index, "obtained_at", &t->obtained_at) < 0 || read_time(L, index, "refresh_at", &t->refresh_at) < 0) return "token_malformed";
  t->expires = timed == 1;
  if (read_extra(L, index, t)) {
    *why = "extra holds what JSON cannot";
    return "token_malformed";
  }
  if (!t->access.data && !t->refresh.data) {
    *why = "the set holds neither an access token nor a refresh token";
    return "token_missing";
  }
  return NULL;
}
