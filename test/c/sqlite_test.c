/* SPDX-License-Identifier: MIT */
/* The SQLite store's file: rows that another wrote, a file that is swapped or made ours by another while it is opened, paths and directories
 * that fail, forks. */
#include "faults.h"

#include <errno.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sqlite_file.h"
#include "sys/sqlite.h"
#include "sys/sqlite_parts.h"

/* ---- stand-ins: the nth of these calls fails with faults_errno ---- */

static int faults_errno;
static bool moved; /* what SQLite says of its file */

#define FAILS(name, arguments, ...)                                                                                                       \
  int name(__VA_ARGS__) {                                                                                                                 \
    int (*next)(__VA_ARGS__);                                                                                                             \
    if (faults_here()) {                                                                                                                  \
      errno = faults_errno;                                                                                                               \
      return -1;                                                                                                                          \
    }                                                                                                                                     \
    FAULTS_NEXT(next, #name);                                                                                                             \
    return next arguments;                                                                                                                \
  }
FAILS(lstat, (path, st), const char *path, struct stat *st)
FAILS(access, (path, mode), const char *path, int mode)

char *realpath(const char *path, char *out) {
  char *(*next)(const char *, char *);
  if (faults_here()) {
    errno = faults_errno;
    return NULL;
  }
  FAULTS_NEXT(next, "realpath");
  return next(path, out);
}

char *getcwd(char *out, size_t n) {
  char *(*next)(char *, size_t);
  if (faults_here()) {
    errno = faults_errno;
    return NULL;
  }
  FAULTS_NEXT(next, "getcwd");
  return next(out, n);
}

int sqlite3_file_control(sqlite3 *db, const char *name, int what, void *p) {
  int (*next)(sqlite3 *, const char *, int, void *), rc;
  FAULTS_NEXT(next, "sqlite3_file_control");
  rc = next(db, name, what, p);
  if (what == SQLITE_FCNTL_HAS_MOVED && moved) *(int *)p = 1;
  return rc;
}

static int lock_errno, locks; /* the first lock of a folder fails with it */

int flock(int fd, int how) {
  int (*next)(int, int);
  if (locks++ == 0 && lock_errno != 0) {
    errno = lock_errno;
    return -1;
  }
  FAULTS_NEXT(next, "flock");
  return next(fd, how);
}

/* Before the nth statement of an opening, another opens the same file, as another process would. */
static int another_at, executed;
static enum ha_sqlite_code another;

int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *out, char **why) {
  int (*next)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
  FAULTS_NEXT(next, "sqlite3_exec");
  if (another_at > 0 && ++executed == another_at) {
    struct ha_sqlite s;
    another_at = 0;
    CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 0, 0), HA_SQLITE_OK);
    another = ha_sqlite_load(&s, BYTES("key"));
    ha_sqlite_free(&s);
  }
  return next(db, sql, row, out, why);
}

/* ---- rows that this store did not write ---- */

enum act { LOAD, NEXT, SAVE, SAVE_NEW, ACQUIRE };

static enum ha_sqlite_code act(struct ha_sqlite *s, enum act which) {
  int64_t fence = 0;
  switch (which) {
    case LOAD: return ha_sqlite_load(s, BYTES("key"));
    case NEXT: return ha_sqlite_next(s, "", 0);
    case SAVE: return ha_sqlite_save(s, BYTES("key"), BYTES("new"), BYTES("1-first"), "id");
    case SAVE_NEW: return ha_sqlite_save(s, BYTES("other"), BYTES("new"), NULL, 0, "id");
    case ACQUIRE: return ha_sqlite_acquire(s, BYTES("free"), "me", 1500, 1000, &fence);
  }
  return HA_SQLITE_UNAVAILABLE;
}

static void damaged(void) {
  static const struct { const char *sql; enum act which; enum ha_sqlite_code want; const char *says; } rows[] = {
    {"SELECT 1", LOAD, HA_SQLITE_OK, ""},
    {"SELECT 1", SAVE, HA_SQLITE_OK, ""},
    {"UPDATE records SET record = x''", LOAD, HA_SQLITE_OK, ""},
    {"UPDATE records SET record = 'text'", LOAD, HA_SQLITE_INVALID, "did not write"},
    {"UPDATE records SET record = 7", NEXT, HA_SQLITE_INVALID, "did not write"},
    {"UPDATE records SET key = 'text'", LOAD, HA_SQLITE_NONE, ""},
    {"UPDATE records SET record = zeroblob(2097153)", LOAD, HA_SQLITE_INVALID, "did not write"},
    {"UPDATE records SET record = zeroblob(2097152)", LOAD, HA_SQLITE_OK, ""},
    {"UPDATE records SET record = zeroblob(2097153)", SAVE, HA_SQLITE_OK, ""}, /* it is replaced whole */
    {"UPDATE records SET version = x'31'", LOAD, HA_SQLITE_INVALID, "did not write"},
    {"UPDATE records SET version = x'312d6669727374'", SAVE, HA_SQLITE_CONFLICT, "changed by another"},
    {"UPDATE records SET version = printf('%097d', 1)", LOAD, HA_SQLITE_INVALID, "did not write"},
    {"UPDATE records SET version = '1-secont'", SAVE, HA_SQLITE_CONFLICT, "changed by another"},
    {"UPDATE records SET version = '1-firs'", SAVE, HA_SQLITE_CONFLICT, "changed by another"},
    {"DELETE FROM counter", SAVE, HA_SQLITE_CORRUPT, "saving"},
    {"DELETE FROM counter", SAVE_NEW, HA_SQLITE_CORRUPT, "saving"},
    {"DELETE FROM counter", ACQUIRE, HA_SQLITE_CORRUPT, "acquiring"},
    {"DROP TABLE leases", ACQUIRE, HA_SQLITE_CORRUPT, "acquiring"},
    {"DROP TABLE records", LOAD, HA_SQLITE_CORRUPT, "loading"},
    {"PRAGMA user_version = 2", LOAD, HA_SQLITE_CORRUPT, "made by another version"},
    {"PRAGMA application_id = 1", LOAD, HA_SQLITE_CORRUPT, "not a healthauth store"},
    {"PRAGMA application_id = 0; PRAGMA user_version = 0", LOAD, HA_SQLITE_CORRUPT, "not a healthauth store"},
    {"PRAGMA application_id = 0", SAVE, HA_SQLITE_CORRUPT, "not a healthauth store"},
  };
  char before[512], after[512];
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct ha_sqlite s;
    bool tables = strncmp(rows[i].sql, "DROP", 4) != 0;
    CHECK_CASE(rows[i].sql);
    file_renew();
    file_sql(rows[i].sql);
    if (tables) file_state(before);
    CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
    CHECK_EQ_INT(act(&s, rows[i].which), rows[i].want);
    CHECK(strstr(s.message, rows[i].says) != NULL);
    CHECK((rows[i].want > HA_SQLITE_NONE) == (s.message[0] != '\0'));
    if (rows[i].want > HA_SQLITE_NONE && tables) { /* a refusal leaves the file as it is */
      file_state(after);
      CHECK_EQ_STR(after, before);
    }
    ha_sqlite_free(&s);
  }
}

/* ---- what codes mean ---- */

static void meanings(void) {
  static const struct { int number; enum ha_sqlite_code want; } errnos[] = {
    {ENOSPC, HA_SQLITE_FULL},  {EDQUOT, HA_SQLITE_FULL},  {EROFS, HA_SQLITE_READ_ONLY}, {EACCES, HA_SQLITE_READ_ONLY},
    {EPERM, HA_SQLITE_READ_ONLY}, {ELOOP, HA_SQLITE_INSECURE}, {EIO, HA_SQLITE_UNAVAILABLE}, {EMFILE, HA_SQLITE_UNAVAILABLE}};
  static const struct { int rc, why; enum ha_sqlite_code want; } codes[] = { /* why: errno of the first access(), or 0 */
    {SQLITE_FULL, 0, HA_SQLITE_FULL},            {SQLITE_READONLY_DIRECTORY, 0, HA_SQLITE_READ_ONLY}, {SQLITE_PERM, 0, HA_SQLITE_READ_ONLY},
    {SQLITE_CORRUPT_VTAB, 0, HA_SQLITE_CORRUPT}, {SQLITE_NOTADB, 0, HA_SQLITE_CORRUPT},               {SQLITE_ERROR, 0, HA_SQLITE_CORRUPT},
    {SQLITE_SCHEMA, 0, HA_SQLITE_CORRUPT},       {SQLITE_MISMATCH, 0, HA_SQLITE_CORRUPT},             {SQLITE_CONSTRAINT, 0, HA_SQLITE_CORRUPT},
    {SQLITE_CANTOPEN, 0, HA_SQLITE_UNAVAILABLE}, {SQLITE_CANTOPEN_SYMLINK, 0, HA_SQLITE_INSECURE},    {SQLITE_IOERR_READ, 0, HA_SQLITE_UNAVAILABLE},
    {SQLITE_CANTOPEN, EROFS, HA_SQLITE_READ_ONLY}, {SQLITE_CANTOPEN, EACCES, HA_SQLITE_READ_ONLY},    {SQLITE_CANTOPEN, ENOENT, HA_SQLITE_UNAVAILABLE},
    {SQLITE_BUSY_SNAPSHOT, 0, HA_SQLITE_UNAVAILABLE}, {SQLITE_NOMEM, 0, HA_SQLITE_UNAVAILABLE},       {SQLITE_TOOBIG, 0, HA_SQLITE_UNAVAILABLE}};
  struct ha_sqlite s;
  size_t i;
  CHECK_CASE("meanings");
  file_renew();
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
  for (i = 0; i < sizeof errnos / sizeof *errnos; i++) {
    CHECK_EQ_INT(ha_sqlite_fail_errno(&s, errnos[i].number, "looking"), errnos[i].want);
    CHECK(strncmp(s.message, "looking: ", 9) == 0 && strstr(s.message, strerror(errnos[i].number)) != NULL);
  }
  for (i = 0; i < sizeof codes / sizeof *codes; i++) {
    faults_errno = codes[i].why;
    faults_start(codes[i].why ? 1 : 0);
    CHECK_EQ_INT(ha_sqlite_trouble(&s, codes[i].rc, "asking"), codes[i].want);
    (void)faults_stop();
    CHECK(strncmp(s.message, "asking: ", 8) == 0);
  }
  /* The file may be written and its directory not: no log can be made beside it. */
  faults_errno = EROFS;
  faults_start(2);
  CHECK_EQ_INT(ha_sqlite_trouble(&s, SQLITE_CANTOPEN, "asking"), HA_SQLITE_READ_ONLY);
  CHECK_EQ_INT(faults_stop(), 2);
  faults_errno = EIO;
  faults_start(2);
  CHECK_EQ_INT(ha_sqlite_trouble(&s, SQLITE_CANTOPEN, "asking"), HA_SQLITE_UNAVAILABLE);
  CHECK_EQ_INT(faults_stop(), 2);
  ha_sqlite_free(&s);
}

/* ---- made by two at once ---- */

static void made_twice(void) {
  struct ha_sqlite s;
  int at, first = 0, met = 0;
  CHECK_CASE("made twice");
  for (at = 1; at < 100; at++) {
    file_unlink();
    another_at = at;
    executed = 0;
    CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
    CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
    if (another_at) break; /* there are no more */
    CHECK(another == HA_SQLITE_NONE || another == HA_SQLITE_UNAVAILABLE); /* it waits its turn and no more */
    first += another == HA_SQLITE_NONE;
    met += another == HA_SQLITE_UNAVAILABLE;
    CHECK_EQ_INT(act(&s, SAVE_NEW), HA_SQLITE_OK);
    ha_sqlite_free(&s);
  }
  another_at = 0;
  CHECK(first > 0 && met > 0);
  ha_sqlite_free(&s);
}

/* One that came too late for its patience begins anew: nothing half settled is kept. */
static void impatient(void) {
  struct ha_sqlite s;
  sqlite3 *db;
  CHECK_CASE("impatient");
  file_unlink();
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 0, 0), HA_SQLITE_OK);
  CHECK_EQ_INT(close(open(file_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)), 0);
  CHECK_EQ_INT(sqlite3_open(file_path, &db), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
  CHECK(s.db == NULL);
  CHECK_EQ_INT(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  CHECK_EQ_INT(sqlite3_close(db), SQLITE_OK);
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
  ha_sqlite_free(&s);
}

/* ---- a file that is made beside what an old one left ---- */

static bool there(const char *name) {
  struct stat st;
  return lstat(name, &st) == 0;
}

static void left_over(void) {
  static const struct { int number; bool removed; int locks; } refusals[] = {{0, true, 1}, {EINTR, true, 2}, {ENOLCK, false, 1}, {EINVAL, false, 1}};
  struct ha_sqlite s;
  char shared[200], kept[200]; /* a second name, so that its number is not given out again */
  size_t i;
  int folder;
  CHECK_CASE("left over");
  (void)snprintf(shared, sizeof shared, "%s-shm", file_path);
  (void)snprintf(kept, sizeof kept, "%s-kept", file_path);
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 20, 0), HA_SQLITE_OK);
  for (i = 0; i < sizeof refusals / sizeof *refusals; i++) { /* where folders cannot be locked nothing is removed */
    struct stat before, after;
    file_unlink();
    CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
    CHECK(stat(shared, &before) == 0 && link(shared, kept) == 0 && unlink(file_path) == 0);
    lock_errno = refusals[i].number;
    locks = 0;
    CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
    lock_errno = 0;
    CHECK_EQ_INT(locks, refusals[i].locks);
    CHECK(stat(shared, &after) == 0 && (before.st_ino != after.st_ino) == refusals[i].removed);
    ha_sqlite_drop(&s);
    CHECK(unlink(kept) == 0);
  }
  file_unlink();
  CHECK(symlink("elsewhere", shared) == 0); /* not ours: refused, not removed */
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_INSECURE);
  CHECK(there(shared));
  file_unlink();
  folder = open(file_root, O_RDONLY | O_CLOEXEC);
  CHECK(folder >= 0 && flock(folder, LOCK_EX) == 0); /* another makes the file */
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
  CHECK(strstr(s.message, "another process") != NULL && !there(file_path));
  CHECK(close(folder) == 0);
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
  ha_sqlite_free(&s);
}

/* ---- paths ---- */

static void paths(void) {
  static const struct { int number; enum ha_sqlite_code first, second; } looks[] = { /* of the directory, of the file */
    {EACCES, HA_SQLITE_UNAVAILABLE, HA_SQLITE_READ_ONLY}, {EIO, HA_SQLITE_UNAVAILABLE, HA_SQLITE_UNAVAILABLE},
    {ELOOP, HA_SQLITE_UNAVAILABLE, HA_SQLITE_INSECURE}};
  struct ha_sqlite s;
  char longest[PATH_MAX + 64];
  size_t i, at;
  CHECK_CASE("paths");
  file_renew();
  CHECK_EQ_INT(ha_sqlite_init(&s, file_path, 50, 0), HA_SQLITE_OK);
  for (i = 0; i < sizeof looks / sizeof *looks; i++) {
    faults_errno = looks[i].number;
    for (at = 1; at <= 6; at++) { /* realpath; the file and its three companions; the file again once it is open */
      faults_start(at);
      CHECK_EQ_INT(act(&s, LOAD), at == 1 ? looks[i].first : looks[i].second);
      CHECK(faults_stop() >= at);
      CHECK(s.db == NULL);
      CHECK(strstr(s.message, at == 1 ? "store directory: " : "store file: ") == s.message);
      CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_OK);
      ha_sqlite_drop(&s);
    }
  }
  faults_errno = ENOENT; /* gone when it is looked at, and again after it was made */
  file_unlink();
  faults_start(5); /* between them: looked at under the folder's lock, and its left-over */
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
  CHECK(faults_stop() == 5 && strstr(s.message, "vanished") != NULL);
  moved = true; /* another stands in its place since it was opened */
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
  CHECK(s.db == NULL && strstr(s.message, "was replaced") != NULL);
  moved = false;
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
  moved = true;
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
  moved = false;
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_NONE);
  ha_sqlite_free(&s);

  faults_errno = EACCES;
  faults_start(1);
  CHECK_EQ_INT(ha_sqlite_init(&s, "relative", 50, 0), HA_SQLITE_READ_ONLY);
  (void)faults_stop();
  CHECK(s.path == NULL);
  ha_sqlite_free(&s);
  CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE); /* closed */
  CHECK_EQ_STR(s.message, "store: closed");

  memset(longest, '/', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  for (i = 0; i < 2; i++) { /* a directory's name that is too long; then one that is too long with the file's */
    longest[i == 0 ? sizeof longest - 2 : PATH_MAX - 2] = 'f';
    if (i == 1) longest[PATH_MAX + 1] = '\0';
    CHECK_EQ_INT(ha_sqlite_init(&s, longest, 50, 0), HA_SQLITE_OK);
    CHECK_EQ_INT(act(&s, LOAD), HA_SQLITE_UNAVAILABLE);
    CHECK(strncmp(s.message, "store directory: ", 17) == 0);
    CHECK_EQ_INT(ha_sqlite_trouble(&s, SQLITE_CANTOPEN, "opening"), HA_SQLITE_UNAVAILABLE);
    ha_sqlite_free(&s);
  }
}

/* ---- forks ---- */

static void forks(void) {
  struct ha_sqlite s[3], spare;
  int i, status = 1;
  pid_t child;
  CHECK_CASE("forks");
  file_renew();
  memset(&spare, 0, sizeof spare);
  for (i = 0; i < 3; i++) {
    CHECK_EQ_INT(ha_sqlite_init(&s[i], file_path, 50, 0), HA_SQLITE_OK);
    CHECK_EQ_INT(act(&s[i], LOAD), HA_SQLITE_OK);
  }
  ha_sqlite_delist(&spare); /* one that is in no list */
  ha_sqlite_free(&s[1]);    /* from the middle */
  ha_sqlite_free(&s[1]);
  CHECK_EQ_INT(ha_sqlite_enter(&s[2]), HA_SQLITE_OK); /* another thread would be in the middle of an operation */
  (void)fflush(stdout);
  child = fork();
  if (child == 0) {
    bool closed = s[0].db == NULL, works = act(&s[0], LOAD) == HA_SQLITE_OK, refused = act(&s[2], LOAD) == HA_SQLITE_UNAVAILABLE;
    bool says = strstr(s[2].message, "before a fork") != NULL;
    ha_sqlite_free(&s[0]);
    exit(closed && works && refused && says ? 0 : 1);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK_EQ_INT(status, 0);
  CHECK(s[0].db == NULL && s[2].db != NULL);
  CHECK_EQ_INT(ha_sqlite_leave(&s[2], HA_SQLITE_OK), HA_SQLITE_OK);
  CHECK_EQ_INT(act(&s[0], SAVE), HA_SQLITE_OK);
  CHECK_EQ_INT(act(&s[2], SAVE), HA_SQLITE_CONFLICT);
  ha_sqlite_free(&s[0]);
  ha_sqlite_free(&s[2]);
}

int main(void) {
  file_folder();
  file_first();
  damaged();
  meanings();
  made_twice();
  impatient();
  left_over();
  paths();
  forks();
  file_remove();
  return check_done();
}
