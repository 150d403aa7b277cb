/* SPDX-License-Identifier: MIT */
/* sweep_server - answers for the sweep's transports and stores: HTTP and Redis on one loopback port that the kernel picks, in a thread of its
 * own that allocates nothing. Every answer is fixed by the request. */
#ifndef SWEEP_SERVER_H
#define SWEEP_SERVER_H

/* Starts it; the port, or 0. It lives as long as the process. */
int sweep_server_start(void);

#endif
