/* SPDX-License-Identifier: MIT */
/* healthauth.curl: the curl transport for Lua. Of an exchange, all is copied into one userdata before libcurl runs and read from it
 * after; no Lua code runs in between, and the request is read with raw accesses only, so none runs while it is read either. */
#include <string.h>

#include "class.h"
#include "sys/curl.h"

#define TRANSPORT "healthauth.curl"
#define EXCHANGE "healthauth.curl_exchange"

static const double TIMEOUT = 15, CONNECT_TIMEOUT = 5, TIMEOUT_MAX = 86400;
enum { BODY_LIMIT = 1024 * 1024, HEADER_LIMIT = 64 * 1024, BODY_LIMIT_MAX = 1024 * 1024 * 1024, HEADER_LIMIT_MAX = 256 * 1024 };

struct transport {
  struct ha_curl curl;
  bool closed;
};

struct exchange {
  bool live;
  struct ha_curl_request request;
  struct ha_http1 answer;
};

/* ---- reading the request ---- */

enum { REQUEST = 2 }; /* its place on the stack */

static int refuse(lua_State *L, const char *what, const char *why) { return luaL_error(L, "bad request (%s: %s)", what, why); }

/* why by its address: it is set by the call that gives rc. */
static void must(lua_State *L, enum ha_status rc, const char *what, const char *const *why) {
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  if (rc != HA_OK) refuse(L, what, *why ? *why : "cannot be used");
}

static int field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
  return lua_type(L, -1);
}

/* The string stays on the stack, so that Lua keeps it; NULL when it is absent. Numbers are no strings here. */
static const char *text_field(lua_State *L, int table, const char *name, size_t *len) {
  int type = field(L, table, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING) refuse(L, name, "expected a string");
  return lua_tolstring(L, -1, len);
}

static double number_field(lua_State *L, int table, const char *name, double otherwise, double most) {
  int type = field(L, table, name);
  double value = otherwise;
  if (type != LUA_TNIL) {
    if (type != LUA_TNUMBER) refuse(L, name, "expected a number");
    value = lua_tonumber(L, -1);
    if (!(value > 0 && value <= most)) refuse(L, name, "out of range");
  }
  lua_pop(L, 1);
  return value;
}

static void secret_field(lua_State *L, int table, const char *name, struct ha_secret *to) {
  size_t len = 0;
  const char *p = text_field(L, table, name, &len);
  if (p) {
    if (len == 0 || memchr(p, '\0', len)) refuse(L, name, "expected a string without NUL that is not empty");
    if (ha_secret_set(to, p, len) != HA_OK) luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
}

static void read_headers(lua_State *L, struct ha_curl_request *q) {
  int type = field(L, REQUEST, "headers"), list = lua_gettop(L);
  size_t i, count;
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (type != LUA_TTABLE) refuse(L, "headers", "expected a list of {name, value}");
  count = lua_rawlen(L, list);
  if (count > HA_CURL_HEADERS) refuse(L, "headers", "too many");
  for (i = 1; i <= count; i++) {
    const char *name, *value, *why = NULL;
    size_t nlen, vlen;
    lua_rawgeti(L, list, (int)i);
    if (lua_type(L, -1) != LUA_TTABLE) refuse(L, "headers", "expected a list of {name, value}");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2); /* list, pair, name, value */
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) refuse(L, "headers", "name and value must be strings");
    name = lua_tolstring(L, -2, &nlen);
    value = lua_tolstring(L, -1, &vlen);
    must(L, ha_curl_request_header(q, name, nlen, value, vlen, &why), "headers", &why);
    lua_settop(L, list);
  }
  lua_pop(L, 1);
}

static void read_limits(lua_State *L, struct ha_curl_request *q) {
  int type = field(L, REQUEST, "limits"), limits = lua_gettop(L);
  if (type != LUA_TNIL && type != LUA_TTABLE) refuse(L, "limits", "expected a table");
  if (type == LUA_TTABLE) {
    q->max_body = (size_t)number_field(L, limits, "body", BODY_LIMIT, BODY_LIMIT_MAX);
    q->max_headers = (size_t)number_field(L, limits, "headers", HEADER_LIMIT, HEADER_LIMIT_MAX);
  }
  lua_pop(L, 1);
}

/* A member that nobody knows could be a misspelt one that was to make things safer. */
static void only_known(lua_State *L, int table) {
  static const char *const known[] = {"ca_file", "ca_path", "cert_file", "key_file", "key_password", "min_version"};
  lua_pushnil(L);
  while (lua_next(L, table)) {
    size_t i;
    bool found = false;
    for (i = 0; i < sizeof known / sizeof *known && lua_type(L, -2) == LUA_TSTRING; i++)
      if (strcmp(lua_tostring(L, -2), known[i]) == 0) found = true;
    if (!found && lua_type(L, -2) == LUA_TSTRING) refuse(L, "tls", lua_pushfstring(L, "unknown member '%s'", lua_tostring(L, -2)));
    if (!found) refuse(L, "tls", "unknown member");
    lua_pop(L, 1);
  }
}

static void read_tls(lua_State *L, struct ha_curl_request *q) {
  int type = field(L, REQUEST, "tls"), tls = lua_gettop(L);
  if (type != LUA_TNIL && type != LUA_TTABLE) refuse(L, "tls", "expected a table");
  if (type == LUA_TTABLE) {
    const char *version;
    only_known(L, tls);
    secret_field(L, tls, "ca_file", &q->ca_file);
    secret_field(L, tls, "ca_path", &q->ca_path);
    secret_field(L, tls, "cert_file", &q->cert_file);
    secret_field(L, tls, "key_file", &q->key_file);
    secret_field(L, tls, "key_password", &q->key_password);
    version = text_field(L, tls, "min_version", NULL);
    if (version && strcmp(version, "1.3") == 0) q->tls13 = true;
    else if (version && strcmp(version, "1.2") != 0) refuse(L, "min_version", "expected \"1.2\" or \"1.3\"");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void read_request(lua_State *L, struct ha_curl_request *q) {
  const char *p, *why = NULL;
  size_t n = 0;
  p = text_field(L, REQUEST, "method", &n);
  if (!p) refuse(L, "method", "is missing");
  must(L, ha_curl_request_method(q, p, n, &why), "method", &why);
  lua_pop(L, 1);
  p = text_field(L, REQUEST, "url", &n);
  if (!p) refuse(L, "url", "is missing");
  must(L, ha_curl_request_url(q, p, n, &why), "url", &why);
  lua_pop(L, 1);
  p = text_field(L, REQUEST, "body", &n);
  if (p) must(L, ha_curl_request_body(q, p, n, &why), "body", &why);
  lua_pop(L, 1);
  p = text_field(L, REQUEST, "proxy", &n);
  if (p) must(L, ha_curl_request_proxy(q, p, n, &why), "proxy", &why);
  lua_pop(L, 1);
  q->timeout = number_field(L, REQUEST, "timeout", TIMEOUT, TIMEOUT_MAX);
  q->connect_timeout = number_field(L, REQUEST, "connect_timeout", CONNECT_TIMEOUT, TIMEOUT_MAX);
  read_limits(L, q);
  read_headers(L, q);
  read_tls(L, q);
  must(L, ha_curl_request_check(q, &why), "request", &why);
}

/* ---- the exchange ---- */

static struct exchange *new_exchange(lua_State *L) {
  struct exchange *x = lha_class_make(L, sizeof *x, EXCHANGE);
  ha_curl_request_init(&x->request);
  x->request.max_body = BODY_LIMIT;
  x->request.max_headers = HEADER_LIMIT;
  ha_http1_init(&x->answer, 0, 0, false);
  x->live = true;
  return x;
}

static void free_exchange(struct exchange *x) {
  if (!x->live) return;
  ha_curl_request_free(&x->request);
  ha_http1_free(&x->answer);
}

static int exchange_gc(lua_State *L) {
  free_exchange(lha_class_check(L, 1, EXCHANGE));
  return 0;
}

static void push_response(lua_State *L, const struct ha_http1 *a) {
  size_t i, n;
  const char *p;
  lua_createtable(L, 0, 4);
  lha_pushnumber(L, a->head.status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, a->body.len ? a->body.data : "", a->body.len);
  lua_setfield(L, -2, "body");
  if (ha_http1_close_delimited(a)) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "close_delimited");
  }
  lua_createtable(L, (int)a->head.count, 0); /* response, headers */
  for (i = 0; i < a->head.count; i++) {
    lua_createtable(L, 2, 0); /* response, headers, pair */
    p = ha_http1_name(a, i, &n);
    lua_pushlstring(L, p, n);
    lua_rawseti(L, -2, 1);
    p = ha_http1_value(a, i, &n);
    lua_pushlstring(L, p, n);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "headers");
}

static void set_word(lua_State *L, const char *name, const char *word) {
  lua_pushstring(L, word);
  lua_setfield(L, -2, name);
}

static int push_failure(lua_State *L, const struct ha_curl_failure *f) {
  lua_pushnil(L);
  lua_createtable(L, 0, 4);
  set_word(L, "kind", f->kind);
  set_word(L, "code", f->code);
  set_word(L, "outcome", f->outcome);
  if (f->number) lua_pushfstring(L, "%s (libcurl %d)", f->message, f->number);
  else lua_pushstring(L, f->message);
  lua_setfield(L, -2, "message");
  return 2;
}

/* ---- the transport ---- */

static struct transport *open_transport(lua_State *L) {
  struct transport *t = lha_class_check(L, 1, TRANSPORT);
  if (t->closed) luaL_argerror(L, 1, "the transport is closed");
  return t;
}

static int transport_perform(lua_State *L) {
  struct transport *t;
  struct ha_curl_failure failure;
  struct exchange *x;
  bool whole;
  (void)open_transport(L);
  luaL_checktype(L, REQUEST, LUA_TTABLE);
  lua_settop(L, REQUEST);
  x = new_exchange(L); /* transport, request, exchange */
  read_request(L, &x->request);
  t = open_transport(L); /* a finaliser may have closed it while the request was read */
  ha_http1_init(&x->answer, x->request.max_headers, x->request.max_body, strcmp(x->request.method, "HEAD") == 0);
  whole = ha_curl_perform(&t->curl, &x->request, &x->answer, &failure);
  ha_curl_request_free(&x->request);
  if (!whole) {
    free_exchange(x);
    return push_failure(L, &failure);
  }
  push_response(L, &x->answer);
  free_exchange(x);
  return 1;
}

static int transport_close(lua_State *L) {
  struct transport *t = lha_class_check(L, 1, TRANSPORT);
  t->closed = true;
  ha_curl_close(&t->curl);
  return 0;
}

static int transport_tostring(lua_State *L) {
  const struct transport *t = lha_class_check(L, 1, TRANSPORT);
  lua_pushstring(L, t->closed ? TRANSPORT " (closed)" : TRANSPORT);
  return 1;
}

static int new_transport(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushnil(L);
    if (lua_next(L, 1)) luaL_argerror(L, 1, "no options are known");
  }
  (void)lha_class_make(L, sizeof(struct transport), TRANSPORT);
  return 1;
}

static const luaL_Reg transport_meta[] = {
  {"__gc", transport_close}, {"__close", transport_close}, {"__tostring", transport_tostring}, {NULL, NULL}};
static const luaL_Reg transport_methods[] = {{"perform", transport_perform}, {"close", transport_close}, {NULL, NULL}};
static const luaL_Reg exchange_meta[] = {{"__gc", exchange_gc}, {NULL, NULL}};
static const luaL_Reg no_methods[] = {{NULL, NULL}};
static const luaL_Reg functions[] = {{"new", new_transport}, {NULL, NULL}};

LHA_EXPORT int luaopen_healthauth_curl(lua_State *L);

int luaopen_healthauth_curl(lua_State *L) {
  lha_class_new(L, EXCHANGE, exchange_meta, no_methods);
  lha_class_new(L, TRANSPORT, transport_meta, transport_methods);
  lua_settop(L, 0);
  lua_newtable(L);
  lha_setfuncs(L, functions);
  lua_pushstring(L, ha_curl_version());
  lua_setfield(L, -2, "version");
  return 1;
}
