/* session.h - a provider session: what the user holds (DESIGN.md 2.1, 2.4).
 * The userdata "healthauth.session" owns its credentials and tokens in wiped C memory. What belongs to it in Lua (provider, transport,
 * store, clock, functions) is in its owned table. Nothing here waits or talks to a network. */
#ifndef LHA_SESSION_H
#define LHA_SESSION_H

#include "base/url.h"
#include "provider.h"
#include "tokens.h"

#define LHA_SESSION "healthauth.session"

struct lha_header {
  struct ha_secret name, value;
};

struct lha_session {
  const struct lha_provider *provider; /* kept alive by the owned table; NULL until the session is ready */
  bool closed;
  bool changing;        /* an exchange that may change the tokens is open */
  bool scope_differs;   /* the last token answer gave another scope than was asked for */
  bool refresh_unknown; /* a single-use refresh left and nobody knows its end */
  signed char pkce;     /* 1 on, 0 off, -1 as declared */
  int option_count, header_count;
  struct ha_secret *options;  /* one for each declared option */
  struct lha_header *headers; /* extra ones, fixed */
  struct ha_secret base_url, user_agent, issuer, proxy, key_password;
  double timeout, connect_timeout;
  double limit_body, limit_headers, limit_depth;
  struct lha_tokens tokens;
  bool has_tokens;
};

void lha_session_open(lua_State *L); /* leaves the method table on the stack */

/* The session at index. open: refuses a closed one by raising. */
struct lha_session *lha_session_check(lua_State *L, int index);
struct lha_session *lha_session_live(lua_State *L, int index);

/* Parses base_url into u (init done by the caller). */
enum ha_status lha_session_base(const struct lha_session *s, struct ha_url *u);

/* Functions of the core module for the Lua layer, each with a session as first argument (session.c says what each does). */
extern const luaL_Reg lha_session_inside[];

/* core.session(provider, options) -> session | nil, err */
int lha_session_function(lua_State *L);

#endif
