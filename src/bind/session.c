/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <string.h>

#include "base/alloc.h"
#include "bytes.h"
#include "class.h"
#include "error.h"
#include "exchange.h"
#include "options.h"
#include "sys/crypto.h"

enum { NEW = 10 }; /* seconds for which a token counts as new, or a tenth of its life */

/* Takes away all that is secret. The two lists and the proxy's block stay until the session is collected: a finaliser of the program's may close it
 * while a call of ours looks at them. */
static void wipe(struct lha_session *s) {
  int i;
  for (i = 0; s->options && i < s->option_count; i++) ha_secret_clear(&s->options[i]);
  for (i = 0; s->headers && i < s->header_count; i++) {
    ha_secret_clear(&s->headers[i].name);
    ha_secret_clear(&s->headers[i].value);
  }
  ha_secret_clear(&s->base_url);
  ha_secret_clear(&s->user_agent);
  ha_secret_clear(&s->issuer);
  if (s->proxy.data) ha_wipe(s->proxy.data, s->proxy.len);
  ha_secret_clear(&s->key_password);
  lha_tokens_clear(&s->tokens);
  s->has_tokens = false;
}

struct lha_session *lha_session_check(lua_State *L, int index) {
  struct lha_session *s = lha_class_check(L, index, LHA_SESSION);
  if (!s->provider || !s->provider->ready) luaL_argerror(L, index, "session was not finished");
  return s;
}

struct lha_session *lha_session_live(lua_State *L, int index) {
  struct lha_session *s = lha_session_check(L, index);
  if (s->closed) luaL_error(L, "%s: the session is closed", s->provider->name);
  return s;
}

enum ha_status lha_session_base(const struct lha_session *s, struct ha_url *u) {
  const char *why;
  return ha_url_parse(u, s->base_url.data, s->base_url.len, &why);
}

/* nil, err for a set of tokens that cannot be taken. */
static int refuse_tokens(lua_State *L, const struct lha_session *s, const char *operation, const char *code, const char *why) {
  lua_pushnil(L);
  lha_error_push(L, "argument", code, why);
  lha_error_word(L, "provider", s->provider->name);
  lha_error_word(L, "operation", operation);
  lha_error_word(L, "action", "fix_request");
  lha_error_word(L, "outcome", "not_sent");
  return 2;
}

/* A set of tokens on its way into a session: Lua owns it, so that an error half way loses nothing. */
static const char FRESH[] = "healthauth.tokens";

static int fresh_close(lua_State *L) {
  struct lha_tokens *t = lha_class_test(L, 1, FRESH);
  if (t) lha_tokens_clear(t);
  return 0;
}

/* Reads the set at index and makes it the session's. NULL, or the code with *why. */
static const char *adopt(lua_State *L, struct lha_session *s, int index, const char **why) {
  struct lha_tokens *fresh = lha_class_make(L, sizeof *fresh, FRESH);
  const char *code = lha_tokens_read(L, index, fresh, why);
  if (!code && !s->closed) {
    lha_tokens_move(&s->tokens, fresh);
    s->has_tokens = true;
    s->refresh_unknown = false;
  }
  lha_tokens_clear(fresh);
  lua_pop(L, 1);
  return code;
}

int lha_session_function(lua_State *L) {
  const struct lha_provider *p = lha_provider_check(L, 1);
  struct lha_session *s;
  if (lua_type(L, 2) != LUA_TTABLE) return luaL_error(L, "%s: expected a table of options", p->name);
  lua_settop(L, 2);
  s = lha_class_make(L, sizeof *s, LHA_SESSION); /* 3 */
  lua_createtable(L, 1, 8);                      /* 4: what it owns in Lua */
  lua_pushvalue(L, 1);
  lua_rawseti(L, 4, 1);
  lua_pushvalue(L, 4);
  lha_setowned(L, 3);
  lha_options_read(L, p, s, 2, 4);
  s->provider = p;
  lua_pushliteral(L, "tokens");
  lua_rawget(L, 2);
  if (!lua_isnil(L, -1)) {
    const char *why = NULL, *code = adopt(L, s, lua_gettop(L), &why);
    if (code) return refuse_tokens(L, s, "restore", code, why);
  }
  lua_settop(L, 3);
  return 1;
}

static int session_gc(lua_State *L) {
  struct lha_session *s = lha_class_test(L, 1, LHA_SESSION);
  if (s) {
    s->closed = true;
    wipe(s);
    ha_free(s->options, sizeof *s->options * (size_t)(s->option_count + 1));
    ha_free(s->headers, sizeof *s->headers * (size_t)s->header_count);
    ha_secret_clear(&s->proxy);
    s->options = NULL;
    s->headers = NULL;
  }
  return 0;
}

/* close(): true, as often as one likes. */
static int session_close(lua_State *L) {
  struct lha_session *s = lha_class_check(L, 1, LHA_SESSION);
  s->closed = true;
  wipe(s);
  lua_pushboolean(L, 1);
  return 1;
}

static int session_tostring(lua_State *L) {
  struct lha_session *s = lha_class_check(L, 1, LHA_SESSION);
  if (s->closed || !s->provider || !s->provider->ready) lua_pushliteral(L, LHA_SESSION " (closed)");
  else lua_pushfstring(L, "%s (%s, %s)", LHA_SESSION, s->provider->name, s->has_tokens ? "with tokens" : "no tokens");
  return 1;
}

/* tokens(): a copy of the set, or nil. */
static int session_tokens(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  if (s->has_tokens) lha_tokens_push(L, &s->tokens);
  else lua_pushnil(L);
  (void)lha_session_live(L, 1); /* closed meanwhile: it would be half a set */
  return 1;
}

/* core_adopt(session, tokens): true | nil, err. No store is asked. */
static int session_adopt(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  const char *why = NULL, *code;
  lua_settop(L, 2);
  if (s->changing) return refuse_tokens(L, s, "restore", "exchange_open", "another exchange that may change the tokens is open");
  code = adopt(L, s, 2, &why);
  (void)lha_session_live(L, 1);
  if (code) return refuse_tokens(L, s, "restore", code, why);
  lua_pushboolean(L, 1);
  return 1;
}

/* core_forget(session): the tokens are wiped. */
static int session_forget(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  lha_tokens_clear(&s->tokens);
  s->has_tokens = false;
  s->refresh_unknown = false;
  return 0;
}

/* core_state(session, now, margin): a table for the lifecycle, without any secret:
 * has_token, expires_at, can_refresh, resend_safe, client_credentials, unknown, changing, scope_differs, provider. */
static int session_state(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  const struct lha_provider *p = s->provider;
  const struct lha_operation *exchange = p->operations[LHA_EXCHANGE], *refresh = p->operations[LHA_REFRESH];
  lua_createtable(L, 0, 8);
  lua_pushboolean(L, s->tokens.access.data != NULL);
  lua_setfield(L, -2, "has_token");
  if (s->tokens.expires) {
    lha_pushnumber(L, s->tokens.expires_at);
    lua_setfield(L, -2, "expires_at");
  }
  lua_pushboolean(L, refresh != NULL && s->tokens.refresh.data != NULL);
  lua_setfield(L, -2, "can_refresh");
  lua_pushboolean(L, refresh != NULL && refresh->resend_safe);
  lua_setfield(L, -2, "resend_safe");
  lua_pushboolean(L, exchange != NULL && exchange->client_credentials);
  lua_setfield(L, -2, "client_credentials");
  lua_pushboolean(L, s->refresh_unknown);
  lua_setfield(L, -2, "unknown");
  lua_pushboolean(L, s->changing);
  lua_setfield(L, -2, "changing");
  lua_pushboolean(L, s->scope_differs);
  lua_setfield(L, -2, "scope_differs");
  lua_pushstring(L, p->name);
  lua_setfield(L, -2, "provider");
  return 1;
}

/* How long before its end a token is renewed: min(60 s, 10 % of its life), and the same again times jitter (0 to 1); or the margin that the
 * session was given, which a token that is quite new is not held to: else each of many processes would renew what another just got. */
static double early(const struct lha_tokens *t, double jitter, const double *given) {
  double known = t->expires_at - t->obtained_at, life = t->obtained_at <= 0 ? 600 : known > 0 ? known : 0; /* one may arrive expired */
  double tenth = life * 0.1, rest = tenth < NEW ? tenth : NEW;
  if (!given) return (tenth < 60 ? tenth : 60) * (1 + jitter);
  return t->obtained_at > 0 && *given > life - rest ? life - rest : *given;
}

/* A kept refresh token may die before the access token: renew while it still can, once. */
static bool refresh_token_ages(const struct lha_session *s, double now) {
  const struct lha_operation *refresh = s->provider->operations[LHA_REFRESH];
  const struct lha_tokens *t = &s->tokens;
  double due;
  if (!refresh || refresh->life <= 0 || !t->refresh.data || t->refresh_at <= 0 || t->obtained_at <= 0) return false;
  due = t->refresh_at + refresh->life * 0.9;
  return now >= due && now < t->refresh_at + refresh->life && t->obtained_at < due;
}

/* ready(session, now, margin | nil, jitter) -> token | nil. The hot path of access_token(): one call, no table.
 * A token that needs no renewal yet, or whose expiry is unknown. */
static int session_ready(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  double now = luaL_checknumber(L, 2);
  const struct lha_tokens *t = &s->tokens;
  double given = luaL_optnumber(L, 3, 0), margin = early(t, luaL_optnumber(L, 4, 0), lua_isnoneornil(L, 3) ? NULL : &given);
  if (t->access.data && (!t->expires || now + margin < t->expires_at) && !refresh_token_ages(s, now)) lha_secret_push(L, &t->access);
  else lua_pushnil(L);
  return 1;
}

/* valid(session, now) -> token | nil: one that has not expired yet. */
static int session_valid(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  double now = luaL_checknumber(L, 2);
  const struct lha_tokens *t = &s->tokens;
  if (t->access.data && (!t->expires || now < t->expires_at)) lha_secret_push(L, &t->access);
  else lua_pushnil(L);
  return 1;
}

/* export(session) -> the set with its times, for a record | nil */
static int session_export(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  if (s->has_tokens) {
    lha_tokens_push(L, &s->tokens);
    lha_tokens_times(L, &s->tokens);
  } else {
    lua_pushnil(L);
  }
  (void)lha_session_live(L, 1);
  return 1;
}

/* refresh_fingerprint(session) -> SHA-256 of the refresh token, raw | nil */
static int session_fingerprint(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  unsigned char digest[HA_SHA256_SIZE];
  if (s->tokens.refresh.data && ha_sha256(s->tokens.refresh.data, s->tokens.refresh.len, digest)) lua_pushlstring(L, (const char *)digest, sizeof digest);
  else lua_pushnil(L);
  return 1;
}

static int session_set_unknown(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  s->refresh_unknown = lua_toboolean(L, 2) != 0;
  return 0;
}

/* name_client(session, text): the client_id that a function of the options gave; false when it is no usable one. Requests ask anew. */
static int session_name_client(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  int client = lha_option_index(s->provider, "client_id", 9);
  size_t n;
  const char *p = luaL_checklstring(L, 2, &n);
  bool fine = client >= 0 && lha_credential_fine(&s->provider->options[client], p, n);
  if (fine) lha_must(L, ha_secret_set(&s->options[client], p, n));
  lua_pushboolean(L, fine);
  return 1;
}

/* core_identity(session) -> what a store's key is made of: provider, base_url, client_id. */
static int session_identity(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  int client = lha_option_index(s->provider, "client_id", 9);
  lua_pushstring(L, s->provider->name);
  lha_secret_push(L, &s->base_url);
  if (client >= 0 && s->options[client].data) lha_secret_push(L, &s->options[client]);
  else lua_pushliteral(L, "");
  (void)lha_session_live(L, 1);
  return 3;
}

static int session_has(lua_State *L) {
  static const char *const NAMES[] = {"exchange", "refresh", "verify", "check", "logout", "call", "authorize", NULL};
  struct lha_session *s = lha_session_live(L, 1);
  int verb = luaL_checkoption(L, 2, NULL, NAMES);
  bool there = verb < LHA_OPERATIONS ? s->provider->operations[verb] != NULL : verb == LHA_CALL ? s->provider->has_call : s->provider->authorize != NULL;
  lua_pushboolean(L, there);
  return 1;
}

static int session_timeouts(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  lha_pushnumber(L, s->timeout);
  return 1;
}

/* core_context(session) -> the Lua side of it: transport, store, clock, functions. No secret is in it.
 * Every verb asks for it first, so a wrong self and a closed session are told where the verb was called: one level further out. */
static int session_context(lua_State *L) {
  const struct lha_session *s = lha_class_test(L, 1, LHA_SESSION);
  if (!s || !s->provider || !s->provider->ready || s->closed) {
    luaL_where(L, 2);
    if (!s) lua_pushfstring(L, "%s expected as self, got %s (a verb is called with a colon)", LHA_SESSION, luaL_typename(L, 1));
    else lua_pushfstring(L, "%s: the session is closed", s->provider && s->provider->ready ? s->provider->name : LHA_SESSION);
    lua_concat(L, 2);
    return lua_error(L);
  }
  lha_getowned(L, 1);
  return 1;
}

void lha_session_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", session_gc}, {"__close", session_close}, {"__tostring", session_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", session_close}, {"tokens", session_tokens}, {"begin", lha_exchange_begin}, {NULL, NULL}};
  static const luaL_Reg fresh[] = {{"__gc", fresh_close}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lha_class_new(L, FRESH, fresh, none);
  lua_pop(L, 1);
  lha_class_new(L, LHA_SESSION, meta, methods);
}

const luaL_Reg lha_session_inside[] = {{"adopt", session_adopt},       {"forget", session_forget}, {"state", session_state},
                                       {"ready", session_ready},       {"valid", session_valid},   {"export", session_export},
                                       {"fingerprint", session_fingerprint},
                                       {"set_unknown", session_set_unknown},
                                       {"identity", session_identity}, {"name_client", session_name_client}, {"has", session_has},       {"timeout", session_timeouts},
                                       {"context", session_context},   {NULL, NULL}};
