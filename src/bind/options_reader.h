/* options_reader.h - what options.c and options_network.c share: one reader over the options table, and its refusals, which raise. */
#ifndef LHA_OPTIONS_READER_H
#define LHA_OPTIONS_READER_H

#include "options.h"

struct lha_reader {
  lua_State *L;
  const struct lha_provider *p;
  struct lha_session *s;
  int options, owned;
};

/* "<provider>: option 'name': expected ..." */
int lha_option_bad(const struct lha_reader *r, const char *name, const char *expected);
/* "<provider>: unknown option 'prefix.key'" */
int lha_option_unknown(const struct lha_reader *r, const char *prefix, const char *key);
/* Pushes an option; asks no metamethod. */
void lha_option_get(const struct lha_reader *r, const char *name);
/* Refuses every key of the table at index that is not in the NULL-ended list. */
void lha_option_only(const struct lha_reader *r, int index, const char *prefix, const char *const *known);

/* options_network.c: where a session may go and how. */
void lha_option_endpoints(const struct lha_reader *r);
void lha_option_tls(const struct lha_reader *r);
void lha_option_headers(const struct lha_reader *r);
void lha_option_origins(const struct lha_reader *r);
bool lha_proxy_fine(lua_State *L, const char *p, size_t n);
void lha_option_proxy_way(const struct lha_reader *r); /* after endpoints and proxy were read */

#endif
