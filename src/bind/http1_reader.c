/* SPDX-License-Identifier: MIT */
#include "http1_reader.h"

#include <string.h>

#include "base/http1.h"
#include "class.h"

static const char TYPE[] = "healthauth.http1";

enum { BODY_LIMIT = 1024 * 1024, HEADER_LIMIT = 64 * 1024, BODY_LIMIT_MAX = 1024 * 1024 * 1024, HEADER_LIMIT_MAX = 256 * 1024 };

struct reader {
  bool live;    /* false: closed, or not made to its end */
  bool copying; /* the response is becoming Lua's: a finaliser that closes the reader meanwhile takes nothing away */
  struct ha_http1 http1;
};

/* What each fault is called in docs/errors.md. */
static const struct verdict {
  const char *kind, *code, *message;
} verdicts[] = {
  {"network", "transport_failed", "the reader failed without a reason"},
  {"protocol", "header_malformed", "the response's head breaks the grammar of HTTP/1.1"},
  {"protocol", "content_encoding", "the response has a content coding that was not asked for"},
  {"protocol", "chunk_malformed", "the response's chunks break the grammar of HTTP/1.1"},
  {"protocol", "interim_refused", "too many interim responses, or a switch of protocol"},
  {"too_large", "headers_too_large", "the response's headers are larger than the limit"},
  {"too_large", "body_too_large", "the response's body is larger than the limit"},
  {"network", "body_truncated", "the connection ended inside the response"},
  {"network", "out_of_memory", "there was no memory for the response"},
};

static struct reader *live(lua_State *L) {
  struct reader *r = lha_class_check(L, 1, TYPE);
  if (!r->live) luaL_argerror(L, 1, "the reader is closed");
  return r;
}

/* "more" | "done" | nil, code, kind, message */
static int push_status(lua_State *L, const struct reader *r, enum ha_status rc) {
  const struct verdict *v;
  if (rc == HA_OK || rc == HA_MORE) {
    lua_pushstring(L, rc == HA_OK ? "done" : "more");
    return 1;
  }
  v = &verdicts[r->http1.fault <= HA_HTTP1_NO_MEMORY ? r->http1.fault : HA_HTTP1_FINE];
  lua_pushnil(L);
  lua_pushstring(L, v->code);
  lua_pushstring(L, v->kind);
  lua_pushstring(L, v->message);
  return 4;
}

static int reader_feed(lua_State *L) {
  struct reader *r = live(L);
  size_t n, used;
  const char *p = luaL_checklstring(L, 2, &n);
  enum ha_status rc;
  if (ha_http1_complete(&r->http1)) {
    if (n > 0) r->http1.extra = true;
    return push_status(L, r, HA_OK);
  }
  rc = ha_http1_feed(&r->http1, p, n, &used);
  return push_status(L, r, rc);
}

static int reader_eof(lua_State *L) {
  struct reader *r = live(L);
  return push_status(L, r, ha_http1_end(&r->http1));
}

static int reader_started(lua_State *L) {
  lua_pushboolean(L, ha_http1_started(&live(L)->http1));
  return 1;
}

/* A whole first line was read: what is cut behind it is a response that was cut. */
static int reader_headed(lua_State *L) {
  lua_pushboolean(L, live(L)->http1.head.bytes > 0);
  return 1;
}

/* Bytes came behind the response's end. */
static int reader_extra(lua_State *L) {
  lua_pushboolean(L, live(L)->http1.extra);
  return 1;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool same_word(const char *p, size_t n, const char *word) {
  size_t i;
  if (n != strlen(word)) return false;
  for (i = 0; i < n; i++)
    if (lower(p[i]) != word[i]) return false;
  return true;
}

/* Whether a comma-separated list holds a word. */
static bool lists(const char *p, size_t n, const char *word) {
  size_t from = 0, i;
  for (i = 0; i <= n; i++) {
    size_t a = from, b = i;
    if (i < n && p[i] != ',') continue;
    while (a < b && (p[a] == ' ' || p[a] == '\t')) a++;
    while (b > a && (p[b - 1] == ' ' || p[b - 1] == '\t')) b--;
    if (same_word(p + a, b - a, word)) return true;
    from = i + 1;
  }
  return false;
}

/* Whether the connection may carry another request: a whole HTTP/1.1 response, framed by itself, nothing behind it, no wish to close. */
static int reader_reusable(lua_State *L) {
  const struct ha_http1 *h = &live(L)->http1;
  bool yes = ha_http1_complete(h) && !h->extra && !h->head.old && !ha_http1_close_delimited(h);
  size_t i;
  for (i = 0; yes && i < h->head.count; i++) {
    size_t nlen, vlen;
    const char *name = ha_http1_name(h, i, &nlen), *value = ha_http1_value(h, i, &vlen);
    if (same_word(name, nlen, "connection") && lists(value, vlen, "close")) yes = false;
  }
  lua_pushboolean(L, yes);
  return 1;
}

/* {status, headers = {{name, value}, ...}, body [, close_delimited = true]} of a complete response. */
static int reader_response(lua_State *L) {
  struct reader *r = live(L);
  const struct ha_http1 *h = &r->http1;
  const char *p;
  size_t i, n;
  if (!ha_http1_complete(h)) return luaL_error(L, "the response is not complete");
  r->copying = true;
  lua_settop(L, 1);
  lua_createtable(L, 0, 4); /* 2 */
  lha_pushnumber(L, h->head.status);
  lua_setfield(L, 2, "status");
  lua_pushlstring(L, h->body.len ? h->body.data : "", h->body.len);
  lua_setfield(L, 2, "body");
  if (ha_http1_close_delimited(h)) {
    lua_pushboolean(L, 1);
    lua_setfield(L, 2, "close_delimited");
  }
  lua_createtable(L, (int)h->head.count, 0); /* 3 */
  for (i = 0; i < h->head.count; i++) {
    lua_createtable(L, 2, 0); /* 4 */
    p = ha_http1_name(h, i, &n);
    lua_pushlstring(L, p, n);
    lua_rawseti(L, 4, 1);
    p = ha_http1_value(h, i, &n);
    lua_pushlstring(L, p, n);
    lua_rawseti(L, 4, 2);
    lua_rawseti(L, 3, (int)i + 1);
  }
  lua_setfield(L, 2, "headers");
  r->copying = false;
  if (!r->live) ha_http1_free(&r->http1);
  return 1;
}

static int reader_close(lua_State *L) {
  struct reader *r = lha_class_check(L, 1, TYPE);
  if (r->live && !r->copying) ha_http1_free(&r->http1);
  r->live = false;
  return 0;
}

static int reader_gc(lua_State *L) {
  struct reader *r = lha_class_test(L, 1, TYPE);
  if (r) ha_http1_free(&r->http1);
  return 0;
}

static size_t limit(lua_State *L, const char *name, double otherwise, double most) {
  double value = otherwise;
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "http1_reader: %s: expected a number", name);
    value = lua_tonumber(L, -1);
    if (!(value >= 1 && value <= most)) luaL_error(L, "http1_reader: %s: out of range", name);
  }
  lua_pop(L, 1);
  return (size_t)value;
}

int lha_http1_reader_function(lua_State *L) {
  struct reader *r;
  size_t body, headers;
  bool head;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  body = limit(L, "body_limit", BODY_LIMIT, BODY_LIMIT_MAX);
  headers = limit(L, "header_limit", HEADER_LIMIT, HEADER_LIMIT_MAX);
  lua_pushliteral(L, "method");
  lua_rawget(L, 1);
  if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "http1_reader: method: expected a string");
  head = strcmp(lua_tostring(L, -1), "HEAD") == 0;
  r = lha_class_make(L, sizeof *r, TYPE);
  ha_http1_init(&r->http1, headers, body, head);
  r->live = true;
  return 1;
}

void lha_http1_reader_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", reader_gc}, {"__close", reader_close}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"feed", reader_feed},         {"eof", reader_eof},           {"started", reader_started},  {"extra", reader_extra},       {"headed", reader_headed},
                                     {"reusable", reader_reusable}, {"response", reader_response}, {"close", reader_close},
                                     {NULL, NULL}};
  lha_class_new(L, TYPE, meta, methods);
  lua_pop(L, 1);
}
