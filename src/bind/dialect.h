/* dialect.h - the five error documents that we know, each read by its own small function (RFC 6749 5.2, RFC 9457, eHealth, FHIR, Apigee).
 * Members of a wrong type are as if absent. */
#ifndef LHA_DIALECT_H
#define LHA_DIALECT_H

#include "compat.h"

/* Fills code, title, detail, message, invalid, request_id of the error on top of the stack from the document at index. */
void lha_dialect_fill(lua_State *L, const char *dialect, int document);

#endif
