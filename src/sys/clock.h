/* clock.h - the system's clocks. Nothing owned. */
#ifndef HA_CLOCK_H
#define HA_CLOCK_H

double ha_clock_unix(void);      /* seconds since 1970, with fraction */
double ha_clock_monotonic(void); /* seconds since some start, never back */

/* Stops the calling thread for some seconds; a signal may end it early. */
void ha_clock_sleep(double seconds);

#endif
