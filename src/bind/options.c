/* SPDX-License-Identifier: MIT */
#include "options_reader.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "bytes.h"

enum { KEY_MAX = 256 };

/* Every option of any session; those with a Lua type beside them live in the owned table as they are. */
static const struct { const char *name; int type; const char *expected; } COMMON[] = {
    {"environment", 0, NULL},     {"base_url", 0, NULL}, {"endpoints", 0, NULL}, {"tokens", 0, NULL},  {"timeout", 0, NULL},
    {"connect_timeout", 0, NULL}, {"limits", 0, NULL},   {"tls", 0, NULL},       {"proxy", 0, NULL},   {"user_agent", 0, NULL},
    {"headers", 0, NULL},         {"origins", 0, NULL},  {"issuer", 0, NULL},    {"pkce", 0, NULL},    {"transport", 0, NULL},
    {"store", 0, NULL},           {"key", 0, NULL},      {"clock", LUA_TFUNCTION, "a function"},
    {"on_event", LUA_TFUNCTION, "a function"},           {"margin", LUA_TNUMBER, "seconds, 0 or more"},
    {"lease", LUA_TNUMBER, "seconds above 0"},           {"max_wait", LUA_TNUMBER, "seconds, 0 or more"}, {NULL, 0, NULL}};

int lha_option_bad(const struct lha_reader *r, const char *name, const char *expected) {
  return luaL_error(r->L, "%s: option '%s': expected %s", r->p->name, name, expected);
}

void lha_option_get(const struct lha_reader *r, const char *name) {
  lua_pushstring(r->L, name);
  lua_rawget(r->L, r->options);
}

int lha_option_unknown(const struct lha_reader *r, const char *prefix, const char *key) {
  char shown[LHA_NAME_MAX];
  size_t i;
  for (i = 0; i + 1 < sizeof shown && key[i]; i++) shown[i] = key[i] >= 0x20 && key[i] <= 0x7E ? key[i] : '?';
  shown[i] = '\0';
  return luaL_error(r->L, "%s: unknown option '%s%s'", r->p->name, prefix, shown);
}

/* Every key of the table at index must be in the list; option_name is for the message ("tls."). */
void lha_option_only(const struct lha_reader *r, int index, const char *prefix, const char *const *known) {
  lua_State *L = r->L;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *const *k = known;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s: options have names", r->p->name);
    while (*k && strcmp(*k, lua_tostring(L, -1)) != 0) k++;
    if (!*k) lha_option_unknown(r, prefix, lua_tostring(L, -1));
  }
}

static void check_names(const struct lha_reader *r) {
  lua_State *L = r->L;
  lua_pushnil(L);
  while (lua_next(L, r->options)) {
    size_t n;
    const char *key;
    int i = 0;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s: options have names", r->p->name);
    key = lua_tolstring(L, -1, &n);
    while (COMMON[i].name && strcmp(COMMON[i].name, key) != 0) i++;
    if (!COMMON[i].name && lha_option_index(r->p, key, n) < 0) lha_option_unknown(r, "", key);
  }
}

bool lha_credential_fine(const struct lha_option *o, const char *p, size_t n) {
  size_t i = 0;
  if (n == 0 || n > LHA_CREDENTIAL_MAX) return false;
  if (o->in_header || strcmp(o->name, "redirect_uri") == 0) return ha_is_token(p, n);
  while (i < n) {
    uint32_t code;
    size_t step = ha_utf8_next(p + i, n - i, &code);
    if (step == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;
    i += step;
  }
  return true;
}

static void read_credentials(const struct lha_reader *r) {
  static const char expected[] = "a text of 1 to 8192 bytes without control characters (bytes 0x21 to 0x7E where it enters a header), or a function";
  lua_State *L = r->L;
  int i;
  r->s->options = ha_alloc(sizeof *r->s->options * (size_t)(r->p->option_count + 1));
  if (!r->s->options) luaL_error(L, "not enough memory");
  r->s->option_count = r->p->option_count;
  for (i = 0; i < r->p->option_count; i++) {
    const struct lha_option *o = &r->p->options[i];
    lha_option_get(r, o->name);
    if (lua_type(L, -1) == LUA_TSTRING) {
      size_t n;
      const char *p = lua_tolstring(L, -1, &n);
      if (!lha_credential_fine(o, p, n)) lha_option_bad(r, o->name, expected);
      lha_must(L, ha_secret_set(&r->s->options[i], p, n));
    } else if (lua_type(L, -1) == LUA_TFUNCTION) {
      lua_pushliteral(L, "credentials");
      lua_rawget(L, r->owned);
      if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushliteral(L, "credentials");
        lua_pushvalue(L, -2);
        lua_rawset(L, r->owned);
      }
      lua_pushvalue(L, -2);
      lua_setfield(L, -2, o->name); /* function, credentials */
      lua_pop(L, 1);
    } else if (!lua_isnil(L, -1)) {
      lha_option_bad(r, o->name, expected);
    } else if (o->required) {
      luaL_error(L, "%s: option '%s' is required", r->p->name, o->name);
    }
    lua_pop(L, 1);
  }
}

static double number(const struct lha_reader *r, const char *name, double otherwise, double least, double most, const char *expected) {
  lha_option_get(r, name);
  if (lua_type(r->L, -1) == LUA_TNUMBER) {
    otherwise = lua_tonumber(r->L, -1);
    if (!(otherwise >= least && otherwise <= most)) lha_option_bad(r, name, expected);
  } else if (!lua_isnil(r->L, -1)) {
    lha_option_bad(r, name, expected);
  }
  lua_pop(r->L, 1);
  return otherwise;
}

static void read_base_url(const struct lha_reader *r) {
  lua_State *L = r->L;
  const char *why = NULL, *text = NULL;
  size_t n = 0;
  struct ha_url u;
  enum ha_status rc;
  bool safe;
  int i;
  lha_option_get(r, "environment");
  lha_option_get(r, "base_url");
  if (lua_isnil(L, -1) == lua_isnil(L, -2)) luaL_error(L, "%s: exactly one of the options 'environment' and 'base_url' is required", r->p->name);
  if (lua_isnil(L, -1)) {
    if (lua_type(L, -2) != LUA_TSTRING) lha_option_bad(r, "environment", "a text");
    for (i = 0; i < r->p->environment_count; i++)
      if (strcmp(r->p->environments[i].name, lua_tostring(L, -2)) == 0) text = r->p->environments[i].value;
    if (!text) lha_option_bad(r, "environment", "one of the provider's environments (docs/providers.md), or use base_url");
    n = strlen(text);
  } else {
    if (lua_type(L, -1) != LUA_TSTRING) lha_option_bad(r, "base_url", "a text");
    text = lua_tolstring(L, -1, &n);
  }
  ha_url_init(&u);
  rc = ha_url_parse(&u, text, n, &why);
  safe = rc == HA_OK && (u.https || u.loopback) && u.query == u.text.len;
  n = u.text.len;
  if (safe && n > u.path + 1 && u.text.data[n - 1] == '/') n--; /* paths are joined with one slash all the same, and its records have one name */
  if (rc == HA_OK && safe) rc = ha_secret_set(&r->s->base_url, u.text.data, n);
  ha_url_free(&u);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  if (rc != HA_OK || !safe) lha_option_bad(r, "base_url", "an https URL (http only to loopback) without userinfo, query and fragment");
  lua_pop(L, 2);
}

static void read_limits(const struct lha_reader *r) {
  static const char *const KNOWN[] = {"body", "headers", "depth", NULL};
  static const double MOST[] = {1024.0 * 1024 * 1024, 256.0 * 1024, 200};
  lua_State *L = r->L;
  double *const to[] = {&r->s->limit_body, &r->s->limit_headers, &r->s->limit_depth};
  int i;
  *to[0] = 1024 * 1024;
  *to[1] = 64 * 1024;
  *to[2] = 32;
  lha_option_get(r, "limits");
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TTABLE) lha_option_bad(r, "limits", "a table");
    lha_option_only(r, lua_gettop(L), "limits.", KNOWN);
    for (i = 0; KNOWN[i]; i++) {
      lua_pushstring(L, KNOWN[i]);
      lua_rawget(L, -2);
      if (!lua_isnil(L, -1)) {
        double v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(v >= 1 && v <= MOST[i]) || floor(v) != v) lha_option_bad(r, "limits", "whole positive numbers (body up to 1 GiB, headers 256 KiB, depth 200)");
        *to[i] = v;
      }
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static void read_text_option(const struct lha_reader *r, const char *name, bool (*fine)(lua_State *, const char *, size_t), const char *expected,
                             struct ha_secret *to) {
  lha_option_get(r, name);
  if (lua_type(r->L, -1) == LUA_TSTRING) {
    size_t n;
    const char *p = lua_tolstring(r->L, -1, &n);
    if (!fine(r->L, p, n)) lha_option_bad(r, name, expected);
    lha_must(r->L, ha_secret_set(to, p, n));
  } else if (!lua_isnil(r->L, -1)) {
    lha_option_bad(r, name, expected);
  }
  lua_pop(r->L, 1);
}

static bool agent_fine(lua_State *L, const char *p, size_t n) {
  (void)L;
  return n > 0 && n <= 512 && ha_is_field_value(p, n);
}

static bool issuer_fine(lua_State *L, const char *p, size_t n) {
  (void)L;
  return n <= HA_URL_MAX && ha_is_token(p, n);
}

static void read_lua_side(const struct lha_reader *r) {
  lua_State *L = r->L;
  int i;
  bool store, key;
  for (i = 0; COMMON[i].name; i++) {
    if (!COMMON[i].expected) continue;
    lha_option_get(r, COMMON[i].name);
    if (!lua_isnil(L, -1) && lua_type(L, -1) != COMMON[i].type) lha_option_bad(r, COMMON[i].name, COMMON[i].expected);
    lua_setfield(L, r->owned, COMMON[i].name);
  }
  (void)number(r, "margin", 0, 0, 86400.0 * 365, "seconds, 0 or more");
  (void)number(r, "lease", 1, 0.001, 86400, "seconds above 0");
  (void)number(r, "max_wait", 0, 0, 86400, "seconds, 0 or more");
  lha_option_get(r, "transport");
  if (lua_type(L, -1) == LUA_TTABLE || lua_type(L, -1) == LUA_TUSERDATA) {
    lua_getfield(L, -1, "perform");
    if (lua_type(L, -1) != LUA_TFUNCTION) lha_option_bad(r, "transport", "an object with a method perform");
    lua_pop(L, 1);
  } else if (!lua_isnil(L, -1)) {
    lha_option_bad(r, "transport", "an object with a method perform");
  }
  lua_setfield(L, r->owned, "transport");
  lha_option_get(r, "store");
  store = !lua_isnil(L, -1);
  if (store) {
    if (lua_type(L, -1) != LUA_TTABLE && lua_type(L, -1) != LUA_TUSERDATA) lha_option_bad(r, "store", "an object with the methods of a store");
    lua_getfield(L, -1, "save");
    if (lua_type(L, -1) != LUA_TFUNCTION) lha_option_bad(r, "store", "an object with the methods of a store");
    lua_pop(L, 1);
  }
  lua_setfield(L, r->owned, "store");
  lha_option_get(r, "key");
  key = !lua_isnil(L, -1);
  if (key && (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0 || lua_rawlen(L, -1) > KEY_MAX)) lha_option_bad(r, "key", "a text of 1 to 256 bytes");
  lua_setfield(L, r->owned, "key");
  if (store && !key) luaL_error(L, "%s: option 'key' is required where there is a store", r->p->name);
  if (key && !store) luaL_error(L, "%s: option 'store' is required where there is a key", r->p->name);
}

void lha_options_read(lua_State *L, const struct lha_provider *p, struct lha_session *s, int index, int owned) {
  struct lha_reader r;
  r.L = L;
  r.p = p;
  r.s = s;
  r.options = index;
  r.owned = owned;
  luaL_checkstack(L, 20, "no stack");
  check_names(&r);
  read_credentials(&r);
  read_base_url(&r);
  lha_option_endpoints(&r);
  s->timeout = number(&r, "timeout", 15, 0.001, 86400, "seconds above 0, at most 86400");
  s->connect_timeout = number(&r, "connect_timeout", 5, 0.001, 86400, "seconds above 0, at most 86400");
  read_limits(&r);
  lha_option_tls(&r);
  read_text_option(&r, "proxy", lha_proxy_fine, "http[s]://[user:password@]host:port", &s->proxy);
  lha_option_proxy_way(&r);
  read_text_option(&r, "user_agent", agent_fine, "1 to 512 printable characters", &s->user_agent);
  read_text_option(&r, "issuer", issuer_fine, "the issuer's URL", &s->issuer);
  lha_option_headers(&r);
  lha_option_origins(&r);
  lha_option_get(&r, "pkce");
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) lha_option_bad(&r, "pkce", "true or false");
  s->pkce = lua_isnil(L, -1) ? -1 : lua_toboolean(L, -1) ? 1 : 0;
  lua_pop(L, 1);
  read_lua_side(&r);
}
