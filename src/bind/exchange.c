/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include <string.h>

#include "base/alloc.h"
#include "bytes.h"
#include "class.h"
#include "error.h"
#include "problem.h"

struct lha_exchange *lha_exchange_new(lua_State *L, int session) {
  struct lha_exchange *x;
  session = lha_absindex(L, session);
  x = lha_class_make(L, sizeof *x, LHA_EXCHANGE_TYPE);
  ha_buf_init(&x->url, HA_URL_MAX);
  ha_buf_init(&x->headers, LHA_HEADERS_MAX);
  ha_buf_init(&x->body, LHA_BODY_MAX);
  x->done = true; /* until begin has it whole: a collected one of these counts for nothing */
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, session);
  lua_rawseti(L, -2, 1);
  lha_setowned(L, -2);
  x->session = lua_touserdata(L, session);
  return x;
}

static void drop(const struct lha_exchange *x, struct ha_buf *b) {
  if (x->busy) ha_buf_clear(b);
  else ha_buf_free(b);
}

void lha_exchange_wipe(struct lha_exchange *x) {
  int i;
  for (i = 0; i < x->argument_count; i++) ha_secret_clear(&x->arguments[i].value);
  for (i = 0; x->credentials && i < x->credential_count; i++) ha_secret_clear(&x->credentials[i]);
  if (!x->busy) {
    ha_free(x->credentials, sizeof *x->credentials * (size_t)(x->credential_count + 1));
    x->credentials = NULL;
  }
  x->argument_count = 0;
  ha_secret_clear(&x->redirect_uri);
  ha_secret_clear(&x->scope);
  ha_secret_clear(&x->verifier);
  ha_secret_clear(&x->basic);
  drop(x, &x->url);
  drop(x, &x->headers);
  drop(x, &x->body);
  lha_tokens_clear(&x->fresh);
}

static void let_go(struct lha_exchange *x) {
  if (x->changing) x->session->changing = false;
  x->changing = false;
  x->done = true;
}

static void end(struct lha_exchange *x) {
  let_go(x);
  lha_exchange_wipe(x);
}

/* The refresh left, or may have left, and nobody knows whether the server has turned the token over. */
static void outcome_unknown(struct lha_exchange *x) {
  if (x->verb == LHA_REFRESH && x->op && !x->op->resend_safe && !x->session->closed) x->session->refresh_unknown = true;
}

static int exchange_gc(lua_State *L) {
  struct lha_exchange *x = lha_class_test(L, 1, LHA_EXCHANGE_TYPE);
  if (!x) return 0;
  if (!x->done) outcome_unknown(x);
  x->busy = false;
  if (x->session) end(x);
  else lha_exchange_wipe(x);
  return 0;
}

void lha_exchange_open_session(lua_State *L, const struct lha_exchange *x) {
  const struct lha_provider *p = x->session->provider;
  if (x->session->closed || !p->ready) luaL_error(L, "%s: the session is closed", p->ready ? p->name : LHA_SESSION);
}

static struct lha_exchange *live(lua_State *L) {
  struct lha_exchange *x = lha_class_check(L, 1, LHA_EXCHANGE_TYPE);
  if (x->done) luaL_error(L, "the exchange is finished");
  lha_exchange_open_session(L, x);
  return x;
}

static enum lha_verb check_verb(lua_State *L, const struct lha_session *s) {
  int verb;
  if (lua_type(L, 2) == LUA_TSTRING)
    for (verb = 0; verb < LHA_VERBS; verb++)
      if (strcmp(lua_tostring(L, 2), lha_verb_names[verb]) == 0) return (enum lha_verb)verb;
  return (enum lha_verb)luaL_error(L, "%s: begin: expected exchange, refresh, verify, check, logout or call", s->provider->name);
}

static const char *action_for(const char *code) {
  if (strcmp(code, "no_token") == 0) return "reauthorize";
  if (strncmp(code, "credential", 10) == 0) return "fix_credentials";
  if (strcmp(code, "random_failed") == 0) return "retry";
  return NULL;
}

int lha_exchange_begin(lua_State *L) {
  struct lha_session *s = lha_session_live(L, 1);
  enum lha_verb verb = check_verb(L, s);
  struct lha_exchange *x;
  const char *code, *why = NULL;
  bool changes;
  int results;
  if (lua_isnoneornil(L, 3)) {
    lua_settop(L, 2);
    lua_newtable(L);
  }
  if (lua_type(L, 3) != LUA_TTABLE) return luaL_error(L, "%s %s: expected a table of arguments", s->provider->name, lha_verb_names[verb]);
  lua_settop(L, 3);
  x = lha_exchange_new(L, 1); /* 4 */
  x->verb = verb;
  x->op = verb < LHA_OPERATIONS ? s->provider->operations[verb] : NULL;
  if (verb == LHA_CALL ? !s->provider->has_call : !x->op)
    return lha_refuse(L, x, "unsupported", "operation_unsupported", "the provider has no such operation", "not_sent", NULL);
  code = lha_arguments_read(L, x, 3, &why);
  if (code) return lha_refuse(L, x, "argument", code, why, "not_sent", action_for(code));
  if (verb == LHA_EXCHANGE && (results = lha_callback_read(L, x, 3)) != 0) return results;
  changes = verb == LHA_EXCHANGE || verb == LHA_REFRESH || verb == LHA_LOGOUT;
  if (changes && s->changing)
    return lha_refuse(L, x, "argument", "exchange_open", "another exchange that may change the tokens is open", "not_sent", "wait");
  code = lha_request_build(L, x, 3, &why);
  (void)lha_session_live(L, 1); /* a finaliser may have closed it, or begun another exchange, while the request was built */
  if (code) return lha_refuse(L, x, "argument", code, why, "not_sent", action_for(code));
  if (changes && s->changing)
    return lha_refuse(L, x, "argument", "exchange_open", "another exchange that may change the tokens is open", "not_sent", "wait");
  lua_settop(L, 4);
  x->done = false; /* no error can come from here on; before, a collected x must not let go of what another holds */
  x->changing = changes;
  if (changes) s->changing = true;
  return 1;
}

/* request(): the plain table to send. */
static int exchange_request(lua_State *L) {
  struct lha_exchange *x = live(L);
  bool within = x->busy;
  lua_settop(L, 1);
  x->busy = true;
  lha_request_push(L, x, 1);
  x->busy = within;
  (void)live(L); /* else it may lack the proxy */
  return 1;
}

/* finish(response): the result of the operation, or nil, err. */
static int exchange_finish(lua_State *L) {
  struct lha_exchange *x = live(L);
  bool within = x->busy;
  int n;
  lua_settop(L, 2);
  x->busy = true;
  n = lha_answer(L, x, 2);
  x->busy = within;
  end(x);
  lha_exchange_open_session(L, x); /* what was closed meanwhile hid no secret any more */
  return n;
}

static const char *word(lua_State *L, const char *name, bool (*allowed)(const char *), const char *otherwise) {
  const char *p;
  lua_pushstring(L, name);
  lua_rawget(L, 2);
  p = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  return p && (!allowed || allowed(p)) ? p : otherwise; /* stays on the stack while it is used */
}

/* fail(failure): nil, err for a request that got no whole answer. It ends the exchange even when there is no memory to say so. */
static int exchange_fail(lua_State *L) {
  struct lha_exchange *x = live(L);
  const char *kind, *outcome, *text;
  struct ha_buf *code;
  bool before = x->session->refresh_unknown, within = x->busy;
  size_t n;
  luaL_checktype(L, 2, LUA_TTABLE);
  x->busy = true;
  let_go(x);
  outcome_unknown(x);
  lua_settop(L, 2);
  luaL_checkstack(L, 16, "no stack");
  kind = word(L, "kind", lha_is_kind, "network");
  outcome = word(L, "outcome", lha_is_outcome, "unknown");
  if (strcmp(outcome, "not_sent") == 0) x->session->refresh_unknown = before;
  text = word(L, "code", NULL, "transport_failed");
  lua_pushstring(L, text);
  lha_sanitize_push(L, x, -1);
  text = lua_tostring(L, -1);
  code = lha_bytes_new(L, HA_CODE_MAX + 8);
  lha_must(L, ha_text_code(code, text, strlen(text)));
  lha_refuse(L, x, kind, code->len ? code->data : "transport_failed", NULL, outcome, NULL); /* nil, err */
  if (strcmp(text, "would_block") == 0) lha_error_word(L, "action", "fix_request");
  lua_pushliteral(L, "message");
  lua_rawget(L, 2);
  if (lua_type(L, -1) == LUA_TSTRING) {
    lha_sanitize_push(L, x, -1);
    text = lua_tolstring(L, -1, &n);
    lua_pushvalue(L, -3); /* err */
    lha_error_text(L, "message", text, n);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  x->busy = within;
  lha_exchange_wipe(x);
  lha_exchange_open_session(L, x);
  return 2;
}

static int exchange_tostring(lua_State *L) {
  struct lha_exchange *x = lha_class_check(L, 1, LHA_EXCHANGE_TYPE);
  if (x->done || !x->session->provider->ready) lua_pushliteral(L, LHA_EXCHANGE_TYPE " (finished)");
  else lua_pushfstring(L, "%s (%s %s)", LHA_EXCHANGE_TYPE, x->session->provider->name, lha_verb_names[x->verb]);
  return 1;
}

void lha_exchange_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", exchange_gc}, {"__tostring", exchange_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"request", exchange_request}, {"finish", exchange_finish}, {"fail", exchange_fail}, {NULL, NULL}};
  lha_class_new(L, LHA_EXCHANGE_TYPE, meta, methods);
  lua_pop(L, 1);
  lha_callback_open(L);
}
