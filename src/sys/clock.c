/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "clock.h"

#include <time.h>

static double read_clock(clockid_t id) {
  struct timespec t = {0, 0};
  if (clock_gettime(id, &t) != 0) return 0;
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double ha_clock_unix(void) { return read_clock(CLOCK_REALTIME); }

double ha_clock_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }

void ha_clock_sleep(double seconds) {
  struct timespec t;
  if (!(seconds > 0)) return;
  if (seconds > 3600) seconds = 3600;
  t.tv_sec = (time_t)seconds;
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  (void)nanosleep(&t, NULL);
}
