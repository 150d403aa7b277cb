/* error.h - the error object that a user sees (docs/errors.md): a table with the metatable "healthauth.error".
 * This unit makes it, names actions and kinds, and turns it into one clean line. What a server's document says is read in problem.c. */
#ifndef LHA_ERROR_H
#define LHA_ERROR_H

#include <stdbool.h>

#include "compat.h"

void lha_error_open(lua_State *L);

/* Pushes an error with kind, code and message; any may be NULL. The caller adds further fields with lha_error_text. */
void lha_error_push(lua_State *L, const char *kind, const char *code, const char *message);

/* err[name] = value, cleaned (UTF-8, no control characters, 512 bytes); the error is on top of the stack. */
void lha_error_text(lua_State *L, const char *name, const char *p, size_t n);
void lha_error_word(lua_State *L, const char *name, const char *word);

bool lha_is_error(lua_State *L, int index);

/* Whether word is one that err.kind / err.action / err.outcome may hold. */
bool lha_is_kind(const char *word);
bool lha_is_action(const char *word);
bool lha_is_outcome(const char *word);

/* core.error(fields), core.is_error(value) */
int lha_error_function(lua_State *L);
int lha_is_error_function(lua_State *L);

#endif
