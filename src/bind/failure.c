/* SPDX-License-Identifier: MIT */
/* failure.c - an exchange that ends without its result: nil, err with provider, operation, outcome and action. */
#include <string.h>

#include "error.h"
#include "exchange.h"
#include "problem.h"

bool lha_resend_safe(const struct lha_exchange *x) { return !x->op || x->op->resend_safe; }

const char *lha_default_action(const struct lha_exchange *x, const char *kind, const char *outcome) {
  if (strcmp(kind, "argument") == 0 || strcmp(kind, "unsupported") == 0) return "fix_request";
  if (strcmp(kind, "state") == 0) return "reauthorize";
  if (strcmp(outcome, "not_sent") == 0) return "retry";
  return lha_resend_safe(x) ? "retry" : "reauthorize"; /* a single-use grant may be spent: never send it again */
}

int lha_refuse(lua_State *L, const struct lha_exchange *x, const char *kind, const char *code, const char *message, const char *outcome,
               const char *action) {
  luaL_checkstack(L, 8, "no stack");
  lua_pushnil(L);
  lha_error_push(L, kind, code, message);
  if (x->session) {
    lha_error_word(L, "provider", x->session->provider->name);
    lha_error_word(L, "operation", lha_verb_names[x->verb]);
  }
  lha_error_word(L, "outcome", outcome);
  lha_error_word(L, "action", action ? action : lha_default_action(x, kind, outcome));
  if (x->request_id[0]) lha_error_word(L, "request_id", x->request_id);
  return 2;
}

int lha_broken(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *kind, const char *code, const char *message) {
  int n = lha_refuse(L, x, kind, code, message, "answered", NULL);
  lha_pushnumber(L, r->status);
  lua_setfield(L, -2, "status");
  return n;
}
