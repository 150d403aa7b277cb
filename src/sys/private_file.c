/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700

#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static const char *why_not(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return "cannot be looked at";
  if (!S_ISREG(st.st_mode)) return "is not a regular file";
  if (st.st_uid != geteuid() && st.st_uid != 0) return "belongs to another user";
  if (st.st_mode & 077) return "may be read or written by others (mode must be 0600)";
  return NULL;
}

static const char *copy(int fd, struct ha_buf *out) {
  char block[512];
  const char *why = NULL;
  for (;;) {
    enum ha_status rc;
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) why = "cannot be read";
    if (n <= 0) break;
    rc = ha_buf_add(out, block, (size_t)n);
    if (rc != HA_OK) {
      why = rc == HA_NOMEM ? "cannot be read: there is no memory for it" : "is too large";
      break;
    }
  }
  ha_wipe(block, sizeof block);
  return why;
}

const char *ha_private_file_read(const char *path, struct ha_buf *out) {
  const char *why;
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno == ELOOP ? "is a symbolic link" : errno == ENOENT ? "does not exist" : "cannot be opened";
  why = why_not(fd);
  if (!why) why = copy(fd, out);
  (void)close(fd);
  return why;
}
