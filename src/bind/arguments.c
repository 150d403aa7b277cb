/* SPDX-License-Identifier: MIT */
/* arguments.c - the arguments of one operation: names are the programmer's (wrong ones raise), values are the world's (wrong ones answer). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "bytes.h"
#include "exchange.h"
#include "options.h"
#include "sys/clock.h"

enum { ARGUMENT_BYTES_MAX = 64 * 1024 };

const struct ha_secret *lha_argument(const struct lha_exchange *x, const char *name) {
  int i;
  for (i = 0; i < x->argument_count; i++)
    if (strcmp(x->arguments[i].name, name) == 0) return &x->arguments[i].value;
  return NULL;
}

/* Static words for the codes of arguments that every provider may have; others share one. */
static const char *code_for(const char *name, bool missing) {
  static const struct { const char *name, *missing, *malformed; } CODES[] = {
      {"token", "token_missing", "token_malformed"},
      {"code", "code_missing", "code_malformed"},
      {"access_code", "access_code_missing", "access_code_malformed"},
      {"refresh_token", "token_missing", "token_malformed"},
      {"redirect_uri", "redirect_uri_missing", "redirect_uri_malformed"},
      {"scope", "scope_missing", "scope_malformed"}};
  size_t i;
  for (i = 0; i < sizeof CODES / sizeof *CODES; i++)
    if (strcmp(CODES[i].name, name) == 0) return missing ? CODES[i].missing : CODES[i].malformed;
  return missing ? "argument_missing" : "argument_malformed";
}

static bool value_fine(const char *name, const char *p, size_t n) {
  size_t i;
  if (n > ARGUMENT_BYTES_MAX) return false;
  if (strcmp(name, "scope") != 0) return ha_is_token(p, n);
  for (i = 0; i < n; i++)
    if (p[i] < 0x20 || p[i] > 0x7E) return false;
  return true;
}

const char *lha_argument_add(lua_State *L, struct lha_exchange *x, const char *name, const char *p, size_t n) {
  struct lha_argument *a = &x->arguments[x->argument_count];
  if (!value_fine(name, p, n)) return code_for(name, n == 0);
  if (x->argument_count == LHA_ARGUMENTS_MAX) luaL_error(L, "too many arguments");
  (void)snprintf(a->name, sizeof a->name, "%s", name);
  lha_must(L, ha_secret_set(&a->value, p, n));
  x->argument_count++;
  return NULL;
}

static bool known(const struct lha_exchange *x, const char *name) {
  static const char *const OF_CALL[] = {"method", "url", "headers", "body", "timeout", NULL};
  const struct lha_provider *p = x->session->provider;
  int i;
  if (strcmp(name, "now") == 0 || strcmp(name, "credentials") == 0) return true;
  if (x->verb == LHA_CALL) {
    for (i = 0; OF_CALL[i]; i++)
      if (strcmp(name, OF_CALL[i]) == 0) return true;
    return false;
  }
  if (lha_fields_take(&x->op->fields, name) || lha_fields_take(&x->op->headers, name) || lha_fields_take(&p->headers, name)) return true;
  if (x->verb == LHA_EXCHANGE && p->authorize)
    return strcmp(name, "callback") == 0 || strcmp(name, "pending") == 0 || strcmp(name, "redirect_uri") == 0 || strcmp(name, "scope") == 0;
  return false;
}

/* Values of credentials that are functions: the Lua layer called them and hands the values over. */
const char *lha_credentials_read(lua_State *L, struct lha_exchange *x, int index, const char **why) {
  const struct lha_provider *p = x->session->provider;
  int i;
  lua_pushliteral(L, "credentials");
  lua_rawget(L, index);
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "%s: credentials: expected a table", p->name);
    x->credentials = ha_alloc(sizeof *x->credentials * (size_t)(p->option_count + 1));
    if (!x->credentials) luaL_error(L, "not enough memory");
    x->credential_count = p->option_count;
    for (i = 0; i < p->option_count; i++) {
      lua_pushstring(L, p->options[i].name);
      lua_rawget(L, -2);
      if (!lua_isnil(L, -1)) {
        size_t n;
        const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
        if (!value || !lha_credential_fine(&p->options[i], value, n)) {
          *why = "a credential function did not return a usable text";
          return "credential_malformed";
        }
        lha_must(L, ha_secret_set(&x->credentials[i], value, n));
      }
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return NULL;
}

void lha_exchange_clock(lua_State *L, struct lha_exchange *x, int index) {
  x->now = ha_clock_unix();
  lua_pushliteral(L, "now");
  lua_rawget(L, index);
  if (!lua_isnil(L, -1)) {
    x->now = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(x->now >= 0 && x->now <= LHA_TIME_MAX)) luaL_error(L, "%s: now: expected unix seconds", x->session->provider->name);
  }
  lua_pop(L, 1);
}

const char *lha_arguments_read(lua_State *L, struct lha_exchange *x, int index, const char **why) {
  const struct lha_provider *p = x->session->provider;
  const char *code;
  luaL_checkstack(L, 10, "no stack");
  lha_exchange_clock(L, x, index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s %s: arguments have names", p->name, lha_verb_names[x->verb]);
    if (!known(x, lua_tostring(L, -1))) {
      char shown[LHA_NAME_MAX];
      const char *key = lua_tostring(L, -1);
      size_t i;
      for (i = 0; i + 1 < sizeof shown && key[i]; i++) shown[i] = key[i] >= 0x20 && key[i] <= 0x7E ? key[i] : '?';
      shown[i] = '\0';
      luaL_error(L, "%s %s: unknown argument '%s'", p->name, lha_verb_names[x->verb], shown);
    }
  }
  code = lha_credentials_read(L, x, index, why);
  if (code || x->verb == LHA_CALL) return code;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *name = lua_tostring(L, -2);
    size_t n;
    const char *value;
    if (strcmp(name, "now") == 0 || strcmp(name, "credentials") == 0 || strcmp(name, "callback") == 0 || strcmp(name, "pending") == 0) {
      lua_pop(L, 1);
      continue;
    }
    *why = "an argument is not a text of usable bytes";
    if (lua_type(L, -1) != LUA_TSTRING) return code_for(name, false);
    value = lua_tolstring(L, -1, &n);
    code = lha_argument_add(L, x, name, value, n);
    if (code) return code;
    lua_pop(L, 1);
  }
  return NULL;
}
