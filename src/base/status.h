/* status.h - what a ring-0 or ring-1 function answers.
 * One small enum for the whole inside; src/bind turns it into a Lua error object, nobody else does. */
#ifndef HA_STATUS_H
#define HA_STATUS_H

enum ha_status {
  HA_OK = 0,
  HA_NOMEM,   /* an allocation failed; nothing was changed */
  HA_TOOBIG,  /* a named maximum would be passed; nothing was changed */
  HA_BAD,     /* the input breaks its grammar */
  HA_MORE     /* not wrong, only not complete yet: feed more bytes */
};

#if defined(__GNUC__)
#  define HA_MUST_USE __attribute__((warn_unused_result))
#else
#  define HA_MUST_USE
#endif

#endif
