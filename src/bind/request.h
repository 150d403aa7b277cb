/* request.h - what request.c and call.c share while they build a request: headers, and refusals of what does not fit.
 * Strings answered are static error codes, NULL when all is well. */
#ifndef LHA_REQUEST_H
#define LHA_REQUEST_H

#include "exchange.h"

const char *lha_grown(lua_State *L, enum ha_status rc, const char **why);
enum ha_status lha_header_add(struct lha_exchange *x, const char *name, size_t nlen, const char *prefix, const char *value, size_t vlen) HA_MUST_USE;
const char *lha_declared_headers(lua_State *L, struct lha_exchange *x, const struct lha_fields *fields, const char **why);
const char *lha_bearer_header(lua_State *L, struct lha_exchange *x, const char **why);

/* The request of call{}: args is the index of its arguments. */
const char *lha_call_build(lua_State *L, struct lha_exchange *x, int args, const char **why);

#endif
