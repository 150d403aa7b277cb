/* problem.h - what an error answer says: the dialect by the document's shape, its code, texts and invalid members, and the action by the
 * provider's rules (DESIGN 2.2). The document was made safe before (sanitize.c): no secret of ours is in it. */
#ifndef LHA_PROBLEM_H
#define LHA_PROBLEM_H

#include "error.h"
#include "exchange.h"

/* What is known of an answer beside its body. */
struct lha_response {
  int status;
  int index;               /* of the response table */
  const char *body;
  size_t body_len;
  bool close_delimited;
  const char *media;       /* Content-Type, NULL = none */
  size_t media_len;
  bool media_repeated;
};

/* The dialect of the document (a table at index), or NULL. */
const char *lha_dialect(lua_State *L, int document, const struct lha_response *r);

/* Fills the error on top of the stack from the document at index (0 = none) and the response: dialect, code, title, detail, message, invalid,
 * document, status, retry_after, rate_limit, request_id, action. kind stays the caller's. */
void lha_problem_fill(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *dialect, int document);

/* Whether one of the rules meets the error on top of the stack. */
const struct lha_rule *lha_rule_met(lua_State *L, const struct lha_rules *rules, const struct lha_exchange *x, int status);

/* The usual action for a code of RFC 6749; NULL = not one of them. In a callback, access_denied means that a person said no. */
const char *lha_oauth_action(const char *code, bool in_callback);

/* The first header of that name (lower case); NULL = none. *again: it comes more than once. The text lives as long as the response table. */
const char *lha_response_header(lua_State *L, int response, const char *name, size_t *len, bool *again);
/* Bytes of all headers, as the shortest lines that could have held them. */
size_t lha_response_head(lua_State *L, int response);

/* failure.c: nil, err for an answer that breaks the contract. */
int lha_broken(lua_State *L, struct lha_exchange *x, const struct lha_response *r, const char *kind, const char *code, const char *message);

/* token_answer.c: the tokens of the document at index into the session; the results of finish. */
int lha_token_answer(lua_State *L, struct lha_exchange *x, const struct lha_response *r, int document);
/* Pushes what stands at a dotted path of the document; nil when any part is absent. Answers its Lua type. */
int lha_push_path(lua_State *L, int document, const char *path);

/* sanitize.c: pushes a copy of the value at index without any secret of the session and the exchange; with the values of token members masked. */
void lha_sanitize_push(lua_State *L, struct lha_exchange *x, int index);

#endif
