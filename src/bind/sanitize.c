/* SPDX-License-Identifier: MIT */
/* sanitize.c - a copy of a stranger's document in which no secret of the session or the exchange is left. */
#include <string.h>

#include "base/message.h"
#include "bytes.h"
#include "problem.h"

enum { CARRIED_MAX = LHA_HEADER_COUNT_MAX, CARRIED_MIN = 8 };

struct cleaner {
  lua_State *L;
  struct ha_secret carried[CARRIED_MAX]; /* the headers of a call, in the exchange's own buffer */
  size_t carried_count;
  const struct ha_secret *list[LHA_SECRETS_MAX];
  size_t count;
  struct ha_secret proxy_password; /* borrowed */
  struct ha_buf *out;
};

static void add(struct cleaner *c, const struct ha_secret *s) {
  if (s->data && s->len >= HA_REDACT_MIN && c->count < LHA_SECRETS_MAX) c->list[c->count++] = s;
}

/* The password inside http://user:password@host:port, which a proxy may echo by itself. */
static void add_proxy_password(struct cleaner *c, const struct ha_secret *proxy) {
  char *user = proxy->data ? strstr(proxy->data, "://") : NULL, *at, *colon;
  if (!user || (at = strchr(user, '@')) == NULL) return;
  user += 3;
  colon = memchr(user, ':', (size_t)(at - user));
  if (!colon) return;
  c->proxy_password.data = colon + 1;
  c->proxy_password.len = (size_t)(at - colon - 1);
  add(c, &c->proxy_password);
}

static bool is_plain(const char *name, size_t n) {
  static const char *const NAMES[] = {"accept", "content-type", "user-agent", "x-request-id", NULL};
  int i;
  for (i = 0; NAMES[i]; i++)
    if (ha_same_word(name, n, NAMES[i], strlen(NAMES[i]))) return true;
  return false;
}

/* A caller's headers of one call may hold keys as well; shorter values would be found by chance. */
static void collect_headers(struct cleaner *c, const struct ha_buf *headers) {
  const char *p = headers->data, *end = p ? p + headers->len : p;
  while (p < end && c->carried_count < CARRIED_MAX) {
    size_t n = strlen(p), size = strlen(p + n + 1);
    struct ha_secret *s = &c->carried[c->carried_count];
    if (size >= CARRIED_MIN && !is_plain(p, n)) {
      s->data = headers->data + (p - headers->data) + n + 1;
      s->len = size;
      add(c, s);
      c->carried_count++;
    }
    p += n + size + 2;
  }
}

static void collect(struct cleaner *c, const struct lha_exchange *x) {
  const struct lha_session *s = x->session;
  int i;
  for (i = 0; i < x->argument_count; i++)
    if (strcmp(x->arguments[i].name, "redirect_uri") != 0 && strcmp(x->arguments[i].name, "scope") != 0) add(c, &x->arguments[i].value);
  for (i = 0; s->options && i < s->option_count; i++)
    if (s->provider->options[i].secret) {
      add(c, &s->options[i]);
      if (x->credentials && i < x->credential_count) add(c, &x->credentials[i]);
    }
  add(c, &x->verifier);
  add(c, &x->basic);
  add(c, &s->tokens.access);
  add(c, &s->tokens.refresh);
  add(c, &x->fresh.access);
  add(c, &x->fresh.refresh);
  add(c, &s->proxy);
  add_proxy_password(c, &s->proxy);
  add(c, &s->key_password);
  for (i = 0; s->headers && i < s->header_count; i++) add(c, &s->headers[i].value);
  if (x->verb == LHA_CALL) collect_headers(c, &x->headers);
}

static void copy_text(struct cleaner *c, int index) {
  size_t n;
  const char *p = lua_tolstring(c->L, index, &n);
  ha_buf_clear(c->out);
  c->out->max = 4 * n + 64; /* a secret of four bytes becomes eight */
  lha_must(c->L, ha_redact(c->out, p, n, c->list, c->count));
  lua_pushlstring(c->L, c->out->data ? c->out->data : "", c->out->len);
}

static bool masked_name(const char *name, int depth, bool in_data) {
  static const char *const NAMES[] = {"access_token", "refresh_token", "id_token", "token", "client_secret", NULL};
  int i;
  for (i = 0; NAMES[i]; i++)
    if (strcmp(NAMES[i], name) == 0) return true;
  return in_data && depth == 1 && strcmp(name, "value") == 0;
}

static void copy(struct cleaner *c, int index, int depth, bool in_data) {
  lua_State *L = c->L;
  int to;
  luaL_checkstack(L, 10, "no stack");
  if (lua_type(L, index) == LUA_TSTRING) {
    copy_text(c, index);
    return;
  }
  if (lua_type(L, index) != LUA_TTABLE) {
    lua_pushvalue(L, index);
    return;
  }
  lua_newtable(L);
  to = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) { /* to, key, value */
    int value = lua_gettop(L);
    if (lua_type(L, value - 1) == LUA_TSTRING) {
      const char *name = lua_tostring(L, value - 1);
      copy_text(c, value - 1); /* the new key */
      if (lua_type(L, value) == LUA_TSTRING && masked_name(name, depth, in_data)) lua_pushliteral(L, "[secret]");
      else copy(c, value, depth + 1, depth == 0 && strcmp(name, "data") == 0);
    } else {
      lua_pushvalue(L, value - 1);
      copy(c, value, depth + 1, false);
    }
    lua_rawset(L, to);
    lua_pop(L, 1);
  }
}

void lha_sanitize_push(lua_State *L, struct lha_exchange *x, int index) {
  struct cleaner c;
  index = lha_absindex(L, index);
  c.L = L;
  c.count = c.carried_count = 0;
  collect(&c, x);
  luaL_checkstack(L, 10, "no stack");
  c.out = lha_bytes_new(L, 64);
  copy(&c, index, 0, false);
  ha_buf_free(c.out);
  lua_remove(L, -2);
}
