/* declare.h - reading a declaration table: each reader checks one member, and raises "path.member: expected ..." when it is wrong.
 * A cursor is a table on the Lua stack plus its path for people. Texts are copied into the arena. Metamethods are not asked. */
#ifndef LHA_DECLARE_H
#define LHA_DECLARE_H

#include "base/arena.h"
#include "provider.h"

struct lha_cursor {
  lua_State *L;
  struct ha_arena *arena;
  int table;       /* absolute index of the table that is read */
  char path[160];  /* "operations.refresh" */
};

/* Raises "path.member: expected what". member may be NULL. */
int lha_declare_bad(const struct lha_cursor *c, const char *member, const char *what);

/* Refuses every key that is not in the NULL-ended list. */
void lha_declare_only(const struct lha_cursor *c, const char *const *known);

/* c.member as a new cursor: pushes the table and answers true; false when it is absent (raises if required or no table). */
bool lha_declare_enter(const struct lha_cursor *c, const char *member, bool required, struct lha_cursor *inner);

const char *lha_declare_text(const struct lha_cursor *c, const char *member, const char *otherwise, bool required); /* 1-2048 bytes, printable */
bool lha_declare_flag(const struct lha_cursor *c, const char *member, bool otherwise);
int lha_declare_choice(const struct lha_cursor *c, const char *member, const char *const *words, int otherwise, const char *what);
void lha_declare_statuses(const struct lha_cursor *c, const char *member, bool required, struct lha_statuses *out);
int lha_declare_texts(const struct lha_cursor *c, const char *member, const char ***out); /* a list of texts; the count */

/* The table's keys, sorted, as a list on the stack (they must be names); the count. */
int lha_declare_keys(const struct lha_cursor *c);

/* Refuses a header that a request would have twice: declared twice, or set by body or auth as well. c is the whole declaration. */
void lha_declare_headers_once(const struct lha_cursor *c, const struct lha_provider *p);

/* A word of a-z, 0-9 and _, at most LHA_NAME_MAX long, that starts with a letter. */
bool lha_declare_word(const char *p);

/* c.member, a table of values with names: literals and markers; absent = none. headers: names and option values are held to what may enter one. */
void lha_declare_fields(const struct lha_cursor *c, const char *member, struct lha_provider *p, bool headers, struct lha_fields *out);

/* Raises when the text of c.member is neither a path below base_url nor a whole https URL (http only to loopback). */
void lha_declare_path(const struct lha_cursor *c, const char *member, const char *path);

/* Raises when the text of c.member is no whole https URL (http only to loopback): any, one without a query, or one that ends behind its host and port. */
enum lha_url_part { LHA_URL_WHOLE, LHA_URL_BASE, LHA_URL_ORIGIN };
void lha_declare_url(const struct lha_cursor *c, const char *member, const char *url, enum lha_url_part part);

/* A block of the arena; raises when there is no memory. */
void *lha_declare_alloc(const struct lha_cursor *c, size_t size);
char *lha_declare_copy(const struct lha_cursor *c, const char *p, size_t n);

#endif
