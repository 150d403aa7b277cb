/* SPDX-License-Identifier: MIT */
/* call.c - the request of call{}: a URL of an origin that may get the token, the caller's headers and body, the bearer. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "options.h"
#include "request.h"

/* No metamethod of the caller's runs in here. */
static void rawfield(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

/* Whether text names the origin of u; HA_NOMEM when nobody can say. */
static enum ha_status compare(const struct ha_url *u, const char *text, size_t n, bool *same) {
  struct ha_url other;
  const char *why;
  enum ha_status rc;
  ha_url_init(&other);
  rc = ha_url_parse(&other, text, n, &why);
  *same = rc == HA_OK && ha_url_same_origin(u, &other);
  ha_url_free(&other);
  return rc == HA_NOMEM ? rc : HA_OK;
}

/* Whether u may get the token. origins: index of the option of that name, a table or nil. Raises nothing. */
static enum ha_status listed(lua_State *L, const struct lha_exchange *x, const struct ha_url *u, const struct ha_url *base, int origins, bool *found) {
  const struct lha_provider *p = x->session->provider;
  enum ha_status rc = HA_OK;
  int i, n = lua_type(L, origins) == LUA_TTABLE ? (int)lua_rawlen(L, origins) : 0;
  *found = ha_url_same_origin(u, base);
  for (i = 0; i < p->origin_count && !*found && rc == HA_OK; i++) rc = compare(u, p->origins[i], strlen(p->origins[i]), found);
  for (i = 1; i <= n && !*found && rc == HA_OK; i++) {
    size_t len;
    const char *text;
    lua_rawgeti(L, origins, i);
    text = lua_tolstring(L, -1, &len); /* a string: options_network.c took no other */
    rc = compare(u, text, len, found);
    lua_pop(L, 1);
  }
  return rc;
}

static const char *call_url(lua_State *L, struct lha_exchange *x, int args, const char **why) {
  struct ha_url base, u;
  enum ha_status rc;
  const char *code = NULL, *text;
  bool found = false;
  size_t n;
  rawfield(L, args, "url");
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s call: url: expected a text", x->session->provider->name);
  text = lua_tolstring(L, -1, &n);
  lha_getowned(L, 1);
  lua_getfield(L, -1, "origins"); /* may raise: before there is anything to lose */
  ha_url_init(&base);
  ha_url_init(&u);
  rc = lha_session_base(x->session, &base);
  if (rc == HA_OK) rc = n && text[0] == '/' && !(n > 1 && text[1] == '/') ? ha_url_join(&u, &base, text, n, why) : ha_url_parse(&u, text, n, why);
  if (rc != HA_OK) code = "url_malformed";
  else rc = listed(L, x, &u, &base, lua_gettop(L), &found);
  if (rc == HA_OK && (!found || !(u.https || u.loopback))) {
    *why = "the URL's origin is not one that may get the token";
    code = "origin_refused";
  } else if (rc == HA_OK) {
    rc = ha_buf_add(&x->url, u.text.data, u.text.len);
  }
  ha_url_free(&base);
  ha_url_free(&u);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  lua_pop(L, 3);
  return code;
}

/* What we set in our own operations and a call leaves to the caller, unless the declaration has it on every request. */
static bool callers_own(const struct lha_exchange *x, const char *name, size_t n) {
  return (ha_same_word(name, n, "accept", 6) || ha_same_word(name, n, "content-type", 12)) && !lha_header_declared(&x->session->provider->headers, name);
}

static void call_headers(lua_State *L, struct lha_exchange *x, int args) {
  const char *provider = x->session->provider->name;
  rawfield(L, args, "headers");
  if (lua_type(L, -1) == LUA_TTABLE) {
    int from = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, from)) {
      size_t nlen, vlen;
      const char *name, *value;
      if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s call: headers: expected names with a text each", provider);
      name = lua_tolstring(L, -2, &nlen);
      value = lua_tolstring(L, -1, &vlen);
      if (!ha_is_field_name(name, nlen) || !ha_is_field_value(value, vlen)) luaL_error(L, "%s call: headers: expected names and values without control characters", provider);
      if (lha_header_is_ours(x->session->provider, name, nlen) && !callers_own(x, name, nlen))
        luaL_error(L, "%s call: headers: one of them is set by healthauth itself", provider);
      lha_must(L, lha_header_add(x, name, nlen, "", value, vlen));
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "%s call: headers: expected a table", provider);
  }
  lua_pop(L, 1);
}

/* What the transports send. */
static const char *const METHODS[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL};

const char *lha_call_build(lua_State *L, struct lha_exchange *x, int args, const char **why) {
  const char *provider = x->session->provider->name, *code;
  size_t n = 0, i;
  bool reads;
  rawfield(L, args, "method");
  if (lua_isnil(L, -1)) {
    (void)snprintf(x->call_method, sizeof x->call_method, "GET");
  } else {
    const char *m = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
    for (i = 0; METHODS[i] && strcmp(METHODS[i], m) != 0; i++) continue;
    if (!METHODS[i] || strlen(m) != n) luaL_error(L, "%s call: method: expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", provider);
    (void)snprintf(x->call_method, sizeof x->call_method, "%s", m);
  }
  x->method = x->call_method;
  reads = strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
  rawfield(L, args, "timeout");
  if (!lua_isnil(L, -1)) {
    x->timeout = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(x->timeout > 0 && x->timeout <= 86400)) luaL_error(L, "%s call: timeout: expected seconds above 0", provider);
  }
  lua_pop(L, 2);
  rawfield(L, args, "body");
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *body = lua_tolstring(L, -1, &n);
    if (reads) luaL_error(L, "%s call: body: GET and HEAD have none", provider);
    x->has_body = true;
    x->body.max = LHA_CALL_BODY_MAX;
    code = lha_grown(L, ha_buf_add(&x->body, body, n), why);
    if (code) return code;
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "%s call: body: expected a text", provider);
  }
  lua_pop(L, 1);
  call_headers(L, x, args);
  code = call_url(L, x, args, why);
  if (!code) code = lha_declared_headers(L, x, &x->session->provider->headers, why);
  if (!code) code = lha_bearer_header(L, x, why); /* last: what the caller said is judged with or without a token */
  return code;
}
