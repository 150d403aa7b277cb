/* SPDX-License-Identifier: MIT */
/* The Redis connection when the system or the server fails it: a command that may have gone is LOST, one that cannot have is UNSENT, and
 * nothing waits beyond its deadline. The server is a listener of this program, which writes its reply when the command has been sent. */
#include "faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys/redis.h"

/* ---- stand-ins ---- */

enum { MOST = 8 };

/* What a call does instead of its work: errno, or 0 for what ANSWERS says. */
struct script { int numbers[MOST]; size_t used; };
enum { WORK = 0, ZERO = -1, ONE_BYTE = -2 };

static struct script sends, receives, polls;
static bool scripted;
static int server = -1;          /* the server's end */
static const char *reply;        /* written there once a whole command has been sent, */
static size_t reply_size, drip;  /* or that many bytes of it before each recv */
static int64_t ahead;            /* the clock goes on by so many ms with each poll that finds nothing */
static int socket_error;         /* what SO_ERROR says */
static bool no_context, no_format, no_getsockopt;
static struct timespec shift;

static int step(struct script *s) { return scripted && s->used < MOST ? s->numbers[s->used++] : WORK; }

static void speak(size_t n) {
  if (!reply || reply_size == 0) return;
  if (n > reply_size) n = reply_size;
  if (write(server, reply, n) != (ssize_t)n) abort();
  reply += n;
  reply_size -= n;
}

ssize_t send(int fd, const void *p, size_t n, int flags) {
  ssize_t (*next)(int, const void *, size_t, int), rc;
  int what = step(&sends);
  CHECK((flags & MSG_NOSIGNAL) != 0);
  if (what > 0) {
    errno = what;
    return -1;
  }
  if (what == ZERO) return 0;
  FAULTS_NEXT(next, "send");
  rc = next(fd, p, what == ONE_BYTE ? 1 : n, flags);
  if (rc == (ssize_t)n && !drip) speak(reply_size);
  return rc;
}

ssize_t recv(int fd, void *p, size_t n, int flags) {
  ssize_t (*next)(int, void *, size_t, int);
  int what = step(&receives);
  if (what > 0) {
    errno = what;
    return -1;
  }
  if (what == ZERO) return 0;
  if (drip) {
    speak(drip);
    shift.tv_sec++; /* a second a byte */
  }
  FAULTS_NEXT(next, "recv");
  return next(fd, p, n, flags);
}

int poll(struct pollfd *p, nfds_t n, int timeout) {
  int (*next)(struct pollfd *, nfds_t, int);
  int what = step(&polls);
  CHECK(timeout >= 0); /* never for ever */
  if (what > 0) {
    errno = what;
    return -1;
  }
  if (what == ZERO) {
    shift.tv_sec += ahead / 1000;
    return 0;
  }
  FAULTS_NEXT(next, "poll");
  return next(p, n, timeout);
}

int clock_gettime(clockid_t id, struct timespec *t) {
  int (*next)(clockid_t, struct timespec *), rc;
  FAULTS_NEXT(next, "clock_gettime");
  rc = next(id, t);
  t->tv_sec += shift.tv_sec;
  return rc;
}

int getsockopt(int fd, int level, int option, void *p, socklen_t *n) {
  int (*next)(int, int, int, void *, socklen_t *), rc;
  if (no_getsockopt) {
    errno = ENOBUFS;
    return -1;
  }
  FAULTS_NEXT(next, "getsockopt");
  rc = next(fd, level, option, p, n);
  if (option == SO_ERROR && socket_error) memcpy(p, &socket_error, sizeof socket_error);
  return rc;
}

redisContext *redisConnectNonBlock(const char *host, int port) {
  redisContext *(*next)(const char *, int);
  if (no_context) return NULL;
  FAULTS_NEXT(next, "redisConnectNonBlock");
  return next(host, port);
}

/* hiredis' own type of the answer differs between its versions; ours is what 0.14 and 1.x have on this side of the call. */
typedef __typeof__(redisFormatCommandArgv(NULL, 0, NULL, NULL)) formatted;
formatted redisFormatCommandArgv(char **out, int argc, const char **argv, const size_t *lengths) {
  formatted (*next)(char **, int, const char **, const size_t *);
  if (no_format) return -1;
  FAULTS_NEXT(next, "redisFormatCommandArgv");
  return next(out, argc, argv, lengths);
}

/* ---- a server on loopback ---- */

static int listener;
static int port;

static void start(void) {
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 4) == 0);
  CHECK_EQ_INT(getsockname(listener, (struct sockaddr *)&at, &size), 0);
  port = ntohs(at.sin_port);
}

static void reset(void) {
  memset(&sends, 0, sizeof sends);
  memset(&receives, 0, sizeof receives);
  memset(&polls, 0, sizeof polls);
  scripted = no_context = no_format = no_getsockopt = false;
  reply = NULL;
  reply_size = drip = 0;
  ahead = 0;
  socket_error = 0;
}

static void connect_to(struct ha_redis *r) {
  memset(r, 0, sizeof *r);
  CHECK_EQ_INT(ha_redis_connect(r, "127.0.0.1", port, 1000), HA_REDIS_OK);
  server = accept(listener, NULL, NULL);
  CHECK(server >= 0 && ha_redis_alive(r));
  CHECK((fcntl(r->context->fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void hang_up(struct ha_redis *r) {
  ha_redis_close(r);
  CHECK_EQ_INT(close(server), 0);
  server = -1;
}

static enum ha_redis_code ask(struct ha_redis *r) {
  const char *argv[] = {"GET", "key"};
  const size_t lengths[] = {3, 3};
  return ha_redis_command(r, 2, argv, lengths, 1000);
}

/* ---- cases ---- */

static const struct row {
  const char *name;
  struct script sends, receives, polls; /* the first poll looks whether the connection is alive */
  int64_t ahead;
  enum ha_redis_code want;
  const char *says;
} ROWS[] = {
  {"all well", {{WORK}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_OK, ""},
  {"sent byte by byte", {{ONE_BYTE, ONE_BYTE, ONE_BYTE}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_OK, ""},
  {"send interrupted", {{EINTR, EINTR}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_OK, ""},
  {"no room to send for a while", {{EAGAIN}, 0}, {{WORK}, 0}, {{WORK, EINTR, ZERO}, 0}, 0, HA_REDIS_OK, ""},
  {"no room to send in time", {{EAGAIN}, 0}, {{WORK}, 0}, {{WORK, ZERO}, 0}, 2000, HA_REDIS_UNSENT, "sending timed out"},
  {"part of it, then no room", {{ONE_BYTE, EAGAIN}, 0}, {{WORK}, 0}, {{WORK, ZERO}, 0}, 2000, HA_REDIS_UNSENT, "sending timed out"},
  {"no poll while sending", {{EAGAIN}, 0}, {{WORK}, 0}, {{WORK, ENOMEM}, 0}, 0, HA_REDIS_UNSENT, "memory"},
  {"send without effect", {{ZERO}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_UNSENT, "nothing sent"},
  {"pipe broken", {{EPIPE}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_UNSENT, "pipe"},
  {"reset in the middle of sending", {{ONE_BYTE, ECONNRESET}, 0}, {{WORK}, 0}, {{WORK}, 0}, 0, HA_REDIS_UNSENT, "reset"},
  {"recv interrupted", {{WORK}, 0}, {{EINTR, EINTR}, 0}, {{WORK}, 0}, 0, HA_REDIS_OK, ""},
  {"reply comes late", {{WORK}, 0}, {{EAGAIN}, 0}, {{WORK}, 0}, 0, HA_REDIS_OK, ""},
  {"no reply in time", {{WORK}, 0}, {{EAGAIN}, 0}, {{WORK, ZERO}, 0}, 2000, HA_REDIS_LOST, "no reply in time"},
  {"no poll while waiting", {{WORK}, 0}, {{EAGAIN}, 0}, {{WORK, ENOMEM}, 0}, 0, HA_REDIS_LOST, "memory"},
  {"reset before the reply", {{WORK}, 0}, {{ECONNRESET}, 0}, {{WORK}, 0}, 0, HA_REDIS_LOST, "reset"},
  {"closed before the reply", {{WORK}, 0}, {{ZERO}, 0}, {{WORK}, 0}, 0, HA_REDIS_LOST, "closed by the server"},
  {"no poll at all", {{WORK}, 0}, {{WORK}, 0}, {{ENOMEM}, 0}, 0, HA_REDIS_UNSENT, "not connected"},
};

static void system_calls(void) {
  size_t i;
  for (i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct ha_redis r;
    reset();
    CHECK_CASE(ROWS[i].name);
    connect_to(&r);
    sends = ROWS[i].sends;
    receives = ROWS[i].receives;
    polls = ROWS[i].polls;
    ahead = ROWS[i].ahead;
    reply = "+OK\r\n";
    reply_size = 5;
    scripted = true;
    CHECK_EQ_INT(ask(&r), ROWS[i].want);
    scripted = false;
    if (ROWS[i].want == HA_REDIS_OK) {
      CHECK(r.reply && r.reply->type == REDIS_REPLY_STATUS && strcmp(r.reply->str, "OK") == 0);
      CHECK(ha_redis_alive(&r));
    } else { /* it is over with this connection */
      CHECK(r.context == NULL && r.reply == NULL);
      CHECK(strcasestr(r.message, ROWS[i].says) != NULL);
      CHECK_EQ_INT(ask(&r), HA_REDIS_UNSENT);
      CHECK_EQ_STR(r.message, "not connected");
    }
    hang_up(&r);
  }
}

static void replies(void) {
  static const struct { const char *name, *text; enum ha_redis_code want; const char *says; } rows[] = {
    {"a string", "$3\r\nabc\r\n", HA_REDIS_OK, ""},
    {"an array of arrays", "*2\r\n*1\r\n$1\r\na\r\n:7\r\n", HA_REDIS_OK, ""},
    {"an error", "-ERR no\r\n", HA_REDIS_OK, ""},
    {"what is no reply", "HTTP/1.1 400 Bad Request\r\n", HA_REDIS_LOST, "not understood"},
    {"more elements than any reply of ours", "*65537\r\n", HA_REDIS_LOST, "not understood"},
    {"a count beyond memory", "*2147483647\r\n", HA_REDIS_LOST, "not understood"},
    {"an array within the bound", "*0\r\n", HA_REDIS_OK, ""},
  };
  struct ha_redis r;
  size_t i, size = (size_t)HA_REDIS_MAX_REPLY + 100;
  char *big = malloc(size + 1);
  if (!big) abort();
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_CASE(rows[i].name);
    reset();
    connect_to(&r);
    reply = rows[i].text;
    reply_size = strlen(reply);
    CHECK_EQ_INT(ask(&r), rows[i].want);
    CHECK((r.reply != NULL) == (rows[i].want == HA_REDIS_OK));
    if (rows[i].want != HA_REDIS_OK) CHECK(strstr(r.message, rows[i].says) != NULL);
    hang_up(&r);
  }
  CHECK_CASE("a byte a second");
  reset();
  connect_to(&r);
  reply = "$3\r\nabc\r\n";
  reply_size = 9;
  drip = 1;
  CHECK_EQ_INT(ask(&r), HA_REDIS_LOST);
  CHECK_EQ_STR(r.message, "no reply in time");
  hang_up(&r);

  CHECK_CASE("too large");
  reset();
  connect_to(&r);
  memset(big, 'x', size);
  (void)snprintf(big, 32, "$%d\r", HA_REDIS_MAX_REPLY * 2);
  big[strlen(big)] = '\n';
  reply = big;
  reply_size = size;
  drip = 16384;
  shift.tv_sec = -1000000; /* the clock is not what ends it */
  {
    const char *argv[] = {"GET", "key"};
    const size_t lengths[] = {3, 3};
    CHECK_EQ_INT(ha_redis_command(&r, 2, argv, lengths, 600000), HA_REDIS_LOST);
  }
  CHECK_EQ_STR(r.message, "reply too large");
  hang_up(&r);
  shift.tv_sec = 0;
  free(big);
}

/* A connection that must not be used again is seen before a command is written to it. */
static void connections(void) {
  struct ha_redis r;
  char path[200];
  CHECK_CASE("alive");
  reset();
  connect_to(&r);
  r.pid++; /* made by another process */
  CHECK(!ha_redis_alive(&r) && r.context == NULL);
  hang_up(&r);
  connect_to(&r);
  CHECK_EQ_INT(write(server, "+OK\r\n", 5), 5); /* what nobody asked for */
  CHECK_EQ_INT(ask(&r), HA_REDIS_UNSENT);
  CHECK_EQ_STR(r.message, "not connected");
  hang_up(&r);
  connect_to(&r);
  reply = "+OK\r\n$3\r\nold\r\n"; /* the same, behind a reply */
  reply_size = strlen(reply);
  CHECK_EQ_INT(ask(&r), HA_REDIS_OK);
  CHECK_EQ_INT(ask(&r), HA_REDIS_UNSENT);
  CHECK(r.context == NULL);
  hang_up(&r);
  connect_to(&r);
  no_format = true;
  CHECK_EQ_INT(ask(&r), HA_REDIS_UNSENT);
  CHECK_EQ_STR(r.message, "not enough memory");
  hang_up(&r);

  CHECK_CASE("closed standard streams");
  reset();
  {
    int kept = dup(STDIN_FILENO);
    CHECK(kept > STDERR_FILENO && close(STDIN_FILENO) == 0);
    connect_to(&r); /* which looks at FD_CLOEXEC, too */
    CHECK(r.context->fd > STDERR_FILENO);
    CHECK_EQ_INT(dup2(kept, STDIN_FILENO), STDIN_FILENO); /* where the server's end may be: it is closed by this */
    if (server == STDIN_FILENO) server = dup(STDIN_FILENO);
    CHECK_EQ_INT(close(kept), 0);
    hang_up(&r);
  }

  CHECK_CASE("a reply is wiped where hiredis read it");
  reset();
  connect_to(&r);
  reply = "$12\r\nrefresh-0123\r\n";
  reply_size = strlen(reply);
  CHECK_EQ_INT(ask(&r), HA_REDIS_OK);
  CHECK_EQ_STR(r.reply->str, "refresh-0123");
  CHECK(memchr(r.context->reader->buf, 'r', sdsalloc(r.context->reader->buf)) == NULL);
  reply = "+OK\r\n"; /* and it goes on from there */
  reply_size = strlen(reply);
  CHECK_EQ_INT(ask(&r), HA_REDIS_OK);
  CHECK_EQ_STR(r.reply->str, "OK");
  hang_up(&r);

  CHECK_CASE("connecting");
  reset();
  memset(&r, 0, sizeof r);
  no_context = true;
  CHECK_EQ_INT(ha_redis_connect(&r, "127.0.0.1", port, 100), HA_REDIS_UNSENT);
  CHECK_EQ_STR(r.message, "not enough memory");
  no_context = false;
  socket_error = ECONNREFUSED;
  CHECK_EQ_INT(ha_redis_connect(&r, "127.0.0.1", port, 100), HA_REDIS_UNSENT);
  CHECK(strcasestr(r.message, "refused") != NULL && r.context == NULL);
  socket_error = 0;
  no_getsockopt = true;
  CHECK_EQ_INT(ha_redis_connect(&r, "127.0.0.1", port, 100), HA_REDIS_UNSENT);
  CHECK(r.context == NULL && r.message[0] != '\0');
  no_getsockopt = false;
  polls.numbers[0] = ZERO;
  ahead = 2000;
  scripted = true;
  CHECK_EQ_INT(ha_redis_connect(&r, "127.0.0.1", port, 100), HA_REDIS_UNSENT);
  CHECK_EQ_STR(r.message, "connect timed out");
  reset();
  polls.numbers[0] = ENOMEM;
  scripted = true;
  CHECK_EQ_INT(ha_redis_connect(&r, "127.0.0.1", port, 100), HA_REDIS_UNSENT);
  CHECK(r.context == NULL && strcasestr(r.message, "memory") != NULL);
  reset();
  memset(path, 'p', sizeof path);
  path[sizeof path - 1] = '\0';
  CHECK_EQ_INT(ha_redis_connect_unix(&r, path, 100), HA_REDIS_UNSENT);
  CHECK_EQ_STR(r.message, "socket path too long");
  CHECK_EQ_INT(ha_redis_connect_unix(&r, "/nowhere/redis.sock", 100), HA_REDIS_UNSENT);
  CHECK(r.context == NULL && r.message[0] != '\0');
  ha_redis_close(&r);
}

int main(void) {
  start();
  system_calls();
  replies();
  connections();
  CHECK_EQ_INT(close(listener), 0);
  return check_done();
}
