/* SPDX-License-Identifier: MIT */
/* shim - LD_PRELOAD: lets the nth call of a system function fail, or end short, as a program under test asks for it. The program speaks
 * through getenv, which every runtime has without a module of its own; the answer is a text:
 *   faults:arm                                only counts
 *   faults:arm CALL AT COUNT HOW              calls number AT .. AT + COUNT - 1 fail (COUNT 0: all from AT on); HOW is an errno or EAI number,
 *                                             "short" (one byte), "eof" (nothing) or "no" (a function that answers true or false)
 *   faults:arm CALL AT COUNT short ERRNO      one short, then the rest of them fail
 *   faults:disarm                             "HITS CALL=TIMES ...": how many calls failed, how often each was called while armed
 *   faults:guard SECONDS WORDS                writes WORDS to FAULTS_FOLDER/now; the process ends when the next guard takes longer (0: none)
 *   faults:descriptors                        how many descriptors are open
 *   faults:reseed                             libcrypto draws entropy anew
 * Only the thread that loaded the shim is touched. Files under FAULTS_FOLDER that are opened by fopen go through the same read and write. */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS(_) \
  _(socket) _(connect) _(send) _(recv) _(getsockopt) _(setsockopt) _(getpeername) _(getsockname) _(socketpair) _(getaddrinfo) _(poll) \
  _(open) _(read) _(write) _(pread) _(pwrite) _(fsync) _(ftruncate) _(rename) _(unlink) _(fcntl) _(lock) _(unlock) _(close) _(stat) _(access) \
  _(fchmod) _(getcwd) _(mmap) _(getentropy) _(random)

#define NAME(call) CALL_##call,
enum call { CALLS(NAME) CALL_COUNT };
#define TEXT(call) #call,
static const char *const NAMES[] = {CALLS(TEXT)};

enum { FINE, SHORT = -1, END = -2, NO = -3 };
enum { ANSWER_MAX = 4096, DESCRIPTORS_MAX = 1024, WORD_MAX = 24 };

static pthread_t ours;
static const char *folder;
static int armed;
static struct {
  size_t seen[CALL_COUNT], hits;
  int call, how, then;
  size_t at, count;
} state;
static char answer[ANSWER_MAX], what[512];
static int now_file;

/* The next function of that name, found once. */
#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

/* 0, an errno, or SHORT, END, NO. */
static int fate(enum call call) {
  size_t past;
  if (!armed || !pthread_equal(ours, pthread_self())) return FINE;
  state.seen[call]++;
  if (state.call != (int)call || state.seen[call] < state.at) return FINE;
  past = state.seen[call] - state.at;
  if (state.count && past >= state.count) return FINE;
  state.hits++;
  if (state.how == SHORT && state.then && past > 0) return state.then;
  return state.how;
}

#define FAIL(how, value) do { if ((how) > 0) { errno = (how); return (value); } } while (0)

/* One byte instead of n. */
static size_t cut(int how, size_t n) { return how == SHORT && n > 1 ? 1 : n; }

/* ---- sockets ---- */

int socket(int domain, int type, int protocol) {
  REAL(socket);
  int how = fate(CALL_socket);
  FAIL(how, -1);
  return real(domain, type, protocol);
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  REAL(connect);
  int how = fate(CALL_connect);
  FAIL(how, -1);
  return real(fd, address, size);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG address, socklen_t size) {
  REAL(sendto);
  int how = fate(CALL_send);
  FAIL(how, -1);
  return real(fd, p, cut(how, n), flags, address, size);
}

ssize_t send(int fd, const void *p, size_t n, int flags) { return sendto(fd, p, n, flags, (const struct sockaddr *)NULL, 0); }

ssize_t recvfrom(int fd, void *p, size_t n, int flags, __SOCKADDR_ARG address, socklen_t *size) {
  REAL(recvfrom);
  int how = fate(CALL_recv);
  FAIL(how, -1);
  if (how == END) return 0;
  return real(fd, p, cut(how, n), flags, address, size);
}

ssize_t recv(int fd, void *p, size_t n, int flags) { return recvfrom(fd, p, n, flags, (struct sockaddr *)NULL, NULL); }
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags) { return recv(fd, p, n < room ? n : room, flags); }

int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
  REAL(getsockopt);
  int how = fate(CALL_getsockopt);
  FAIL(how, -1);
  return real(fd, level, name, value, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  REAL(setsockopt);
  int how = fate(CALL_setsockopt);
  FAIL(how, -1);
  return real(fd, level, name, value, size);
}

int getpeername(int fd, __SOCKADDR_ARG address, socklen_t *size) {
  REAL(getpeername);
  int how = fate(CALL_getpeername);
  FAIL(how, -1);
  return real(fd, address, size);
}

int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *size) {
  REAL(getsockname);
  int how = fate(CALL_getsockname);
  FAIL(how, -1);
  return real(fd, address, size);
}

int socketpair(int domain, int type, int protocol, int pair[2]) {
  REAL(socketpair);
  int how = fate(CALL_socketpair);
  FAIL(how, -1);
  return real(domain, type, protocol, pair);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  REAL(getaddrinfo);
  int how = fate(CALL_getaddrinfo);
  if (how > 0) return -how; /* an EAI number */
  return real(node, service, hints, found);
}

int poll(struct pollfd *list, nfds_t count, int timeout) {
  REAL(poll);
  int how = fate(CALL_poll);
  FAIL(how, -1);
  if (how == END) return 0; /* nothing happened, and no time passed */
  return real(list, count, timeout);
}
int __poll_chk(struct pollfd *list, nfds_t count, int timeout, size_t room);
int __poll_chk(struct pollfd *list, nfds_t count, int timeout, size_t room) {
  (void)room;
  return poll(list, count, timeout);
}

/* ---- files ---- */

static int open_any(const char *path, int flags, mode_t mode) {
  REAL(open64);
  bool entropy = strcmp(path, "/dev/random") == 0 || strcmp(path, "/dev/urandom") == 0; /* libcrypto's second choice */
  int how = fate(entropy ? CALL_getentropy : CALL_open);
  FAIL(how, -1);
  return real(path, flags, mode);
}

static mode_t mode_of(int flags, va_list more) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; \
    mode_t mode; \
    va_start(more, flags); \
    mode = mode_of(flags, more); \
    va_end(more); \
    return open_any(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

ssize_t read(int fd, void *p, size_t n) {
  REAL(read);
  int how = fate(CALL_read);
  FAIL(how, -1);
  if (how == END) return 0;
  return real(fd, p, cut(how, n));
}
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room) { return read(fd, p, n < room ? n : room); }

ssize_t write(int fd, const void *p, size_t n) {
  REAL(write);
  int how = fate(CALL_write);
  FAIL(how, -1);
  return real(fd, p, cut(how, n));
}

ssize_t pread64(int fd, void *p, size_t n, off64_t at) {
  REAL(pread64);
  int how = fate(CALL_pread);
  FAIL(how, -1);
  if (how == END) return 0;
  return real(fd, p, cut(how, n), at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
  REAL(pwrite64);
  int how = fate(CALL_pwrite);
  FAIL(how, -1);
  return real(fd, p, cut(how, n), at);
}

static int sync_any(int (*real)(int), int fd) {
  int how = fate(CALL_fsync);
  FAIL(how, -1);
  return real(fd);
}
int fsync(int fd) {
  REAL(fsync);
  return sync_any(real, fd);
}
int fdatasync(int fd) {
  REAL(fdatasync);
  return sync_any(real, fd);
}

int ftruncate64(int fd, off64_t size) {
  REAL(ftruncate64);
  int how = fate(CALL_ftruncate);
  FAIL(how, -1);
  return real(fd, size);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  int how = fate(CALL_rename);
  FAIL(how, -1);
  return real(from, to);
}

int unlink(const char *path) {
  REAL(unlink);
  int how = fate(CALL_unlink);
  FAIL(how, -1);
  return real(path);
}

int remove(const char *path) { return unlink(path); } /* no folder is removed by it here */

static int control(int fd, int command, void *argument) {
  REAL(fcntl64);
  bool lock = command == F_SETLK || command == F_SETLKW, gives_back = lock && ((const struct flock *)argument)->l_type == F_UNLCK;
  int how = fate(gives_back ? CALL_unlock : lock ? CALL_lock : CALL_fcntl);
  FAIL(how, -1);
  return real(fd, command, argument);
}

#define FCNTL(name) \
  int name(int fd, int command, ...) { \
    va_list more; \
    void *argument; \
    va_start(more, command); \
    argument = va_arg(more, void *); \
    va_end(more); \
    return control(fd, command, argument); \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

/* It is closed all the same, as Linux does. */
int close(int fd) {
  REAL(close);
  int how = fate(CALL_close), rc = real(fd);
  FAIL(how, -1);
  return rc;
}

int stat64(const char *path, struct stat64 *out) {
  REAL(stat64);
  int how = fate(CALL_stat);
  FAIL(how, -1);
  return real(path, out);
}
int lstat64(const char *path, struct stat64 *out) {
  REAL(lstat64);
  int how = fate(CALL_stat);
  FAIL(how, -1);
  return real(path, out);
}
int fstat64(int fd, struct stat64 *out) {
  REAL(fstat64);
  int how = fate(CALL_stat);
  FAIL(how, -1);
  return real(fd, out);
}
/* On this machine the two structures are one. */
int stat(const char *path, struct stat *out) { return stat64(path, (struct stat64 *)out); }
int lstat(const char *path, struct stat *out) { return lstat64(path, (struct stat64 *)out); }
int fstat(int fd, struct stat *out) { return fstat64(fd, (struct stat64 *)out); }

int access(const char *path, int mode) {
  REAL(access);
  int how = fate(CALL_access);
  FAIL(how, -1);
  return real(path, mode);
}

int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  int how = fate(CALL_fchmod);
  FAIL(how, -1);
  return real(fd, mode);
}

char *getcwd(char *out, size_t size) {
  REAL(getcwd);
  int how = fate(CALL_getcwd);
  FAIL(how, NULL);
  return real(out, size);
}

void *mmap64(void *where, size_t size, int protection, int flags, int fd, off64_t at) {
  REAL(mmap64);
  int how = fd >= 0 ? fate(CALL_mmap) : FINE; /* a file's; the runtimes' own memory is another test's */
  FAIL(how, MAP_FAILED);
  return real(where, size, protection, flags, fd, at);
}

/* ---- stdio, whose own calls no preloaded function sees ---- */

static ssize_t cookie_read(void *cookie, char *p, size_t n) { return read((int)(intptr_t)cookie, p, n); }
static int cookie_close(void *cookie) { return close((int)(intptr_t)cookie); }
static ssize_t cookie_write(void *cookie, const char *p, size_t n) {
  size_t done = 0; /* stdio takes a short write for an error; the kernel's word is that one goes on */
  while (done < n) {
    ssize_t wrote = write((int)(intptr_t)cookie, p + done, n - done);
    if (wrote <= 0) return done > 0 ? (ssize_t)done : 0;
    done += (size_t)wrote;
  }
  return (ssize_t)done;
}
static int cookie_seek(void *cookie, off64_t *at, int from) {
  off64_t now = lseek64((int)(intptr_t)cookie, *at, from);
  if (now < 0) return -1;
  *at = now;
  return 0;
}

static FILE *fopen_any(const char *path, const char *mode) {
  static const cookie_io_functions_t functions = {cookie_read, cookie_write, cookie_seek, cookie_close};
  int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | (mode[0] == 'a' ? O_APPEND : O_TRUNC), fd;
  FILE *file;
  if (strchr(mode, '+')) flags = (flags & ~(O_RDONLY | O_WRONLY)) | O_RDWR;
  fd = open_any(path, flags | O_CLOEXEC, 0666);
  if (fd < 0) return NULL;
  file = fopencookie((void *)(intptr_t)fd, mode, functions);
  if (!file) (void)close(fd);
  return file;
}

static FILE *fopen_either(FILE *(*real)(const char *, const char *), const char *path, const char *mode) {
  if (folder && strncmp(path, folder, strlen(folder)) == 0) return fopen_any(path, mode);
  return real(path, mode);
}
FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  return fopen_either(real, path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
  REAL(fopen64);
  return fopen_either(real, path, mode);
}

/* ---- randomness ---- */

int getentropy(void *p, size_t n) {
  REAL(getentropy);
  int how = fate(CALL_getentropy);
  FAIL(how, -1);
  return real(p, n);
}

long syscall(long number, ...) {
  REAL(syscall);
  va_list more;
  long a[6];
  int i, how = number == SYS_getrandom ? fate(CALL_getentropy) : FINE;
  FAIL(how, -1);
  va_start(more, number);
  for (i = 0; i < 6; i++) a[i] = va_arg(more, long);
  va_end(more);
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The library came with a module, where RTLD_NEXT does not look. */
static void *of_libcrypto(const char *name) {
  static void *library;
  if (!library) library = dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_NOLOAD);
  return library ? dlsym(library, name) : NULL;
}

/* libcrypto's: our one source of random bytes. */
int RAND_bytes(unsigned char *out, int n);
int RAND_bytes(unsigned char *out, int n) {
  static int (*real)(unsigned char *, int);
  if (!real) *(void **)&real = of_libcrypto("RAND_bytes");
  if (fate(CALL_random) != FINE || !real) return 0;
  return real(out, n);
}

static const char *reseed(void) {
  int (*poll_entropy)(void);
  *(void **)&poll_entropy = of_libcrypto("RAND_poll");
  return poll_entropy && poll_entropy() == 1 ? "yes" : "no";
}

/* ---- what the program says ---- */

static int how_of(const char *word) {
  if (strcmp(word, "short") == 0) return SHORT;
  if (strcmp(word, "eof") == 0) return END;
  if (strcmp(word, "no") == 0) return NO;
  return (int)strtol(word, NULL, 10);
}

/* The next word into out, which has room for WORD_MAX bytes; where it ends. */
static const char *next_word(const char *p, char *out) {
  size_t n;
  p += strspn(p, " ");
  n = strcspn(p, " ");
  (void)snprintf(out, WORD_MAX, "%.*s", (int)n, p);
  return p + n;
}

static const char *arm(const char *words) {
  char word[5][WORD_MAX];
  int i;
  memset(&state, 0, sizeof state);
  state.call = -1;
  for (i = 0; i < 5; i++) words = next_word(words, word[i]);
  for (i = 0; i < CALL_COUNT; i++)
    if (strcmp(NAMES[i], word[0]) == 0) state.call = i;
  if (word[0][0] && state.call < 0) return "no such call";
  state.at = strtoul(word[1], NULL, 10);
  state.count = strtoul(word[2], NULL, 10);
  state.how = how_of(word[3]);
  state.then = how_of(word[4]);
  armed = 1;
  return "armed";
}

static const char *disarm(void) {
  size_t used;
  int i;
  armed = 0;
  used = (size_t)snprintf(answer, sizeof answer, "%zu", state.hits);
  for (i = 0; i < CALL_COUNT; i++)
    if (state.seen[i]) used += (size_t)snprintf(answer + used, sizeof answer - used, " %s=%zu", NAMES[i], state.seen[i]);
  return answer;
}

static const char *guard(const char *words) {
  char *end;
  unsigned long seconds = strtoul(words, &end, 10);
  memset(what, 0, sizeof what);
  (void)snprintf(what, sizeof what, "%s\n", end);
  (void)syscall(SYS_pwrite64, now_file, what, sizeof what, 0L);
  (void)alarm((unsigned int)seconds); /* SIGALRM ends a process that does not ask for it */
  return "guarded";
}

static const char *descriptors(void) {
  int fd, count = 0;
  for (fd = 0; fd < DESCRIPTORS_MAX; fd++) count += syscall(SYS_fcntl, fd, F_GETFD) >= 0;
  (void)snprintf(answer, sizeof answer, "%d", count);
  return answer;
}

/* The text goes back as an environment's would: not to be written to, though nothing says so. */
static char *door(const char *words) {
  const char *text = "what?";
  if (strncmp(words, "arm", 3) == 0) text = arm(words + 3);
  else if (strcmp(words, "disarm") == 0) text = disarm();
  else if (strncmp(words, "guard", 5) == 0) text = guard(words + 5);
  else if (strcmp(words, "descriptors") == 0) text = descriptors();
  else if (strcmp(words, "reseed") == 0) text = reseed();
  return (char *)(intptr_t)text;
}

char *getenv(const char *name) {
  REAL(getenv);
  return strncmp(name, "faults:", 7) == 0 ? door(name + 7) : real(name);
}

__attribute__((constructor)) static void begin(void) {
  char path[512];
  ours = pthread_self();
  folder = getenv("FAULTS_FOLDER");
  (void)unsetenv("LD_PRELOAD"); /* not for the programs that this one starts */
  (void)snprintf(path, sizeof path, "%s/now", folder ? folder : "");
  now_file = (int)syscall(SYS_open, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}
