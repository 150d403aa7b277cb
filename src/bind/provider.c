/* SPDX-License-Identifier: MIT */
#include "provider.h"

#include <stdio.h>
#include <string.h>

#include "class.h"
#include "declare.h"
#include "error.h"

const char *const lha_verb_names[LHA_VERBS] = {"exchange", "refresh", "verify", "check", "logout", "call"};
const char *const lha_member_names[LHA_MEMBERS + 1] = {"access_token", "refresh_token", "token_type", "expires_in",
                                                       "expires_at",   "scope",         "name",       NULL};

int lha_option_index(const struct lha_provider *p, const char *name, size_t len) {
  int i;
  for (i = 0; i < p->option_count; i++)
    if (strlen(p->options[i].name) == len && memcmp(p->options[i].name, name, len) == 0) return i;
  return -1;
}

/* tokens = "oauth", or a map of our names to dotted paths in the answer. */
static void read_tokens(const struct lha_cursor *c, struct lha_operation *op) {
  static const char what[] = "\"oauth\" or a table that maps access_token (and others) to paths in the answer";
  struct lha_cursor map;
  int i;
  lua_pushliteral(c->L, "tokens");
  lua_rawget(c->L, c->table);
  op->has_tokens = true;
  if (lua_type(c->L, -1) == LUA_TSTRING) {
    if (strcmp(lua_tostring(c->L, -1), "oauth") != 0) lha_declare_bad(c, "tokens", what);
    lua_pop(c->L, 1);
    for (i = 0; i < LHA_MEMBERS; i++)
      if (i != LHA_EXPIRES_AT && i != LHA_NAME) op->members[i] = lha_member_names[i];
    op->type_required = true;
    return;
  }
  if (lua_type(c->L, -1) != LUA_TTABLE) lha_declare_bad(c, "tokens", what);
  lua_pop(c->L, 1);
  (void)lha_declare_enter(c, "tokens", true, &map);
  lha_declare_only(&map, lha_member_names);
  for (i = 0; i < LHA_MEMBERS; i++) op->members[i] = lha_declare_text(&map, lha_member_names[i], NULL, i == LHA_ACCESS);
  lua_pop(c->L, 1);
}

static bool refuses_tokens(enum lha_verb verb) { return verb != LHA_EXCHANGE && verb != LHA_REFRESH; }

static struct lha_operation *read_operation(const struct lha_cursor *outer, struct lha_provider *p, enum lha_verb verb) {
  static const char *const COMMON[] = {"method", "path", "body", "wrap", "fields", "headers", "auth", "success", "tokens", "resend",
                                       "rotation", "life", "grant", "gone", "active", "spent", "repeat_scope", NULL};
  static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE", NULL};
  static const char *const BODIES[] = {"none", "form", "json", NULL};
  static const char *const AUTHS[] = {"none", "basic", "bearer", NULL};
  static const char *const RESENDS[] = {"never", "safe", NULL};
  static const char *const ROTATIONS[] = {"replace", "keep", NULL};
  static const char *const GRANTS[] = {"authorization_code", "client_credentials", "code", NULL};
  static const struct lha_statuses ONLY_200 = {{200}, 1};
  struct lha_cursor c;
  struct lha_operation *op;
  if (!lha_declare_enter(outer, lha_verb_names[verb], false, &c)) return NULL;
  op = lha_declare_alloc(&c, sizeof *op);
  lha_declare_only(&c, COMMON);
  op->verb = verb;
  op->method = METHODS[lha_declare_choice(&c, "method", METHODS, verb == LHA_VERIFY || verb == LHA_CHECK ? 0 : 1, "GET, POST, PUT or DELETE")];
  op->path = lha_declare_text(&c, "path", NULL, true);
  lha_declare_path(&c, "path", op->path);
  op->body = (enum lha_body)lha_declare_choice(&c, "body", BODIES, 0, "form, json or none");
  op->auth = (enum lha_auth)lha_declare_choice(&c, "auth", AUTHS, 0, "none, basic or bearer");
  if (op->auth == LHA_AUTH_BASIC && (lha_option_index(p, "client_id", 9) < 0 || lha_option_index(p, "client_secret", 13) < 0))
    lha_declare_bad(&c, "auth", "the options client_id and client_secret for basic");
  if (op->auth == LHA_AUTH_BEARER && verb == LHA_EXCHANGE) lha_declare_bad(&c, "auth", "none or basic");
  op->wrap = lha_declare_text(&c, "wrap", NULL, false);
  if (op->wrap && op->body != LHA_BODY_JSON) lha_declare_bad(&c, "wrap", "body = \"json\" beside it");
  lha_declare_fields(&c, "fields", p, false, &op->fields);
  if (op->fields.count && op->body == LHA_BODY_NONE) lha_declare_bad(&c, "body", "form or json where there are fields");
  if (op->body != LHA_BODY_NONE && strcmp(op->method, "GET") == 0) lha_declare_bad(&c, "body", "none with GET");
  lha_declare_fields(&c, "headers", p, true, &op->headers);
  op->success = ONLY_200;
  lha_declare_statuses(&c, "success", false, &op->success);
  lha_declare_statuses(&c, "gone", false, &op->gone);
  if (op->gone.count && verb != LHA_VERIFY) lha_declare_bad(&c, "gone", "nothing here: it belongs to verify");
  op->active = lha_declare_text(&c, "active", NULL, false);
  if (op->active && verb != LHA_VERIFY) lha_declare_bad(&c, "active", "nothing here: it belongs to verify");
  op->spent_count = lha_declare_texts(&c, "spent", &op->spent);
  if (op->spent_count && verb != LHA_LOGOUT) lha_declare_bad(&c, "spent", "nothing here: it belongs to logout");
  op->repeat_scope_count = lha_declare_texts(&c, "repeat_scope", &op->repeat_scope);
  if (op->repeat_scope_count && (verb != LHA_REFRESH || lha_option_index(p, "scope", 5) < 0 || !lha_fields_take(&op->fields, "scope")))
    lha_declare_bad(&c, "repeat_scope", "nothing here: it belongs to refresh, with an option scope and a field of $argument.scope");
  if (refuses_tokens(verb)) {
    lua_pushliteral(c.L, "tokens");
    lua_rawget(c.L, c.table);
    if (!lua_isnil(c.L, -1)) lha_declare_bad(&c, "tokens", "nothing here: it belongs to exchange and refresh");
    lua_pop(c.L, 1);
  } else {
    read_tokens(&c, op);
  }
  op->client_credentials = lha_declare_choice(&c, "grant", GRANTS, 0, "authorization_code, client_credentials or code") == 1;
  if (op->client_credentials && verb != LHA_EXCHANGE) lha_declare_bad(&c, "grant", "nothing here: it belongs to exchange");
  /* a code, an access code and a rotating refresh token are single use: safe must be said */
  op->resend_safe = lha_declare_choice(&c, "resend", RESENDS, refuses_tokens(verb) || op->client_credentials ? 1 : 0, "never or safe") == 1;
  lua_pushliteral(c.L, "life");
  lua_rawget(c.L, c.table);
  if (!lua_isnil(c.L, -1)) {
    op->life = lua_type(c.L, -1) == LUA_TNUMBER && verb == LHA_REFRESH ? lua_tonumber(c.L, -1) : 0;
    if (!(op->life >= 60 && op->life <= 1e10)) lha_declare_bad(&c, "life", "seconds of a refresh token's life, 60 or more");
  }
  lua_pop(c.L, 1);
  op->rotate = lha_declare_choice(&c, "rotation", ROTATIONS, 0, "replace or keep") == 0;
  lua_pop(c.L, 1);
  return op;
}

static void read_rules(const struct lha_cursor *outer, const char *member, bool actions, struct lha_rules *out) {
  static const char *const KNOWN[] = {"operation", "status", "dialect", "when", "message", "invalid", "challenge", "code", "action", NULL};
  static const char *const DIALECTS[] = {"oauth", "problem", "ehealth", "operation_outcome", "fault", NULL};
  struct lha_cursor list;
  int i, n;
  if (!lha_declare_enter(outer, member, false, &list)) return;
  n = (int)lua_rawlen(list.L, list.table);
  if (n < 1 || n > LHA_LIST_MAX) lha_declare_bad(outer, member, "a list of 1 to 64 rules");
  out->list = lha_declare_alloc(&list, sizeof *out->list * (size_t)n);
  out->count = n;
  for (i = 1; i <= n; i++) {
    struct lha_rule *r = &out->list[i - 1];
    struct lha_cursor c = list;
    int dialect;
    lua_rawgeti(list.L, list.table, i);
    (void)snprintf(c.path, sizeof c.path, "%.90s[%d]", list.path, i);
    if (lua_type(c.L, -1) != LUA_TTABLE) lha_declare_bad(&c, NULL, "a table");
    c.table = lua_gettop(c.L);
    lha_declare_only(&c, KNOWN);
    r->operations = 0;
    {
      int verb = lha_declare_choice(&c, "operation", (const char *const[]){"exchange", "refresh", "verify", "check", "logout", "call", "any", NULL},
                                    LHA_VERBS, "exchange, refresh, verify, check, logout, call or any");
      if (verb < LHA_VERBS) r->operations = 1 << verb;
    }
    lua_pushliteral(c.L, "status");
    lua_rawget(c.L, c.table);
    if (!lua_isnil(c.L, -1)) {
      double v = lua_type(c.L, -1) == LUA_TNUMBER ? lua_tonumber(c.L, -1) : 0;
      if (!(v >= 200 && v <= 599)) lha_declare_bad(&c, "status", "a status, 200 to 599");
      r->status = (int)v;
    }
    lua_pop(c.L, 1);
    dialect = lha_declare_choice(&c, "dialect", DIALECTS, 5, "oauth, problem, ehealth, operation_outcome or fault");
    r->dialect = dialect < 5 ? DIALECTS[dialect] : NULL;
    r->code = lha_declare_text(&c, "when", NULL, false);
    r->message = lha_declare_text(&c, "message", NULL, false);
    r->invalid = lha_declare_text(&c, "invalid", NULL, false);
    r->challenge = lha_declare_text(&c, "challenge", NULL, false);
    r->set_code = lha_declare_text(&c, "code", NULL, false);
    r->set_action = lha_declare_text(&c, "action", NULL, false);
    if (r->set_action && (!actions || !lha_is_action(r->set_action)))
      lha_declare_bad(&c, "action", actions ? "retry, wait, reauthorize, fix_request, fix_credentials, step_up or give_up" : "nothing here");
    if (r->set_code && !lha_declare_word(r->set_code)) lha_declare_bad(&c, "code", "a word of a-z, 0-9 and _");
    if (!r->set_code && !r->set_action && actions) lha_declare_bad(&c, "action", "a rule that sets a code or an action");
    if (r->set_code && !actions) lha_declare_bad(&c, "code", "nothing here");
    if (!actions && !r->status && !r->dialect && !r->code && !r->message && !r->invalid && !r->challenge)
      lha_declare_bad(&c, NULL, "a condition: without one every refusal would cost a refresh");
    lua_pop(c.L, 1);
  }
  lua_pop(list.L, 1);
}

static void read_environments(const struct lha_cursor *outer, struct lha_provider *p) {
  struct lha_cursor c;
  int i, n, keys;
  if (!lha_declare_enter(outer, "environments", false, &c)) return;
  n = lha_declare_keys(&c);
  keys = lua_gettop(c.L);
  p->environments = lha_declare_alloc(&c, sizeof *p->environments * (size_t)(n + 1));
  for (i = 0; i < n; i++) {
    lua_rawgeti(c.L, keys, i + 1);
    p->environments[i].name = lha_declare_copy(&c, lua_tostring(c.L, -1), strlen(lua_tostring(c.L, -1)));
    p->environments[i].value = lha_declare_text(&c, p->environments[i].name, NULL, true);
    lha_declare_url(&c, p->environments[i].name, p->environments[i].value, LHA_URL_BASE);
    lua_pop(c.L, 1);
  }
  p->environment_count = n;
  lua_pop(c.L, 2);
}

static void read_options(const struct lha_cursor *outer, struct lha_provider *p) {
  static const char *const KNOWN[] = {"required", "secret", NULL};
  static const char *const TAKEN[] = {"environment", "base_url", "endpoints", "tokens", "transport", "store", "key", "timeout", "connect_timeout",
                                      "limits", "tls", "proxy", "user_agent", "headers", "origins", "issuer", "pkce", "clock", "margin", "lease",
                                      "max_wait", "on_event", "trace", NULL};
  struct lha_cursor c;
  int i, n, keys;
  if (!lha_declare_enter(outer, "options", false, &c)) return;
  n = lha_declare_keys(&c);
  keys = lua_gettop(c.L);
  if (n > LHA_OPTIONS_MAX) lha_declare_bad(outer, "options", "at most 16 options");
  p->options = lha_declare_alloc(&c, sizeof *p->options * (size_t)(n + 1));
  for (i = 0; i < n; i++) {
    struct lha_cursor inner;
    const char *const *t = TAKEN;
    struct lha_option *o = &p->options[i];
    lua_rawgeti(c.L, keys, i + 1);
    o->name = lha_declare_copy(&c, lua_tostring(c.L, -1), strlen(lua_tostring(c.L, -1)));
    while (*t && strcmp(*t, o->name) != 0) t++;
    if (*t || !lha_declare_word(o->name)) lha_declare_bad(&c, o->name, "a name of a-z, 0-9 and _ that no session option has");
    if (lha_declare_enter(&c, o->name, true, &inner)) {
      lha_declare_only(&inner, KNOWN);
      o->required = lha_declare_flag(&inner, "required", false);
      o->secret = lha_declare_flag(&inner, "secret", false);
      lua_pop(c.L, 1);
    }
    lua_pop(c.L, 1);
  }
  p->option_count = n;
  lua_pop(c.L, 2);
}

static void read_authorize(const struct lha_cursor *outer, struct lha_provider *p) {
  static const char *const KNOWN[] = {"path", "query", "pkce", NULL};
  struct lha_cursor c;
  struct lha_authorize *a;
  int i;
  bool state = false;
  if (!lha_declare_enter(outer, "authorize", false, &c)) return;
  a = lha_declare_alloc(&c, sizeof *a);
  lha_declare_only(&c, KNOWN);
  a->path = lha_declare_text(&c, "path", NULL, true);
  lha_declare_path(&c, "path", a->path);
  lha_declare_fields(&c, "query", p, false, &a->query);
  for (i = 0; i < a->query.count; i++) {
    const struct lha_field *f = &a->query.list[i];
    if (strcmp(f->name, "state") == 0 && f->value.source == LHA_PENDING && strcmp(f->value.text, "state") == 0) state = true;
  }
  if (!state) lha_declare_bad(&c, "query.state", "$pending.state");
  a->pkce = lha_declare_flag(&c, "pkce", true);
  p->authorize = a;
  lua_pop(c.L, 1);
}

static void read_call(const struct lha_cursor *outer, struct lha_provider *p) {
  static const char *const KNOWN[] = {"expired", "origins", NULL};
  struct lha_cursor c;
  int i;
  if (!lha_declare_enter(outer, "call", false, &c)) return;
  lha_declare_only(&c, KNOWN);
  p->has_call = true;
  read_rules(&c, "expired", false, &p->expired);
  p->origin_count = lha_declare_texts(&c, "origins", &p->origins);
  for (i = 0; i < p->origin_count; i++) lha_declare_url(&c, "origins", p->origins[i], LHA_URL_ORIGIN);
  lua_pop(c.L, 1);
}

static void read_declaration(lua_State *L, struct lha_provider *p) {
  static const char *const KNOWN[] = {"name", "environments", "options", "headers", "issuer", "issuer_required", "scope", "authorize",
                                      "operations", "call", "errors", NULL};
  static const char *const SCOPES[] = {"exact", "ignore_case", NULL};
  static const char *const VERBS[] = {"exchange", "refresh", "verify", "check", "logout", NULL};
  struct lha_cursor c, ops;
  int verb;
  memset(&c, 0, sizeof c);
  c.L = L;
  c.arena = &p->arena;
  c.table = 1;
  lha_declare_only(&c, KNOWN);
  p->name = lha_declare_text(&c, "name", NULL, true);
  if (!lha_declare_word(p->name)) lha_declare_bad(&c, "name", "a word of a-z, 0-9 and _, at most 64, starting with a letter");
  read_environments(&c, p);
  read_options(&c, p);
  lha_declare_fields(&c, "headers", p, true, &p->headers);
  p->issuer = lha_declare_text(&c, "issuer", NULL, false);
  p->issuer_required = lha_declare_flag(&c, "issuer_required", false);
  p->scope_ignores_case = lha_declare_choice(&c, "scope", SCOPES, 0, "exact or ignore_case") == 1;
  read_authorize(&c, p);
  if (lha_declare_enter(&c, "operations", true, &ops)) {
    lha_declare_only(&ops, VERBS);
    for (verb = 0; verb < LHA_OPERATIONS; verb++) p->operations[verb] = read_operation(&ops, p, (enum lha_verb)verb);
    lua_pop(L, 1);
  }
  if (p->authorize && !p->operations[LHA_EXCHANGE]) lha_declare_bad(&c, "operations.exchange", "an operation where authorize is declared");
  read_call(&c, p);
  lha_declare_headers_once(&c, p);
  read_rules(&c, "errors", true, &p->errors);
}

int lha_provider_function(lua_State *L) {
  struct lha_provider *p;
  if (lua_type(L, 1) != LUA_TTABLE) return luaL_error(L, "provider: expected a declaration table");
  lua_settop(L, 1);
  p = lha_class_make(L, sizeof *p, LHA_PROVIDER);
  read_declaration(L, p);
  p->ready = true;
  lua_settop(L, 2);
  return 1;
}

const struct lha_provider *lha_provider_check(lua_State *L, int index) {
  struct lha_provider *p = lha_class_check(L, index, LHA_PROVIDER);
  if (!p->ready) luaL_argerror(L, index, "provider was not finished");
  return p;
}

static int provider_close(lua_State *L) {
  struct lha_provider *p = lha_class_test(L, 1, LHA_PROVIDER);
  if (p) {
    p->ready = false;
    ha_arena_free(&p->arena);
  }
  return 0;
}

static int provider_tostring(lua_State *L) {
  lua_pushfstring(L, "%s (%s)", LHA_PROVIDER, lha_provider_check(L, 1)->name);
  return 1;
}

static int provider_name(lua_State *L) {
  lua_pushstring(L, lha_provider_check(L, 1)->name);
  return 1;
}

static int provider_environments(lua_State *L) {
  const struct lha_provider *p = lha_provider_check(L, 1);
  int i;
  lua_createtable(L, 0, p->environment_count);
  for (i = 0; i < p->environment_count; i++) {
    lua_pushstring(L, p->environments[i].value);
    lua_setfield(L, -2, p->environments[i].name);
  }
  return 1;
}

void lha_provider_open(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", provider_close}, {"__tostring", provider_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"name", provider_name}, {"environments", provider_environments}, {NULL, NULL}};
  lha_class_new(L, LHA_PROVIDER, meta, methods);
  lua_pop(L, 1);
}
