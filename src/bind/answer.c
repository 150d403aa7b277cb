/* SPDX-License-Identifier: MIT */
/* answer.c - judges the answer to an exchange. Fails closed: only a declared status with a complete body of the declared shape is success. */
#include <math.h>
#include <string.h>

#include "base/message.h"
#include "base/url.h"
#include "bytes.h"
#include "exchange.h"
#include "json_value.h"
#include "problem.h"

static bool listed(const struct lha_statuses *s, int status) {
  int i;
  for (i = 0; i < s->count; i++)
    if (s->list[i] == status) return true;
  return false;
}

/* Reads the table that a transport gave. false when it is not what a transport promises. */
static bool read_response(lua_State *L, int index, struct lha_response *r) {
  double status;
  memset(r, 0, sizeof *r);
  r->index = index;
  if (lua_type(L, index) != LUA_TTABLE) return false;
  lua_pushliteral(L, "status");
  lua_rawget(L, index);
  status = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  lua_pop(L, 1);
  if (!(status >= 100 && status <= 999) || floor(status) != status) return false;
  r->status = (int)status;
  lua_pushliteral(L, "body");
  lua_rawget(L, index);
  if (lua_type(L, -1) == LUA_TSTRING) r->body = lua_tolstring(L, -1, &r->body_len); /* none at all may be a lost one: that is no empty body */
  lua_pop(L, 1); /* the response table holds it */
  if (!r->body) return false;
  lua_pushliteral(L, "close_delimited");
  lua_rawget(L, index);
  r->close_delimited = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  lua_pushliteral(L, "headers");
  lua_rawget(L, index);
  if (lua_type(L, -1) != LUA_TTABLE && !lua_isnil(L, -1)) return false;
  lua_pop(L, 1);
  r->media = lha_response_header(L, index, "content-type", &r->media_len, &r->media_repeated);
  return true;
}

static bool coded_body(lua_State *L, const struct lha_response *r) {
  size_t n;
  bool again;
  const char *coding = lha_response_header(L, r->index, "content-encoding", &n, &again);
  return coding && (again || !ha_same_word(coding, n, "identity", 8));
}

static bool json_media(const struct lha_response *r) { return r->media && !r->media_repeated && ha_media_is_json(r->media, r->media_len); }

/* Pushes the body as a table, made safe to show when it is an error document, or nil where it is no object. Answers the dialect, or NULL. */
static const char *push_document(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  const char *dialect;
  size_t i = strspn(r->body, " \t\r\n");
  if (i == r->body_len || r->body[i] != '{' || lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth) != NULL) {
    lua_pushnil(L);
    return NULL;
  }
  dialect = lha_dialect(L, lua_gettop(L), r);
  if (dialect) {
    lha_sanitize_push(L, x, -1);
    lua_remove(L, -2);
  }
  return dialect;
}

/* The error for an answer that says no, with its document at index (0 = none). */
static int refused(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *dialect, int document) {
  int n = lha_refuse(L, x, dialect ? "denied" : "http", NULL, NULL, "answered", NULL);
  lha_problem_fill(L, x, r, dialect, document);
  return n;
}

static int refused_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  const char *dialect;
  if (r->status < 300) /* not one of those that were declared */
    return lha_broken(L, x, r, "protocol", "unexpected_status", "the provider answered with a status that this operation does not have");
  dialect = push_document(L, x, r);
  return refused(L, x, r, dialect, lua_gettop(L));
}

/* ---- yes or no ---- */

static int active_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document) {
  if (lha_push_path(L, document, x->op->active) == LUA_TBOOLEAN) return 1;
  return lha_broken(L, x, r, "protocol", "member_type", "the answer does not say whether the token is active");
}

/* A body that only the connection's end framed is whole when it is empty or complete JSON. */
static bool maybe_cut(lua_State *L, const struct lha_exchange *x, const struct lha_response *r) {
  const char *code;
  if (!r->close_delimited || r->body_len == 0) return false;
  code = lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth);
  if (!code) lua_pop(L, 1);
  return code != NULL;
}

static int cut(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  int n = lha_refuse(L, x, "network", "body_truncated", "only the connection's end framed the answer, and its body is not whole JSON", "unknown", NULL);
  lha_pushnumber(L, r->status);
  lua_setfield(L, -2, "status");
  return n;
}

/* A 2xx answer of an operation: JSON where there is a body. */
static int success(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  bool tokens = x->verb == LHA_EXCHANGE || x->verb == LHA_REFRESH;
  const char *code, *dialect;
  int document;
  if (r->body_len == 0 && !tokens && !x->op->active) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (maybe_cut(L, x, r)) return cut(L, x, r);
  if (!json_media(r)) return lha_broken(L, x, r, "protocol", "media_type", "the answer is not labelled as JSON");
  code = lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth);
  if (code) return lha_broken(L, x, r, "protocol", code, "the answer's body is not sound JSON");
  if (lua_type(L, -1) != LUA_TTABLE || r->body[strspn(r->body, " \t\r\n")] != '{')
    return lha_broken(L, x, r, "protocol", "not_object", "the answer's body is no JSON object");
  document = lua_gettop(L);
  dialect = lha_dialect(L, document, r);
  if (dialect) {
    lha_sanitize_push(L, x, document);
    return refused(L, x, r, dialect, lua_gettop(L));
  }
  if (tokens) return lha_token_answer(L, x, r, document);
  if (x->op->active) return active_answer(L, x, r, document);
  lua_pushboolean(L, 1);
  return 1;
}

/* 410: gone, when it is a whole answer. */
static int gone(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  if (maybe_cut(L, x, r)) return cut(L, x, r);
  lua_pushboolean(L, 0);
  return 1;
}

static int logout_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  int top = lua_gettop(L), i, n;
  bool spent = false;
  n = listed(&x->op->success, r->status) ? success(L, x, r) : refused_answer(L, x, r);
  if (n == 2 && r->status == 401) {
    lua_pushliteral(L, "code");
    lua_rawget(L, -2);
    for (i = 0; i < x->op->spent_count && !spent; i++) spent = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), x->op->spent[i]) == 0;
    lua_pop(L, 1);
  }
  if (n != 1 && !spent) return n;
  lha_tokens_clear(&x->session->tokens);
  x->session->has_tokens = false;
  x->session->refresh_unknown = false;
  lua_settop(L, top);
  lua_pushboolean(L, 1);
  return 1;
}

/* RFC 6750: the challenge is all that the answer says. */
static void challenged(lua_State *L) {
  const char *action;
  lua_pushliteral(L, "challenge");
  lua_rawget(L, -2);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    return;
  }
  action = lha_oauth_action(lua_tostring(L, -1), false);
  lua_setfield(L, -2, "code");
  lha_error_word(L, "kind", "denied");
  lha_error_word(L, "action", action);
}

/* call: every whole answer is the caller's, but one that says that the token is refused. */
static int call_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  const char *dialect;
  if (maybe_cut(L, x, r)) return cut(L, x, r);
  if (r->status >= 400 && r->status < 500) {
    int n;
    dialect = push_document(L, x, r);
    n = refused(L, x, r, dialect, lua_gettop(L));
    if (lha_rule_met(L, &x->session->provider->expired, x, r->status)) {
      if (!dialect) challenged(L);
      lua_pushboolean(L, 1);
      lua_setfield(L, -2, "token_refused");
      return n;
    }
  }
  lua_pushvalue(L, r->index);
  return 1;
}

static int judge(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  if ((double)lha_response_head(L, r->index) > x->session->limit_headers)
    return lha_broken(L, x, r, "too_large", "headers_too_large", "the answer's headers are larger than limits.headers");
  if ((double)r->body_len > x->session->limit_body) return lha_broken(L, x, r, "too_large", "body_too_large", "the answer's body is larger than limits.body");
  if (coded_body(L, r)) return lha_broken(L, x, r, "protocol", "content_encoding", "the answer's body is compressed, which was not asked for");
  if (x->verb == LHA_CALL) return call_answer(L, x, r);
  if (x->verb == LHA_LOGOUT) return logout_answer(L, x, r);
  if (listed(&x->op->gone, r->status)) return gone(L, x, r);
  if (listed(&x->op->success, r->status)) return success(L, x, r);
  return refused_answer(L, x, r);
}

/* Whether the server may have done what was asked although the answer is no success: then a single-use token is not sent again by anybody. */
static bool may_have_acted(const struct lha_response *r) {
  return r->status < 300 || r->status == 408 || r->status == 425 || (r->status >= 500 && r->status != 503);
}

int lha_answer(lua_State *L, struct lha_exchange *x, int index) {
  struct lha_response r;
  bool readable;
  int n;
  luaL_checkstack(L, 16, "no stack");
  readable = read_response(L, index, &r);
  n = readable ? judge(L, x, &r) : lha_refuse(L, x, "protocol", "response_malformed", "the transport gave something that is no response", "unknown", NULL);
  if (n == 2 && x->verb == LHA_REFRESH && !x->op->resend_safe && (!readable || may_have_acted(&r))) x->session->refresh_unknown = true;
  return n;
}
