/* SPDX-License-Identifier: MIT */
#include "declare.h"

#include <stdio.h>
#include <string.h>

#include "base/message.h"

int lha_declare_bad(const struct lha_cursor *c, const char *member, const char *what) {
  const char *dot = c->path[0] && member ? "." : "";
  if (!c->path[0] && !member) member = "declaration";
  return luaL_error(c->L, "%s%s%s: expected %s", c->path, dot, member ? member : "", what);
}

void *lha_declare_alloc(const struct lha_cursor *c, size_t size) {
  void *block = ha_arena_alloc(c->arena, size);
  if (!block) luaL_error(c->L, "not enough memory");
  return block;
}

char *lha_declare_copy(const struct lha_cursor *c, const char *p, size_t n) {
  char *copy = ha_arena_text(c->arena, p, n);
  if (!copy) luaL_error(c->L, "not enough memory");
  return copy;
}

static void get(const struct lha_cursor *c, const char *member) {
  luaL_checkstack(c->L, 8, "no stack");
  lua_pushstring(c->L, member);
  lua_rawget(c->L, c->table);
}

void lha_declare_only(const struct lha_cursor *c, const char *const *known) {
  lua_State *L = c->L;
  lua_pushnil(L);
  while (lua_next(L, c->table)) {
    const char *const *k = known;
    const char *key;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) lha_declare_bad(c, NULL, "members with names");
    key = lua_tostring(L, -1);
    while (*k && strcmp(*k, key) != 0) k++;
    if (!*k) {
      char shown[LHA_NAME_MAX];
      size_t i;
      (void)snprintf(shown, sizeof shown, "%s", key);
      for (i = 0; shown[i]; i++)
        if (shown[i] < 0x20 || shown[i] > 0x7E) shown[i] = '?';
      luaL_error(L, "%s%s%s: unknown member", c->path, c->path[0] ? "." : "", shown);
    }
  }
}

bool lha_declare_enter(const struct lha_cursor *c, const char *member, bool required, struct lha_cursor *inner) {
  get(c, member);
  if (lua_isnil(c->L, -1) && !required) {
    lua_pop(c->L, 1);
    return false;
  }
  if (lua_type(c->L, -1) != LUA_TTABLE) lha_declare_bad(c, member, "a table");
  inner->L = c->L;
  inner->arena = c->arena;
  inner->table = lua_gettop(c->L);
  (void)snprintf(inner->path, sizeof inner->path, "%.90s%s%.60s", c->path, c->path[0] ? "." : "", member);
  return true;
}

static bool printable(const char *p, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if (p[i] < 0x20 || p[i] > 0x7E) return false;
  return true;
}

const char *lha_declare_text(const struct lha_cursor *c, const char *member, const char *otherwise, bool required) {
  const char *text = otherwise;
  get(c, member);
  if (lua_type(c->L, -1) == LUA_TSTRING) {
    size_t n;
    const char *p = lua_tolstring(c->L, -1, &n);
    if (n == 0 || n > LHA_TEXT_MAX || !printable(p, n)) lha_declare_bad(c, member, "a text of 1 to 2048 printable characters");
    text = lha_declare_copy(c, p, n);
  } else if (required || !lua_isnil(c->L, -1)) {
    lha_declare_bad(c, member, "a text");
  }
  lua_pop(c->L, 1);
  return text;
}

bool lha_declare_flag(const struct lha_cursor *c, const char *member, bool otherwise) {
  get(c, member);
  if (lua_isboolean(c->L, -1)) otherwise = lua_toboolean(c->L, -1) != 0;
  else if (!lua_isnil(c->L, -1)) lha_declare_bad(c, member, "true or false");
  lua_pop(c->L, 1);
  return otherwise;
}

int lha_declare_choice(const struct lha_cursor *c, const char *member, const char *const *words, int otherwise, const char *what) {
  int chosen = -1, i;
  get(c, member);
  if (lua_isnil(c->L, -1)) chosen = otherwise;
  else if (lua_type(c->L, -1) == LUA_TSTRING)
    for (i = 0; words[i]; i++)
      if (strcmp(words[i], lua_tostring(c->L, -1)) == 0) chosen = i;
  if (chosen < 0) lha_declare_bad(c, member, what);
  lua_pop(c->L, 1);
  return chosen;
}

void lha_declare_statuses(const struct lha_cursor *c, const char *member, bool required, struct lha_statuses *out) {
  static const char what[] = "a list of up to 8 statuses, 200 to 599";
  struct lha_cursor list;
  int i, n;
  if (!lha_declare_enter(c, member, required, &list)) return;
  n = (int)lua_rawlen(c->L, list.table);
  if (n < 1 || n > LHA_STATUS_MAX) lha_declare_bad(c, member, what);
  for (i = 1; i <= n; i++) {
    double v;
    lua_rawgeti(c->L, list.table, i);
    v = lua_type(c->L, -1) == LUA_TNUMBER ? lua_tonumber(c->L, -1) : 0;
    if (!(v >= 200 && v <= 599) || v != (double)(int)v) lha_declare_bad(c, member, what);
    out->list[i - 1] = (int)v;
    lua_pop(c->L, 1);
  }
  out->count = n;
  lua_pop(c->L, 1);
}

int lha_declare_texts(const struct lha_cursor *c, const char *member, const char ***out) {
  static const char what[] = "a list of up to 64 texts";
  struct lha_cursor list;
  int i, n;
  if (!lha_declare_enter(c, member, false, &list)) return 0;
  n = (int)lua_rawlen(c->L, list.table);
  if (n < 1 || n > LHA_LIST_MAX) lha_declare_bad(c, member, what);
  *out = lha_declare_alloc(c, sizeof **out * (size_t)n);
  for (i = 1; i <= n; i++) {
    size_t len;
    const char *p;
    lua_rawgeti(c->L, list.table, i);
    if (lua_type(c->L, -1) != LUA_TSTRING) lha_declare_bad(c, member, what);
    p = lua_tolstring(c->L, -1, &len);
    if (len == 0 || len > LHA_TEXT_MAX || !printable(p, len)) lha_declare_bad(c, member, what);
    (*out)[i - 1] = lha_declare_copy(c, p, len);
    lua_pop(c->L, 1);
  }
  lua_pop(c->L, 1);
  return n;
}

int lha_declare_keys(const struct lha_cursor *c) {
  lua_State *L = c->L;
  int n = 0, keys, i, j;
  lua_newtable(L);
  keys = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, c->table)) {
    size_t len;
    const char *key;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) lha_declare_bad(c, NULL, "members with names");
    key = lua_tolstring(L, -1, &len);
    if (len == 0 || len > LHA_NAME_MAX || !printable(key, len)) lha_declare_bad(c, NULL, "names of 1 to 64 printable characters");
    if (++n > LHA_LIST_MAX) lha_declare_bad(c, NULL, "at most 64 members");
    lua_pushvalue(L, -1);
    lua_rawseti(L, keys, n);
  }
  for (i = 2; i <= n; i++) { /* insertion sort: at most 64 names, and the order of a table is not ours to rely on */
    for (j = i; j > 1; j--) {
      bool less;
      lua_rawgeti(L, keys, j - 1);
      lua_rawgeti(L, keys, j);
      less = strcmp(lua_tostring(L, -1), lua_tostring(L, -2)) < 0;
      if (!less) {
        lua_pop(L, 2);
        break;
      }
      lua_rawseti(L, keys, j - 1);
      lua_rawseti(L, keys, j);
    }
  }
  return n;
}

bool lha_header_declared(const struct lha_fields *headers, const char *name) {
  int i;
  for (i = 0; i < headers->count; i++)
    if (ha_same_word(headers->list[i].name, headers->list[i].name_len, name, strlen(name))) return true;
  return false;
}

void lha_declare_headers_once(const struct lha_cursor *c, const struct lha_provider *p) {
  static const char once[] = "no header that the request has already";
  const struct lha_operation *op;
  int verb, i;
  for (verb = 0; verb < LHA_OPERATIONS; verb++) {
    char member[64];
    if ((op = p->operations[verb]) == NULL) continue;
    (void)snprintf(member, sizeof member, "operations.%s.headers", lha_verb_names[verb]);
    for (i = 0; i < op->headers.count; i++)
      if (lha_header_declared(&p->headers, op->headers.list[i].name)) lha_declare_bad(c, member, once);
    if (op->body != LHA_BODY_NONE && lha_header_declared(&op->headers, "content-type")) lha_declare_bad(c, member, once);
    if (op->auth != LHA_AUTH_NONE && lha_header_declared(&op->headers, "authorization")) lha_declare_bad(c, member, once);
    if (op->body != LHA_BODY_NONE && lha_header_declared(&p->headers, "content-type")) lha_declare_bad(c, "headers", once);
    if (op->auth != LHA_AUTH_NONE && lha_header_declared(&p->headers, "authorization")) lha_declare_bad(c, "headers", once);
  }
  if (p->has_call && lha_header_declared(&p->headers, "authorization")) lha_declare_bad(c, "headers", once);
}
