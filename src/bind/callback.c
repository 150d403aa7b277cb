/* SPDX-License-Identifier: MIT */
/* callback.c - the browser's part of the code flow: the URL that a person is sent to, and what comes back (RFC 6749 4.1, 7636, 9207). */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/message.h"
#include "base/query.h"
#include "base/utf8.h"
#include "bytes.h"
#include "class.h"
#include "exchange.h"
#include "problem.h"
#include "sys/crypto.h"

enum { STATE_BYTES = 32, VERIFIER_BYTES = 32, PENDING_VERSION = 1, PENDING_LIFE = 600 };

static const char QUERY[] = "healthauth.query";

static int query_close(lua_State *L) {
  struct ha_query *q = lha_class_test(L, 1, QUERY);
  if (q) ha_query_free(q);
  return 0;
}

void lha_callback_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", query_close}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lha_class_new(L, QUERY, meta, none);
  lua_pop(L, 1);
}

/* ---- what comes back ---- */

/* A text member of the pending into *to: false when it is there and wrong, or required and absent. */
static bool pending_text(lua_State *L, int pending, const char *name, bool required, struct ha_secret *to) {
  bool fine = !required;
  lua_pushstring(L, name);
  lua_rawget(L, pending);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n, i;
    const char *p = lua_tolstring(L, -1, &n);
    fine = n > 0 && n <= HA_URL_MAX;
    for (i = 0; fine && i < n; i++) fine = p[i] >= 0x20 && p[i] <= 0x7E;
    if (fine) lha_must(L, ha_secret_set(to, p, n));
  } else if (!lua_isnil(L, -1)) {
    fine = false;
  }
  lua_pop(L, 1);
  return fine;
}

static double pending_number(lua_State *L, int pending, const char *name) {
  double v;
  lua_pushstring(L, name);
  lua_rawget(L, pending);
  v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  lua_pop(L, 1);
  return v >= 0 && v <= LHA_TIME_MAX ? v : -1;
}

static int refuse(lua_State *L, struct lha_exchange *x, const char *kind, const char *code, const char *message) {
  return lha_refuse(L, x, kind, code, message, "not_sent", strcmp(kind, "state") == 0 ? "reauthorize" : "fix_request");
}

/* Reads the pending into x and *state. 0 or the results. */
static int read_pending(lua_State *L, struct lha_exchange *x, int pending, struct ha_secret *state, double *expires_at) {
  struct ha_secret *provider = &x->basic; /* borrowed for one comparison, before *state, which is the same: Lua owns it */
  bool fine = lua_type(L, pending) == LUA_TTABLE && pending_number(L, pending, "version") == PENDING_VERSION;
  fine = fine && pending_text(L, pending, "provider", true, provider) && strcmp(provider->data, x->session->provider->name) == 0;
  ha_secret_clear(provider);
  fine = fine && pending_text(L, pending, "state", true, state) && state->len >= 22;
  fine = fine && pending_text(L, pending, "redirect_uri", false, &x->redirect_uri) && pending_text(L, pending, "scope", false, &x->scope) &&
         pending_text(L, pending, "code_verifier", false, &x->verifier);
  if (fine) *expires_at = pending_number(L, pending, "expires_at");
  if (fine && *expires_at >= 0 && pending_number(L, pending, "created_at") >= 0) return 0;
  return refuse(L, x, "argument", "pending_malformed", "the pending is not one that authorize_url of this provider gave");
}

/* RFC 9207: byte for byte, for errors as well. */
static bool issuer_fine(const struct lha_exchange *x, const struct ha_query *q) {
  const struct lha_session *s = x->session;
  const char *known = s->issuer.data ? s->issuer.data : s->provider->issuer;
  size_t n;
  const char *iss = ha_query_get(q, "iss", &n);
  if (!iss) return !s->provider->issuer_required;
  return !known || ha_equal(iss, n, known, strlen(known));
}

/* A parameter of the callback without our secrets on the stack; NULL and nothing pushed when it is absent. */
static const char *shown(lua_State *L, struct lha_exchange *x, const struct ha_query *q, const char *name, size_t *n) {
  const char *p = ha_query_get(q, name, n);
  if (!p) return NULL;
  lua_pushlstring(L, p, *n);
  lha_sanitize_push(L, x, -1);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, n);
}

/* A page that a program may show as a link: javascript: and the like are none. */
static bool is_page(const char *p, size_t n) {
  return (n > 8 && ha_same_word(p, 8, "https://", 8)) || (n > 7 && ha_same_word(p, 7, "http://", 7));
}

static int denied(lua_State *L, struct lha_exchange *x, const struct ha_query *q) {
  struct ha_buf *code = lha_bytes_new(L, HA_CODE_MAX + 8);
  const char *text;
  size_t n;
  text = shown(L, x, q, "error", &n);
  lha_must(L, ha_text_code(code, text, n));
  (void)lha_refuse(L, x, "denied", code->data && code->len ? code->data : "denied", "the provider did not authorize", "answered",
                   lha_oauth_action(code->data ? code->data : "", true)); /* nil, err */
  lha_error_word(L, "dialect", "oauth");
  text = shown(L, x, q, "error_description", &n);
  if (text) {
    lua_pushvalue(L, -2); /* err */
    lha_error_text(L, "detail", text, n);
    lha_error_text(L, "message", text, n);
    lua_pop(L, 2);
  }
  text = shown(L, x, q, "error_uri", &n);
  if (text) {
    lua_pushvalue(L, -2);
    if (is_page(text, n)) lha_error_text(L, "error_uri", text, n);
    lua_pop(L, 2);
  }
  return 2;
}

static int judge(lua_State *L, struct lha_exchange *x, const struct ha_query *q, const struct ha_secret *wanted, double expires_at) {
  size_t n;
  const char *p = ha_query_get(q, "state", &n), *code;
  if (!p || n == 0) return refuse(L, x, "state", "state_missing", "the callback has no state");
  if (!ha_equal(p, n, wanted->data, wanted->len)) return refuse(L, x, "state", "state_mismatch", "the callback's state is not the one that was sent");
  if (x->now >= expires_at) return refuse(L, x, "state", "state_expired", "the login took too long: its state has expired");
  if (!issuer_fine(x, q)) return refuse(L, x, "state", "issuer_mismatch", "the callback comes from another issuer");
  if (ha_query_get(q, "error", &n)) return denied(L, x, q);
  p = ha_query_get(q, "code", &n);
  if (!p || n == 0) return refuse(L, x, "argument", "callback_malformed", "the callback has neither code nor error");
  code = lha_argument_add(L, x, "code", p, n);
  if (code) return refuse(L, x, "argument", "callback_malformed", "the callback's code has unusable bytes");
  return 0;
}

int lha_callback_read(lua_State *L, struct lha_exchange *x, int index) {
  struct ha_query *q;
  struct ha_secret *state;
  enum ha_query_fault fault;
  const char *text = NULL;
  size_t n = 0;
  double expires_at = 0;
  int callback, pending, results;
  luaL_checkstack(L, 20, "no stack");
  lua_pushliteral(L, "callback");
  lua_rawget(L, index);
  callback = lua_gettop(L);
  lua_pushliteral(L, "pending");
  lua_rawget(L, index);
  pending = lua_gettop(L);
  if (lua_isnil(L, callback) && lua_isnil(L, pending)) {
    lua_pop(L, 2);
    return 0;
  }
  if (lha_argument(x, "code")) return luaL_error(L, "%s exchange: expected callback and pending, or code", x->session->provider->name);
  q = lha_class_make(L, sizeof *q, QUERY);
  ha_query_init(q);
  if (lua_type(L, callback) == LUA_TSTRING) text = lua_tolstring(L, callback, &n);
  fault = text ? ha_query_parse(q, text, n) : HA_QUERY_MALFORMED;
  if (fault == HA_QUERY_NOMEM) return luaL_error(L, "not enough memory");
  if (fault == HA_QUERY_REPEATED) return refuse(L, x, "state", "parameter_repeated", "a parameter of the callback comes twice");
  if (fault != HA_QUERY_FINE) return refuse(L, x, "argument", "callback_malformed", "the callback cannot be read");
  state = &x->basic; /* Lua owns it, errors hide it; wiped below */
  results = read_pending(L, x, pending, state, &expires_at);
  if (results == 0) results = judge(L, x, q, state, expires_at);
  ha_secret_clear(state);
  ha_query_free(q);
  if (results == 0) lua_settop(L, callback - 1);
  return results;
}

/* ---- where a person is sent ---- */

static bool random_text(lua_State *L, size_t n, struct ha_secret *to) {
  unsigned char bytes[64];
  struct ha_buf *text = lha_bytes_new(L, 256);
  enum ha_status rc;
  if (!ha_random(bytes, n)) return false;
  rc = ha_base64url_encode(text, bytes, n);
  ha_wipe(bytes, sizeof bytes);
  lha_must(L, rc);
  lha_must(L, ha_secret_set(to, text->data, text->len));
  ha_buf_free(text);
  lua_pop(L, 1);
  return true;
}

static void check_argument_names(lua_State *L, const char *provider, int args) {
  static const char *const KNOWN[] = {"scope", "redirect_uri", "state_in_redirect", "now", "credentials", NULL};
  lua_pushnil(L);
  while (lua_next(L, args)) {
    const char *const *k = KNOWN;
    lua_pop(L, 1);
    while (*k && (lua_type(L, -1) != LUA_TSTRING || strcmp(*k, lua_tostring(L, -1)) != 0)) k++;
    if (!*k) luaL_error(L, "%s authorize_url: unknown argument", provider); /* the Lua layer names it */
  }
}

/* An argument that is a text without control characters: into *to. false when it is there and wrong. */
static bool text_argument(lua_State *L, int args, const char *name, bool token, struct ha_secret *to) {
  bool fine = true;
  lua_pushstring(L, name);
  lua_rawget(L, args);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n, i;
    const char *p = lua_tolstring(L, -1, &n);
    fine = n > 0 && n <= HA_URL_MAX && (!token || ha_is_token(p, n));
    for (i = 0; fine && i < n; i++) fine = p[i] >= 0x20 && p[i] <= 0x7E;
    if (fine) lha_must(L, ha_secret_set(to, p, n));
  } else {
    fine = lua_isnil(L, -1);
  }
  lua_pop(L, 1);
  return fine;
}

static enum ha_status append(struct ha_buf *url, bool *first, const char *name, const char *value, size_t n) {
  enum ha_status rc = ha_buf_addc(url, *first ? '?' : '&');
  *first = false;
  if (rc == HA_OK) rc = ha_percent_encode(url, name, strlen(name));
  if (rc == HA_OK) rc = ha_buf_addc(url, '=');
  if (rc == HA_OK) rc = ha_percent_encode(url, value, n);
  return rc;
}

static void push_secret(lua_State *L, const char *name, const struct ha_secret *s) {
  if (!s->data) return;
  lua_pushlstring(L, s->data, s->len);
  lua_setfield(L, -2, name);
}

/* The redirect_uri with the state in its own query, for servers that do not send state back. */
static void state_into_redirect(lua_State *L, struct lha_exchange *x, const struct ha_secret *state) {
  struct ha_buf *uri = lha_bytes_new(L, HA_URL_MAX + 256);
  bool first = memchr(x->redirect_uri.data, '?', x->redirect_uri.len) == NULL;
  lha_must(L, ha_buf_add(uri, x->redirect_uri.data, x->redirect_uri.len));
  lha_must(L, append(uri, &first, "state", state->data, state->len));
  lha_must(L, ha_secret_set(&x->redirect_uri, uri->data, uri->len));
  lua_pop(L, 1);
}

/* Whether a state put behind the redirect_uri comes back, once: a fragment stays in the browser, and a second state would be refused. */
static bool takes_state(lua_State *L, const struct ha_secret *uri) {
  struct ha_query q;
  enum ha_query_fault fault;
  size_t n;
  bool taken;
  if (memchr(uri->data, '#', uri->len)) return false;
  if (!memchr(uri->data, '?', uri->len)) return true;
  ha_query_init(&q);
  fault = ha_query_parse(&q, uri->data, uri->len);
  taken = fault == HA_QUERY_FINE && ha_query_get(&q, "state", &n) != NULL;
  ha_query_free(&q);
  if (fault == HA_QUERY_NOMEM) luaL_error(L, "not enough memory");
  return !taken && fault != HA_QUERY_REPEATED;
}

static void challenge(lua_State *L, const struct ha_secret *verifier, struct ha_buf *out) {
  unsigned char digest[HA_SHA256_SIZE];
  if (!ha_sha256(verifier->data, verifier->len, digest)) luaL_error(L, "SHA-256 failed");
  lha_must(L, ha_base64url_encode(out, digest, sizeof digest));
}

static const char *build_url(lua_State *L, struct lha_exchange *x, const struct ha_secret *state, bool in_redirect, struct ha_buf *url) {
  const struct lha_authorize *a = x->session->provider->authorize;
  bool first = memchr(url->data, '?', url->len) == NULL, challenged = false;
  struct ha_buf *code_challenge;
  int i;
  for (i = 0; i < a->query.count; i++) {
    const struct lha_field *f = &a->query.list[i];
    const struct ha_secret *value = NULL;
    bool is_state = f->value.source == LHA_PENDING && strcmp(f->value.text, "state") == 0;
    if (is_state && in_redirect) continue;
    if (is_state) value = state;
    else if (lha_template_value(x, &f->value, &value) != HA_OK) {
      if (f->value.optional) continue;
      return strcmp(f->value.text, "redirect_uri") == 0 ? "redirect_uri_missing" : strcmp(f->value.text, "scope") == 0 ? "scope_missing" : "argument_missing";
    }
    if (strcmp(f->name, "code_challenge") == 0) challenged = true;
    lha_must(L, append(url, &first, f->name, value ? value->data : f->value.text, value ? value->len : f->value.len));
  }
  if (x->verifier.data && !challenged) {
    code_challenge = lha_bytes_new(L, 64);
    challenge(L, &x->verifier, code_challenge);
    lha_must(L, append(url, &first, "code_challenge", code_challenge->data, code_challenge->len));
    lha_must(L, append(url, &first, "code_challenge_method", "S256", 4));
    lua_pop(L, 1);
  }
  return NULL;
}

/* core.authorize_url(session, args) -> url, pending | nil, err */
int lha_authorize_function(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  const struct lha_provider *p = s->provider;
  struct lha_exchange *x;
  struct ha_secret *state;
  struct ha_buf *url;
  const char *code, *why = NULL;
  const struct ha_secret *value;
  struct lha_template named;
  bool in_redirect;
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  x = lha_exchange_new(L, 1); /* 3 */
  x->verb = LHA_EXCHANGE;
  x->op = p->operations[LHA_EXCHANGE];
  if (!p->authorize) return lha_refuse(L, x, "unsupported", "operation_unsupported", "the provider has no authorization page", "not_sent", "fix_request");
  check_argument_names(L, p->name, 2);
  lua_pushliteral(L, "state_in_redirect");
  lua_rawget(L, 2);
  in_redirect = lua_toboolean(L, -1) != 0;
  if (!lua_isboolean(L, -1) && !lua_isnil(L, -1)) return luaL_error(L, "%s authorize_url: state_in_redirect: expected true or false", p->name);
  lua_pop(L, 1);
  lha_exchange_clock(L, x, 2);
  code = lha_credentials_read(L, x, 2, &why);
  if (code) return lha_refuse(L, x, "argument", code, why, "not_sent", "fix_credentials");
  if (!text_argument(L, 2, "redirect_uri", true, &x->redirect_uri))
    return lha_refuse(L, x, "argument", "redirect_uri_malformed", "redirect_uri is no usable text", "not_sent", "fix_request");
  if (!text_argument(L, 2, "scope", false, &x->scope))
    return lha_refuse(L, x, "argument", "scope_malformed", "scope is no usable text", "not_sent", "fix_request");
  memset(&named, 0, sizeof named);
  named.source = LHA_ARGUMENT;
  named.text = "redirect_uri";
  if (lha_template_value(x, &named, &value) == HA_OK && value != &x->redirect_uri) lha_must(L, ha_secret_set(&x->redirect_uri, value->data, value->len));
  named.text = "scope";
  if (lha_template_value(x, &named, &value) == HA_OK && value != &x->scope) lha_must(L, ha_secret_set(&x->scope, value->data, value->len));
  if (in_redirect && !x->redirect_uri.data)
    return lha_refuse(L, x, "argument", "redirect_uri_missing", "state_in_redirect needs a redirect_uri", "not_sent", "fix_request");
  if (in_redirect && !takes_state(L, &x->redirect_uri))
    return lha_refuse(L, x, "argument", "redirect_uri_malformed", "the redirect_uri has a fragment or a state of its own", "not_sent", "fix_request");
  state = &x->fresh.name;
  if (!random_text(L, STATE_BYTES, state) ||
      ((s->pkce == 1 || (s->pkce == -1 && p->authorize->pkce)) && !random_text(L, VERIFIER_BYTES, &x->verifier)))
    return lha_refuse(L, x, "argument", "random_failed", "the system gives no random bytes", "not_sent", "retry");
  if (in_redirect) state_into_redirect(L, x, state);
  code = lha_endpoint_url(L, x, "authorize", p->authorize->path, &why);
  (void)lha_session_live(L, 1); /* a finaliser may have closed it */
  if (code) return lha_refuse(L, x, "argument", code, why, "not_sent", "fix_request");
  url = &x->url;
  url->max = 4 * HA_URL_MAX;
  code = build_url(L, x, state, in_redirect, url);
  if (code) return lha_refuse(L, x, "argument", code, "a value that the authorization page needs is not there", "not_sent", "fix_request");
  lua_pushlstring(L, url->data, url->len);
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, PENDING_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushstring(L, p->name);
  lua_setfield(L, -2, "provider");
  push_secret(L, "state", state);
  push_secret(L, "redirect_uri", &x->redirect_uri);
  push_secret(L, "scope", &x->scope);
  push_secret(L, "code_verifier", &x->verifier);
  lha_pushnumber(L, floor(x->now));
  lua_setfield(L, -2, "created_at");
  lha_pushnumber(L, floor(x->now) + PENDING_LIFE);
  lua_setfield(L, -2, "expires_at");
  lha_exchange_wipe(x);
  (void)lha_session_live(L, 1);
  return 2;
}
