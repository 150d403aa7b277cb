/* options.h - checking the options of a session (DESIGN.md 2.1): a wrong type, an unknown name or an impossible value raises
 * "<provider>: option 'timeout': expected ..."; no text ever holds a value. */
#ifndef LHA_OPTIONS_H
#define LHA_OPTIONS_H

#include "session.h"

/* Reads the options table at index into s (already owned by Lua) and what belongs to Lua into the owned table at index owned. */
void lha_options_read(lua_State *L, const struct lha_provider *p, struct lha_session *s, int index, int owned);

/* One credential: 1 to LHA_CREDENTIAL_MAX bytes, no control bytes; in a header 0x21-0x7E only. */
enum { LHA_CREDENTIAL_MAX = 8192 };
bool lha_credential_fine(const struct lha_option *o, const char *p, size_t n);

/* Framing, routing and what every request has: nobody else's to set, not a declaration's either. */
bool lha_header_reserved(const char *name, size_t n);

/* Whether an extra header of that name would fight with what we send ourselves. */
bool lha_header_is_ours(const struct lha_provider *p, const char *name, size_t n);

#endif
