/* SPDX-License-Identifier: MIT */
/* sqlite.h - records and leases in one SQLite file that is ours alone.
 *
 * Promises: a record is swapped in one durable transaction or not at all; a version never repeats, also after delete; nothing but a regular
 * file of this user with no bit for group or others is opened, and no symbolic link; a failure is a code and a sentence, and the next call
 * tries again from the start. Owns the connection, its statements and the two result buffers.
 * A connection never crosses a fork: it is closed just before one (parent and child open their own when they need it).
 * Not for two threads at once; different structs may be used by different threads. */
#ifndef HA_SQLITE_H
#define HA_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

enum { HA_SQLITE_MAX_KEY = 256, HA_SQLITE_MAX_ID = 64, HA_SQLITE_MAX_RECORD = 2 * 1024 * 1024, HA_SQLITE_STATEMENTS = 14,
       HA_SQLITE_CLOCK_SLACK = 10000 };

enum ha_sqlite_code {
  HA_SQLITE_OK = 0,
  HA_SQLITE_NONE,        /* no such record; the lease is not to be had or not ours */
  HA_SQLITE_CONFLICT,    /* the version is another */
  HA_SQLITE_FULL,        /* no room on the disk, or a quota */
  HA_SQLITE_READ_ONLY,   /* the file or its directory cannot be written */
  HA_SQLITE_CORRUPT,     /* not a database, damaged, or not one of ours */
  HA_SQLITE_INSECURE,    /* a link, somebody else's file, or one that others may read */
  HA_SQLITE_INVALID,     /* a row that we did not write like this */
  HA_SQLITE_UNAVAILABLE  /* all else: no directory, locked for too long, an I/O error, no memory */
};

struct sqlite3;
struct sqlite3_stmt;

struct ha_sqlite {
  char *path; /* absolute */
  size_t path_size;
  struct sqlite3 *db; /* NULL: opened by the next call */
  struct sqlite3_stmt *statement[HA_SQLITE_STATEMENTS];
  struct ha_sqlite *next; /* in the list of the fork handler */
  pid_t pid;              /* who opened db */
  bool listed, in_use;
  int busy_ms;
  int max_pages; /* 0: no limit; a way for tests to fill the disk */
  struct ha_buf key, record, version; /* results of the last call; wiped by the next one */
  char message[256];      /* why the last call failed; never holds a record */
};

/* Keeps the path (made absolute) and opens nothing yet. A zeroed struct may be freed and may be initialised. */
enum ha_sqlite_code ha_sqlite_init(struct ha_sqlite *s, const char *path, int busy_ms, int max_pages);
void ha_sqlite_free(struct ha_sqlite *s); /* may be called twice */
void ha_sqlite_wipe(struct ha_sqlite *s); /* the result buffers */

enum ha_sqlite_code ha_sqlite_load(struct ha_sqlite *s, const void *key, size_t klen); /* -> record, version */

/* expected NULL: the key must not exist. id: unguessable text of the caller's, a part of the new version. -> version */
enum ha_sqlite_code ha_sqlite_save(struct ha_sqlite *s, const void *key, size_t klen, const void *record, size_t rlen, const char *expected,
                                   size_t elen, const char *id);

enum ha_sqlite_code ha_sqlite_delete(struct ha_sqlite *s, const void *key, size_t klen);

/* Times in milliseconds of one clock that all processes of this file share. A lease taken more than HA_SQLITE_CLOCK_SLACK in the future
 * counts as expired: the clock went back. (Less is only a process that read the clock and was then slow.) */
enum ha_sqlite_code ha_sqlite_acquire(struct ha_sqlite *s, const void *key, size_t klen, const char *id, int64_t now, int64_t ttl,
                                      int64_t *fence);
enum ha_sqlite_code ha_sqlite_release(struct ha_sqlite *s, const void *key, size_t klen, const char *id, int64_t now);

/* The first record behind a key in byte order (klen 0: the very first). -> key, record */
enum ha_sqlite_code ha_sqlite_next(struct ha_sqlite *s, const void *key, size_t klen);

#endif
