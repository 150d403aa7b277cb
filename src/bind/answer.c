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

static int broken(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *kind, const char *code, const char *message) {
  int n = lha_refuse(L, x, kind, code, message, "answered", NULL);
  lha_pushnumber(L, r->status);
  lua_setfield(L, -2, "status");
  return n;
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
  if (lua_type(L, -1) == LUA_TSTRING) r->body = lua_tolstring(L, -1, &r->body_len);
  else if (lua_isnil(L, -1)) r->body = "";
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
  const char *coding = lha_response_header(L, r->index, "content-encoding", &n, NULL);
  return coding && !ha_same_word(coding, n, "identity", 8);
}

static bool json_media(const struct lha_response *r) { return r->media && !r->media_repeated && ha_media_is_json(r->media, r->media_len); }

/* Pushes the body as a table, made safe to show when it is an error document (then *dialect tells which); false: nothing is pushed. */
static bool push_document(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char **dialect) {
  size_t i = 0;
  *dialect = NULL;
  while (i < r->body_len && strchr(" \t\r\n", r->body[i]) && r->body[i]) i++;
  if (i == r->body_len || r->body[i] != '{') return false;
  if (lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth) != NULL) return false;
  *dialect = lha_dialect(L, lua_gettop(L), r);
  if (*dialect) {
    lha_sanitize_push(L, x, -1);
    lua_remove(L, -2);
  }
  return true;
}

/* The error for an answer that says no, with its document at index (0 = none). */
static int refused(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *dialect, int document) {
  int n = lha_refuse(L, x, dialect ? "denied" : "http", NULL, NULL, "answered", NULL);
  lha_problem_fill(L, x, r, dialect, document);
  return n;
}

static int refused_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r) {
  const char *dialect;
  if (r->status < 200 || (r->status < 300 && !listed(&x->op->success, r->status)))
    return broken(L, x, r, "protocol", "unexpected_status", "the provider answered with a status that this operation does not have");
  if (!push_document(L, x, r, &dialect)) {
    dialect = NULL;
    lua_pushnil(L);
  }
  return refused(L, x, r, dialect, lua_gettop(L));
}

/* ---- tokens ---- */

/* Pushes what stands at a dotted path of the document; nil when any part is absent. */
static int push_path(lua_State *L, int document, const char *path) {
  lua_pushvalue(L, document);
  while (path && lua_type(L, -1) == LUA_TTABLE) {
    const char *dot = strchr(path, '.');
    lua_pushlstring(L, path, dot ? (size_t)(dot - path) : strlen(path));
    lua_rawget(L, -2);
    lua_remove(L, -2);
    path = dot ? dot + 1 : NULL;
  }
  if (path) { /* something on the way is no table */
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return lua_type(L, -1);
}

/* Takes the member out of the document, so that the rest is "extra". */
static void drop_path(lua_State *L, int document, const char *path) {
  const char *last = strrchr(path, '.');
  int top = lua_gettop(L);
  if (last) {
    char parent[LHA_TEXT_MAX];
    size_t n = (size_t)(last - path);
    if (n >= sizeof parent) return;
    memcpy(parent, path, n);
    parent[n] = '\0';
    if (push_path(L, document, parent) == LUA_TTABLE) {
      lua_pushnil(L);
      lua_setfield(L, -2, last + 1);
    }
  } else {
    lua_pushnil(L);
    lua_setfield(L, document, path);
  }
  lua_settop(L, top);
}

/* 1 = read, 0 = absent, -1 = wrong. Digits in a string are taken, one to ten of them. */
static int read_seconds(lua_State *L, double *seconds) {
  if (lua_isnil(L, -1)) return 0;
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t n, i;
    const char *p = lua_tolstring(L, -1, &n);
    if (n < 1 || n > 10) return -1;
    for (*seconds = 0, i = 0; i < n; i++) {
      if (p[i] < '0' || p[i] > '9') return -1;
      *seconds = *seconds * 10 + (p[i] - '0');
    }
    return 1;
  }
  if (lua_type(L, -1) != LUA_TNUMBER) return -1;
  *seconds = lua_tonumber(L, -1);
  return *seconds >= 0 && *seconds <= LHA_TIME_MAX && floor(*seconds) == *seconds ? 1 : -1;
}

/* How far the server's clock is ahead of ours, by its Date header; a second either way is the header's own grain. */
static double clock_offset(lua_State *L, const struct lha_exchange *x, const struct lha_response *r) {
  size_t n;
  int64_t date;
  double offset;
  const char *p = lha_response_header(L, r->index, "date", &n, NULL);
  if (!p || !ha_http_date(p, n, (int64_t)x->now, &date)) return 0;
  offset = (double)date - floor(x->now);
  return offset >= -1 && offset <= 1 ? 0 : offset;
}

static bool text_member(lua_State *L, struct ha_secret *to, bool token, size_t max, bool *there) {
  size_t n;
  const char *p;
  *there = !lua_isnil(L, -1);
  if (!*there) return true;
  if (lua_type(L, -1) != LUA_TSTRING) return false;
  p = lua_tolstring(L, -1, &n);
  if (n > max || (token ? !ha_is_token(p, n) : memchr(p, '\0', n) != NULL)) return false;
  lha_must(L, ha_secret_set(to, p, n));
  return true;
}

/* Reads the members of the document into x->fresh. NULL, or the code. */
static const char *read_members(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document) {
  const struct lha_operation *op = x->op;
  struct lha_tokens *t = &x->fresh;
  double seconds;
  bool there;
  int m;
  for (m = 0; m < LHA_MEMBERS; m++) {
    int timed;
    if (!op->members[m]) continue;
    push_path(L, document, op->members[m]);
    there = true;
    switch ((enum lha_member)m) {
      case LHA_ACCESS:
        if (!text_member(L, &t->access, true, LHA_TOKEN_MAX, &there)) return "member_type";
        if (!there) return "member_missing";
        break;
      case LHA_REFRESH_TOKEN:
        if (!text_member(L, &t->refresh, true, LHA_TOKEN_MAX, &there)) return "member_type";
        break;
      case LHA_TYPE:
        if (!text_member(L, &t->type, true, 64, &there)) return "member_type";
        if (!there && op->type_required) return "member_missing";
        if (there && !ha_same_word(t->type.data, t->type.len, "bearer", 6)) return "token_type_unsupported";
        break;
      case LHA_SCOPE:
        if (!text_member(L, &t->scope, false, LHA_SCOPE_MAX, &there)) return "member_type";
        break;
      case LHA_NAME:
        if (!text_member(L, &t->name, false, 256, &there)) return "member_type";
        break;
      case LHA_EXPIRES_IN:
        timed = read_seconds(L, &seconds);
        if (timed < 0) return "member_type";
        if (timed) {
          t->expires = true;
          t->expires_at = floor(x->now) + seconds;
        }
        break;
      case LHA_EXPIRES_AT:
        timed = read_seconds(L, &seconds);
        if (timed < 0) return "member_type";
        if (timed) {
          t->expires = true;
          t->expires_at = seconds - clock_offset(L, x, r);
          if (t->expires_at < 0) t->expires_at = 0;
        }
        break;
      case LHA_MEMBERS: break;
    }
    lua_pop(L, 1);
  }
  t->obtained_at = floor(x->now);
  t->refresh_at = t->refresh.data ? t->obtained_at : 0;
  return NULL;
}

/* What the answer left out: the refresh token by the provider's rotation, the scope as asked for. */
static void complete(lua_State *L, struct lha_exchange *x) {
  struct lha_tokens *t = &x->fresh;
  const struct lha_tokens *old = &x->session->tokens;
  const struct ha_secret *v;
  struct lha_template named;
  memset(&named, 0, sizeof named);
  named.source = LHA_ARGUMENT;
  if (x->verb == LHA_REFRESH && !x->op->rotate && !t->refresh.data) {
    named.text = "refresh_token";
    if (lha_template_value(x, &named, &v) == HA_OK) {
      lha_must(L, ha_secret_set(&t->refresh, v->data, v->len));
      if (v == &old->refresh) t->refresh_at = old->refresh_at;
    }
  }
  if (!t->scope.data) {
    named.text = "scope";
    if (x->verb == LHA_REFRESH) v = old->scope.data ? &old->scope : NULL;
    else if (lha_template_value(x, &named, &v) != HA_OK) v = NULL;
    if (v) lha_must(L, ha_secret_set(&t->scope, v->data, v->len));
  }
}

static void keep_extra(lua_State *L, struct lha_exchange *x, int document) {
  struct ha_buf *text;
  int m;
  bool empty;
  for (m = 0; m < LHA_MEMBERS; m++)
    if (x->op->members[m]) drop_path(L, document, x->op->members[m]);
  lua_pushnil(L);
  empty = lua_next(L, document) == 0;
  if (empty) return;
  lua_pop(L, 2);
  text = lha_bytes_new(L, LHA_EXTRA_MAX);
  if (lha_json_encode(L, document, text) == NULL) lha_must(L, ha_secret_set(&x->fresh.extra, text->data, text->len));
  ha_buf_free(text);
  lua_pop(L, 1);
}

static int token_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document) {
  struct lha_session *s = x->session;
  const char *code = read_members(L, x, r, document);
  if (code) {
    lha_tokens_clear(&x->fresh);
    return broken(L, x, r, "protocol", code,
                  strcmp(code, "member_missing") == 0 ? "the answer lacks a member that a token answer must have" : "a member of the answer has a wrong type or value");
  }
  complete(L, x);
  keep_extra(L, x, document);
  lha_tokens_push(L, &x->fresh);
  lha_tokens_move(&s->tokens, &x->fresh); /* from here nothing can fail */
  s->has_tokens = true;
  s->refresh_unknown = false;
  return 1;
}

/* ---- yes or no ---- */

static int active_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document) {
  if (push_path(L, document, x->op->active) == LUA_TBOOLEAN) return 1;
  return broken(L, x, r, "protocol", "member_type", "the answer does not say whether the token is active");
}

/* A body that only the connection's end framed is whole when it is empty or complete JSON. */
static bool maybe_cut(lua_State *L, const struct lha_exchange *x, const struct lha_response *r) {
  const char *code;
  if (!r->close_delimited || r->body_len == 0) return false;
  code = lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth);
  if (code && strcmp(code, "no_memory") == 0) luaL_error(L, "not enough memory");
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
  if (!json_media(r)) return broken(L, x, r, "protocol", "media_type", "the answer is not labelled as JSON");
  code = lha_json_decode(L, r->body, r->body_len, (size_t)x->session->limit_depth);
  if (code && strcmp(code, "no_memory") == 0) return luaL_error(L, "not enough memory");
  if (code) return broken(L, x, r, "protocol", code, "the answer's body is not sound JSON");
  if (lua_type(L, -1) != LUA_TTABLE || r->body[strspn(r->body, " \t\r\n")] != '{')
    return broken(L, x, r, "protocol", "not_object", "the answer's body is no JSON object");
  document = lua_gettop(L);
  dialect = lha_dialect(L, document, r);
  if (dialect) {
    lha_sanitize_push(L, x, document);
    return refused(L, x, r, dialect, lua_gettop(L));
  }
  if (tokens) return token_answer(L, x, r, document);
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
    if (!push_document(L, x, r, &dialect)) {
      dialect = NULL;
      lua_pushnil(L);
    }
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

int lha_answer(lua_State *L, struct lha_exchange *x, int index) {
  struct lha_response r;
  int n;
  luaL_checkstack(L, 16, "no stack");
  if (!read_response(L, index, &r)) return lha_refuse(L, x, "protocol", "response_malformed", "the transport gave something that is no response", "unknown", NULL);
  if ((double)r.body_len > x->session->limit_body) return broken(L, x, &r, "too_large", "body_too_large", "the answer's body is larger than limits.body");
  if (coded_body(L, &r)) return broken(L, x, &r, "protocol", "content_encoding", "the answer's body is compressed, which was not asked for");
  if (x->verb == LHA_CALL) return call_answer(L, x, &r);
  if (x->verb == LHA_LOGOUT) n = logout_answer(L, x, &r);
  else if (listed(&x->op->gone, r.status)) n = gone(L, x, &r);
  else if (listed(&x->op->success, r.status)) n = success(L, x, &r);
  else n = refused_answer(L, x, &r);
  if (n == 2 && x->verb == LHA_REFRESH && !x->op->resend_safe && (r.status < 300 || (r.status >= 500 && r.status != 503)))
    x->session->refresh_unknown = true; /* the server may have turned the token over: nobody sends this one again */
  return n;
}
