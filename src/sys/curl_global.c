/* SPDX-License-Identifier: MIT */
/* What the curl transport does to the whole process: libcurl's global state, the environment around it, SIGPIPE. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "curl_parts.h"

extern char **environ;

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static bool ready;

static char key_log_name[] = "SSLKEYLOGFILE=";
static char hidden[] = "HEALTHAUTH_HIDES_THIS=";

/* libcurl opens the file that SSLKEYLOGFILE names in curl_global_init and writes every session's keys to it. The entry's pointer is
 * exchanged for the time of the call: nothing to allocate, nothing that putting back could fail at. */
static CURLcode init_without_key_log(void) {
  enum { MOST = 8 };
  char *kept[MOST];
  size_t where[MOST], count = 0, i;
  bool all = true;
  CURLcode rc;
  for (i = 0; environ && environ[i]; i++) {
    if (strncmp(environ[i], key_log_name, sizeof key_log_name - 1) != 0) continue;
    if (count == MOST) {
      all = false; /* nobody has nine; better no transport than a leak */
      break;
    }
    where[count] = i;
    kept[count++] = environ[i];
    environ[i] = hidden;
  }
  rc = all ? curl_global_init(CURL_GLOBAL_DEFAULT) : CURLE_FAILED_INIT;
  for (i = 0; i < count; i++) environ[where[i]] = kept[i];
  return rc;
}

bool ha_curl_global(void) {
  bool done;
  if (pthread_mutex_lock(&guard) != 0) return false;
  if (!ready) ready = init_without_key_log() == CURLE_OK;
  done = ready;
  (void)pthread_mutex_unlock(&guard);
  return done;
}

static bool pipe_pending(void) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void ha_curl_signals_hold(struct ha_curl_signals *s) {
  sigset_t pipe_only;
  s->was_pending = pipe_pending();
  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  s->blocked = pthread_sigmask(SIG_BLOCK, &pipe_only, &s->before) == 0;
}

void ha_curl_signals_release(struct ha_curl_signals *s) {
  sigset_t pipe_only;
  const struct timespec now = {0, 0};
  if (!s->blocked) return;
  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  /* Ours is taken away; one that was there before stays for the program. */
  if (!s->was_pending && pipe_pending()) (void)sigtimedwait(&pipe_only, NULL, &now);
  (void)pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  s->blocked = false;
}
