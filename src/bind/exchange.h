/* exchange.h - one request of a session and its answer, without any I/O (DESIGN.md 2.4).
 * begin builds everything into wiped memory; request() shows it as a plain table; finish(response) or fail(failure) judges the end and
 * changes the session all or nothing. Used once. A collected, unfinished exchange counts as fail with outcome unknown. */
#ifndef LHA_EXCHANGE_H
#define LHA_EXCHANGE_H

#include "base/buf.h"
#include "base/message.h"
#include "session.h"

#define LHA_EXCHANGE_TYPE "healthauth.exchange"

enum {
  LHA_ARGUMENTS_MAX = 12,
  LHA_BODY_MAX = 256 * 1024,          /* what an operation sends */
  LHA_CALL_BODY_MAX = 16 * 1024 * 1024, /* what call sends */
  LHA_HEADERS_MAX = 128 * 1024,
  LHA_HEADER_COUNT_MAX = 64,          /* as the transports have it */
  LHA_SECRETS_MAX = 192               /* to be kept out of an error */
};

struct lha_argument {
  char name[LHA_NAME_MAX + 1];
  struct ha_secret value;
};

struct lha_exchange {
  struct lha_session *session;     /* kept alive by the owned table; NULL until the exchange is ready */
  const struct lha_operation *op;  /* NULL for call */
  enum lha_verb verb;
  bool done, changing;
  bool busy;                       /* a method of it runs: what a finaliser ends meanwhile is wiped, and given back later */
  double now, timeout;
  const char *method;
  char call_method[17];
  struct lha_argument arguments[LHA_ARGUMENTS_MAX];
  int argument_count;
  struct ha_secret *credentials;   /* values of function credentials, one for each option; NULL = none */
  int credential_count;
  struct ha_secret redirect_uri, scope, verifier; /* from the pending */
  struct ha_secret basic;          /* the Basic credentials as sent */
  struct ha_buf url, headers, body; /* headers: name NUL value NUL ... */
  bool has_body;
  char request_id[40];
  struct lha_tokens fresh;         /* a set on its way into the session */
};

void lha_exchange_open(lua_State *L);

/* session:begin(operation, args) -> exchange | nil, err */
int lha_exchange_begin(lua_State *L);

/* Raises when the exchange's session is closed. A finaliser may have done that while we worked. */
void lha_exchange_open_session(lua_State *L, const struct lha_exchange *x);

/* An exchange of the session at index, inert and owned by Lua, on the stack; and its end. */
struct lha_exchange *lha_exchange_new(lua_State *L, int session);
void lha_exchange_wipe(struct lha_exchange *x);

/* arguments.c: args.now, or the system's clock; args.credentials. */
void lha_exchange_clock(lua_State *L, struct lha_exchange *x, int index);
const char *lha_credentials_read(lua_State *L, struct lha_exchange *x, int index, const char **why);

/* arguments.c: reads args (index, a table) for the verb into x. NULL, or a static code with *why. Raises for unknown names. */
const char *lha_arguments_read(lua_State *L, struct lha_exchange *x, int index, const char **why);
const struct ha_secret *lha_argument(const struct lha_exchange *x, const char *name);
const char *lha_argument_add(lua_State *L, struct lha_exchange *x, const char *name, const char *p, size_t n);

/* callback.c: judges args.callback with args.pending, adds code, fills redirect_uri, scope, verifier. 0 when fine, else the number of results
 * (nil, err) that it has pushed. */
int lha_callback_read(lua_State *L, struct lha_exchange *x, int index);
void lha_callback_open(lua_State *L);
/* core.authorize_url(session, {scope, redirect_uri, state_in_redirect, now, lifetime}) -> url, pending | nil, err */
int lha_authorize_function(lua_State *L);

/* request.c: builds url, headers and body. NULL, or a static code with *why. Raises only for no memory. */
const char *lha_request_build(lua_State *L, struct lha_exchange *x, int args, const char **why);
/* The whole URL of path, or of the endpoint that the options give for name, into x->url. The session stands at index 1. */
const char *lha_endpoint_url(lua_State *L, struct lha_exchange *x, const char *name, const char *path, const char **why);
void lha_request_push(lua_State *L, const struct lha_exchange *x, int self);
/* The value of a template: HA_OK with *value, or HA_MORE when it is absent. */
enum ha_status lha_template_value(const struct lha_exchange *x, const struct lha_template *t, const struct ha_secret **value);
const struct ha_secret *lha_option_value(const struct lha_exchange *x, int option);

/* answer.c: judges a response (table at index). Pushes the results of finish and answers their number. */
int lha_answer(lua_State *L, struct lha_exchange *x, int index);

/* failure.c: pushes nil, err for this exchange. The error is complete but for what the caller adds. */
int lha_refuse(lua_State *L, const struct lha_exchange *x, const char *kind, const char *code, const char *message, const char *outcome,
               const char *action);
/* The action where nothing better is known. */
const char *lha_default_action(const struct lha_exchange *x, const char *kind, const char *outcome);
bool lha_resend_safe(const struct lha_exchange *x);

#endif
