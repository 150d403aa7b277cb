/* SPDX-License-Identifier: MIT */
/* sqlite_file.h - a folder with a store's file for the tests of sys/sqlite, made anew from a template as often as they like, and looked
 * into behind the store's back. One at a time; file_folder() first, file_remove() last. */
#ifndef SQLITE_FILE_H
#define SQLITE_FILE_H

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "sys/sqlite.h"

#define BYTES(s) (s), sizeof(s) - 1

static char file_root[128], file_path[160];
static unsigned char *file_template;
static size_t file_size;

static inline void file_unlink(void) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  char name[200];
  size_t i;
  for (i = 0; i < sizeof ends / sizeof *ends; i++) {
    (void)snprintf(name, sizeof name, "%s%s", file_path, ends[i]);
    (void)unlink(name);
  }
}

static inline void file_folder(void) {
  const char *base = getenv("TMPDIR");
  (void)snprintf(file_root, sizeof file_root, "%.100s/healthauth-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(file_root)) abort();
  (void)snprintf(file_path, sizeof file_path, "%s/store", file_root);
}

static inline void file_remove(void) {
  file_unlink();
  (void)rmdir(file_root);
  free(file_template);
  file_template = NULL;
}

/* Keeps what is in the file now as the template. */
static inline void file_keep(void) {
  FILE *f = fopen(file_path, "rb");
  long size;
  if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0 || fseek(f, 0, SEEK_SET) != 0) abort();
  free(file_template);
  file_size = (size_t)size;
  file_template = malloc(file_size);
  if (!file_template || fread(file_template, 1, file_size, f) != file_size) abort();
  (void)fclose(f);
}

static inline void file_renew(void) {
  int fd;
  file_unlink();
  fd = open(file_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, file_template, file_size) != (ssize_t)file_size) abort();
  (void)close(fd);
}

/* Runs SQL behind the store's back. */
static inline void file_sql(const char *sql) {
  sqlite3 *db;
  CHECK_EQ_INT(sqlite3_open(file_path, &db), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_close(db), SQLITE_OK);
}

static inline int file_row_(void *out, int columns, char **text, char **names) {
  size_t used = strlen(out);
  (void)names;
  if (columns > 0) (void)snprintf((char *)out + used, 512 - used, "%s ", text[0] ? text[0] : "NULL");
  return 0;
}

/* Records and leases as one text, without versions and times. */
static inline void file_state(char out[512]) {
  sqlite3 *db;
  out[0] = '\0';
  CHECK_EQ_INT(sqlite3_open(file_path, &db), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_exec(db, "SELECT hex(key) || '=' || hex(record) FROM records ORDER BY key", file_row_, out, NULL), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_exec(db, "SELECT hex(key) || ':' || id FROM leases ORDER BY key", file_row_, out, NULL), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_close(db), SQLITE_OK);
}

/* A store with one record ("old" under "key") and one lease ("lock" held by "me" until 2000) becomes the template. */
static inline void file_first(void) {
  struct ha_sqlite s;
  int64_t fence = 0;
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
  CHECK_EQ_INT(ha_sqlite_save(&s, BYTES("key"), BYTES("old"), NULL, 0, "first"), HA_SQLITE_OK);
  CHECK_EQ_INT(ha_sqlite_acquire(&s, BYTES("lock"), "me", 1000, 1000, &fence), HA_SQLITE_OK);
  ha_sqlite_free(&s);
  file_keep();
}

#endif
