/*
 * system - what a test sees of its own process: time, threads, descriptors, children
 *
 * Times here are real. A test never sleeps and hopes: it waits for what must come, and
 * fails when that has not come after a time far beyond all reason.
 *
 *   EVENTUALLY(ran == 3);
 *
 * Knows ctx.h and check.h.
 */
#ifndef CTX_SYSTEM_H
#define CTX_SYSTEM_H

#include "ctx.h"

#include "check.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- time --------------------------------------------------------------- */

enum { PATIENCE_S = 30 };

static inline int64_t real_now(void)
{
  struct timespec t;
  if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) abort();
  return CTX_SECONDS((int64_t)t.tv_sec) + t.tv_nsec;
}

/* Looks at 'cond' again and again, until it holds. */
#define EVENTUALLY(cond) \
  do { \
    int64_t give_up_ns = real_now() + CTX_SECONDS(PATIENCE_S); \
    while (!(cond) && real_now() < give_up_ns) sched_yield(); \
    CHECK(cond); \
  } while (0)

/* What other threads write. */
#define READ(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define WRITE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* ---- threads ------------------------------------------------------------ */

/* Starts a thread whose stack is of 'stack' bytes, or as usual where that is 0. */
static inline pthread_t start_sized(void *(*f)(void *), void *arg, size_t stack)
{
  pthread_attr_t attr;
  pthread_t thread;
  pthread_attr_init(&attr);
  if (stack != 0) pthread_attr_setstacksize(&attr, stack);
  if (pthread_create(&thread, &attr, f, arg) != 0) abort();
  pthread_attr_destroy(&attr);
  return thread;
}

static inline pthread_t start(void *(*f)(void *), void *arg)
{
  return start_sized(f, arg, 0);
}

static inline void join(pthread_t thread)
{
  if (pthread_join(thread, NULL) != 0) abort();
}

/* Entries of a folder, or -1. */
static inline int entries(const char *path)
{
  DIR *dir = opendir(path);
  if (dir == NULL) return -1;
  int n = 0;
  for (const struct dirent *d; (d = readdir(dir)) != NULL;) n += d->d_name[0] != '.';
  closedir(dir);
  return n;
}

/* True where the system does not show a process its threads and descriptors, which is told: then
 * the tests of 'subject' are left out. */
static inline bool no_proc(const char *subject)
{
  bool none = access("/proc/self/task", F_OK) != 0 || access("/proc/self/fd", F_OK) != 0;
  if (none) printf("skip - %s: there is no /proc here to count threads and descriptors\n", subject);
  return none;
}

/* How many threads the process has; one that was joined may be seen a little longer. */
static inline int threads(void)
{
  return entries("/proc/self/task");
}

static inline void *tell_name(void *name)
{
#ifdef SYS_gettid
  snprintf(name, 64, "/proc/self/task/%ld", (long)syscall(SYS_gettid));
#endif
  return NULL;
}

/* Starts the first thread, because a sanitizer then starts one of its own, and waits till
 * nothing is seen of it. */
static inline int threads_after_one(void)
{
  char name[64] = "";
  join(start(tell_name, name));
  EVENTUALLY(access(name, F_OK) != 0);
  return threads();
}

/* As many as at the first call, which is made before any is started: waits until it is so. */
static inline int threads_at_rest(void)
{
  static int at_rest;
  if (at_rest == 0) at_rest = threads_after_one();
  EVENTUALLY(threads() == at_rest);
  return at_rest;
}

/* ---- descriptors -------------------------------------------------------- */

static inline int descriptors(void)
{
  return entries("/proc/self/fd");
}

static inline bool readable(int fd)
{
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, 0) == 1;
}

/* Waits till 'fd' is readable, or for very long. */
static inline bool wait_readable(int fd)
{
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, PATIENCE_S * 1000) == 1;
}

/* ---- children ----------------------------------------------------------- */

/* States that the child 'pid' ends by itself, with status 0. */
static inline void ends_well(pid_t pid)
{
  int status = -1;
  pid_t ended = 0;
  CHECK(pid > 0);
  EVENTUALLY((ended = ended != 0 ? ended : waitpid(pid, &status, WNOHANG)) != 0);
  CHECK_INT(ended, pid);
  CHECK_INT(status, 0);
}

#endif
