/* SPDX-License-Identifier: MIT */
/* Files that hold a secret, and the clocks, when the system does not answer as it should. */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "failing.h"
#include "sys/clock.h"
#include "sys/private_file.h"

/* ---- stand-ins ---- */

static int open_errno, stat_errno, read_errno; /* 0: works */
static unsigned interruptions;                 /* reads that a signal ends first */
static uid_t owner;                            /* of every file, unless 0 */
static struct timespec slept, now;
static int clock_rc;

int open(const char *path, int flags, ...) {
  int (*next)(const char *, int, ...);
  mode_t mode = 0;
  va_list more;
  FAULTS_NEXT(next, "open");
  if (flags & O_CREAT) { /* none of ours: the counters of a coverage build are written so */
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
    return next(path, flags, mode);
  }
  CHECK((flags & O_NOFOLLOW) != 0 && (flags & O_CLOEXEC) != 0);
  if (open_errno) {
    errno = open_errno;
    return -1;
  }
  return next(path, flags);
}

int fstat(int fd, struct stat *st) {
  int (*next)(int, struct stat *), rc;
  if (stat_errno) {
    errno = stat_errno;
    return -1;
  }
  FAULTS_NEXT(next, "fstat");
  rc = next(fd, st);
  if (owner) st->st_uid = owner;
  return rc;
}

ssize_t read(int fd, void *p, size_t n) {
  ssize_t (*next)(int, void *, size_t);
  if (interruptions > 0) {
    interruptions--;
    errno = EINTR;
    return -1;
  }
  if (read_errno) {
    errno = read_errno;
    return -1;
  }
  FAULTS_NEXT(next, "read");
  return next(fd, p, n > 100 ? 100 : n); /* less than was asked for */
}

int clock_gettime(clockid_t id, struct timespec *t) {
  (void)id;
  *t = now;
  return clock_rc;
}

int nanosleep(const struct timespec *t, struct timespec *left) {
  (void)left;
  slept = *t;
  return 0;
}

/* ---- files ---- */

static char path[160];

static void make_file(size_t n, mode_t mode) {
  FILE *f;
  (void)unlink(path);
  f = fopen(path, "wb");
  if (!f) abort();
  while (n-- > 0) (void)fputc('s', f);
  if (fclose(f) != 0 || chmod(path, mode) != 0) abort();
}

static void files(void) {
  static const struct {
    const char *name;
    size_t size;
    mode_t mode;
    int open_errno, stat_errno, read_errno;
    unsigned interruptions;
    uid_t owner;
    const char *want; /* NULL: read */
  } rows[] = {
    {"small", 10, 0600, 0, 0, 0, 0, 0, NULL},
    {"read-only", 10, 0400, 0, 0, 0, 0, 0, NULL},
    {"empty", 0, 0600, 0, 0, 0, 0, 0, NULL},
    {"largest", 1000, 0600, 0, 0, 0, 0, 0, NULL},
    {"too large", 1001, 0600, 0, 0, 0, 0, 0, "is too large"},
    {"interrupted", 300, 0600, 0, 0, 0, 3, 0, NULL},
    {"unreadable", 10, 0600, 0, 0, EIO, 1, 0, "cannot be read"},
    {"for the group", 10, 0640, 0, 0, 0, 0, 0, "may be read or written by others (mode must be 0600)"},
    {"for others", 10, 0601, 0, 0, 0, 0, 0, "may be read or written by others (mode must be 0600)"},
    {"another's", 10, 0600, 0, 0, 0, 0, 4242, "belongs to another user"},
    {"not looked at", 10, 0600, 0, EIO, 0, 0, 0, "cannot be looked at"},
    {"a link", 10, 0600, ELOOP, 0, 0, 0, 0, "is a symbolic link"},
    {"missing", 10, 0600, ENOENT, 0, 0, 0, 0, "does not exist"},
    {"forbidden", 10, 0600, EACCES, 0, 0, 0, 0, "cannot be opened"},
    {"no descriptors", 10, 0600, EMFILE, 0, 0, 0, 0, "cannot be opened"},
  };
  struct ha_buf out;
  size_t i, k, before;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    int fd;
    CHECK_CASE(rows[i].name);
    make_file(rows[i].size, rows[i].mode);
    open_errno = rows[i].open_errno;
    stat_errno = rows[i].stat_errno;
    read_errno = rows[i].read_errno;
    interruptions = rows[i].interruptions;
    owner = rows[i].owner;
    fd = dup(0);
    (void)close(fd);
    failing_start(0);
    ha_buf_init(&out, 1000);
    CHECK_EQ_STR(ha_private_file_read(path, &out), rows[i].want);
    if (!rows[i].want) {
      CHECK_EQ_INT(out.len, rows[i].size);
      for (k = 0; k < out.len && out.data[k] == 's'; k++) {}
      CHECK_EQ_INT(k, out.len);
    }
    ha_buf_free(&out);
    CHECK_EQ_INT(failing_stop(), 0);
    CHECK_EQ_INT(failing_bad, 0);
    before = (size_t)fd;
    fd = dup(0);
    CHECK_EQ_INT(fd, before); /* no descriptor is left open */
    (void)close(fd);
  }
  open_errno = stat_errno = read_errno = 0;
  owner = 0;
  CHECK_CASE("no memory");
  make_file(10, 0600);
  failing_start(1);
  ha_buf_init(&out, 1000);
  CHECK_EQ_STR(ha_private_file_read(path, &out), "cannot be read: there is no memory for it");
  ha_buf_free(&out);
  CHECK_EQ_INT(failing_stop(), 0);
  CHECK_CASE("a folder");
  ha_buf_init(&out, 1000);
  CHECK_EQ_STR(ha_private_file_read("/", &out), "is not a regular file");
  ha_buf_free(&out);
  (void)unlink(path);
}

/* ---- clocks ---- */

static void clocks(void) {
  static const struct { double seconds; long sec, nsec; } rows[] = {
    {0, -1, -1}, {-1, -1, -1}, {(double)NAN, -1, -1}, {0.25, 0, 250000000}, {1.5, 1, 500000000}, {3600, 3600, 0}, {3601, 3600, 0}, {1e300, 3600, 0},
    {HUGE_VAL, 3600, 0}};
  size_t i;
  CHECK_CASE("clocks");
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    slept.tv_sec = -1; /* not called */
    slept.tv_nsec = -1;
    ha_clock_sleep(rows[i].seconds);
    CHECK_EQ_INT(slept.tv_sec, rows[i].sec);
    CHECK_EQ_INT(slept.tv_nsec, rows[i].nsec);
  }
  now.tv_sec = 12;
  now.tv_nsec = 500000000;
  CHECK(ha_clock_unix() == 12.5 && ha_clock_monotonic() == 12.5);
  clock_rc = -1;
  CHECK(ha_clock_unix() == 0 && ha_clock_monotonic() == 0);
}

int main(void) {
  const char *base = getenv("TMPDIR");
  (void)snprintf(path, sizeof path, "%.100s/healthauth-secret-%ld", base && *base ? base : "/tmp", (long)getpid());
  files();
  clocks();
  return check_done();
}
