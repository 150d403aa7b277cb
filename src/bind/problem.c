/* SPDX-License-Identifier: MIT */
#include "problem.h"

#include <stdio.h>
#include <string.h>

#include "base/message.h"
#include "bytes.h"
#include "dialect.h"

/* The header of that name that comes after skip others of it; NULL = no such. */
static const char *nth_header(lua_State *L, int response, const char *name, int skip, size_t *len) {
  const char *found = NULL;
  int headers, i, n;
  lua_pushliteral(L, "headers");
  lua_rawget(L, response);
  headers = lua_gettop(L);
  n = lua_type(L, headers) == LUA_TTABLE ? (int)lua_rawlen(L, headers) : 0;
  for (i = 1; i <= n && !found; i++) {
    lua_rawgeti(L, headers, i);
    if (lua_type(L, -1) == LUA_TTABLE) {
      lua_rawgeti(L, -1, 1);
      lua_rawgeti(L, -2, 2);
      if (lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING) {
        size_t nlen, vlen;
        const char *p = lua_tolstring(L, -2, &nlen), *value = lua_tolstring(L, -1, &vlen);
        if (ha_same_word(p, nlen, name, strlen(name)) && skip-- == 0) {
          found = value; /* the response table holds it */
          *len = vlen;
        }
      }
      lua_pop(L, 2);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

const char *lha_response_header(lua_State *L, int response, const char *name, size_t *len, bool *again) {
  size_t ignored;
  if (again) *again = nth_header(L, response, name, 1, &ignored) != NULL;
  return nth_header(L, response, name, 0, len);
}

size_t lha_response_head(lua_State *L, int response) {
  size_t total = 0;
  int headers, i, n, part;
  lua_pushliteral(L, "headers");
  lua_rawget(L, response);
  headers = lua_gettop(L);
  n = lua_type(L, headers) == LUA_TTABLE ? (int)lua_rawlen(L, headers) : 0;
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, headers, i);
    for (part = 1; part <= 2 && lua_type(L, -1) == LUA_TTABLE; part++) {
      lua_rawgeti(L, -1, part);
      if (lua_type(L, -1) == LUA_TSTRING) total += lua_rawlen(L, -1);
      lua_pop(L, 1);
    }
    total += 3; /* colon and line end */
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return total;
}

/* ---- the limits that a gateway tells ---- */

static bool whole_number(const char *p, size_t n, double *v) {
  size_t i;
  *v = 0;
  for (i = 0; i < n; i++) {
    if (p[i] < '0' || p[i] > '9') return false;
    *v = *v * 10 + (p[i] - '0');
  }
  return n > 0 && n <= 12;
}

static bool limit_header(lua_State *L, int response, const char *part, const char *suffix, double *v) {
  static const char *const PREFIXES[] = {"ratelimit-", "x-ratelimit-", NULL};
  int i;
  for (i = 0; PREFIXES[i]; i++) {
    char name[64];
    size_t n;
    const char *p;
    (void)snprintf(name, sizeof name, "%s%s%s", PREFIXES[i], part, suffix);
    p = lha_response_header(L, response, name, &n, NULL);
    if (p && whole_number(p, n, v)) return true;
  }
  return false;
}

/* err.rate_limit = {limit, remaining, reset}: the standard names, else Kong's with the shortest period that is used up most. */
static void rate_limit(lua_State *L, int response) {
  static const char *const PERIODS[] = {"", "-second", "-minute", "-hour", "-day", "-month", "-year", NULL};
  double limit, remaining, reset, best_limit = 0, best_remaining = -1;
  bool found = false;
  int i;
  for (i = 0; PERIODS[i]; i++) {
    bool has_limit = limit_header(L, response, "limit", PERIODS[i], &limit), has_remaining = limit_header(L, response, "remaining", PERIODS[i], &remaining);
    if (!has_limit && !has_remaining) continue;
    if (found && !(has_remaining && (best_remaining < 0 || remaining < best_remaining))) continue;
    best_limit = has_limit ? limit : -1;
    best_remaining = has_remaining ? remaining : -1;
    found = true;
    if (i == 0) break;
  }
  if (!found) return;
  lua_createtable(L, 0, 3);
  if (best_limit >= 0) {
    lha_pushnumber(L, best_limit);
    lua_setfield(L, -2, "limit");
  }
  if (best_remaining >= 0) {
    lha_pushnumber(L, best_remaining);
    lua_setfield(L, -2, "remaining");
  }
  if (limit_header(L, response, "reset", "", &reset)) {
    lha_pushnumber(L, reset);
    lua_setfield(L, -2, "reset");
  }
  lua_setfield(L, -2, "rate_limit");
}

/* ---- actions ---- */

const char *lha_oauth_action(const char *code, bool in_callback) {
  static const struct { const char *code, *action; } ACTIONS[] = {
      {"invalid_grant", "reauthorize"},       {"access_denied", "reauthorize"},          {"invalid_client", "fix_credentials"},
      {"unauthorized_client", "fix_credentials"}, {"unauthorized", "fix_credentials"},   {"invalid_request", "fix_request"},
      {"unsupported_grant_type", "fix_request"}, {"unsupported_response_type", "fix_request"}, {"unsupported_token_type", "fix_request"},
      {"invalid_scope", "fix_request"},       {"temporarily_unavailable", "wait"},       {"slow_down", "wait"},
      {"invalid_token", "reauthorize"},       {"insufficient_scope", "give_up"},         {"login_required", "reauthorize"},
      {"consent_required", "reauthorize"},    {"interaction_required", "reauthorize"},   {"account_selection_required", "reauthorize"}};
  size_t i;
  if (in_callback && strcmp(code, "server_error") == 0) return "reauthorize"; /* a new login is the only way to try again */
  for (i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
    if (strcmp(ACTIONS[i].code, code) == 0) return ACTIONS[i].action;
  return NULL;
}

static const char *status_action(const struct lha_exchange *x, int status) {
  if (status == 429 || status == 503) return "wait";
  if (status == 401 || status == 403) return "fix_credentials";
  if (status >= 500 || status == 408 || status == 425) return lha_resend_safe(x) ? "retry" : "reauthorize";
  if (status == 409 || status == 410 || status == 423) return "give_up";
  return "fix_request";
}

/* What the code itself tells, whatever the status says; NULL = nothing. */
static const char *code_action(const struct lha_exchange *x, const char *dialect, const char *code, int status) {
  if (strcmp(dialect, "oauth") == 0) {
    if (status == 429 || status == 503) return NULL; /* wait, whatever the word: the server did not look at the request */
    if (strcmp(code, "server_error") == 0 && status < 500) return status_action(x, 500);
    return lha_oauth_action(code, false);
  }
  if (strcmp(dialect, "fault") == 0 && strncmp(code, "oauth_", 6) == 0 && status != 429) return "fix_credentials"; /* Apigee says it with a 500, too */
  return NULL;
}

static bool text_meets(lua_State *L, const char *field, const char *pattern) {
  size_t n, len = strlen(pattern);
  const char *p;
  bool met = false;
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  if (lua_type(L, -1) == LUA_TSTRING) {
    p = lua_tolstring(L, -1, &n);
    if (len && pattern[len - 1] == '*') met = n >= len - 1 && ha_same_word(p, len - 1, pattern, len - 1);
    else met = ha_same_word(p, n, pattern, len);
  }
  lua_pop(L, 1);
  return met;
}

static bool invalid_meets(lua_State *L, const char *name) {
  bool met = false;
  int i;
  lua_pushliteral(L, "invalid");
  lua_rawget(L, -2);
  for (i = 1; lua_type(L, -1) == LUA_TTABLE && !met && i <= (int)lua_rawlen(L, -1); i++) {
    lua_rawgeti(L, -1, i);
    met = text_meets(L, "name", name);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return met;
}

const struct lha_rule *lha_rule_met(lua_State *L, const struct lha_rules *rules, const struct lha_exchange *x, int status) {
  int i;
  luaL_checkstack(L, 6, "no stack");
  for (i = 0; i < rules->count; i++) {
    const struct lha_rule *r = &rules->list[i];
    if (r->operations && !(r->operations & (1 << x->verb))) continue;
    if (r->status && r->status != status) continue;
    if (r->dialect && !text_meets(L, "dialect", r->dialect)) continue;
    if (r->code && !text_meets(L, "code", r->code)) continue;
    if (r->message && !text_meets(L, "detail", r->message)) continue;
    if (r->challenge && !text_meets(L, "challenge", r->challenge)) continue;
    if (r->invalid && !invalid_meets(L, r->invalid)) continue;
    return r;
  }
  return NULL;
}

/* err.challenge = the error word of the first Bearer challenge that has one; a server may send one header for each scheme. */
static void challenge(lua_State *L, struct lha_exchange *x, int response) {
  struct ha_buf *word, *code;
  const char *p;
  size_t n;
  int i;
  if (!nth_header(L, response, "www-authenticate", 0, &n)) return;
  word = lha_bytes_new(L, 256);
  code = lha_bytes_new(L, HA_CODE_MAX + 8);
  for (i = 0; word->len == 0 && (p = nth_header(L, response, "www-authenticate", i, &n)) != NULL; i++) {
    enum ha_status rc = ha_bearer_error(word, p, n);
    if (rc == HA_NOMEM) luaL_error(L, "not enough memory");
    if (rc != HA_OK) ha_buf_clear(word);
  }
  if (word->len) {
    lua_pushlstring(L, word->data, word->len);
    lha_sanitize_push(L, x, -1);
    p = lua_tolstring(L, -1, &n);
    lha_must(L, ha_text_code(code, p, n));
    lua_pop(L, 2);
    lua_pushlstring(L, code->data, code->len);
    lua_setfield(L, -4, "challenge");
  }
  lua_pop(L, 2);
}

static bool has_field(lua_State *L, const char *name) {
  bool there;
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return there;
}

void lha_problem_fill(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *dialect, int document) {
  const struct lha_rule *rule;
  const char *action = NULL, *p;
  char plain[48];
  int64_t seconds;
  size_t n;
  luaL_checkstack(L, 12, "no stack");
  lha_pushnumber(L, r->status);
  lua_setfield(L, -2, "status");
  lua_pushnil(L);
  lua_setfield(L, -2, "request_id"); /* theirs first; ours when they say none */
  if (dialect) {
    lha_error_word(L, "dialect", dialect);
    lua_pushvalue(L, document);
    lua_setfield(L, -2, "document");
    lha_dialect_fill(L, dialect, document);
  }
  (void)snprintf(plain, sizeof plain, "http_%d", r->status);
  if (!has_field(L, "code")) lha_error_word(L, "code", plain);
  if (!has_field(L, "message")) {
    (void)snprintf(plain, sizeof plain, "the provider answered HTTP %d", r->status);
    lha_error_word(L, "message", plain);
  }
  if (!has_field(L, "request_id") && (p = lha_response_header(L, r->index, "x-request-id", &n, NULL)) != NULL) {
    lua_pushlstring(L, p, n);
    lha_sanitize_push(L, x, -1);
    p = lua_tolstring(L, -1, &n);
    lua_pushvalue(L, -3);
    lha_error_text(L, "request_id", p, n);
    lua_pop(L, 3);
  }
  if (!has_field(L, "request_id") && x->request_id[0]) lha_error_word(L, "request_id", x->request_id);
  p = lha_response_header(L, r->index, "retry-after", &n, NULL);
  if (p && ha_retry_after(p, n, (int64_t)x->now, &seconds)) {
    lha_pushnumber(L, (double)seconds);
    lua_setfield(L, -2, "retry_after");
  }
  rate_limit(L, r->index);
  challenge(L, x, r->index);
  rule = lha_rule_met(L, &x->session->provider->errors, x, r->status);
  if (rule && rule->set_code) lha_error_word(L, "code", rule->set_code);
  if (rule) action = rule->set_action;
  if (!action && dialect) {
    lua_pushliteral(L, "code");
    lua_rawget(L, -2);
    action = code_action(x, dialect, lua_tostring(L, -1), r->status);
    lua_pop(L, 1);
  }
  lha_error_word(L, "action", action ? action : status_action(x, r->status));
}
