/* SPDX-License-Identifier: MIT */
/* declare_fields.c - the values in a declaration: words, fields with their markers, paths. */
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/url.h"
#include "declare.h"
#include "options.h"

bool lha_declare_word(const char *p) {
  size_t i;
  if (!(p[0] >= 'a' && p[0] <= 'z')) return false;
  for (i = 0; p[i]; i++)
    if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '_')) return false;
  return i <= LHA_NAME_MAX;
}

/* What a login remembers; its state is sent to the login page only. */
static bool pending_has(const char *name, const char *path) {
  if (strcmp(name, "state") == 0) return strcmp(path, "authorize.query") == 0;
  return strcmp(name, "redirect_uri") == 0 || strcmp(name, "scope") == 0 || strcmp(name, "code_verifier") == 0;
}

/* "$option.client_id?" and friends; the value is on top of the stack. */
static void read_template(const struct lha_cursor *c, const struct lha_provider *p, const char *member, struct lha_template *t) {
  static const struct { const char *prefix; enum lha_source source; } SOURCES[] = {
      {"$option.", LHA_OPTION}, {"$argument.", LHA_ARGUMENT}, {"$pending.", LHA_PENDING}};
  static const char what[] = "a text, a number, true, false, or a marker $option.NAME, $argument.NAME, $pending.NAME (with ? where it may be absent)";
  lua_State *L = c->L;
  size_t n, i;
  const char *text;
  if (lua_isboolean(L, -1) || lua_type(L, -1) == LUA_TNUMBER) {
    t->raw = true;
    if (lua_isboolean(L, -1)) {
      text = lua_toboolean(L, -1) ? "true" : "false";
      n = strlen(text);
    } else {
      double v = lua_tonumber(L, -1);
      char digits[32];
      if (!(v >= -1e15 && v <= 1e15) || v != (double)(long long)v) lha_declare_bad(c, member, "a whole number");
      n = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)v);
      t->text = lha_declare_copy(c, digits, n);
      t->len = n;
      return;
    }
    t->text = text;
    t->len = n;
    return;
  }
  if (lua_type(L, -1) != LUA_TSTRING) lha_declare_bad(c, member, what);
  text = lua_tolstring(L, -1, &n);
  if (n > LHA_TEXT_MAX || !ha_is_field_value(text, n)) lha_declare_bad(c, member, "printable text");
  if (n == 0 || text[0] != '$') {
    t->text = lha_declare_copy(c, text, n);
    t->len = n;
    return;
  }
  if (text[n - 1] == '?') {
    t->optional = true;
    n--;
  }
  for (i = 0; i < sizeof SOURCES / sizeof *SOURCES; i++) {
    size_t plen = strlen(SOURCES[i].prefix);
    if (n <= plen || memcmp(text, SOURCES[i].prefix, plen) != 0) continue;
    t->source = SOURCES[i].source;
    t->len = n - plen;
    t->text = lha_declare_copy(c, text + plen, n - plen);
    if (!lha_declare_word(t->text)) break;
    if (t->source == LHA_OPTION && (t->option = lha_option_index(p, t->text, t->len)) < 0)
      lha_declare_bad(c, member, "a marker that names one of the declared options");
    if (t->source == LHA_PENDING && !pending_has(t->text, c->path))
      lha_declare_bad(c, member, "$pending.redirect_uri, .scope or .code_verifier, and in authorize.query .state");
    return;
  }
  lha_declare_bad(c, member, what);
}

void lha_declare_fields(const struct lha_cursor *outer, const char *member, struct lha_provider *p, bool headers, struct lha_fields *out) {
  struct lha_cursor c;
  int i, keys, n_keys;
  if (!lha_declare_enter(outer, member, false, &c)) return;
  n_keys = lha_declare_keys(&c);
  keys = lua_gettop(c.L);
  out->list = lha_declare_alloc(&c, sizeof *out->list * (size_t)(n_keys + 1));
  for (i = 0; i < n_keys; i++) {
    struct lha_field *f = &out->list[i];
    size_t n;
    const char *name;
    lua_rawgeti(c.L, keys, i + 1);
    name = lua_tolstring(c.L, -1, &n);
    if (headers && !ha_is_field_name(name, n)) lha_declare_bad(&c, NULL, "names of headers");
    if (headers && lha_header_reserved(name, n)) lha_declare_bad(&c, name, "no header that healthauth sets itself");
    if (headers && lha_header_declared(out, name)) lha_declare_bad(&c, name, "no header twice, whatever its letters' case");
    f->name = lha_declare_copy(&c, name, n);
    f->name_len = n;
    lua_rawget(c.L, c.table);
    read_template(&c, p, f->name, &f->value);
    if (headers && f->value.source == LHA_OPTION) p->options[f->value.option].in_header = true;
    out->count = i + 1;
    lua_pop(c.L, 1);
  }
  lua_pop(c.L, 2);
}

void lha_declare_path(const struct lha_cursor *c, const char *member, const char *path) {
  const char *why = NULL;
  enum ha_status rc;
  if (path[0] != '/') {
    lha_declare_url(c, member, path, LHA_URL_WHOLE);
    return;
  }
  rc = ha_url_path(path, strlen(path), &why);
  if (rc == HA_NOMEM) luaL_error(c->L, "not enough memory");
  if (rc != HA_OK) lha_declare_bad(c, member, "a path that starts with one slash, without fragment and dot segments, or a whole https URL");
}

void lha_declare_url(const struct lha_cursor *c, const char *member, const char *url, enum lha_url_part part) {
  static const char *const EXPECTED[] = {"a path that starts with one slash, or a whole https URL", "a whole https URL without a query",
                                         "origins such as https://api.example.org"};
  struct ha_url u;
  const char *why = NULL;
  enum ha_status rc;
  bool fine;
  ha_url_init(&u);
  rc = ha_url_parse(&u, url, strlen(url), &why);
  fine = rc == HA_OK && (u.https || u.loopback);
  if (part != LHA_URL_WHOLE) fine = fine && u.query == u.text.len;
  if (part == LHA_URL_ORIGIN) fine = fine && u.path + 1 == u.text.len;
  ha_url_free(&u);
  if (rc == HA_NOMEM) luaL_error(c->L, "not enough memory");
  if (!fine) lha_declare_bad(c, member, EXPECTED[part]);
}

bool lha_fields_take(const struct lha_fields *fields, const char *name) {
  int i;
  for (i = 0; i < fields->count; i++)
    if (fields->list[i].value.source == LHA_ARGUMENT && strcmp(fields->list[i].value.text, name) == 0) return true;
  return false;
}
