/* tokens.h - one set of tokens: in wiped C memory, read from Lua (restore, a record) and pushed to Lua (tokens, exchange).
 * A zeroed struct is an empty set. Replacing is by moving: nothing can fail half way. */
#ifndef LHA_TOKENS_H
#define LHA_TOKENS_H

#include <stdbool.h>

#include "base/secret.h"
#include "compat.h"

enum { LHA_TOKEN_MAX = 64 * 1024, LHA_SCOPE_MAX = 64 * 1024, LHA_EXTRA_MAX = 4 * 1024 * 1024 };

/* Seconds that we take from a server or a caller: up to the year 5138, far below 2^53. */
#define LHA_TIME_MAX 99999999999.0

struct lha_tokens {
  struct ha_secret access, refresh, type, scope, name;
  struct ha_secret extra; /* every other member, as the text of a JSON object; absent = none */
  double expires_at;      /* unix seconds on our clock */
  double obtained_at;     /* when the access token was got, 0 = unknown */
  double refresh_at;      /* when the refresh token was got, 0 = unknown: where it is kept, it is older than the access token */
  bool expires;           /* false: the expiry is unknown */
};

void lha_tokens_clear(struct lha_tokens *t);
void lha_tokens_move(struct lha_tokens *to, struct lha_tokens *from);

/* Pushes the set as the table of DESIGN 2.1. lha_tokens_times adds obtained_at and refresh_at to it, for a record. */
void lha_tokens_push(lua_State *L, const struct lha_tokens *t);

void lha_tokens_times(lua_State *L, const struct lha_tokens *t);

/* Reads a set at index into t (which Lua owns already). NULL, or a static error code with *why. Raises only for no memory. */
const char *lha_tokens_read(lua_State *L, int index, struct lha_tokens *t, const char **why);

#endif
