/* SPDX-License-Identifier: MIT */
/* sweep - fails every allocation in turn while test/c/sweep.lua runs one scenario after the other: sweep SCRIPT [STRIDE [FIRST [NAME]]].
 * Every run has a Lua state of its own: prepare, arm, act, disarm. An act either ends as it does with enough memory, or raises "not enough
 * memory" (or answers so); never with another answer. When it raised, the session holds what it held, and the same act then succeeds. After
 * lua_close none of our blocks is out, and each came back wiped.
 * STRIDE 7 FIRST 3 tries the failures number 3, 10, 17 ...; with SWEEP_PARTS=3 SWEEP_PART=1 only every third scenario, from the second one
 * on: the bounded part of `make test`. The full sweep is stride 1. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "bind/compat.h"
#ifdef LUA_JITLIBNAME
#include "sweep_luajit.h"
#endif
#include "sweep_server.h"

int luaopen_healthauth_core(lua_State *L);
int luaopen_healthauth_curl(lua_State *L);
int luaopen_healthauth_hiredis(lua_State *L);
int luaopen_healthauth_sqlite(lua_State *L);

enum { TEXT_MAX = 8192 };

/* ---- both allocators ---- */

struct failure {
  int armed;
  size_t seen, at, count; /* fails the calls at .. at + count - 1 */
};

static struct failure lua_side, our_side;
static size_t blocks_out, blocks_bad;
static lua_Alloc real_alloc;

static int fails(struct failure *f) {
  if (!f->armed) return 0;
  f->seen++;
  return f->at && f->seen >= f->at && f->seen - f->at < f->count;
}

static void *lua_alloc(void *ud, void *block, size_t old, size_t size) {
  if (size > 0 && (!block || size > old) && fails(&lua_side)) return NULL; /* giving back and shrinking cannot fail */
  return real_alloc(ud, block, old, size);
}

static void *our_alloc(size_t size) {
  size_t *block;
  if (fails(&our_side)) return NULL;
  block = malloc(2 * sizeof *block + size);
  if (!block) abort();
  block[0] = size;
  blocks_out++;
  return block + 2;
}

static void our_release(void *p, size_t size) {
  size_t *block = (size_t *)p - 2, i;
  int bad = block[0] != size;
  for (i = 0; i < block[0]; i++) bad |= ((const char *)p)[i] != 0;
  blocks_bad += bad != 0;
  blocks_out--;
  free(block);
}

static const struct ha_allocator OURS = {our_alloc, our_release};

/* ---- one run ---- */

enum way { LUA_ONCE, LUA_TWICE, LUA_ALL, OURS_ONCE, OURS_ALL, WAYS };
static const char *const WAY_NAMES[] = {"Lua's once", "Lua's twice", "Lua's from then on", "ours once", "ours from then on"};

static const char *script;
static int server_port;
static size_t checks, faults, injected, raised;

static void wrong(const char *name, enum way way, size_t at, const char *what, const char *more) {
  faults++;
  printf("%s, %s, number %lu: %s: %s\n", name, WAY_NAMES[way], (unsigned long)at, what, more);
}

static void open_lib(lua_State *L, const char *name, lua_CFunction open) {
#if LUA_VERSION_NUM >= 502
  luaL_requiref(L, name, open, 1);
  lua_pop(L, 1);
#else
  lua_pushcfunction(L, open);
  lua_pushstring(L, strcmp(name, "_G") == 0 ? "" : name);
  lua_call(L, 1, 0);
#endif
}

/* Leaves the scenarios at index 1. No io library: PUC 5.1 closes stdout with it. */
static lua_State *new_state(void) {
  static const struct { const char *name; lua_CFunction open; } MODULES[] = {
    {"healthauth.core", luaopen_healthauth_core},       {"healthauth.curl", luaopen_healthauth_curl},
    {"healthauth.hiredis", luaopen_healthauth_hiredis}, {"healthauth.sqlite", luaopen_healthauth_sqlite},
  };
  lua_State *L = luaL_newstate();
  size_t i;
  void *ud;
  if (!L) abort();
  lua_gc(L, LUA_GCSTOP, 0);
  open_lib(L, "_G", luaopen_base);
  open_lib(L, LUA_LOADLIBNAME, luaopen_package);
  open_lib(L, LUA_STRLIBNAME, luaopen_string);
  open_lib(L, LUA_TABLIBNAME, luaopen_table);
  open_lib(L, LUA_MATHLIBNAME, luaopen_math);
#ifdef LUA_JITLIBNAME
  sweep_luajit(L);
#endif
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  for (i = 0; i < sizeof MODULES / sizeof *MODULES; i++) {
    lua_pushcfunction(L, MODULES[i].open);
    lua_setfield(L, -2, MODULES[i].name);
  }
  lua_settop(L, 0);
  lua_pushinteger(L, server_port);
  lua_setglobal(L, "SWEEP_PORT");
  lua_pushstring(L, getenv("SWEEP_FOLDER"));
  lua_setglobal(L, "SWEEP_FOLDER");
  lua_gc(L, LUA_GCRESTART, 0);
  if (luaL_loadfile(L, script) || lua_pcall(L, 0, 1, 0)) {
    printf("%s\n", lua_tostring(L, -1));
    exit(2);
  }
  real_alloc = lua_getallocf(L, &ud);
  lua_setallocf(L, lua_alloc, ud);
  return L;
}

static void close_state(lua_State *L) {
  void *ud = NULL;
  (void)lua_getallocf(L, &ud);
  lua_setallocf(L, real_alloc, ud);
  lua_close(L);
}

/* Calls scenario[name](the value or values on top of the stack); the text that it returns into out. 0, or the status with the message in out. */
static int call(lua_State *L, int scenario, const char *name, int arguments, char *out) {
  int rc;
  const char *text;
  lua_getfield(L, scenario, name);
  lua_insert(L, -1 - arguments);
  rc = lua_pcall(L, arguments, 1, 0);
  text = lua_tostring(L, -1);
  (void)snprintf(out, TEXT_MAX, "%s", text ? text : "(no text)");
  lua_pop(L, 1);
  return rc;
}

static int look(lua_State *L, int scenario, char *out) {
  lua_pushvalue(L, scenario + 1);
  return call(L, scenario, "look", 1, out);
}

/* scenario.act(state) with the failures armed: everything that the call itself needs is on the stack before. Its two results are told after. */
static int act(lua_State *L, int scenario, char *out, enum way way, size_t at) {
  struct failure *f = way <= LUA_ALL ? &lua_side : &our_side;
  size_t count = way == LUA_ONCE || way == OURS_ONCE ? 1 : way == LUA_TWICE ? 2 : (size_t)-1;
  int rc;
  const char *text;
  lua_getfield(L, scenario, "act");
  lua_pushvalue(L, scenario + 1);
  memset(f, 0, sizeof *f);
  f->at = at;
  f->count = count;
  f->armed = 1;
  rc = lua_pcall(L, 1, 2, 0);
  f->armed = 0;
  if (!rc) return call(L, scenario, "tell", 2, out);
  text = lua_tostring(L, -1);
  (void)snprintf(out, TEXT_MAX, "%s", text ? text : "(no text)");
  lua_pop(L, 1);
  return rc;
}

static int is_memory(const char *text) {
  return strstr(text, "not enough memory") || strstr(text, "out of memory");
}

struct clean {
  char name[128], before[TEXT_MAX], result[TEXT_MAX], after[TEXT_MAX];
  int verb; /* a verb of the Lua layer */
};

/* One scenario with failure number at: 0 when the act never came so far. */
static int one(size_t index, const struct clean *clean, enum way way, size_t at) {
  static char text[TEXT_MAX];
  lua_State *L = new_state();
  int rc, reached, told;
  lua_rawgeti(L, 1, (int)index + 1); /* 2: the scenario */
  lua_pushnil(L);                    /* 3: its state */
  if (!lua_checkstack(L, 40)) abort();
  lua_getfield(L, 2, "prepare");
  lua_call(L, 0, 1);
  lua_replace(L, 3);
  rc = act(L, 2, text, way, at);
  reached = (way <= LUA_ALL ? lua_side.seen : our_side.seen) >= at;
  checks++;
  if (reached) injected++;
  if (rc && !is_memory(text)) wrong(clean->name, way, at, "raised", text);
  told = rc || is_memory(text) || (clean->verb && strncmp(text, "nil ", 4) == 0 && strcmp(text, clean->result) != 0);
  if (!told && strcmp(text, clean->result) != 0) wrong(clean->name, way, at, "answered", text);
  if (!told) {
    if (look(L, 2, text) || strcmp(text, clean->after) != 0) wrong(clean->name, way, at, "the session is not as it should be after", text);
  } else if (clean->verb) {
    raised++;
    if (look(L, 2, text) || (strcmp(text, clean->before) != 0 && strcmp(text, clean->after) != 0)) wrong(clean->name, way, at, "half a change", text);
    lua_gc(L, LUA_GCCOLLECT, 0); /* an exchange that a raise left behind is open until it is collected */
    lua_pushvalue(L, 3);
    if (call(L, 2, "again", 1, text) || strncmp(text, "fine", 4) != 0) wrong(clean->name, way, at, "the next call", text);
  } else {
    int failed;
    raised++;
    lua_gc(L, LUA_GCCOLLECT, 0);
    if (look(L, 2, text) || strcmp(text, clean->before) != 0) wrong(clean->name, way, at, "the session changed", text);
    failed = act(L, 2, text, LUA_ONCE, 0);
    if (failed || strcmp(text, clean->result) != 0) wrong(clean->name, way, at, "the next call", text);
    if (look(L, 2, text) || strcmp(text, clean->after) != 0) wrong(clean->name, way, at, "the session is not as it should be after", text);
  }
  close_state(L);
  if (blocks_out) wrong(clean->name, way, at, "blocks of ours are out", "");
  if (blocks_bad) wrong(clean->name, way, at, "blocks came back unwiped", "");
  blocks_out = blocks_bad = 0;
  return reached;
}

static void run_clean(size_t index, struct clean *clean) {
  lua_State *L = new_state();
  lua_rawgeti(L, 1, (int)index + 1);
  lua_pushnil(L);
  lua_getfield(L, 2, "name");
  (void)snprintf(clean->name, sizeof clean->name, "%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_getfield(L, 2, "again");
  clean->verb = lua_isfunction(L, -1);
  lua_pop(L, 1);
  lua_getfield(L, 2, "prepare");
  if (lua_pcall(L, 0, 1, 0)) {
    printf("%s: prepare: %s\n", clean->name, lua_tostring(L, -1));
    exit(2);
  }
  lua_replace(L, 3);
  if (look(L, 2, clean->before)) wrong(clean->name, LUA_ONCE, 0, "look", clean->before);
  if (act(L, 2, clean->result, LUA_ONCE, 0)) wrong(clean->name, LUA_ONCE, 0, "the clean run", clean->result);
  if (look(L, 2, clean->after)) wrong(clean->name, LUA_ONCE, 0, "look", clean->after);
  lua_getfield(L, 2, "expect");
  if (lua_type(L, -1) == LUA_TSTRING && !strstr(clean->result, lua_tostring(L, -1)))
    wrong(clean->name, LUA_ONCE, 0, lua_tostring(L, -1), clean->result);
  lua_pop(L, 1);
  close_state(L);
  checks++;
}

static size_t number_of(const char *variable) {
  const char *text = getenv(variable);
  return text ? strtoul(text, NULL, 10) : 0;
}

int main(int argc, char **argv) {
  static struct clean clean;
  size_t stride = argc > 2 ? (size_t)atol(argv[2]) : 1, first = argc > 3 ? (size_t)atol(argv[3]) : 1, i, count, at, tried = 0;
  size_t parts = number_of("SWEEP_PARTS"), part = number_of("SWEEP_PART");
  const char *only = argc > 4 ? argv[4] : NULL;
  const char *pinned;
  void *library;
  int way;
  lua_State *L;
  if (argc < 2 || stride == 0 || first == 0) return 2;
  if (parts == 0) parts = 1;
  script = argv[1];
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  pinned = getenv("SWEEP_PIN"); /* lua-cjson stays loaded: a leak can be told as its own */
  library = pinned ? dlopen(pinned, RTLD_LAZY | RTLD_NODELETE) : NULL;
  if (pinned && !library) return 2;
  server_port = sweep_server_start();
  if (!server_port || !getenv("SWEEP_FOLDER")) return 2;
  ha_alloc_use(&OURS);
  L = new_state();
  count = lua_rawlen(L, 1);
  close_state(L);
  for (i = 0; i < count; i++) {
    size_t before = injected;
    if (i % parts != part) continue;
    tried++;
    run_clean(i, &clean);
    if (only && !strstr(clean.name, only)) continue;
    for (way = 0; way < WAYS; way++)
      for (at = first; one(i, &clean, (enum way)way, at) && faults < 40; at += stride) {}
    if (getenv("SWEEP_SHOW")) printf("%s: %lu failures; %s\n", clean.name, (unsigned long)(injected - before), clean.result);
  }
  printf("%lu scenarios, %lu failures injected, %lu of them told\n", (unsigned long)tried, (unsigned long)injected, (unsigned long)raised);
  printf("%lu passed, %lu failed, 0 skipped\n", (unsigned long)(checks > faults ? checks - faults : 0), (unsigned long)faults);
  return faults ? 1 : 0;
}
