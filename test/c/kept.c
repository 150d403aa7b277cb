/* SPDX-License-Identifier: MIT */
/* kept - what is left in the memory that we gave back: kept SCRIPT. Runs every scenario of test/c/sweep.lua once (all operations of all
 * providers, their refusals and failures, stores and transports, close and collection) with an allocator that keeps each freed block, then
 * walks them: every byte is zero, and none of the planted secrets is found, raw or in another spelling. Before that the same walk finds the
 * secrets in blocks that are in use, so it can see them. */
#define _GNU_SOURCE /* memmem */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "bind/compat.h"
#include "sweep_server.h"

int luaopen_healthauth_core(lua_State *L);
int luaopen_healthauth_curl(lua_State *L);
int luaopen_healthauth_hiredis(lua_State *L);
int luaopen_healthauth_sqlite(lua_State *L);

enum { WANTED_MAX = 4096 };

/* ---- the blocks ---- */

struct block {
  struct block *before, *after;
  size_t size;
  size_t pad; /* keeps the alignment of what follows */
};

static struct block used = {&used, &used, 0, 0}, freed = {&freed, &freed, 0, 0};
static size_t checks, wrong, sizes_wrong, seen_in_use;

static void check(int fine, const char *what, const char *more) {
  checks++;
  if (fine) return;
  wrong++;
  printf("%s %s\n", what, more);
}

static void link_in(struct block *list, struct block *b) {
  b->before = list;
  b->after = list->after;
  list->after->before = b;
  list->after = b;
}

static void unlink_from(struct block *b) {
  b->before->after = b->after;
  b->after->before = b->before;
}

static void *keep_alloc(size_t size) {
  struct block *b = malloc(sizeof *b + size);
  if (!b) abort();
  b->size = size;
  link_in(&used, b);
  return b + 1;
}

static void keep_release(void *p, size_t size) {
  struct block *b = (struct block *)p - 1;
  sizes_wrong += size != b->size;
  unlink_from(b);
  link_in(&freed, b);
}

static const struct ha_allocator KEEPING = {keep_alloc, keep_release};

static size_t count_of(const struct block *list, size_t *bytes) {
  const struct block *b;
  size_t count = 0;
  *bytes = 0;
  for (b = list->after; b != list; b = b->after) {
    count++;
    *bytes += b->size;
  }
  return count;
}

/* ---- what is looked for ---- */

static struct { char *text; size_t size; } wanted[WANTED_MAX];
static size_t wanted_count;

static size_t found_in(const struct block *list, const char *text, size_t size) {
  const struct block *b;
  size_t count = 0;
  for (b = list->after; b != list; b = b->after) count += memmem(b + 1, b->size, text, size) != NULL;
  return count;
}

/* The texts in the list on top of the stack, every spelling of every secret. */
static void take_wanted(lua_State *L) {
  size_t i, n = lua_rawlen(L, -1);
  for (i = 1; i <= n && wanted_count < WANTED_MAX; i++) {
    size_t size;
    const char *p;
    lua_rawgeti(L, -1, (int)i);
    p = lua_tolstring(L, -1, &size);
    wanted[wanted_count].text = malloc(size + 1);
    if (!wanted[wanted_count].text) abort();
    memcpy(wanted[wanted_count].text, p, size + 1);
    wanted[wanted_count++].size = size;
    lua_pop(L, 1);
  }
}

static void walk_used(void) {
  size_t i;
  for (i = 0; i < wanted_count; i++) seen_in_use += found_in(&used, wanted[i].text, wanted[i].size);
}

static void walk_freed(void) {
  const struct block *b;
  size_t i, at, dirty = 0;
  for (i = 0; i < wanted_count; i++) check(found_in(&freed, wanted[i].text, wanted[i].size) == 0, "a freed block holds", wanted[i].text);
  for (b = freed.after; b != &freed; b = b->after) {
    const char *p = (const char *)(b + 1);
    for (at = 0; at < b->size && p[at] == 0; at++) {}
    dirty += at < b->size;
  }
  check(dirty == 0, "freed blocks are not wiped", "");
  check(sizes_wrong == 0, "blocks came back with another size", "");
}

/* The walk sees what it should: a block that goes back as it is. */
static void control(void) {
  const char text[] = "planted for the control";
  void *p = keep_alloc(sizeof text);
  memcpy(p, text, sizeof text);
  keep_release(p, sizeof text);
  check(found_in(&freed, text, sizeof text - 1) == 1, "the walk is blind", "");
  memset(p, 0, sizeof text);
  check(found_in(&freed, text, sizeof text - 1) == 0, "the walk sees what is not there", "");
}

/* ---- the scenarios ---- */

static void fail(lua_State *L, const char *where) {
  printf("%s: %s\n", where, lua_tostring(L, -1));
  exit(2);
}

static void must_call(lua_State *L, int arguments, int results, const char *where) {
  if (lua_pcall(L, arguments, results, 0)) fail(L, where);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 2);
}

/* Leaves the scenarios at index 1. */
static lua_State *new_state(const char *script, int port) {
  lua_State *L = luaL_newstate();
  if (!L) abort();
  luaL_openlibs(L);
  preload(L, "healthauth.core", luaopen_healthauth_core);
  preload(L, "healthauth.curl", luaopen_healthauth_curl);
  preload(L, "healthauth.hiredis", luaopen_healthauth_hiredis);
  preload(L, "healthauth.sqlite", luaopen_healthauth_sqlite);
  lua_pushinteger(L, port);
  lua_setglobal(L, "SWEEP_PORT");
  lua_pushstring(L, getenv("SWEEP_FOLDER"));
  lua_setglobal(L, "SWEEP_FOLDER");
  if (luaL_loadfile(L, script)) fail(L, script);
  must_call(L, 0, 1, script);
  return L;
}

static void run(const char *script, int port, size_t index) {
  lua_State *L = new_state(script, port);
  size_t bytes;
  const char *name;
  if (wanted_count == 0) {
    lua_getfield(L, 1, "spellings");
    must_call(L, 0, 1, "spellings");
    take_wanted(L);
    lua_pop(L, 1);
  }
  lua_rawgeti(L, 1, (int)index + 1);
  lua_getfield(L, 2, "name");
  name = lua_tostring(L, -1);
  lua_getfield(L, 2, "prepare");
  must_call(L, 0, 1, name); /* 4: the state */
  lua_getfield(L, 2, "act");
  lua_pushvalue(L, 4);
  must_call(L, 1, 2, name);
  walk_used();
  lua_settop(L, 4);
  if (index % 2 == 0) lua_gc(L, LUA_GCCOLLECT, 0); /* by turns: collected, or closed with all that is open */
  lua_close(L);
  check(count_of(&used, &bytes) == 0, "blocks are out", "");
}

int main(int argc, char **argv) {
  size_t index, count, blocks, bytes;
  int port = sweep_server_start();
  lua_State *L;
  if (argc < 2 || !port || !getenv("SWEEP_FOLDER")) return 2;
  ha_alloc_use(&KEEPING);
  control();
  L = new_state(argv[1], port);
  count = lua_rawlen(L, 1);
  lua_close(L);
  for (index = 0; index < count; index++) run(argv[1], port, index);
  walk_freed();
  check(wanted_count > 100 && seen_in_use > 100, "the secrets were never in our memory", "");
  blocks = count_of(&freed, &bytes);
  printf("%lu scenarios; %lu spellings of secrets, seen %lu times in blocks in use, in none of %lu freed blocks (%lu bytes)\n", (unsigned long)count,
         (unsigned long)wanted_count, (unsigned long)seen_in_use, (unsigned long)blocks, (unsigned long)bytes);
  printf("%lu passed, %lu failed, 0 skipped\n", (unsigned long)(checks - wrong), (unsigned long)wrong);
  return wrong > 0;
}
