/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "sweep_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINKS = 32, ROOM = 16384 };

struct link {
  int fd;
  size_t used;
  char text[ROOM + 1]; /* what came and is not answered yet, with a NUL behind it */
};

static struct link links[LINKS];
static int listener;

struct answer {
  const char *when; /* words in the request */
  const char *text;
  int ends; /* the connection's end is the answer's */
};

#define JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static const struct answer HTTP[] = {
  {"/apiToken.action", JSON "Content-Length: 118\r\n\r\n{\"access_token\":\"new-access-1234567\",\"refresh_token\":\"new-refresh-1234567\",\"token_type\":\"Bearer\","
                            "\"expires_in\":600    }", 0},
  {"/chunked", JSON "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nX-Trailer: t\r\n\r\n", 0},
  {"/until-close", JSON "\r\n{\"a\":1}", 1},
  {"/cut", JSON "Content-Length: 100\r\n\r\n{\"a\":1}", 1},
  {"/garbage", "HTTP/1.1 two hundred\r\n\r\n", 1},
  {"/", JSON "X-One: 1\r\nX-Two: two\r\nContent-Length: 7\r\n\r\n{\"a\":1}", 0},
  {NULL, NULL, 0},
};

/* Which script it is, its keys tell. */
static const struct answer REDIS[] = {
  {"SCRIPT", "$40\r\n0123456789012345678901234567890123456789\r\n", 0},
  {"HMGET", "*2\r\n$18\r\n5-0123456789abcdef\r\n$10\r\nold-record\r\n", 0},
  {"record:refused", "-OOM command not allowed\r\n", 0},
  {"SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$12\r\np:record:key\r\n", 0},
  {"DEL", ":1\r\n", 0},
  {"p:record:", "$18\r\n6-0123456789abcdef\r\n", 0},
  {"p:counter", "$1\r\n7\r\n", 0},
  {"p:lease:", ":1\r\n", 0},
  {"*", "-ERR what?\r\n", 0},
  {NULL, NULL, 0},
};

static const struct answer *find(const struct answer *list, const char *text) {
  while (list->when && !strstr(text, list->when)) list++;
  return list->when ? list : NULL;
}

/* How many bytes of the text one whole HTTP request has; 0: not yet. */
static size_t http_whole(const struct link *l) {
  const char *end = strstr(l->text, "\r\n\r\n"), *length = strstr(l->text, "Content-Length: ");
  size_t size;
  if (!end) return 0;
  size = (size_t)(end - l->text) + 4;
  if (length && length < end) size += strtoul(length + 16, NULL, 10);
  return size <= l->used ? size : 0;
}

/* The same for a Redis command: *COUNT, then COUNT times $SIZE and a word. */
static size_t redis_whole(const struct link *l) {
  const char *p = l->text, *end = l->text + l->used;
  char *next;
  unsigned long count = strtoul(p + 1, &next, 10), i;
  p = next + 2;
  for (i = 0; i < count; i++) {
    if (p >= end || *p != '$') return 0;
    p = next = (char *)p + 1;
    p += strtoul(p, &next, 10) + (size_t)(next - p) + 4;
  }
  return p <= end ? (size_t)(p - l->text) : 0;
}

static void drop(struct link *l) {
  (void)close(l->fd);
  l->fd = -1;
}

static void serve(struct link *l) {
  ssize_t got = recv(l->fd, l->text + l->used, ROOM - l->used, 0);
  if (got <= 0) {
    drop(l);
    return;
  }
  l->used += (size_t)got;
  l->text[l->used] = '\0';
  while (l->used > 0) {
    int redis = l->text[0] == '*';
    size_t size = redis ? redis_whole(l) : http_whole(l);
    const struct answer *answer;
    char kept;
    if (size == 0) return;
    kept = l->text[size];
    l->text[size] = '\0';
    answer = find(redis ? REDIS : HTTP, l->text);
    if (!answer || send(l->fd, answer->text, strlen(answer->text), MSG_NOSIGNAL) < 0 || answer->ends) {
      drop(l);
      return;
    }
    l->text[size] = kept;
    memmove(l->text, l->text + size, l->used - size + 1);
    l->used -= size;
  }
}

static void take(int fd) {
  size_t i;
  for (i = 0; i < LINKS; i++) {
    if (links[i].fd >= 0) continue;
    links[i].fd = fd;
    links[i].used = 0;
    return;
  }
  (void)close(fd);
}

static void *run(void *nothing) {
  struct pollfd list[LINKS + 1];
  size_t which[LINKS + 1], count, i;
  (void)nothing;
  for (;;) {
    list[0].fd = listener;
    list[0].events = POLLIN;
    for (i = 0, count = 1; i < LINKS; i++) {
      if (links[i].fd < 0) continue;
      list[count].fd = links[i].fd;
      list[count].events = POLLIN;
      which[count++] = i;
    }
    if (poll(list, count, -1) < 0) continue;
    for (i = 1; i < count; i++)
      if (list[i].revents) serve(&links[which[i]]);
    if (list[0].revents) {
      int fd = accept(listener, NULL, NULL);
      if (fd >= 0) take(fd);
    }
  }
  return NULL;
}

int sweep_server_start(void) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  pthread_t thread;
  size_t i;
  for (i = 0; i < LINKS; i++) links[i].fd = -1;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listener, LINKS) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 || pthread_create(&thread, NULL, run, NULL) != 0)
    return 0;
  (void)pthread_detach(thread);
  return ntohs(address.sin_port);
}
