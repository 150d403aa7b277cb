/* SPDX-License-Identifier: MIT */
/* private_file.h - reads a small file that holds a secret, and only if nobody else could have read or written it.
 * A symbolic link, anything but a regular file, another owner (root's is fine), or a mode with bits for group or others is refused. */
#ifndef HA_PRIVATE_FILE_H
#define HA_PRIVATE_FILE_H

#include "base/buf.h"

/* Appends the content to out (bounded by out's maximum). NULL on success, else why not: a text that lives for ever. */
const char *ha_private_file_read(const char *path, struct ha_buf *out) HA_MUST_USE;

#endif
