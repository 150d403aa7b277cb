/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sqlite_parts.h"

enum { APPLICATION_ID = 0x68617574, SCHEMA_VERSION = 1, PAUSE_MS = 5 };

static const struct timespec PAUSE = { 0, PAUSE_MS * 1000 * 1000 }; /* between two tries for a lock that SQLite does not wait for */

static const char SCHEMA[] =
  "CREATE TABLE records (key BLOB PRIMARY KEY NOT NULL, record BLOB NOT NULL, version TEXT NOT NULL);"
  "CREATE TABLE leases (key BLOB PRIMARY KEY NOT NULL, id TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL);"
  "CREATE TABLE counter (value INTEGER NOT NULL);"
  "INSERT INTO counter VALUES (0);"
  "PRAGMA application_id = 1751217524;"
  "PRAGMA user_version = 1;";

/* --- failures --- */

enum ha_sqlite_code ha_sqlite_fail(struct ha_sqlite *s, enum ha_sqlite_code code, const char *doing, const char *why) {
  (void)snprintf(s->message, sizeof s->message, "%s: %s", doing, why);
  return code;
}

enum ha_sqlite_code ha_sqlite_fail_errno(struct ha_sqlite *s, int number, const char *doing) {
  enum ha_sqlite_code code = HA_SQLITE_UNAVAILABLE;
  if (number == ENOSPC || number == EDQUOT) code = HA_SQLITE_FULL;
  if (number == EROFS || number == EACCES || number == EPERM) code = HA_SQLITE_READ_ONLY;
  if (number == ELOOP) code = HA_SQLITE_INSECURE;
  return ha_sqlite_fail(s, code, doing, strerror(number));
}

void ha_sqlite_drop(struct ha_sqlite *s) {
  int i;
  for (i = 0; i < HA_SQLITE_STATEMENTS; i++) {
    (void)sqlite3_finalize(s->statement[i]);
    s->statement[i] = NULL;
  }
  if (s->db) (void)sqlite3_close(s->db);
  s->db = NULL;
}

/* SQLite reports a log that it cannot make on a read-only file system as a file that cannot be opened. */
static bool unwritable(const struct ha_sqlite *s) {
  char folder[PATH_MAX];
  size_t n = (size_t)(strrchr(s->path, '/') - s->path) + 1;
  if (access(s->path, W_OK) != 0) return errno == EROFS || errno == EACCES;
  if (n >= sizeof folder) return false;
  memcpy(folder, s->path, n);
  folder[n] = '\0';
  return access(folder, W_OK) != 0 && (errno == EROFS || errno == EACCES);
}

enum ha_sqlite_code ha_sqlite_trouble(struct ha_sqlite *s, int rc, const char *doing) {
  enum ha_sqlite_code code = HA_SQLITE_UNAVAILABLE;
  int system_errno = s->db ? sqlite3_system_errno(s->db) : 0;
  switch (rc & 0xff) {
    case SQLITE_FULL: code = HA_SQLITE_FULL; break;
    case SQLITE_READONLY: case SQLITE_PERM: code = HA_SQLITE_READ_ONLY; break;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_ERROR: case SQLITE_SCHEMA: case SQLITE_MISMATCH: case SQLITE_CONSTRAINT:
      code = HA_SQLITE_CORRUPT; break;
    case SQLITE_IOERR: case SQLITE_CANTOPEN:
      if (system_errno == ENOSPC || system_errno == EDQUOT) code = HA_SQLITE_FULL;
      else if (unwritable(s)) code = HA_SQLITE_READ_ONLY;
      if (rc == SQLITE_CANTOPEN_SYMLINK) code = HA_SQLITE_INSECURE;
      break;
    default: break;
  }
  (void)ha_sqlite_fail(s, code, doing, sqlite3_errstr(rc));
  if (s->db && !sqlite3_get_autocommit(s->db)) (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  /* A commit that could not be synced is undone here, but stands in the log: who opens the file anew would see it. Another takes its place. */
  if (s->db && rc == SQLITE_IOERR_FSYNC) (void)sqlite3_exec(s->db, "UPDATE counter SET value = value + 1", NULL, NULL, NULL);
  if ((rc & 0xff) != SQLITE_BUSY) ha_sqlite_drop(s);
  return code;
}

/* --- fork: no connection crosses it --- */

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t list_once = PTHREAD_ONCE_INIT;
static struct ha_sqlite *list;

static void before_fork(void) {
  struct ha_sqlite *s;
  (void)pthread_mutex_lock(&list_lock);
  for (s = list; s; s = s->next) {
    if (!s->in_use) ha_sqlite_drop(s);
  }
}

static void after_fork(void) { (void)pthread_mutex_unlock(&list_lock); }

static void watch_forks(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

void ha_sqlite_enlist(struct ha_sqlite *s) {
  (void)pthread_once(&list_once, watch_forks);
  (void)pthread_mutex_lock(&list_lock);
  s->next = list;
  list = s;
  s->listed = true;
  (void)pthread_mutex_unlock(&list_lock);
}

void ha_sqlite_delist(struct ha_sqlite *s) {
  struct ha_sqlite **at;
  (void)pthread_mutex_lock(&list_lock);
  for (at = &list; *at; at = &(*at)->next) {
    if (*at == s) {
      *at = s->next;
      break;
    }
  }
  s->listed = false;
  (void)pthread_mutex_unlock(&list_lock);
}

static void set_in_use(struct ha_sqlite *s, bool in_use) {
  (void)pthread_mutex_lock(&list_lock);
  s->in_use = in_use;
  (void)pthread_mutex_unlock(&list_lock);
}

/* --- the file --- */

/* HA_SQLITE_NONE when there is no such file. Looks without opening: closing any descriptor of a file drops this process's locks on it. */
static enum ha_sqlite_code look(struct ha_sqlite *s, const char *path) {
  struct stat st;
  if (lstat(path, &st) != 0) return errno == ENOENT ? HA_SQLITE_NONE : ha_sqlite_fail_errno(s, errno, "store file");
  if (S_ISLNK(st.st_mode)) return ha_sqlite_fail(s, HA_SQLITE_INSECURE, "store file", "is a symbolic link");
  if (!S_ISREG(st.st_mode)) return ha_sqlite_fail(s, HA_SQLITE_INSECURE, "store file", "is not a regular file");
  if (st.st_uid != geteuid()) return ha_sqlite_fail(s, HA_SQLITE_INSECURE, "store file", "belongs to another user");
  if (st.st_mode & 077) return ha_sqlite_fail(s, HA_SQLITE_INSECURE, "store file", "may be read or written by others (mode must be 0600)");
  return HA_SQLITE_OK;
}

static enum ha_sqlite_code look_all(struct ha_sqlite *s, const char *path) {
  static const char *const SUFFIX[] = { "-wal", "-shm", "-journal" };
  char other[PATH_MAX + 16];
  enum ha_sqlite_code code = look(s, path);
  size_t i;
  for (i = 0; code == HA_SQLITE_OK && i < sizeof SUFFIX / sizeof SUFFIX[0]; i++) {
    (void)snprintf(other, sizeof other, "%s%s", path, SUFFIX[i]);
    code = look(s, other);
    if (code == HA_SQLITE_NONE) code = HA_SQLITE_OK;
  }
  return code;
}

/* The path with its directory's links resolved (NOFOLLOW would refuse those too; only the file itself must be no link). */
static enum ha_sqlite_code real_path(struct ha_sqlite *s, char out[PATH_MAX]) {
  char folder[PATH_MAX], real[PATH_MAX];
  const char *slash = strrchr(s->path, '/');
  size_t n = (size_t)(slash - s->path);
  if (n >= sizeof folder) return ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store directory", "path too long");
  memcpy(folder, s->path, n);
  folder[n] = '\0';
  if (!realpath(n ? folder : "/", real)) return ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store directory", strerror(errno));
  n = real[1] ? strlen(real) : 0; /* not two slashes for the root */
  if (n + strlen(slash) >= PATH_MAX) return ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store directory", "path too long");
  memcpy(out, real, n);
  memcpy(out + n, slash, strlen(slash) + 1);
  return HA_SQLITE_OK;
}

/* The lock of the folder, or -1 where there is none to be had; HA_SQLITE_UNAVAILABLE when another keeps it. */
static enum ha_sqlite_code lock_folder(struct ha_sqlite *s, const char *path, int *fd) {
  char folder[PATH_MAX];
  size_t n = (size_t)(strrchr(path, '/') - path) + 1;
  int waited = 0;
  memcpy(folder, path, n);
  folder[n] = '\0';
  *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0) return errno == EACCES ? HA_SQLITE_OK : ha_sqlite_fail_errno(s, errno, "store directory");
  while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
    bool held = errno == EWOULDBLOCK, again = errno == EINTR;
    if (again) continue;
    if (!held || waited > s->busy_ms) {
      (void)close(*fd);
      *fd = -1;
      return held ? ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "making the store file", "another process is at it") : HA_SQLITE_OK;
    }
    (void)nanosleep(&PAUSE, NULL);
    waited += PAUSE_MS;
  }
  return HA_SQLITE_OK;
}

/* Where only the file itself was removed, the shared memory beside it is still used by those who have the old file open: SQLite would not
 * open a new file with it. (It removes the old log and journal by itself.) What is no file of ours is left for look_all to refuse. */
static void remove_left_over(struct ha_sqlite *s, const char *path) {
  char other[PATH_MAX + 16];
  (void)snprintf(other, sizeof other, "%s-shm", path);
  if (look(s, other) == HA_SQLITE_OK) (void)unlink(other);
}

/* Under the folder's lock nobody else makes the file, so what lies beside no file is nobody's. */
static enum ha_sqlite_code make_file(struct ha_sqlite *s, const char *path) {
  int folder, fd;
  enum ha_sqlite_code code = lock_folder(s, path, &folder);
  if (code != HA_SQLITE_OK) return code;
  code = look(s, path);
  if (code == HA_SQLITE_NONE) {
    if (folder >= 0) remove_left_over(s, path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    code = fd >= 0 || errno == EEXIST ? HA_SQLITE_OK : ha_sqlite_fail_errno(s, errno, "making the store file");
    if (fd >= 0) {
      (void)fchmod(fd, S_IRUSR | S_IWUSR); /* a umask may have taken too much */
      (void)close(fd);
    }
  }
  if (folder >= 0) (void)close(folder);
  return code;
}

/* --- opening --- */

static int take_int(void *out, int columns, char **text, char **names) {
  (void)names;
  if (columns > 0 && text[0]) *(long *)out = strtol(text[0], NULL, 10);
  return 0;
}

static int take_wal(void *out, int columns, char **text, char **names) {
  (void)names;
  if (columns > 0 && text[0]) *(bool *)out = strcmp(text[0], "wal") == 0;
  return 0;
}

static int use_wal(struct ha_sqlite *s) {
  bool wal = false;
  int waited, rc = SQLITE_OK;
  for (waited = 0; waited <= s->busy_ms; waited += PAUSE_MS) { /* sqlite's busy handler is not asked for this change of mode */
    rc = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", take_wal, &wal, NULL);
    if ((rc & 0xff) != SQLITE_BUSY) break;
    (void)nanosleep(&PAUSE, NULL);
  }
  if (rc == SQLITE_OK && !wal) rc = sqlite3_db_readonly(s->db, "main") == 1 ? SQLITE_READONLY : SQLITE_CANTOPEN;
  return rc;
}

/* Inside a transaction: read one by one, the three would be of different moments while another process makes the file. */
static int identify(struct ha_sqlite *s, long *application, long *version, long *tables) {
  int rc = sqlite3_exec(s->db, "PRAGMA application_id", take_int, application, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, "PRAGMA user_version", take_int, version, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_master", take_int, tables, NULL);
  return rc;
}

/* Ours as it is, or empty and made ours. A database of somebody else's is not touched. */
static enum ha_sqlite_code settle(struct ha_sqlite *s) {
  long application = 0, version = 0, tables = 0;
  int rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
  if (rc == SQLITE_OK) rc = identify(s, &application, &version, &tables);
  if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
  if (rc == SQLITE_OK && !application && !version && !tables) {
    rc = use_wal(s);
    if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = identify(s, &application, &version, &tables); /* another process may have been first */
    if (rc == SQLITE_OK && !tables) rc = sqlite3_exec(s->db, SCHEMA, NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = identify(s, &application, &version, &tables);
    if (rc == SQLITE_OK) rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
  } else if (rc == SQLITE_OK && application == APPLICATION_ID) {
    rc = use_wal(s);
  }
  if (rc != SQLITE_OK) return ha_sqlite_trouble(s, rc, "opening the store");
  if (application == APPLICATION_ID && version == SCHEMA_VERSION) return HA_SQLITE_OK;
  return ha_sqlite_fail(s, HA_SQLITE_CORRUPT, "opening the store", application == APPLICATION_ID ? "made by another version" : "not a healthauth store");
}

static enum ha_sqlite_code connect_file(struct ha_sqlite *s) {
  char path[PATH_MAX], limit[64];
  int rc, moved = 0, off = 0;
  enum ha_sqlite_code code = real_path(s, path);
  if (code == HA_SQLITE_OK) code = look_all(s, path);
  if (code == HA_SQLITE_NONE) {
    code = make_file(s, path);
    if (code == HA_SQLITE_OK) code = look_all(s, path);
    if (code == HA_SQLITE_NONE) code = ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store file", "vanished");
  }
  if (code != HA_SQLITE_OK) return code;
  s->pid = getpid();
  rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
  if (rc != SQLITE_OK) return ha_sqlite_trouble(s, s->db ? sqlite3_extended_errcode(s->db) : rc, "opening the store");
  (void)sqlite3_extended_result_codes(s->db, 1);
  (void)sqlite3_busy_timeout(s->db, s->busy_ms);
  (void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, HA_SQLITE_MAX_RECORD + 4096);
  (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &off);
  (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &off);
  (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &off);
  /* FULL: a commit that was answered survives a power cut, else a rotated refresh token could be lost */
  rc = sqlite3_exec(s->db, "PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
  if (rc == SQLITE_OK && s->max_pages > 0) {
    (void)snprintf(limit, sizeof limit, "PRAGMA max_page_count = %d", s->max_pages);
    rc = sqlite3_exec(s->db, limit, NULL, NULL, NULL);
  }
  if (rc != SQLITE_OK) return ha_sqlite_trouble(s, rc, "opening the store");
  code = settle(s);
  if (code != HA_SQLITE_OK) return code;
  /* the file that was looked at is the one that was opened */
  if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved) code = HA_SQLITE_NONE;
  else code = look_all(s, path);
  if (code == HA_SQLITE_NONE) code = ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store file", "was replaced while it was opened");
  return code;
}

enum ha_sqlite_code ha_sqlite_enter(struct ha_sqlite *s) {
  enum ha_sqlite_code code = HA_SQLITE_OK;
  int moved = 0;
  ha_sqlite_wipe(s);
  s->message[0] = '\0';
  if (!s->path) return ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store", "closed");
  set_in_use(s, true);
  if (s->db && s->pid != getpid()) { /* only a raw clone gets here: using or closing it could harm the file */
    code = ha_sqlite_fail(s, HA_SQLITE_UNAVAILABLE, "store", "opened before a fork");
  } else {
    if (s->db && sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved) ha_sqlite_drop(s);
    if (s->db && sqlite3_db_readonly(s->db, "main") == 1) ha_sqlite_drop(s); /* SQLite settled for reading; perhaps writing works now */
    if (!s->db) {
      code = connect_file(s);
      if (code != HA_SQLITE_OK) ha_sqlite_drop(s); /* also one that was only busy: it is not settled */
    }
  }
  if (code != HA_SQLITE_OK) set_in_use(s, false);
  return code;
}

enum ha_sqlite_code ha_sqlite_leave(struct ha_sqlite *s, enum ha_sqlite_code code) {
  set_in_use(s, false);
  return code;
}
