/* SPDX-License-Identifier: MIT */
/* options_network.c - the options about the way to a server: endpoints, TLS, proxy, headers, origins. */
#include <string.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/message.h"
#include "bytes.h"
#include "options_reader.h"

enum { HEADERS_MAX = 32, HEADER_BYTES_MAX = 64 * 1024, ORIGINS_MAX = 32, PATH_MAX_BYTES = 4096, PROXY_WORD_MAX = 1024 };

/* A path, or a URL that is https or loopback. */
static bool endpoint_fine(lua_State *L, const char *p, size_t n) {
  struct ha_url u;
  const char *why;
  enum ha_status rc;
  bool fine;
  ha_url_init(&u);
  rc = n > 0 && p[0] == '/' ? ha_url_path(p, n, &why) : ha_url_parse(&u, p, n, &why);
  fine = rc == HA_OK && (p[0] == '/' || u.https || u.loopback);
  ha_url_free(&u);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return fine;
}

void lha_option_endpoints(const struct lha_reader *r) {
  static const char expected[] = "a table of operation names (and authorize) with a path or a whole https URL each";
  lua_State *L = r->L;
  lha_option_get(r, "endpoints");
  if (!lua_isnil(L, -1)) {
    int from = lua_gettop(L);
    if (lua_type(L, -1) != LUA_TTABLE) lha_option_bad(r, "endpoints", expected);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, from)) { /* copy, key, value */
      size_t n;
      int verb = 0;
      const char *key, *value;
      if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) lha_option_bad(r, "endpoints", expected);
      key = lua_tostring(L, -2);
      while (verb < LHA_OPERATIONS && (strcmp(lha_verb_names[verb], key) != 0 || !r->p->operations[verb])) verb++;
      if (verb == LHA_OPERATIONS && !(strcmp(key, "authorize") == 0 && r->p->authorize)) lha_option_unknown(r, "endpoints.", key);
      value = lua_tolstring(L, -1, &n);
      if (!endpoint_fine(L, value, n)) lha_option_bad(r, "endpoints", expected);
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, from + 1);
    }
    lua_setfield(L, r->owned, "endpoints");
  }
  lua_pop(L, 1);
}

void lha_option_tls(const struct lha_reader *r) {
  static const char *const KNOWN[] = {"ca_file", "ca_path", "cert_file", "key_file", "key_password", "min_version", NULL};
  lua_State *L = r->L;
  int i;
  lha_option_get(r, "tls");
  if (!lua_isnil(L, -1)) {
    int from = lua_gettop(L);
    if (lua_type(L, -1) != LUA_TTABLE) lha_option_bad(r, "tls", "a table");
    lha_option_only(r, from, "tls.", KNOWN);
    lua_newtable(L);
    for (i = 0; KNOWN[i]; i++) {
      size_t n;
      const char *p;
      lua_pushstring(L, KNOWN[i]);
      lua_rawget(L, from);
      if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        continue;
      }
      if (lua_type(L, -1) != LUA_TSTRING) lha_option_bad(r, "tls", "texts");
      p = lua_tolstring(L, -1, &n);
      if (n == 0 || n > PATH_MAX_BYTES || memchr(p, '\0', n)) lha_option_bad(r, "tls", "texts of 1 to 4096 bytes without NUL");
      if (strcmp(KNOWN[i], "min_version") == 0 && strcmp(p, "1.2") != 0 && strcmp(p, "1.3") != 0) lha_option_bad(r, "tls", "min_version \"1.2\" or \"1.3\"");
      if (strcmp(KNOWN[i], "key_password") == 0) {
        lha_must(L, ha_secret_set(&r->s->key_password, p, n));
        lua_pop(L, 1);
      } else {
        lua_setfield(L, from + 1, KNOWN[i]);
      }
    }
    lua_getfield(L, from + 1, "key_file");
    lua_getfield(L, from + 1, "cert_file");
    if (lua_isnil(L, -1) && !lua_isnil(L, -2)) lha_option_bad(r, "tls", "cert_file where there is a key_file");
    lua_pop(L, 2);
    lua_setfield(L, r->owned, "tls");
  }
  lua_pop(L, 1);
}

/* user[:password], percent-decoded: what a transport can make credentials of. */
static bool proxy_credentials_fine(lua_State *L, const char *p, size_t n) {
  const char *colon = memchr(p, ':', n);
  size_t user = colon ? (size_t)(colon - p) : n, i;
  struct ha_buf *plain = lha_bytes_new(L, PROXY_WORD_MAX);
  enum ha_status rc = user == 0 ? HA_BAD : ha_percent_decode(plain, p, user, false);
  bool fine = rc == HA_OK && !memchr(plain->data, ':', plain->len);
  size_t named = plain->len;
  if (fine && colon) {
    rc = ha_percent_decode(plain, colon + 1, n - user - 1, false);
    fine = rc == HA_OK;
  }
  for (i = 0; fine && i < plain->len; i++) fine = (unsigned char)plain->data[i] >= 0x20 && plain->data[i] != 0x7F;
  fine = fine && named > 0;
  ha_buf_free(plain);
  lua_pop(L, 1);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return fine;
}

/* http[s]://[user:password@]host:port with nothing behind it. */
static bool read_proxy(lua_State *L, const char *p, size_t n, bool *loopback) {
  const char *scheme = n > 8 && ha_same_word(p, 8, "https://", 8) ? "https://" : n > 7 && ha_same_word(p, 7, "http://", 7) ? "http://" : NULL;
  const char *at;
  size_t skip, i;
  struct ha_buf *bare;
  struct ha_url u;
  enum ha_status rc;
  bool fine;
  const char *why;
  if (!scheme || n > HA_URL_MAX) return false;
  for (i = 0; i < n; i++)
    if (p[i] <= 0x20 || p[i] > 0x7E || p[i] == '#' || p[i] == '?' || p[i] == '\\') return false;
  skip = strlen(scheme);
  at = memchr(p + skip, '@', n - skip);
  if (at && memchr(at + 1, '@', (size_t)(p + n - at - 1))) return false;
  if (at && (memchr(p + skip, '/', (size_t)(at - p) - skip) || !proxy_credentials_fine(L, p + skip, (size_t)(at - p) - skip))) return false;
  bare = lha_bytes_new(L, HA_URL_MAX + 16);
  lha_must(L, ha_buf_adds(bare, scheme));
  if (at) lha_must(L, ha_buf_add(bare, at + 1, (size_t)(p + n - at - 1)));
  else lha_must(L, ha_buf_add(bare, p + skip, n - skip));
  ha_url_init(&u);
  rc = ha_url_parse(&u, bare->data, bare->len, &why);
  fine = rc == HA_OK && u.path + 1 == u.text.len;
  *loopback = fine && u.loopback;
  ha_url_free(&u);
  ha_buf_free(bare);
  lua_pop(L, 1);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return fine;
}

bool lha_proxy_fine(lua_State *L, const char *p, size_t n) {
  bool loopback;
  return read_proxy(L, p, n, &loopback);
}

static bool is_http(lua_State *L, const char *p, size_t n) {
  struct ha_url u;
  const char *why;
  enum ha_status rc;
  bool http;
  ha_url_init(&u);
  rc = ha_url_parse(&u, p, n, &why);
  http = rc == HA_OK && !u.https;
  ha_url_free(&u);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return http;
}

/* http is for this machine, and so is what goes to it through a proxy. */
void lha_option_proxy_way(const struct lha_reader *r) {
  static const char expected[] = "a proxy on this machine where base_url or an endpoint is http";
  lua_State *L = r->L;
  const struct lha_session *s = r->s;
  bool loopback = false;
  if (!s->proxy.data || !read_proxy(L, s->proxy.data, s->proxy.len, &loopback) || loopback) return;
  if (is_http(L, s->base_url.data, s->base_url.len)) lha_option_bad(r, "proxy", expected);
  lua_getfield(L, r->owned, "endpoints");
  if (lua_type(L, -1) == LUA_TTABLE) {
    int from = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, from)) {
      size_t n;
      const char *p = lua_tolstring(L, -1, &n);
      if (is_http(L, p, n)) lha_option_bad(r, "proxy", expected);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static bool word_in(const char *const *list, const char *name, size_t n) {
  for (; *list; list++)
    if (ha_same_word(*list, strlen(*list), name, n)) return true;
  return false;
}

bool lha_header_reserved(const char *name, size_t n) {
  static const char *const RESERVED[] = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent", "x-request-id",
                                         "cookie", "expect", "te", "trailer", "upgrade", "keep-alive", "proxy-authorization",
                                         "proxy-connection", "http2-settings", "range", NULL};
  return word_in(RESERVED, name, n);
}

bool lha_header_is_ours(const struct lha_provider *p, const char *name, size_t n) {
  static const char *const OURS[] = {"content-type", "authorization", "accept", NULL};
  int i, verb;
  if (lha_header_reserved(name, n) || word_in(OURS, name, n)) return true;
  for (i = 0; i < p->headers.count; i++)
    if (ha_same_word(p->headers.list[i].name, p->headers.list[i].name_len, name, n)) return true;
  for (verb = 0; verb < LHA_OPERATIONS; verb++)
    for (i = 0; p->operations[verb] && i < p->operations[verb]->headers.count; i++) {
      const struct lha_field *f = &p->operations[verb]->headers.list[i];
      if (ha_same_word(f->name, f->name_len, name, n)) return true;
    }
  return false;
}

void lha_option_headers(const struct lha_reader *r) {
  static const char expected[] = "a table of up to 32 header names with a text each, none that healthauth sets itself, in all at most 64 KiB";
  lua_State *L = r->L;
  lha_option_get(r, "headers");
  if (!lua_isnil(L, -1)) {
    int from = lua_gettop(L), n = 0;
    size_t bytes = 0;
    if (lua_type(L, -1) != LUA_TTABLE) lha_option_bad(r, "headers", expected);
    r->s->headers = ha_alloc(sizeof *r->s->headers * HEADERS_MAX);
    if (!r->s->headers) luaL_error(L, "not enough memory");
    r->s->header_count = HEADERS_MAX;
    lua_pushnil(L);
    while (lua_next(L, from)) {
      size_t nlen, vlen;
      const char *name, *value;
      if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING || n == HEADERS_MAX) lha_option_bad(r, "headers", expected);
      name = lua_tolstring(L, -2, &nlen);
      value = lua_tolstring(L, -1, &vlen);
      if (!ha_is_field_name(name, nlen) || nlen > 128 || !ha_is_field_value(value, vlen) || vlen > LHA_CREDENTIAL_MAX) lha_option_bad(r, "headers", expected);
      bytes += nlen + vlen;
      if (bytes > HEADER_BYTES_MAX || lha_header_is_ours(r->p, name, nlen)) lha_option_bad(r, "headers", expected);
      lha_must(L, ha_secret_set(&r->s->headers[n].name, name, nlen));
      lha_must(L, ha_secret_set(&r->s->headers[n].value, value, vlen));
      n++;
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

void lha_option_origins(const struct lha_reader *r) {
  static const char expected[] = "a list of up to 32 origins such as https://api.example.org";
  lua_State *L = r->L;
  lha_option_get(r, "origins");
  if (!lua_isnil(L, -1)) {
    int from = lua_gettop(L), i, n, count = 0;
    if (lua_type(L, -1) != LUA_TTABLE) lha_option_bad(r, "origins", expected);
    n = (int)lua_rawlen(L, from);
    lua_pushnil(L);
    while (lua_next(L, from)) {
      count++;
      lua_pop(L, 1);
    }
    if (count != n || n > ORIGINS_MAX) lha_option_bad(r, "origins", expected);
    lua_createtable(L, n, 0);
    for (i = 1; i <= n; i++) {
      size_t len;
      const char *p, *why;
      struct ha_url u;
      enum ha_status rc;
      bool fine;
      lua_rawgeti(L, from, i);
      if (lua_type(L, -1) != LUA_TSTRING) lha_option_bad(r, "origins", expected);
      p = lua_tolstring(L, -1, &len);
      ha_url_init(&u);
      rc = ha_url_parse(&u, p, len, &why);
      fine = rc == HA_OK && (u.https || u.loopback) && u.path + 1 == u.text.len;
      ha_url_free(&u);
      if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
      if (!fine) lha_option_bad(r, "origins", expected);
      lua_rawseti(L, -2, i);
    }
    lua_setfield(L, r->owned, "origins");
  }
  lua_pop(L, 1);
}
