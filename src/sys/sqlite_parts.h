/* SPDX-License-Identifier: MIT */
/* sqlite_parts.h - what sqlite.c (records and leases) takes from sqlite_file.c (the file, its connection, failures, forks). */
#ifndef HA_SQLITE_PARTS_H
#define HA_SQLITE_PARTS_H

#include "sqlite.h"

/* Keep a sentence in message and give code back. */
enum ha_sqlite_code ha_sqlite_fail(struct ha_sqlite *s, enum ha_sqlite_code code, const char *doing, const char *why);
enum ha_sqlite_code ha_sqlite_fail_errno(struct ha_sqlite *s, int number, const char *doing);

/* Says what SQLite's rc means, and closes the connection unless it is only busy: the next call then starts from the file again. */
enum ha_sqlite_code ha_sqlite_trouble(struct ha_sqlite *s, int rc, const char *doing);

/* Around every operation: enter looks at the file and connects; leave gives its code back. Between them no fork closes the connection. */
enum ha_sqlite_code ha_sqlite_enter(struct ha_sqlite *s);
enum ha_sqlite_code ha_sqlite_leave(struct ha_sqlite *s, enum ha_sqlite_code code);

/* Closes the connection and its statements. */
void ha_sqlite_drop(struct ha_sqlite *s);

/* Known to the fork handler, or not any more. */
void ha_sqlite_enlist(struct ha_sqlite *s);
void ha_sqlite_delist(struct ha_sqlite *s);

#endif
