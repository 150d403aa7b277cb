/* SPDX-License-Identifier: MIT */
/* redis.h - one connection to a Redis server: a command goes, its reply comes, within a deadline.
 * hiredis writes and reads the protocol; the waiting is done here, because hiredis 0.14 has no whole deadline and dies of SIGPIPE.
 * Promises: an answer says whether the command may have been applied (LOST) or cannot have been (UNSENT); replies are bounded; the bytes sent
 * are wiped. A connection made before a fork is only closed after it. Owns the hiredis context and the last reply. No TLS. */
#ifndef HA_REDIS_H
#define HA_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HA_REDIS_MAX_REPLY = 4 * 1024 * 1024, HA_REDIS_MAX_ELEMENTS = 65536, HA_REDIS_MAX_ARGUMENTS = 16 };

enum ha_redis_code {
  HA_REDIS_OK = 0,
  HA_REDIS_UNSENT, /* the server has not got the whole command, so it has done nothing; the connection is closed */
  HA_REDIS_LOST    /* sent, but no whole reply; the connection is closed */
};

struct redisContext;
struct redisReply;

struct ha_redis {
  struct redisContext *context; /* NULL: not connected */
  struct redisReply *reply;
  pid_t pid;
  char message[128]; /* why the last call failed */
};

/* A zeroed struct is a closed one. close may be called at any time. */
enum ha_redis_code ha_redis_connect(struct ha_redis *r, const char *host, int port, int timeout_ms);
enum ha_redis_code ha_redis_connect_unix(struct ha_redis *r, const char *path, int timeout_ms);
void ha_redis_close(struct ha_redis *r);

/* Connected by this process, and the server has neither closed it nor sent what nobody asked for. */
bool ha_redis_alive(struct ha_redis *r);

/* The reply (an error reply too) is in r->reply until the next call. */
enum ha_redis_code ha_redis_command(struct ha_redis *r, int argc, const char **argv, const size_t *lengths, int timeout_ms);

/* Wipes and frees the reply. */
void ha_redis_wipe(struct ha_redis *r);

#endif
