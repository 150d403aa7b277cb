/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700

#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

static int64_t now_ms(void) {
  struct timespec t;
  if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) return 0;
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wipe_reply(const struct redisReply *reply) {
  size_t i;
  if (!reply) return;
  if (reply->str) ha_wipe(reply->str, reply->len);
  if (reply->type != REDIS_REPLY_ARRAY) return;
  for (i = 0; i < reply->elements; i++) wipe_reply(reply->element[i]);
}

void ha_redis_wipe(struct ha_redis *r) {
  wipe_reply(r->reply);
  if (r->reply) freeReplyObject(r->reply);
  r->reply = NULL;
}

/* The whole block: behind the bytes that are still to be read stand those of replies before. */
static void wipe_reader(redisReader *reader) {
  if (reader && reader->buf) ha_wipe(reader->buf, sdsalloc(reader->buf));
}

void ha_redis_close(struct ha_redis *r) {
  ha_redis_wipe(r);
  if (r->context) {
    wipe_reader(r->context->reader);
    redisFree(r->context); /* closes the descriptor and sends nothing, so it is harmless after a fork */
  }
  r->context = NULL;
}

static enum ha_redis_code lose(struct ha_redis *r, enum ha_redis_code code, const char *why) {
  (void)snprintf(r->message, sizeof r->message, "%s", why);
  ha_redis_close(r);
  return code;
}

/* 1 ready, 0 deadline passed, -1 errno. */
static int wait_for(int fd, short events, int64_t deadline) {
  for (;;) {
    struct pollfd p = { fd, events, 0 };
    int64_t left = deadline - now_ms();
    int n = poll(&p, 1, left > 0 ? (int)left : 0);
    if (n > 0) return 1;
    if (n < 0 && errno != EINTR) return -1;
    if (n == 0 && now_ms() >= deadline) return 0;
  }
}

/* --- a bound on arrays: hiredis 0.14 believes whatever count the server names --- */

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

static redisReplyObjectFunctions bounded;
static void *(*create_array)(const redisReadTask *, array_count);

static void *create_bounded_array(const redisReadTask *task, array_count count) {
  if (count > HA_REDIS_MAX_ELEMENTS) return NULL; /* hiredis reports it as out of memory */
  return create_array(task, count);
}

static void bound_arrays(redisReader *reader) {
  if (!create_array) {
    bounded = *reader->fn;
    create_array = bounded.createArray;
    bounded.createArray = create_bounded_array;
  }
  reader->fn = &bounded;
}

/* --- connecting --- */

static enum ha_redis_code connected(struct ha_redis *r, int timeout_ms) {
  int64_t deadline = now_ms() + timeout_ms;
  int number = 0, ready, flags;
  socklen_t size = sizeof number;
  if (!r->context) return lose(r, HA_REDIS_UNSENT, "not enough memory");
  if (r->context->err) {
    char why[sizeof r->message];
    (void)snprintf(why, sizeof why, "%s", r->context->errstr);
    return lose(r, HA_REDIS_UNSENT, why);
  }
  if (r->context->fd <= STDERR_FILENO) { /* a program that has closed its standard streams would print into the connection */
    int higher = fcntl(r->context->fd, F_DUPFD, STDERR_FILENO + 1);
    if (higher < 0) return lose(r, HA_REDIS_UNSENT, strerror(errno));
    (void)close(r->context->fd);
    r->context->fd = higher;
  }
  flags = fcntl(r->context->fd, F_GETFD);
  if (flags >= 0) (void)fcntl(r->context->fd, F_SETFD, flags | FD_CLOEXEC);
  ready = wait_for(r->context->fd, POLLOUT, deadline);
  if (ready == 0) return lose(r, HA_REDIS_UNSENT, "connect timed out");
  if (ready < 0 || getsockopt(r->context->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
  if (number) return lose(r, HA_REDIS_UNSENT, strerror(number));
  bound_arrays(r->context->reader);
  r->pid = getpid();
  return HA_REDIS_OK;
}

enum ha_redis_code ha_redis_connect(struct ha_redis *r, const char *host, int port, int timeout_ms) {
  ha_redis_close(r);
  r->context = redisConnectNonBlock(host, port);
  return connected(r, timeout_ms);
}

enum ha_redis_code ha_redis_connect_unix(struct ha_redis *r, const char *path, int timeout_ms) {
  struct sockaddr_un address;
  ha_redis_close(r);
  if (strlen(path) >= sizeof address.sun_path) return lose(r, HA_REDIS_UNSENT, "socket path too long"); /* hiredis would cut it */
  r->context = redisConnectUnixNonBlock(path);
  return connected(r, timeout_ms);
}

bool ha_redis_alive(struct ha_redis *r) {
  struct pollfd p;
  if (!r->context) return false;
  p.fd = r->context->fd;
  p.events = POLLIN;
  p.revents = 0;
  /* what came with the reply before and belongs to none would be taken for the next one */
  if (r->pid == getpid() && r->context->reader->len == r->context->reader->pos && poll(&p, 1, 0) == 0) return true;
  ha_redis_close(r);
  return false;
}

/* --- a command --- */

static enum ha_redis_code send_all(struct ha_redis *r, const char *p, size_t n, int64_t deadline) {
  while (n > 0) {
    ssize_t sent = send(r->context->fd, p, n, MSG_NOSIGNAL);
    if (sent > 0) {
      p += sent;
      n -= (size_t)sent;
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      int ready = wait_for(r->context->fd, POLLOUT, deadline);
      if (ready <= 0) return lose(r, HA_REDIS_UNSENT, ready == 0 ? "sending timed out" : strerror(errno));
    } else if (sent == 0 || errno != EINTR) {
      return lose(r, HA_REDIS_UNSENT, sent == 0 ? "nothing sent" : strerror(errno));
    }
  }
  return HA_REDIS_OK;
}

static enum ha_redis_code receive_reply(struct ha_redis *r, int64_t deadline) {
  char block[16384];
  size_t total = 0;
  void *reply = NULL;
  enum ha_redis_code code = HA_REDIS_OK;
  while (code == HA_REDIS_OK && !reply) {
    ssize_t got = recv(r->context->fd, block, sizeof block, 0);
    if (got > 0) {
      total += (size_t)got;
      if (total > HA_REDIS_MAX_REPLY) code = lose(r, HA_REDIS_LOST, "reply too large");
      else if (redisReaderFeed(r->context->reader, block, (size_t)got) != REDIS_OK ||
               redisReaderGetReply(r->context->reader, &reply) != REDIS_OK) code = lose(r, HA_REDIS_LOST, "reply not understood");
    } else if (got == 0) {
      code = lose(r, HA_REDIS_LOST, "connection closed by the server");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      int ready = wait_for(r->context->fd, POLLIN, deadline);
      if (ready <= 0) code = lose(r, HA_REDIS_LOST, ready == 0 ? "no reply in time" : strerror(errno));
    } else if (errno != EINTR) {
      code = lose(r, HA_REDIS_LOST, strerror(errno));
    }
    if (code == HA_REDIS_OK && !reply && now_ms() >= deadline) code = lose(r, HA_REDIS_LOST, "no reply in time"); /* a server that drips */
  }
  ha_wipe(block, sizeof block);
  if (code != HA_REDIS_OK) return code;
  r->reply = reply;
  if (r->context->reader->len == r->context->reader->pos) wipe_reader(r->context->reader);
  return code;
}

enum ha_redis_code ha_redis_command(struct ha_redis *r, int argc, const char **argv, const size_t *lengths, int timeout_ms) {
  int64_t deadline = now_ms() + timeout_ms;
  enum ha_redis_code code;
  char *text = NULL;
  int length;
  ha_redis_wipe(r);
  if (!ha_redis_alive(r)) return lose(r, HA_REDIS_UNSENT, "not connected");
  length = redisFormatCommandArgv(&text, argc, argv, lengths);
  if (length < 0) return lose(r, HA_REDIS_UNSENT, "not enough memory");
  code = send_all(r, text, (size_t)length, deadline);
  ha_wipe(text, (size_t)length);
  redisFreeCommand(text);
  return code == HA_REDIS_OK ? receive_reply(r, deadline) : code;
}
