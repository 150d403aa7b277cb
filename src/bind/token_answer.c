/* SPDX-License-Identifier: MIT */
/* token_answer.c - the tokens in an answer: members by the declaration's paths, exact types, then the whole set into the session at once. */
#include <math.h>
#include <string.h>

#include "base/message.h"
#include "bytes.h"
#include "exchange.h"
#include "json_value.h"
#include "problem.h"

/* Pushes what stands at a dotted path of the document; nil when any part is absent. */
int lha_push_path(lua_State *L, int document, const char *path) {
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
    if (lha_push_path(L, document, parent) == LUA_TTABLE) {
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

/* A time that a record can hold: what is saved must be readable again. */
static double in_range(double seconds) {
  return seconds < 0 ? 0 : seconds > LHA_TIME_MAX ? LHA_TIME_MAX : seconds;
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
    lha_push_path(L, document, op->members[m]);
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
          t->expires_at = in_range(floor(x->now) + seconds);
        }
        break;
      case LHA_EXPIRES_AT:
        timed = read_seconds(L, &seconds);
        if (timed < 0) return "member_type";
        if (timed) {
          t->expires = true;
          t->expires_at = in_range(seconds - clock_offset(L, x, r));
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

/* Whether the server gave another scope than was asked for, by the provider's way to compare. */
static bool scope_differs(const struct lha_exchange *x) {
  const struct ha_secret *got = &x->fresh.scope, *asked;
  struct lha_template named;
  memset(&named, 0, sizeof named);
  named.source = LHA_ARGUMENT;
  named.text = "scope";
  if (!got->data || lha_template_value(x, &named, &asked) != HA_OK) return false;
  if (x->session->provider->scope_ignores_case) return !ha_same_word(got->data, got->len, asked->data, asked->len);
  return !ha_equal(got->data, got->len, asked->data, asked->len);
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

int lha_token_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document) {
  struct lha_session *s = x->session;
  const char *code;
  bool differs;
  lha_tokens_clear(&x->fresh); /* an earlier finish may have ended half way, for want of memory */
  code = read_members(L, x, r, document);
  if (code) {
    lha_tokens_clear(&x->fresh);
    return lha_broken(L, x, r, "protocol", code,
                  strcmp(code, "member_missing") == 0 ? "the answer lacks a member that a token answer must have" : "a member of the answer has a wrong type or value");
  }
  differs = scope_differs(x); /* legal (RFC 6749 3.3), and worth telling */
  complete(L, x);
  keep_extra(L, x, document);
  lha_tokens_push(L, &x->fresh);
  lha_exchange_open_session(L, x);
  if (x->done) return luaL_error(L, "the exchange is finished"); /* by a finaliser, while it was judged: x->fresh is empty */
  lha_tokens_move(&s->tokens, &x->fresh); /* from here nothing can fail */
  s->scope_differs = differs;
  s->has_tokens = true;
  s->refresh_unknown = false;
  return 1;
}
