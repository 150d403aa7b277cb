/* SPDX-License-Identifier: MIT */
#include "dialect.h"

#include <string.h>

#include "base/message.h"
#include "bytes.h"
#include "problem.h"

enum { INVALID_MAX = 64 };

/* Pushes document.name; the value is a table, a string or something else. */
static int member(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
  return lua_type(L, -1);
}

static bool has(lua_State *L, int table, const char *name, int type) {
  bool there = member(L, table, name) == type;
  lua_pop(L, 1);
  return there;
}

/* err[field] = table.name, cleaned. The error is at index err. */
static bool text_to(lua_State *L, int err, const char *field, int table, const char *name) {
  bool there = member(L, table, name) == LUA_TSTRING;
  if (there) {
    size_t n;
    const char *p = lua_tolstring(L, -1, &n);
    lua_pushvalue(L, err);
    lha_error_text(L, field, p, n);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return there;
}

static void code_to(lua_State *L, int err, const char *p, size_t n) {
  struct ha_buf *code = lha_bytes_new(L, HA_CODE_MAX + 8);
  lha_must(L, ha_text_code(code, p, n));
  if (code->len) {
    lua_pushlstring(L, code->data, code->len);
    lua_setfield(L, err, "code");
  }
  lua_pop(L, 1);
}

static bool code_from(lua_State *L, int err, int table, const char *name) {
  bool there = member(L, table, name) == LUA_TSTRING;
  if (there) {
    size_t n;
    const char *p = lua_tolstring(L, -1, &n);
    code_to(L, err, p, n);
  }
  lua_pop(L, 1);
  return there;
}

/* The list err.invalid, made when first needed; pushed. */
static void invalid_list(lua_State *L, int err) {
  if (member(L, err, "invalid") == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, err, "invalid");
}

/* Appends {name, reason, rule}: each a table and the member that holds it; table 0 = none. */
static void invalid_add(lua_State *L, int err, int named, const char *name, int reasoned, const char *reason, int ruled, const char *rule) {
  invalid_list(L, err);
  if (lua_rawlen(L, -1) < INVALID_MAX) {
    lua_newtable(L);
    if (named) text_to(L, lua_gettop(L), "name", named, name);
    if (reasoned) text_to(L, lua_gettop(L), "reason", reasoned, reason);
    if (ruled) text_to(L, lua_gettop(L), "rule", ruled, rule);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
  }
  lua_pop(L, 1);
}

static void oauth(lua_State *L, int err, int d) {
  code_from(L, err, d, "error");
  if (text_to(L, err, "detail", d, "error_description")) text_to(L, err, "message", d, "error_description");
  else text_to(L, err, "message", d, "error");
  text_to(L, err, "request_id", d, "message_id");
}

/* ---- eHealth ---- */

static void ehealth_invalid(lua_State *L, int err, int item) {
  int rules, i, n;
  if (lua_type(L, item) != LUA_TTABLE) return;
  if (member(L, item, "entry_type") == LUA_TSTRING && strcmp(lua_tostring(L, -1), "request") == 0 && !has(L, item, "entry", LUA_TSTRING)) {
    lua_pop(L, 1); /* the template of a malformed body, put under every 422: it says nothing */
    return;
  }
  lua_pop(L, 1);
  member(L, item, "rules");
  rules = lua_gettop(L);
  n = lua_type(L, rules) == LUA_TTABLE ? (int)lua_rawlen(L, rules) : 0;
  for (i = 1; i <= n && i <= INVALID_MAX; i++) {
    lua_rawgeti(L, rules, i);
    if (lua_type(L, -1) == LUA_TTABLE) invalid_add(L, err, item, "entry", lua_gettop(L), "description", lua_gettop(L), "rule");
    lua_pop(L, 1);
  }
  if (n == 0) invalid_add(L, err, item, "entry", 0, NULL, 0, NULL);
  lua_pop(L, 1);
}

/* The 2017 server: the type is the key. */
static void ehealth_2017(lua_State *L, int err, int e) {
  lua_pushnil(L);
  while (lua_next(L, e)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "message") != 0) {
      size_t n;
      const char *key = lua_tolstring(L, -2, &n);
      code_to(L, err, key, n);
      text_to(L, err, "detail", e, key);
      text_to(L, err, "message", e, key);
      lua_pop(L, 2);
      return;
    }
    lua_pop(L, 1);
  }
}

static void ehealth(lua_State *L, int err, int d) {
  int e, i, n;
  if (member(L, d, "meta") == LUA_TTABLE) text_to(L, err, "request_id", lua_gettop(L), "request_id");
  lua_pop(L, 1);
  member(L, d, "error");
  e = lua_gettop(L);
  if (text_to(L, err, "detail", e, "message")) text_to(L, err, "message", e, "message");
  if (!code_from(L, err, e, "type")) {
    if (member(L, e, "errors") == LUA_TTABLE && text_to(L, err, "detail", lua_gettop(L), "detail")) text_to(L, err, "message", lua_gettop(L), "detail");
    else if (!has(L, e, "message", LUA_TSTRING)) ehealth_2017(L, err, e);
    lua_pop(L, 1);
  }
  member(L, e, "invalid");
  n = lua_type(L, -1) == LUA_TTABLE ? (int)lua_rawlen(L, -1) : 0;
  for (i = 1; i <= n && i <= INVALID_MAX; i++) {
    lua_rawgeti(L, e + 1, i);
    ehealth_invalid(L, err, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* ---- problem details ---- */

/* The last path segment of type; nothing for about:blank and for types that only name an RFC. */
static void problem_code(lua_State *L, int err, int d) {
  if (member(L, d, "type") == LUA_TSTRING) {
    size_t n, start;
    const char *p = lua_tolstring(L, -1, &n);
    for (start = 0; start < n; start++)
      if (p[start] == '?' || p[start] == '#') n = start;
    while (n && (p[n - 1] == '/' || p[n - 1] == ':')) n--;
    for (start = n; start && p[start - 1] != '/' && p[start - 1] != ':';) start--;
    if (n > start && !(n == 11 && memcmp(p, "about:blank", 11) == 0)) {
      bool rfc = n - start > 3 && memcmp(p + start, "rfc", 3) == 0;
      size_t i;
      for (i = start + 3; rfc && i < n; i++) rfc = p[i] >= '0' && p[i] <= '9';
      if (!rfc) code_to(L, err, p + start, n - start);
    }
  }
  lua_pop(L, 1);
}

static void problem_list(lua_State *L, int err, int d, const char *name) {
  int list, i, n;
  member(L, d, name);
  list = lua_gettop(L);
  n = lua_type(L, list) == LUA_TTABLE ? (int)lua_rawlen(L, list) : 0;
  for (i = 1; i <= n && i <= INVALID_MAX; i++) {
    lua_rawgeti(L, list, i);
    if (lua_type(L, -1) == LUA_TTABLE) {
      int item = lua_gettop(L);
      bool named = has(L, item, "name", LUA_TSTRING), reasoned = has(L, item, "reason", LUA_TSTRING);
      if (named || reasoned || has(L, item, "pointer", LUA_TSTRING))
        invalid_add(L, err, item, named ? "name" : "pointer", item, reasoned ? "reason" : "detail", 0, NULL);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* ASP.NET: errors = { name = {reason, ...} } */
static void problem_errors(lua_State *L, int err, int d) {
  int map;
  if (member(L, d, "errors") == LUA_TTABLE && lua_rawlen(L, -1) == 0) {
    map = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, map)) {
      if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TTABLE) {
        int i, n = (int)lua_rawlen(L, -1), reasons = lua_gettop(L);
        for (i = 1; i <= n && i <= INVALID_MAX; i++) {
          lua_createtable(L, 0, 2); /* {name, reason} as a table that text_to can read */
          lua_pushvalue(L, reasons - 1);
          lua_setfield(L, -2, "name");
          lua_rawgeti(L, reasons, i);
          lua_setfield(L, -2, "reason");
          invalid_add(L, err, lua_gettop(L), "name", lua_gettop(L), "reason", 0, NULL);
          lua_pop(L, 1);
        }
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
    problem_list(L, err, d, "errors");
  }
}

/* A validation error without detail says what was wrong only in its list: message = "title: reason of the first". */
static void name_the_invalid(lua_State *L, int err) {
  int top = lua_gettop(L);
  if (member(L, err, "invalid") == LUA_TTABLE && member(L, err, "title") == LUA_TSTRING) {
    lua_rawgeti(L, top + 1, 1);
    if (lua_type(L, -1) == LUA_TTABLE && member(L, lua_gettop(L), "reason") == LUA_TSTRING) {
      size_t n;
      const char *p;
      lua_pushvalue(L, top + 2);
      lua_pushliteral(L, ": ");
      lua_pushvalue(L, -3);
      lua_concat(L, 3);
      p = lua_tolstring(L, -1, &n);
      lua_pushvalue(L, err);
      lha_error_text(L, "message", p, n);
    }
  }
  lua_settop(L, top);
}

static void problem(lua_State *L, int err, int d) {
  problem_code(L, err, d);
  if (text_to(L, err, "title", d, "title")) text_to(L, err, "message", d, "title");
  if (text_to(L, err, "detail", d, "detail")) text_to(L, err, "message", d, "detail");
  if (!text_to(L, err, "request_id", d, "instance")) text_to(L, err, "request_id", d, "traceId");
  problem_list(L, err, d, "invalidParameters");
  problem_list(L, err, d, "invalid-params");
  problem_errors(L, err, d);
  if (!has(L, err, "detail", LUA_TSTRING)) name_the_invalid(L, err);
}

/* ---- FHIR ---- */

static bool outcome_coding(lua_State *L, int err, int issue) {
  int details, i, n;
  bool found = false;
  member(L, issue, "details");
  details = lua_gettop(L);
  if (lua_type(L, details) == LUA_TTABLE) {
    if (text_to(L, err, "detail", details, "text")) text_to(L, err, "message", details, "text");
    member(L, details, "coding");
    n = lua_type(L, -1) == LUA_TTABLE ? (int)lua_rawlen(L, -1) : 0;
    for (i = 1; i <= n && !found; i++) {
      lua_rawgeti(L, details + 1, i);
      if (lua_type(L, -1) == LUA_TTABLE && (found = code_from(L, err, lua_gettop(L), "code")) == true) {
        if (text_to(L, err, "title", lua_gettop(L), "display") && !has(L, err, "message", LUA_TSTRING)) text_to(L, err, "message", lua_gettop(L), "display");
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

static void operation_outcome(lua_State *L, int err, int d) {
  int list, i, n;
  bool coded = false;
  member(L, d, "issue");
  list = lua_gettop(L);
  n = lua_type(L, list) == LUA_TTABLE ? (int)lua_rawlen(L, list) : 0;
  for (i = 1; i <= n && !coded; i++) {
    lua_rawgeti(L, list, i);
    if (lua_type(L, -1) == LUA_TTABLE) {
      int issue = lua_gettop(L);
      coded = outcome_coding(L, err, issue);
      if (!has(L, err, "detail", LUA_TSTRING) && text_to(L, err, "detail", issue, "diagnostics")) text_to(L, err, "message", issue, "diagnostics");
      if (!coded && !has(L, err, "code", LUA_TSTRING)) code_from(L, err, issue, "code");
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  text_to(L, err, "request_id", d, "id");
}

static void fault(lua_State *L, int err, int d) {
  int f;
  member(L, d, "fault");
  f = lua_gettop(L);
  if (text_to(L, err, "detail", f, "faultstring")) text_to(L, err, "message", f, "faultstring");
  if (member(L, f, "detail") == LUA_TTABLE) code_from(L, err, lua_gettop(L), "errorcode");
  lua_pop(L, 2);
}

/* RFC 9457 without its label. On a 2xx such members may be the answer's own: only a document that says itself that it is an error counts. */
static bool problem_shaped(lua_State *L, int d, int status) {
  bool named = has(L, d, "type", LUA_TSTRING) || has(L, d, "title", LUA_TSTRING), refused;
  double said = member(L, d, "status") == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  lua_pop(L, 1);
  refused = said >= 400 && said <= 599;
  if (has(L, d, "invalidParameters", LUA_TTABLE)) return true;
  if (status >= 400) return named || (refused && has(L, d, "detail", LUA_TSTRING));
  return named && refused;
}

const char *lha_dialect(lua_State *L, int d, const struct lha_response *r) {
  const char *dialect = NULL;
  luaL_checkstack(L, 12, "no stack");
  if (member(L, d, "resourceType") == LUA_TSTRING && strcmp(lua_tostring(L, -1), "OperationOutcome") == 0) dialect = "operation_outcome";
  lua_pop(L, 1);
  if (dialect) return dialect;
  switch (member(L, d, "error")) {
    case LUA_TSTRING:
      dialect = "oauth";
      break;
    case LUA_TTABLE: {
      int e = lua_gettop(L), keys = 0;
      bool text_valued = false;
      lua_pushnil(L);
      while (lua_next(L, e)) {
        keys++;
        text_valued = lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING;
        lua_pop(L, 1);
      }
      if (has(L, e, "type", LUA_TSTRING) || has(L, e, "errors", LUA_TTABLE) || has(L, d, "meta", LUA_TTABLE) || (keys == 1 && text_valued)) dialect = "ehealth";
      break;
    }
    default: break;
  }
  lua_pop(L, 1);
  if (dialect) return dialect;
  if (member(L, d, "fault") == LUA_TTABLE && (has(L, lua_gettop(L), "faultstring", LUA_TSTRING) || has(L, lua_gettop(L), "detail", LUA_TTABLE))) dialect = "fault";
  lua_pop(L, 1);
  if (dialect) return dialect;
  if (r->media && ha_media_is(r->media, r->media_len, "application/problem+json")) return "problem";
  return problem_shaped(L, d, r->status) ? "problem" : NULL;
}

void lha_dialect_fill(lua_State *L, const char *dialect, int document) {
  int err = lua_gettop(L);
  luaL_checkstack(L, 16, "no stack");
  if (strcmp(dialect, "oauth") == 0) oauth(L, err, document);
  else if (strcmp(dialect, "ehealth") == 0) ehealth(L, err, document);
  else if (strcmp(dialect, "problem") == 0) problem(L, err, document);
  else if (strcmp(dialect, "operation_outcome") == 0) operation_outcome(L, err, document);
  else fault(L, err, document);
}
