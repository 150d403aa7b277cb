/* provider.h - a provider, compiled once from its declaration (docs/providers.md) and shared by its sessions.
 * The userdata "healthauth.provider" owns an arena with everything below; it never changes after it is made. */
#ifndef LHA_PROVIDER_H
#define LHA_PROVIDER_H

#include <stdbool.h>

#include "base/arena.h"
#include "compat.h"

#define LHA_PROVIDER "healthauth.provider"

enum {
  LHA_NAME_MAX = 64,      /* names of providers, options, arguments, fields */
  LHA_LIST_MAX = 64,      /* fields, headers, rules, environments in one list */
  LHA_OPTIONS_MAX = 16,
  LHA_STATUS_MAX = 8,     /* statuses in one success or gone list */
  LHA_TEXT_MAX = 2048     /* one literal value */
};

enum lha_verb { LHA_EXCHANGE, LHA_REFRESH, LHA_VERIFY, LHA_CHECK, LHA_LOGOUT, LHA_OPERATIONS, LHA_CALL = LHA_OPERATIONS, LHA_VERBS };

extern const char *const lha_verb_names[LHA_VERBS]; /* exchange refresh verify check logout call */

/* A value in a declaration: "text", "$option.x", "$argument.x", "$pending.x"; a "?" behind a marker: left out when absent. */
enum lha_source { LHA_LITERAL, LHA_OPTION, LHA_ARGUMENT, LHA_PENDING };

struct lha_template {
  enum lha_source source;
  bool optional;
  bool raw;          /* a literal number or boolean: stands in JSON without quotes */
  int option;        /* index, for LHA_OPTION */
  const char *text;  /* the literal, or the marker's name */
  size_t len;
};

struct lha_field {
  const char *name;
  size_t name_len;
  struct lha_template value;
};

struct lha_fields {
  struct lha_field *list;
  int count;
};

enum lha_member { LHA_ACCESS, LHA_REFRESH_TOKEN, LHA_TYPE, LHA_EXPIRES_IN, LHA_EXPIRES_AT, LHA_SCOPE, LHA_NAME, LHA_MEMBERS };

extern const char *const lha_member_names[LHA_MEMBERS + 1];

struct lha_statuses {
  int list[LHA_STATUS_MAX];
  int count;
};

enum lha_body { LHA_BODY_NONE, LHA_BODY_FORM, LHA_BODY_JSON };
enum lha_auth { LHA_AUTH_NONE, LHA_AUTH_BASIC, LHA_AUTH_BEARER };

struct lha_operation {
  enum lha_verb verb;
  const char *method;
  const char *path; /* "/..." below base_url, or a whole https URL */
  enum lha_body body;
  enum lha_auth auth;
  const char *wrap; /* JSON: everything inside this member; NULL = none */
  struct lha_fields fields, headers;
  struct lha_statuses success, gone;
  const char *members[LHA_MEMBERS]; /* dotted path of each in the answer, NULL = not there */
  bool has_tokens, type_required;
  bool client_credentials;
  bool resend_safe;   /* may be sent again after an unknown outcome */
  double life;        /* refresh: seconds that a kept refresh token lives, 0 = unknown */
  bool rotate;        /* refresh: the answer replaces the refresh token, absent = spent */
  const char **repeat_scope; /* refresh: an option `scope` that is one of these is said again with every refresh */
  int repeat_scope_count;
  const char *active; /* verify: dotted path of a boolean (RFC 7662) */
  const char **spent; /* logout: error codes that mean "already out" */
  int spent_count;
};

struct lha_rule {
  int operations;      /* bit per verb, 0 = any */
  int status;          /* 0 = any */
  const char *dialect; /* NULL = any */
  const char *code;    /* what the document says, normalised */
  const char *message; /* the document's text, without case; a "*" at the end matches any rest */
  const char *invalid; /* a name in the invalid list, without case */
  const char *challenge; /* the error word of a Bearer challenge */
  const char *set_code, *set_action;
};

struct lha_rules {
  struct lha_rule *list;
  int count;
};

struct lha_option {
  const char *name;
  bool required, secret;
  bool in_header; /* its value enters a header, so it is held to bytes 0x21-0x7E */
};

struct lha_pair_text {
  const char *name, *value;
};

struct lha_authorize {
  const char *path;
  struct lha_fields query;
  bool pkce;
};

struct lha_provider {
  struct ha_arena arena;
  bool ready; /* false until the whole declaration was good */
  const char *name;
  struct lha_pair_text *environments;
  int environment_count;
  struct lha_option *options;
  int option_count;
  struct lha_fields headers; /* on every request, also call */
  const char **origins;      /* further origins for call */
  int origin_count;
  const char *issuer;        /* NULL = unknown */
  bool issuer_required;
  bool scope_ignores_case;
  struct lha_authorize *authorize; /* NULL = none */
  struct lha_operation *operations[LHA_OPERATIONS];
  bool has_call;
  struct lha_rules expired; /* answers to call that mean: the token is refused */
  struct lha_rules errors;
};

void lha_provider_open(lua_State *L);

/* The provider at index, ready; raises a bad argument error otherwise. */
const struct lha_provider *lha_provider_check(lua_State *L, int index);

int lha_option_index(const struct lha_provider *p, const char *name, size_t len); /* -1 = none */

/* Whether one of the fields is $argument.NAME. */
bool lha_fields_take(const struct lha_fields *fields, const char *name);

/* Whether a header of that name is among them, in any case. */
bool lha_header_declared(const struct lha_fields *headers, const char *name);

/* core.provider(declaration) -> userdata; raises with the path of the wrong member. */
int lha_provider_function(lua_State *L);

#endif
