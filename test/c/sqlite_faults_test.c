/* SPDX-License-Identifier: MIT */
/* SQLite failing: every call and every allocation of it in turn, in every operation, on a fresh connection and on one in use. A failure
 * never passes for a success; the file holds what it held before or what the operation writes, nothing between; the next call works. */
#include "faults.h"

#include "failing.h"
#include "sqlite_file.h"
#include "sys/sqlite.h"

/* ---- stand-ins ---- */

static int refusal;  /* the code of the call that fails */
static bool late;    /* it has done its work all the same, as when the answer of the disk is lost */
static int inside;   /* SQLite calls itself: these are not ours */

#define STAND_IN(name, arguments, ...)                                                                                                    \
  int name(__VA_ARGS__) {                                                                                                                 \
    int (*next)(__VA_ARGS__), rc = SQLITE_OK;                                                                                             \
    bool fails = inside == 0 && faults_here();                                                                                            \
    FAULTS_NEXT(next, #name);                                                                                                             \
    inside++;                                                                                                                             \
    if (!fails || late) rc = next arguments;                                                                                              \
    inside--;                                                                                                                             \
    return fails ? refusal : rc;                                                                                                          \
  }
STAND_IN(sqlite3_step, (s), sqlite3_stmt * s)
STAND_IN(sqlite3_bind_blob64, (s, i, p, n, d), sqlite3_stmt * s, int i, const void *p, sqlite3_uint64 n, void (*d)(void *))
STAND_IN(sqlite3_bind_text, (s, i, p, n, d), sqlite3_stmt * s, int i, const char *p, int n, void (*d)(void *))
STAND_IN(sqlite3_bind_int64, (s, i, n), sqlite3_stmt * s, int i, sqlite3_int64 n)
STAND_IN(sqlite3_exec, (db, sql, f, ud, m), sqlite3 * db, const char *sql, int (*f)(void *, int, char **, char **), void *ud, char **m)

int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int n, unsigned flags, sqlite3_stmt **out, const char **tail) {
  int (*next)(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
  if (faults_here()) {
    *out = NULL;
    return refusal;
  }
  FAULTS_NEXT(next, "sqlite3_prepare_v3");
  return next(db, sql, n, flags, out, tail);
}

int sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs) {
  int (*next)(const char *, sqlite3 **, int, const char *);
  if (faults_here()) {
    *db = NULL;
    return refusal;
  }
  FAULTS_NEXT(next, "sqlite3_open_v2");
  return next(path, db, flags, vfs);
}

/* The disk is not what is tested here. */
int fsync(int fd) { return fd < 0 ? -1 : 0; }
int fdatasync(int fd) { return fd < 0 ? -1 : 0; }

static sqlite3_mem_methods methods;
static bool memory_armed;
static size_t memory_seen, memory_at;

static bool memory_fails(void) { return memory_armed && ++memory_seen == memory_at; }

static void *memory_new(int n) { return memory_fails() ? NULL : methods.xMalloc(n); }
static void *memory_more(void *p, int n) { return memory_fails() ? NULL : methods.xRealloc(p, n); }

static void watch_memory(void) {
  sqlite3_mem_methods ours;
  CHECK_EQ_INT(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &methods), SQLITE_OK);
  ours = methods;
  ours.xMalloc = memory_new;
  ours.xRealloc = memory_more;
  CHECK_EQ_INT(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK); /* so that each allocation is seen */
}

/* ---- operations ---- */

static char version[128]; /* of "key" in the template */

static enum ha_sqlite_code load(struct ha_sqlite *s) { return ha_sqlite_load(s, BYTES("key")); }
static enum ha_sqlite_code load_none(struct ha_sqlite *s) { return ha_sqlite_load(s, BYTES("no")); }
static enum ha_sqlite_code save_new(struct ha_sqlite *s) { return ha_sqlite_save(s, BYTES("more"), BYTES("new"), NULL, 0, "id"); }
static enum ha_sqlite_code save_next(struct ha_sqlite *s) {
  return ha_sqlite_save(s, BYTES("key"), BYTES("new"), version, strlen(version), "id");
}
static enum ha_sqlite_code save_lost(struct ha_sqlite *s) { return ha_sqlite_save(s, BYTES("key"), BYTES("new"), NULL, 0, "id"); }
static enum ha_sqlite_code erase(struct ha_sqlite *s) { return ha_sqlite_delete(s, BYTES("key")); }
static enum ha_sqlite_code next_one(struct ha_sqlite *s) { return ha_sqlite_next(s, "", 0); }
static enum ha_sqlite_code acquire(struct ha_sqlite *s) {
  int64_t fence = 0;
  enum ha_sqlite_code code = ha_sqlite_acquire(s, BYTES("free"), "me", 1500, 1000, &fence);
  CHECK(code != HA_SQLITE_OK || fence > 0);
  return code;
}
static enum ha_sqlite_code acquire_held(struct ha_sqlite *s) {
  int64_t fence = 0;
  return ha_sqlite_acquire(s, BYTES("lock"), "you", 1500, 1000, &fence);
}
static enum ha_sqlite_code release(struct ha_sqlite *s) { return ha_sqlite_release(s, BYTES("lock"), "me", 1500); }
static enum ha_sqlite_code release_other(struct ha_sqlite *s) { return ha_sqlite_release(s, BYTES("lock"), "you", 1500); }

static const struct operation {
  const char *name;
  enum ha_sqlite_code (*act)(struct ha_sqlite *);
  enum ha_sqlite_code fine;  /* what it answers, */
  enum ha_sqlite_code again; /* and when it had been done before */
} OPERATIONS[] = {
  {"load", load, HA_SQLITE_OK, HA_SQLITE_OK},
  {"load what is not there", load_none, HA_SQLITE_NONE, HA_SQLITE_NONE},
  {"save anew", save_new, HA_SQLITE_OK, HA_SQLITE_CONFLICT},
  {"save the next", save_next, HA_SQLITE_OK, HA_SQLITE_CONFLICT},
  {"save too late", save_lost, HA_SQLITE_CONFLICT, HA_SQLITE_CONFLICT},
  {"delete", erase, HA_SQLITE_OK, HA_SQLITE_OK},
  {"next", next_one, HA_SQLITE_OK, HA_SQLITE_OK},
  {"acquire", acquire, HA_SQLITE_OK, HA_SQLITE_NONE},
  {"acquire what is held", acquire_held, HA_SQLITE_NONE, HA_SQLITE_NONE},
  {"release", release, HA_SQLITE_OK, HA_SQLITE_NONE},
  {"release another's", release_other, HA_SQLITE_NONE, HA_SQLITE_NONE},
};

/* One run on a fresh copy of the file; warm: on a connection that is open, and has done the operation before if it writes nothing. Answers
 * its code, whether the file is as before or as after the operation (both, if it writes nothing), and how many calls could have failed. */
struct outcome { enum ha_sqlite_code code; bool before, after; size_t seen; };

enum way { CALLS, MEMORY, OURS };

static struct outcome run(const struct operation *o, bool warm, enum way way, size_t at) {
  static char before[512], after[512], now[512];
  static const struct operation *known;
  struct outcome out;
  struct ha_sqlite s;
  if (known != o) { /* what both ends look like */
    file_renew();
    file_state(before);
    CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
    CHECK_EQ_INT(o->act(&s), o->fine);
    CHECK_EQ_INT(o->act(&s), o->again);
    ha_sqlite_free(&s);
    file_state(after);
    known = o;
  }
  file_renew();
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
  if (warm) {
    CHECK_EQ_INT(ha_sqlite_load(&s, BYTES("nobody's")), HA_SQLITE_NONE);
    if (strcmp(before, after) == 0) CHECK_EQ_INT(o->act(&s), o->fine);
  }
  memory_seen = 0;
  memory_at = at;
  memory_armed = way == MEMORY;
  if (way == CALLS) faults_start(at);
  if (way == OURS) failing_at = failing_seen + at;
  out.seen = failing_seen;
  out.code = o->act(&s);
  out.seen = way == MEMORY ? memory_seen : way == OURS ? failing_seen - out.seen : faults_stop();
  memory_armed = false;
  failing_at = 0;
  CHECK((out.code == HA_SQLITE_OK || out.code == HA_SQLITE_NONE) == (s.message[0] == '\0'));
  file_state(now);
  out.before = strcmp(now, before) == 0;
  out.after = strcmp(now, after) == 0;
  CHECK_EQ_INT(o->act(&s), out.before ? o->fine : o->again); /* the same store, when all is well again */
  ha_sqlite_free(&s);
  CHECK_EQ_INT(failing_bad, 0);
  return out;
}

static size_t injected;

static void sweep(const struct operation *o, bool warm, enum way way, enum ha_sqlite_code want, size_t stride) {
  size_t at;
  CHECK_CASE(o->name);
  for (at = 1;; at += stride) {
    struct outcome r = run(o, warm, way, at);
    CHECK(r.before || r.after);
    if (r.seen < at) {
      CHECK_EQ_INT(r.code, o->fine);
      break;
    }
    injected++;
    if (r.code == o->fine) CHECK(r.after);                /* it could do without, as with a busy file that is asked again */
    else if (want != HA_SQLITE_OK) CHECK_EQ_INT(r.code, want);
    else CHECK(r.code > HA_SQLITE_CONFLICT);
    if (r.code != o->fine && way == CALLS && !late) CHECK(r.before); /* refused before it was done */
  }
  CHECK(at > 1);
}

int main(void) {
  static const struct { int refusal; enum ha_sqlite_code want; } codes[] = {
    {SQLITE_NOMEM, HA_SQLITE_UNAVAILABLE}, {SQLITE_IOERR_WRITE, HA_SQLITE_UNAVAILABLE}, {SQLITE_FULL, HA_SQLITE_FULL},
    {SQLITE_BUSY, HA_SQLITE_UNAVAILABLE},  {SQLITE_CORRUPT, HA_SQLITE_CORRUPT},         {SQLITE_READONLY, HA_SQLITE_READ_ONLY}};
  struct ha_sqlite s;
  size_t o, c;
  int warm;
  watch_memory();
  failing_start(0);
  file_folder();
  file_first();
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
  CHECK_EQ_INT(ha_sqlite_load(&s, BYTES("key")), HA_SQLITE_OK);
  (void)snprintf(version, sizeof version, "%.*s", (int)s.version.len, s.version.data);
  ha_sqlite_free(&s);
  for (o = 0; o < sizeof OPERATIONS / sizeof *OPERATIONS; o++) {
    for (warm = 0; warm < 2; warm++) {
      for (c = 0; c < sizeof codes / sizeof *codes; c++) {
        refusal = codes[c].refusal;
        late = false;
        sweep(&OPERATIONS[o], warm != 0, CALLS, codes[c].want, 1);
      }
      refusal = SQLITE_IOERR_FSYNC;
      late = true;
      sweep(&OPERATIONS[o], warm != 0, CALLS, HA_SQLITE_UNAVAILABLE, 1);
      late = false;
      sweep(&OPERATIONS[o], warm != 0, MEMORY, HA_SQLITE_OK, warm ? 1 : 7);
      if (OPERATIONS[o].act == load || OPERATIONS[o].act == save_next || OPERATIONS[o].act == next_one)
        sweep(&OPERATIONS[o], warm != 0, OURS, HA_SQLITE_UNAVAILABLE, 1);
    }
  }
  file_remove();
  CHECK_EQ_INT(failing_stop(), 0);
  printf("%lu failures injected\n", (unsigned long)injected);
  return check_done();
}
