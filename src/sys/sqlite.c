/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700

#include "sqlite.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sqlite_parts.h"

enum { MAX_VERSION = 96 };

enum statement { BEGIN, COMMIT, ROLLBACK, LOAD, VERSION, COUNT, COUNTED, PUT, DELETE, EXPIRE, HELD, TAKE, RELEASE, NEXT };

static const char *const SQL[HA_SQLITE_STATEMENTS] = {
  "BEGIN IMMEDIATE",
  "COMMIT",
  "ROLLBACK",
  "SELECT record, version FROM records WHERE key = ?1",
  "SELECT version FROM records WHERE key = ?1",
  "UPDATE counter SET value = value + 1",
  "SELECT value FROM counter",
  "INSERT OR REPLACE INTO records (key, record, version) VALUES (?1, ?2, ?3)",
  "DELETE FROM records WHERE key = ?1",
  "DELETE FROM leases WHERE until <= ?1 OR since > ?1 + 10000", /* HA_SQLITE_CLOCK_SLACK */
  "SELECT 1 FROM leases WHERE key = ?1",
  "INSERT INTO leases (key, id, since, until) VALUES (?1, ?2, ?3, ?4)",
  "DELETE FROM leases WHERE key = ?1 AND id = ?2 AND until > ?3",
  "SELECT key, record FROM records WHERE key > ?1 ORDER BY key LIMIT 1",
};

/* --- statements --- */

/* The statement, reset and ready to be bound; NULL when it cannot be prepared. */
static sqlite3_stmt *ready(struct ha_sqlite *s, enum statement which, int *rc) {
  *rc = SQLITE_OK;
  if (!s->statement[which]) *rc = sqlite3_prepare_v3(s->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT, &s->statement[which], NULL);
  return *rc == SQLITE_OK ? s->statement[which] : NULL;
}

/* Ends a statement: no lock, no bound value of the caller's is kept. */
static int done(sqlite3_stmt *statement, int rc) {
  if (!statement) return rc;
  (void)sqlite3_reset(statement);
  (void)sqlite3_clear_bindings(statement);
  return rc;
}

/* Runs a statement without result and parameters, or with a blob as ?1. */
static int run(struct ha_sqlite *s, enum statement which, const void *key, size_t klen) {
  int rc;
  sqlite3_stmt *statement = ready(s, which, &rc);
  if (!statement) return rc;
  if (key) rc = sqlite3_bind_blob64(statement, 1, key, klen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  rc = done(statement, rc);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Copies a column into a buffer; SQLITE_MISMATCH for what we never write, SQLITE_NOMEM or SQLITE_TOOBIG. */
static int copy(sqlite3_stmt *statement, int column, int type, struct ha_buf *out) {
  const void *p;
  enum ha_status status;
  if (sqlite3_column_type(statement, column) != type) return SQLITE_MISMATCH;
  p = sqlite3_column_blob(statement, column);
  status = ha_buf_reserve(out, (size_t)sqlite3_column_bytes(statement, column));
  if (status == HA_OK) status = ha_buf_add(out, p ? p : "", (size_t)sqlite3_column_bytes(statement, column));
  return status == HA_OK ? SQLITE_ROW : status == HA_NOMEM ? SQLITE_NOMEM : SQLITE_MISMATCH;
}

/* Steps a query of one row and copies its columns (b and its type may be absent). */
static int fetch(struct ha_sqlite *s, enum statement which, const void *key, size_t klen, struct ha_buf *a, int atype, struct ha_buf *b,
                 int btype) {
  int rc;
  sqlite3_stmt *statement = ready(s, which, &rc);
  if (!statement) return rc;
  rc = sqlite3_bind_blob64(statement, 1, key ? key : "", klen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  if (rc == SQLITE_ROW) rc = copy(statement, 0, atype, a);
  if (rc == SQLITE_ROW && b) rc = copy(statement, 1, btype, b);
  return done(statement, rc);
}

static enum ha_sqlite_code fetched(struct ha_sqlite *s, int rc, const char *doing) {
  if (rc == SQLITE_ROW) return HA_SQLITE_OK;
  if (rc == SQLITE_DONE) return HA_SQLITE_NONE;
  if (rc != SQLITE_MISMATCH) return ha_sqlite_trouble(s, rc, doing);
  return ha_sqlite_fail(s, HA_SQLITE_INVALID, doing, "a row that this store did not write");
}

/* Inside a transaction: the next number of this file. */
static int count(struct ha_sqlite *s, int64_t *out) {
  sqlite3_stmt *statement;
  int rc = run(s, COUNT, NULL, 0);
  if (rc != SQLITE_OK) return rc;
  statement = ready(s, COUNTED, &rc);
  if (!statement) return rc;
  rc = sqlite3_step(statement);
  if (rc == SQLITE_ROW) *out = sqlite3_column_int64(statement, 0);
  rc = done(statement, rc);
  return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* --- the interface --- */

enum ha_sqlite_code ha_sqlite_init(struct ha_sqlite *s, const char *path, int busy_ms, int max_pages) {
  char folder[PATH_MAX] = "";
  memset(s, 0, sizeof *s);
  ha_buf_init(&s->key, HA_SQLITE_MAX_KEY);
  ha_buf_init(&s->record, HA_SQLITE_MAX_RECORD);
  ha_buf_init(&s->version, MAX_VERSION);
  s->busy_ms = busy_ms;
  s->max_pages = max_pages;
  if (path[0] != '/' && !getcwd(folder, sizeof folder)) return ha_sqlite_fail_errno(s, errno, "current directory");
  s->path_size = strlen(folder) + strlen(path) + 2;
  s->path = ha_alloc(s->path_size);
  if (!s->path) return ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store", "not enough memory");
  (void)snprintf(s->path, s->path_size, "%s%s%s", folder, path[0] != '/' ? "/" : "", path);
  ha_sqlite_enlist(s);
  return HA_SQLITE_OK;
}

void ha_sqlite_wipe(struct ha_sqlite *s) {
  ha_buf_free(&s->key);
  ha_buf_free(&s->record);
  ha_buf_free(&s->version);
}

void ha_sqlite_free(struct ha_sqlite *s) {
  if (s->listed) ha_sqlite_delist(s);
  if (s->db && s->pid == getpid()) ha_sqlite_drop(s);
  s->db = NULL;
  ha_sqlite_wipe(s);
  ha_free(s->path, s->path_size);
  s->path = NULL;
}

enum ha_sqlite_code ha_sqlite_load(struct ha_sqlite *s, const void *key, size_t klen) {
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  return ha_sqlite_leave(s, fetched(s, fetch(s, LOAD, key, klen, &s->record, SQLITE_BLOB, &s->version, SQLITE_TEXT), "loading"));
}

enum ha_sqlite_code ha_sqlite_next(struct ha_sqlite *s, const void *key, size_t klen) {
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  return ha_sqlite_leave(s, fetched(s, fetch(s, NEXT, key, klen, &s->key, SQLITE_BLOB, &s->record, SQLITE_BLOB), "listing"));
}

static int put(struct ha_sqlite *s, const void *key, size_t klen, const void *record, size_t rlen) {
  int rc;
  sqlite3_stmt *statement = ready(s, PUT, &rc);
  if (!statement) return rc;
  rc = sqlite3_bind_blob64(statement, 1, key, klen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_blob64(statement, 2, rlen ? record : "", rlen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_text(statement, 3, s->version.data, (int)s->version.len, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  rc = done(statement, rc);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum ha_sqlite_code swap(struct ha_sqlite *s, const void *key, size_t klen, const void *record, size_t rlen, const char *expected,
                                size_t elen, const char *id) {
  char version[MAX_VERSION];
  int64_t number = 0;
  int rc = run(s, BEGIN, NULL, 0);
  if (rc != SQLITE_OK) return ha_sqlite_trouble(s, rc, "saving");
  rc = fetch(s, VERSION, key, klen, &s->version, SQLITE_TEXT, NULL, 0);
  if (rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_MISMATCH) {
    bool found = rc != SQLITE_DONE;
    bool same = expected ? rc == SQLITE_ROW && elen == s->version.len && memcmp(expected, s->version.data, elen) == 0 : !found;
    if (!same) {
      rc = run(s, ROLLBACK, NULL, 0);
      if (rc != SQLITE_OK) return ha_sqlite_trouble(s, rc, "saving");
      return ha_sqlite_fail(s, HA_SQLITE_CONFLICT, "saving", "the record was changed by another");
    }
    rc = count(s, &number);
  }
  if (rc == SQLITE_OK) {
    (void)snprintf(version, sizeof version, "%lld-%s", (long long)number, id);
    ha_buf_clear(&s->version);
    if (ha_buf_adds(&s->version, version) != HA_OK) rc = SQLITE_NOMEM;
  }
  if (rc == SQLITE_OK) rc = put(s, key, klen, record, rlen);
  if (rc == SQLITE_OK) rc = run(s, COMMIT, NULL, 0);
  return rc == SQLITE_OK ? HA_SQLITE_OK : ha_sqlite_trouble(s, rc, "saving");
}

enum ha_sqlite_code ha_sqlite_save(struct ha_sqlite *s, const void *key, size_t klen, const void *record, size_t rlen, const char *expected,
                                   size_t elen, const char *id) {
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  return ha_sqlite_leave(s, swap(s, key, klen, record, rlen, expected, elen, id));
}

enum ha_sqlite_code ha_sqlite_delete(struct ha_sqlite *s, const void *key, size_t klen) {
  int rc;
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  rc = run(s, DELETE, key, klen);
  return ha_sqlite_leave(s, rc == SQLITE_OK ? HA_SQLITE_OK : ha_sqlite_trouble(s, rc, "deleting"));
}

static int64_t monotonic_ms(void) {
  struct timespec t;
  if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) return 0;
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int take(struct ha_sqlite *s, const void *key, size_t klen, const char *id, int64_t now, int64_t until) {
  int rc;
  sqlite3_stmt *statement = ready(s, TAKE, &rc);
  if (!statement) return rc;
  rc = sqlite3_bind_blob64(statement, 1, key, klen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_text(statement, 2, id, -1, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 3, now);
  if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 4, until);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  rc = done(statement, rc);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int expire(struct ha_sqlite *s, int64_t now) {
  int rc;
  sqlite3_stmt *statement = ready(s, EXPIRE, &rc);
  if (!statement) return rc;
  rc = sqlite3_bind_int64(statement, 1, now);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  rc = done(statement, rc);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum ha_sqlite_code ha_sqlite_acquire(struct ha_sqlite *s, const void *key, size_t klen, const char *id, int64_t now, int64_t ttl,
                                      int64_t *fence) {
  sqlite3_stmt *statement;
  int rc;
  int64_t before = monotonic_ms();
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  rc = run(s, BEGIN, NULL, 0);
  now += monotonic_ms() - before; /* others took leases while we waited for the file; ours must not be older than theirs */
  if (rc == SQLITE_OK) rc = expire(s, now);
  if (rc == SQLITE_OK) {
    statement = ready(s, HELD, &rc);
    if (statement) rc = sqlite3_bind_blob64(statement, 1, key, klen, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    rc = done(statement, rc);
  }
  if (rc == SQLITE_ROW) { /* held: the sweep is not worth a write to the disk */
    rc = run(s, ROLLBACK, NULL, 0);
    return ha_sqlite_leave(s, rc == SQLITE_OK ? HA_SQLITE_NONE : ha_sqlite_trouble(s, rc, "acquiring"));
  }
  if (rc == SQLITE_DONE) rc = count(s, fence);
  if (rc == SQLITE_OK) rc = take(s, key, klen, id, now, now + ttl);
  if (rc == SQLITE_OK) rc = run(s, COMMIT, NULL, 0);
  return ha_sqlite_leave(s, rc == SQLITE_OK ? HA_SQLITE_OK : ha_sqlite_trouble(s, rc, "acquiring"));
}

enum ha_sqlite_code ha_sqlite_release(struct ha_sqlite *s, const void *key, size_t klen, const char *id, int64_t now) {
  sqlite3_stmt *statement;
  int rc;
  enum ha_sqlite_code code = ha_sqlite_enter(s);
  if (code != HA_SQLITE_OK) return code;
  statement = ready(s, RELEASE, &rc);
  if (statement) rc = sqlite3_bind_blob64(statement, 1, key, klen, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_text(statement, 2, id, -1, SQLITE_STATIC);
  if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 3, now);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  rc = done(statement, rc);
  if (rc != SQLITE_DONE) return ha_sqlite_leave(s, ha_sqlite_trouble(s, rc, "releasing"));
  return ha_sqlite_leave(s, sqlite3_changes(s->db) > 0 ? HA_SQLITE_OK : HA_SQLITE_NONE);
}
