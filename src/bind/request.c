/* SPDX-License-Identifier: MIT */
/* request.c - builds the request of an exchange from the provider's declaration, and shows it as the plain table of DESIGN 2.3. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/message.h"
#include "base/version.h"
#include "bytes.h"
#include "request.h"
#include "sys/crypto.h"

const struct ha_secret *lha_option_value(const struct lha_exchange *x, int option) {
  if (x->credentials && option < x->credential_count && x->credentials[option].data) return &x->credentials[option];
  return x->session->options[option].data ? &x->session->options[option] : NULL;
}

static const struct ha_secret *option_named(const struct lha_exchange *x, const char *name) {
  int i = lha_option_index(x->session->provider, name, strlen(name));
  return i < 0 ? NULL : lha_option_value(x, i);
}

static const struct ha_secret *present(const struct ha_secret *s) { return s && s->data ? s : NULL; }

/* The option `scope`, where the provider wants it said with every refresh; what a person consented to is not said again. */
static const struct ha_secret *repeated_scope(const struct lha_exchange *x) {
  const struct ha_secret *scope = x->op->repeat_scope_count ? option_named(x, "scope") : NULL;
  int i;
  for (i = 0; scope && i < x->op->repeat_scope_count; i++) {
    const char *word = x->op->repeat_scope[i];
    size_t n = strlen(word);
    if (x->session->provider->scope_ignores_case ? ha_same_word(scope->data, scope->len, word, n) : ha_equal(scope->data, scope->len, word, n)) return scope;
  }
  return NULL;
}

/* scope and redirect_uri come from argument, then pending, then option; a token from argument, then the session. */
static const struct ha_secret *argument_value(const struct lha_exchange *x, const char *name) {
  const struct ha_secret *v = lha_argument(x, name);
  if (v) return v;
  if (strcmp(name, "refresh_token") == 0) return present(&x->session->tokens.refresh);
  if (strcmp(name, "token") == 0) return present(&x->session->tokens.access);
  if (x->verb == LHA_REFRESH && strcmp(name, "scope") == 0) return repeated_scope(x);
  if (x->verb != LHA_EXCHANGE) return NULL;
  if (strcmp(name, "redirect_uri") == 0) v = present(&x->redirect_uri);
  else if (strcmp(name, "scope") == 0) v = present(&x->scope);
  else return NULL;
  return v ? v : option_named(x, name);
}

enum ha_status lha_template_value(const struct lha_exchange *x, const struct lha_template *t, const struct ha_secret **value) {
  *value = NULL;
  switch (t->source) {
    case LHA_LITERAL: return HA_OK;
    case LHA_OPTION: *value = lha_option_value(x, t->option); break;
    case LHA_ARGUMENT: *value = argument_value(x, t->text); break;
    case LHA_PENDING:
      if (strcmp(t->text, "redirect_uri") == 0) *value = present(&x->redirect_uri);
      else if (strcmp(t->text, "scope") == 0) *value = present(&x->scope);
      else if (strcmp(t->text, "code_verifier") == 0) *value = present(&x->verifier);
      break;
  }
  return *value ? HA_OK : HA_MORE;
}

static const char *absent_code(const struct lha_template *t) {
  if (t->source == LHA_OPTION) return "credential_missing";
  if (strcmp(t->text, "refresh_token") == 0 || strcmp(t->text, "token") == 0) return "no_token";
  if (strcmp(t->text, "code") == 0) return "code_missing";
  if (strcmp(t->text, "access_code") == 0) return "access_code_missing";
  if (strcmp(t->text, "redirect_uri") == 0) return "redirect_uri_missing";
  return "argument_missing";
}

const char *lha_grown(lua_State *L, enum ha_status rc, const char **why) {
  if (rc == HA_OK) return NULL;
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  *why = rc == HA_BAD ? "a value is no UTF-8" : "the request is too large";
  return "argument_malformed";
}

static enum ha_status json_field(struct ha_buf *out, const char *name, size_t nlen, const char *value, size_t vlen, bool raw, bool first) {
  enum ha_status rc = first ? HA_OK : ha_buf_addc(out, ',');
  if (rc == HA_OK) rc = ha_json_quote(out, name, nlen);
  if (rc == HA_OK) rc = ha_buf_addc(out, ':');
  if (rc == HA_OK) rc = raw ? ha_buf_add(out, value, vlen) : ha_json_quote(out, value, vlen);
  return rc;
}

/* What a declared field sends: *p stays NULL where an optional value is not there. *given says that it came from an argument or option. */
static const char *field_text(const struct lha_exchange *x, const struct lha_field *f, const char **p, size_t *n, bool *given, const char **why) {
  const struct ha_secret *value;
  *p = NULL;
  *n = 0;
  *given = false;
  if (lha_template_value(x, &f->value, &value) != HA_OK) {
    if (f->value.optional) return NULL;
    *why = "a value that the operation needs is not there";
    return absent_code(&f->value);
  }
  *given = value != NULL;
  *p = value ? value->data : f->value.text;
  *n = value ? value->len : f->value.len;
  return NULL;
}

static const char *build_body(lua_State *L, struct lha_exchange *x, const char **why) {
  const struct lha_operation *op = x->op;
  const char *code = NULL;
  bool json = op->body == LHA_BODY_JSON, first = true, verifier = x->verifier.data != NULL;
  int i;
  if (op->body == LHA_BODY_NONE) return NULL;
  x->has_body = true;
  if (json) {
    enum ha_status rc = ha_buf_addc(&x->body, '{');
    if (rc == HA_OK && op->wrap) rc = ha_json_quote(&x->body, op->wrap, strlen(op->wrap));
    if (rc == HA_OK && op->wrap) rc = ha_buf_adds(&x->body, ":{");
    code = lha_grown(L, rc, why);
  }
  for (i = 0; i < op->fields.count && !code; i++) {
    const struct lha_field *f = &op->fields.list[i];
    const char *p;
    size_t n;
    bool given;
    code = field_text(x, f, &p, &n, &given, why);
    if (code) return code;
    if (!p) continue;
    if (strcmp(f->name, "code_verifier") == 0) verifier = false;
    if (json) code = lha_grown(L, json_field(&x->body, f->name, f->name_len, p, n, f->value.raw, first), why);
    else code = lha_grown(L, ha_form_add(&x->body, f->name, f->name_len, p, n), why);
    first = false;
  }
  if (!code && verifier && x->verb == LHA_EXCHANGE) /* PKCE needs no line in a declaration */
    code = lha_grown(L, json ? json_field(&x->body, "code_verifier", 13, x->verifier.data, x->verifier.len, false, first)
                         : ha_form_add(&x->body, "code_verifier", 13, x->verifier.data, x->verifier.len), why);
  if (!code && json) code = lha_grown(L, ha_buf_adds(&x->body, op->wrap ? "}}" : "}"), why);
  return code;
}

enum ha_status lha_header_add(struct lha_exchange *x, const char *name, size_t nlen, const char *prefix, const char *value, size_t vlen) {
  enum ha_status rc = ha_buf_add(&x->headers, name, nlen);
  if (rc == HA_OK) rc = ha_buf_addc(&x->headers, '\0');
  if (rc == HA_OK) rc = ha_buf_adds(&x->headers, prefix);
  if (rc == HA_OK) rc = ha_buf_add(&x->headers, value, vlen);
  if (rc == HA_OK) rc = ha_buf_addc(&x->headers, '\0');
  return rc;
}

static int header_count(const struct lha_exchange *x) {
  size_t i;
  int ends = 0;
  for (i = 0; i < x->headers.len; i++) ends += x->headers.data[i] == '\0';
  return ends / 2;
}

static enum ha_status plain_header(struct lha_exchange *x, const char *name, const char *value) {
  return lha_header_add(x, name, strlen(name), "", value, strlen(value));
}

const char *lha_declared_headers(lua_State *L, struct lha_exchange *x, const struct lha_fields *fields, const char **why) {
  int i;
  for (i = 0; i < fields->count; i++) {
    const struct lha_field *f = &fields->list[i];
    const char *p, *code;
    size_t n;
    bool given;
    code = field_text(x, f, &p, &n, &given, why);
    if (code) return code;
    if (!p) continue;
    if (given && !ha_is_token(p, n)) {
      *why = "a value that enters a header has other bytes than 0x21 to 0x7E";
      return "argument_malformed";
    }
    if (lha_header_add(x, f->name, f->name_len, "", p, n) != HA_OK) luaL_error(L, "not enough memory");
  }
  return NULL;
}

/* RFC 6749 2.3.1: id and secret are form-encoded first. */
static const char *basic_header(lua_State *L, struct lha_exchange *x, const char **why) {
  const struct ha_secret *id = option_named(x, "client_id"), *secret = option_named(x, "client_secret");
  struct ha_buf *pair;
  struct ha_buf *coded;
  if (!id || !secret) {
    *why = "client_id or client_secret is not there";
    return "credential_missing";
  }
  pair = lha_bytes_new(L, LHA_HEADERS_MAX);
  coded = lha_bytes_new(L, LHA_HEADERS_MAX);
  lha_must(L, ha_percent_encode(pair, id->data, id->len));
  lha_must(L, ha_buf_addc(pair, ':'));
  lha_must(L, ha_percent_encode(pair, secret->data, secret->len));
  lha_must(L, ha_base64_encode(coded, pair->data, pair->len));
  lha_must(L, ha_secret_set(&x->basic, coded->data, coded->len));
  lha_must(L, lha_header_add(x, "Authorization", 13, "Basic ", coded->data, coded->len));
  ha_buf_free(pair);
  ha_buf_free(coded);
  lua_pop(L, 2);
  return NULL;
}

const char *lha_bearer_header(lua_State *L, struct lha_exchange *x, const char **why) {
  const struct ha_secret *token = present(&x->session->tokens.access);
  if (!token) {
    *why = "the session has no access token";
    return "no_token";
  }
  lha_must(L, lha_header_add(x, "Authorization", 13, "Bearer ", token->data, token->len));
  return NULL;
}

/* The whole URL of path (or of the endpoint that the options give) into x->url. */
const char *lha_endpoint_url(lua_State *L, struct lha_exchange *x, const char *name, const char *path, const char **why) {
  struct ha_url base, u;
  enum ha_status rc;
  size_t n = strlen(path);
  lha_getowned(L, 1);
  lua_getfield(L, -1, "endpoints");
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_getfield(L, -1, name);
    if (lua_type(L, -1) == LUA_TSTRING) path = lua_tolstring(L, -1, &n);
    lua_remove(L, -2); /* the text stays on the stack while we use it */
  }
  ha_url_init(&base);
  ha_url_init(&u);
  rc = path[0] == '/' ? lha_session_base(x->session, &base) : HA_OK;
  if (rc == HA_OK) rc = path[0] == '/' ? ha_url_join(&u, &base, path, n, why) : ha_url_parse(&u, path, n, why);
  if (rc == HA_OK) rc = ha_buf_add(&x->url, u.text.data, u.text.len);
  ha_url_free(&base);
  ha_url_free(&u);
  lua_pop(L, 2);
  if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
  return rc == HA_OK ? NULL : "url_malformed";
}

static const char *build_operation(lua_State *L, struct lha_exchange *x, const char **why) {
  const struct lha_operation *op = x->op;
  const char *code;
  x->method = op->method;
  code = lha_endpoint_url(L, x, lha_verb_names[x->verb], op->path, why);
  if (!code) code = lha_declared_headers(L, x, &x->session->provider->headers, why);
  if (!code) code = lha_declared_headers(L, x, &op->headers, why);
  if (!code && op->auth == LHA_AUTH_BASIC) code = basic_header(L, x, why);
  if (!code && op->auth == LHA_AUTH_BEARER) code = lha_bearer_header(L, x, why);
  if (!code) code = build_body(L, x, why);
  if (code) return code;
  if (op->body == LHA_BODY_FORM) lha_must(L, plain_header(x, "Content-Type", "application/x-www-form-urlencoded"));
  if (op->body == LHA_BODY_JSON) lha_must(L, plain_header(x, "Content-Type", "application/json"));
  if (!lha_header_declared(&x->session->provider->headers, "accept") && !lha_header_declared(&op->headers, "accept"))
    lha_must(L, plain_header(x, "Accept", "application/json"));
  return NULL;
}

const char *lha_request_build(lua_State *L, struct lha_exchange *x, int args, const char **why) {
  unsigned char random[16];
  struct ha_buf *hex;
  const char *code;
  int i;
  x->timeout = x->session->timeout;
  code = x->verb == LHA_CALL ? lha_call_build(L, x, args, why) : build_operation(L, x, why);
  if (code) return code;
  for (i = 0; i < x->session->header_count; i++) {
    const struct lha_header *h = &x->session->headers[i];
    if (h->name.data) lha_must(L, lha_header_add(x, h->name.data, h->name.len, "", h->value.data, h->value.len));
  }
  if (x->session->user_agent.data) lha_must(L, lha_header_add(x, "User-Agent", 10, "", x->session->user_agent.data, x->session->user_agent.len));
  else lha_must(L, plain_header(x, "User-Agent", "healthauth/" HA_VERSION));
  if (!ha_random(random, sizeof random)) {
    *why = "the system gives no random bytes";
    return "random_failed";
  }
  hex = lha_bytes_new(L, 64);
  lha_must(L, ha_hex_encode(hex, random, sizeof random));
  (void)snprintf(x->request_id, sizeof x->request_id, "ha-%s", hex->data);
  lua_pop(L, 1);
  lha_must(L, plain_header(x, "X-Request-ID", x->request_id));
  if (header_count(x) > LHA_HEADER_COUNT_MAX)
    luaL_error(L, "%s %s: more than %d headers", x->session->provider->name, lha_verb_names[x->verb], LHA_HEADER_COUNT_MAX);
  return NULL;
}

static void push_tls(lua_State *L, const struct lha_exchange *x, int owned) {
  lua_getfield(L, owned, "tls");
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_newtable(L); /* tls, copy */
    lua_pushnil(L);
    while (lua_next(L, -3)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
    if (x->session->key_password.data) {
      lha_secret_push(L, &x->session->key_password);
      lua_setfield(L, -2, "key_password");
    }
    lua_setfield(L, -4, "tls"); /* request, owned, tls */
  }
  lua_pop(L, 1);
}

void lha_request_push(lua_State *L, const struct lha_exchange *x, int self) {
  const struct lha_session *s = x->session;
  const char *p = x->headers.data, *end = p ? p + x->headers.len : NULL;
  int i = 0;
  luaL_checkstack(L, 10, "no stack");
  lua_createtable(L, 0, 9);
  lua_pushstring(L, x->method);
  lua_setfield(L, -2, "method");
  lua_pushlstring(L, x->url.data, x->url.len);
  lua_setfield(L, -2, "url");
  lua_newtable(L);
  while (p && p < end) {
    const char *value = p + strlen(p) + 1;
    lua_createtable(L, 2, 0);
    lua_pushstring(L, p);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, value);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, ++i);
    p = value + strlen(value) + 1;
  }
  lua_setfield(L, -2, "headers");
  if (x->has_body) {
    lua_pushlstring(L, x->body.data ? x->body.data : "", x->body.len);
    lua_setfield(L, -2, "body");
  }
  lha_pushnumber(L, x->timeout);
  lua_setfield(L, -2, "timeout");
  lha_pushnumber(L, s->connect_timeout < x->timeout ? s->connect_timeout : x->timeout);
  lua_setfield(L, -2, "connect_timeout");
  lua_createtable(L, 0, 3);
  lha_pushnumber(L, s->limit_body);
  lua_setfield(L, -2, "body");
  lha_pushnumber(L, s->limit_headers);
  lua_setfield(L, -2, "headers");
  lha_pushnumber(L, s->limit_depth);
  lua_setfield(L, -2, "depth");
  lua_setfield(L, -2, "limits");
  if (s->proxy.data) {
    lha_secret_push(L, &s->proxy);
    lua_setfield(L, -2, "proxy");
  }
  lha_getowned(L, self); /* request, owned of the exchange */
  lua_rawgeti(L, -1, 1); /* ..., session */
  lha_getowned(L, lua_gettop(L));
  lua_replace(L, -3);
  lua_pop(L, 1); /* request, owned of the session */
  push_tls(L, x, lua_gettop(L));
  lua_pop(L, 1);
}
