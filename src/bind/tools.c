/* SPDX-License-Identifier: MIT */
#include "tools.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/message.h"
#include "base/query.h"
#include "base/secret.h"
#include "base/url.h"
#include "bytes.h"
#include "sys/clock.h"
#include "sys/crypto.h"
#include "sys/private_file.h"

enum { RANDOM_MAX = 1024, PREFIX_MAX = 1024, TOKEN_MAX = 4096, TEXT_MAX = 64 * 1024 * 1024 };

static int sha256(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n);
  unsigned char out[HA_SHA256_SIZE];
  if (!ha_sha256(p, n, out)) return luaL_error(L, "SHA-256 failed");
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

/* The SHA-256 of prefix and token, 32 raw bytes; nil where the token is none. One call, since a guard makes it for every request. */
static int token_key(lua_State *L) {
  size_t plen, n;
  const char *prefix = luaL_checklstring(L, 1, &plen), *token = luaL_checklstring(L, 2, &n);
  char text[PREFIX_MAX + TOKEN_MAX];
  unsigned char out[HA_SHA256_SIZE];
  bool fine;
  luaL_argcheck(L, plen <= PREFIX_MAX, 1, "too long");
  if (n > TOKEN_MAX || !ha_is_token(token, n)) return 0;
  memcpy(text, prefix, plen);
  memcpy(text + plen, token, n);
  fine = ha_sha256(text, plen + n, out);
  ha_wipe(text, plen + n);
  if (!fine) return luaL_error(L, "SHA-256 failed");
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

static int hmac_sha256(lua_State *L) {
  size_t klen, n;
  const char *key = luaL_checklstring(L, 1, &klen), *p = luaL_checklstring(L, 2, &n);
  unsigned char out[HA_SHA256_SIZE];
  if (!ha_hmac_sha256(key, klen, p, n, out)) return luaL_error(L, "HMAC failed");
  lua_pushlstring(L, (const char *)out, sizeof out);
  ha_wipe(out, sizeof out); /* may be a key */
  return 1;
}

/* random(count) -> bytes | nil when the system gives none */
static int random_bytes(lua_State *L) {
  double n = luaL_checknumber(L, 1);
  unsigned char out[RANDOM_MAX];
  luaL_argcheck(L, n >= 1 && n <= RANDOM_MAX, 1, "1 to 1024 bytes expected");
  if (ha_random(out, (size_t)n)) lua_pushlstring(L, (const char *)out, (size_t)n);
  else lua_pushnil(L);
  ha_wipe(out, sizeof out);
  return 1;
}

/* One text through an encoder of ring 0. */
static int coded(lua_State *L, enum ha_status (*encode)(struct ha_buf *, const void *, size_t)) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n);
  struct ha_buf *out = lha_bytes_new(L, TEXT_MAX);
  lha_must(L, encode(out, p, n));
  lua_pushlstring(L, out->data ? out->data : "", out->len);
  ha_buf_free(out);
  return 1;
}

static int hex(lua_State *L) { return coded(L, ha_hex_encode); }
static int base64(lua_State *L) { return coded(L, ha_base64_encode); }
static int base64url(lua_State *L) { return coded(L, ha_base64url_encode); }
static int percent_encode(lua_State *L) { return coded(L, ha_percent_encode); }

static int decoded(lua_State *L, enum ha_status rc, struct ha_buf *out) {
  if (rc == HA_BAD) lua_pushnil(L);
  else lha_must(L, rc);
  if (rc == HA_OK) lua_pushlstring(L, out->data ? out->data : "", out->len);
  ha_buf_free(out);
  return 1;
}

static int base64url_decode(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n);
  struct ha_buf *out = lha_bytes_new(L, TEXT_MAX);
  return decoded(L, ha_base64url_decode(out, p, n), out);
}

static int percent_decode(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n);
  bool plus = lua_toboolean(L, 2) != 0;
  struct ha_buf *out = lha_bytes_new(L, TEXT_MAX);
  return decoded(L, ha_percent_decode(out, p, n, plus), out);
}

static void form_add(lua_State *L, struct ha_buf *out, int name, int value) {
  size_t nlen, vlen;
  const char *n = luaL_checklstring(L, name, &nlen), *v;
  v = luaL_checklstring(L, value, &vlen);
  lha_must(L, ha_form_add(out, n, nlen, v, vlen));
}

/* form_encode{{name, value}, ...} keeps the order; form_encode{name = value} has the table's. */
static int form_encode(lua_State *L) {
  struct ha_buf *out;
  int i, n;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  out = lha_bytes_new(L, TEXT_MAX); /* 2 */
  n = (int)lua_rawlen(L, 1);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_rawgeti(L, 3, 1);
    lua_rawgeti(L, 3, 2);
    form_add(L, out, 4, 5);
    lua_settop(L, 2);
  }
  lua_pushnil(L);
  while (n == 0 && lua_next(L, 1)) {
    lua_pushvalue(L, -2);
    form_add(L, out, lua_gettop(L), lua_gettop(L) - 1);
    lua_pop(L, 2);
  }
  lua_pushlstring(L, out->data ? out->data : "", out->len);
  ha_buf_free(out);
  return 1;
}

/* form_decode(text) -> {name = value} | nil when it cannot be read or a name comes twice. */
static int form_decode(lua_State *L) {
  size_t n, start = 0, i;
  const char *p = luaL_checklstring(L, 1, &n);
  struct ha_buf *name, *value;
  lua_settop(L, 1);
  name = lha_bytes_new(L, TEXT_MAX);
  value = lha_bytes_new(L, TEXT_MAX);
  lua_newtable(L); /* 4 */
  for (i = 0; i <= n; i++) {
    const char *equals;
    enum ha_status rc;
    size_t nlen;
    if (i < n && p[i] != '&') continue;
    if (i > start) {
      equals = memchr(p + start, '=', i - start);
      nlen = equals ? (size_t)(equals - p) - start : i - start;
      ha_buf_clear(name);
      ha_buf_clear(value);
      rc = ha_percent_decode(name, p + start, nlen, true);
      if (rc == HA_OK && equals) rc = ha_percent_decode(value, equals + 1, i - start - nlen - 1, true);
      if (rc != HA_BAD) lha_must(L, rc);
      if (rc == HA_BAD) {
        lua_pushnil(L);
        return 1;
      }
      lua_pushlstring(L, name->data ? name->data : "", name->len);
      lua_pushvalue(L, -1);
      lua_rawget(L, 4);
      if (!lua_isnil(L, -1)) {
        lua_pushnil(L);
        return 1;
      }
      lua_pop(L, 1);
      lua_pushlstring(L, value->data ? value->data : "", value->len);
      lua_rawset(L, 4);
    }
    start = i + 1;
  }
  return 1;
}

static const unsigned char *check_key(lua_State *L) {
  size_t n;
  const char *key = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n == HA_AEAD_KEY, 1, "a key of 32 bytes expected");
  return (const unsigned char *)key;
}

/* seal(key, plain, associated) -> nonce, ciphertext and tag in one | nil when the system gives no random bytes */
static int seal(lua_State *L) {
  const unsigned char *key = check_key(L);
  size_t n, adlen;
  const char *p = luaL_checklstring(L, 2, &n), *ad = luaL_optlstring(L, 3, "", &adlen);
  struct ha_buf *out = lha_bytes_new(L, TEXT_MAX);
  unsigned char *to;
  lha_must(L, ha_buf_reserve(out, HA_AEAD_NONCE + n + HA_AEAD_TAG));
  to = (unsigned char *)out->data;
  if (!ha_random(to, HA_AEAD_NONCE)) {
    lua_pushnil(L);
    return 1;
  }
  if (!ha_aead_seal(key, to, ad, adlen, p, n, to + HA_AEAD_NONCE)) return luaL_error(L, "sealing failed");
  lua_pushlstring(L, out->data, HA_AEAD_NONCE + n + HA_AEAD_TAG);
  return 1;
}

/* unseal(key, sealed, associated) -> plain | nil */
static int unseal(lua_State *L) {
  const unsigned char *key = check_key(L);
  size_t n, adlen;
  const char *p = luaL_checklstring(L, 2, &n), *ad = luaL_optlstring(L, 3, "", &adlen);
  struct ha_buf *out = lha_bytes_new(L, TEXT_MAX);
  if (n < HA_AEAD_NONCE + HA_AEAD_TAG) {
    lua_pushnil(L);
    return 1;
  }
  lha_must(L, ha_buf_reserve(out, n));
  if (!ha_aead_open(key, (const unsigned char *)p, ad, adlen, p + HA_AEAD_NONCE, n - HA_AEAD_NONCE, (unsigned char *)out->data)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, out->data, n - HA_AEAD_NONCE - HA_AEAD_TAG);
  ha_buf_free(out);
  return 1;
}

static int equal(lua_State *L) {
  size_t an, bn;
  const char *a = luaL_checklstring(L, 1, &an), *b = luaL_checklstring(L, 2, &bn);
  lua_pushboolean(L, ha_equal(a, an, b, bn));
  return 1;
}

static int clean(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n);
  struct ha_buf *out = lha_bytes_new(L, HA_TEXT_MAX + 8);
  lha_must(L, ha_text_clean(out, p, n));
  lua_pushlstring(L, out->data ? out->data : "", out->len);
  return 1;
}

static void part(lua_State *L, const char *name, const struct ha_buf *text, size_t from, size_t len) {
  lua_pushlstring(L, text->data + from, len);
  lua_setfield(L, -2, name);
}

/* url(text) -> {text, scheme, host, port, origin, path, query, loopback} | nil, why */
static int url(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n), *why = NULL;
  struct ha_buf *text;
  struct ha_url u;
  enum ha_status rc;
  lua_settop(L, 1);
  text = lha_bytes_new(L, HA_URL_MAX);
  ha_url_init(&u);
  rc = ha_url_parse(&u, p, n, &why);
  if (rc != HA_OK) {
    ha_url_free(&u);
    if (rc == HA_NOMEM) return luaL_error(L, "not enough memory");
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  *text = u.text; /* from here Lua owns it */
  lua_createtable(L, 0, 8);
  part(L, "text", text, 0, text->len);
  part(L, "host", text, u.host, u.host_len);
  part(L, "origin", text, 0, u.path);
  part(L, "path", text, u.path, u.query - u.path);
  if (u.query < text->len) part(L, "query", text, u.query + 1, text->len - u.query - 1);
  lua_pushstring(L, u.https ? "https" : "http");
  lua_setfield(L, -2, "scheme");
  lua_pushinteger(L, (lua_Integer)u.port);
  lua_setfield(L, -2, "port");
  lua_pushboolean(L, u.loopback);
  lua_setfield(L, -2, "loopback");
  return 1;
}

/* redact(text, secrets) -> text without them in any spelling. The list holds the strings, so their bytes stay while they are looked for. */
static int redact(lua_State *L) {
  enum { BATCH = 64 };
  struct ha_secret secrets[BATCH];
  const struct ha_secret *list[BATCH];
  size_t n, i = 0, total;
  const char *p = luaL_checklstring(L, 1, &n);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  total = lua_rawlen(L, 2);
  while (i < total) {
    size_t count = 0;
    struct ha_buf *out = lha_bytes_new(L, 4 * n + 64);
    for (; i < total && count < BATCH; i++) {
      lua_rawgeti(L, 2, (int)i + 1);
      if (lua_type(L, -1) != LUA_TSTRING) return luaL_argerror(L, 2, "a list of strings expected");
      secrets[count].data = (char *)(intptr_t)lua_tolstring(L, -1, &secrets[count].len);
      list[count] = &secrets[count];
      count++;
      lua_pop(L, 1);
    }
    lha_must(L, ha_redact(out, p, n, list, count));
    lua_pushlstring(L, out->data ? out->data : "", out->len);
    ha_buf_free(out);
    lua_replace(L, 1); /* the next batch looks at this one's result */
    lua_settop(L, 2);
    p = lua_tolstring(L, 1, &n);
  }
  lua_settop(L, 1);
  return 1;
}

static int unix_time(lua_State *L) {
  lua_pushnumber(L, ha_clock_unix());
  return 1;
}

static int monotonic(lua_State *L) {
  lua_pushnumber(L, ha_clock_monotonic());
  return 1;
}

/* read_private(path, max) -> content | nil, why */
static int read_private(lua_State *L) {
  size_t plen;
  const char *path = luaL_checklstring(L, 1, &plen), *why;
  double max = luaL_checknumber(L, 2);
  struct ha_buf *out;
  luaL_argcheck(L, strlen(path) == plen, 1, "a path with a NUL byte");
  luaL_argcheck(L, max >= 1 && max <= TEXT_MAX, 2, "out of range");
  out = lha_bytes_new(L, (size_t)max);
  why = ha_private_file_read(path, out);
  if (why) {
    ha_buf_free(out);
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  lua_pushlstring(L, out->data ? out->data : "", out->len);
  ha_buf_free(out);
  return 1;
}

static int sleep_seconds(lua_State *L) {
  ha_clock_sleep(luaL_checknumber(L, 1));
  return 0;
}

const luaL_Reg lha_tools[] = {{"sha256", sha256},
                              {"token_key", token_key},
                              {"hmac_sha256", hmac_sha256},
                              {"random", random_bytes},
                              {"hex", hex},
                              {"base64", base64},
                              {"base64url", base64url},
                              {"base64url_decode", base64url_decode},
                              {"percent_encode", percent_encode},
                              {"percent_decode", percent_decode},
                              {"form_encode", form_encode},
                              {"form_decode", form_decode},
                              {"seal", seal},
                              {"unseal", unseal},
                              {"equal", equal},
                              {"clean", clean},
                              {"redact", redact},
                              {"url", url},
                              {"read_private", read_private},
                              {"time", unix_time},
                              {"monotonic", monotonic},
                              {"sleep", sleep_seconds},
                              {NULL, NULL}};
