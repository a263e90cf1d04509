/*
 * faulty - calls of the system that fail when a test says so
 *
 * The linker puts these functions in the place of those of the same names (--wrap), for what
 * the test itself calls, too. One function at a time fails: at its n-th call from fail() on,
 * once or ever after.
 *
 * Knows futex.h and the operating system.
 */
#ifndef CTX_FAULTY_H
#define CTX_FAULTY_H

#include "futex.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum fault {
  FAULT_NONE,
  FAULT_ATFORK,
  FAULT_ATTR,
  FAULT_STACK,
  FAULT_MASK,
  FAULT_THREAD,
  FAULT_MALLOC,
  FAULT_TIMER,
  FAULT_PIPE,
  FAULT_FCNTL,
  FAULT_DUP,
  FAULT_ACTION,
  FAULT_READ,
  FAULT_CLOSED, /* a read of what is no descriptor */
  FAULT_END,    /* a read that finds the end of the pipe */
  FAULT_SLEEP,
  FAULT_EPOLL,
  FAULT_WATCH, /* epoll_ctl finds no room, */
  FAULT_GONE,  /* or no open descriptor */
  FAULT_POLL,
  FAULT_LOOK, /* a poll for which there is no memory */
  FAULTS
};

/* What each says when it fails. */
static const int errors[FAULTS] = {
  [FAULT_ATFORK] = ENOMEM, [FAULT_ATTR] = ENOMEM,   [FAULT_STACK] = EINVAL,  [FAULT_MASK] = EINVAL,
  [FAULT_THREAD] = EAGAIN, [FAULT_MALLOC] = ENOMEM, [FAULT_TIMER] = EMFILE,  [FAULT_PIPE] = ENFILE,
  [FAULT_FCNTL] = EBADF,   [FAULT_DUP] = EBUSY,     [FAULT_ACTION] = EINVAL, [FAULT_READ] = EINTR,
  [FAULT_CLOSED] = EBADF,  [FAULT_SLEEP] = EINTR,   [FAULT_EPOLL] = EMFILE,  [FAULT_WATCH] = ENOSPC,
  [FAULT_GONE] = EBADF,    [FAULT_POLL] = EINTR,    [FAULT_LOOK] = ENOMEM};

static struct {
  enum fault what; /* atomic */
  int at, calls;   /* calls: atomic */
  bool forever;
} faulty;

static inline void fail(enum fault what, int at, bool forever)
{
  faulty.at = at;
  faulty.forever = forever;
  __atomic_store_n(&faulty.calls, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&faulty.what, what, __ATOMIC_RELEASE);
}

/* Ends the failing. True: it has come to it. */
static inline bool heal(void)
{
  __atomic_store_n(&faulty.what, FAULT_NONE, __ATOMIC_RELEASE);
  return __atomic_load_n(&faulty.calls, __ATOMIC_ACQUIRE) >= faulty.at;
}

/* Whether this call of 'what' is one that fails. */
static inline bool fails(enum fault what)
{
  if (__atomic_load_n(&faulty.what, __ATOMIC_ACQUIRE) != what) return false;
  int call = __atomic_add_fetch(&faulty.calls, 1, __ATOMIC_ACQ_REL);
  if (call != faulty.at && (call < faulty.at || !faulty.forever)) return false;
  errno = errors[what];
  return true;
}

/* For functions that answer the error, and those that answer -1. */
#define WRAP(what, name, parameters, arguments) \
  int __real_##name parameters; \
  int __wrap_##name parameters; \
  int __wrap_##name parameters \
  { \
    return fails(what) ? errors[what] : __real_##name arguments; \
  }
#define WRAP_ERRNO(what, type, name, parameters, arguments) \
  type __real_##name parameters; \
  type __wrap_##name parameters; \
  type __wrap_##name parameters \
  { \
    return fails(what) ? -1 : __real_##name arguments; \
  }

typedef void (*fork_handler)(void);
typedef void *(*thread_function)(void *);

WRAP(FAULT_ATFORK, pthread_atfork, (fork_handler a, fork_handler b, fork_handler c), (a, b, c))
WRAP(FAULT_ATTR, pthread_attr_init, (pthread_attr_t * attr), (attr))
WRAP(FAULT_STACK, pthread_attr_setstacksize, (pthread_attr_t * attr, size_t size), (attr, size))
WRAP(FAULT_MASK, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))
WRAP(FAULT_THREAD, pthread_create,
     (pthread_t * t, const pthread_attr_t *attr, thread_function f, void *arg), (t, attr, f, arg))
WRAP_ERRNO(FAULT_TIMER, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP_ERRNO(FAULT_EPOLL, int, epoll_create1, (int flags), (flags))
WRAP_ERRNO(FAULT_PIPE, int, pipe, (int ends[2]), (ends))
WRAP_ERRNO(FAULT_DUP, int, dup2, (int fd, int number), (fd, number))
WRAP_ERRNO(FAULT_ACTION, int, sigaction,
           (int signal, const struct sigaction *new, struct sigaction *old), (signal, new, old))

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
  return fails(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

/* What a compiler makes of a malloc whose block is then zeroed. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
  return fails(FAULT_MALLOC) ? NULL : __real_calloc(n, size);
}

ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
  if (fails(FAULT_END)) return 0;
  return fails(FAULT_READ) || fails(FAULT_CLOSED) ? -1 : __real_read(fd, bytes, size);
}

int __real_epoll_ctl(int epoll, int what, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *e)
{
  return fails(FAULT_WATCH) || fails(FAULT_GONE) ? -1 : __real_epoll_ctl(epoll, what, fd, e);
}

int __real_poll(struct pollfd *asked, nfds_t n, int limit_ms);
int __wrap_poll(struct pollfd *asked, nfds_t n, int limit_ms);
int __wrap_poll(struct pollfd *asked, nfds_t n, int limit_ms)
{
  return fails(FAULT_POLL) || fails(FAULT_LOOK) ? -1 : __real_poll(asked, n, limit_ms);
}

/* As the C library calls it where time_t has more bits than it once had. */
#if defined(__USE_TIME_BITS64) && __TIMESIZE == 32
#define __real_fcntl __real___fcntl_time64
#define __wrap_fcntl __wrap___fcntl_time64
#endif

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
  va_list rest;
  va_start(rest, command);
  long arg = va_arg(rest, long); /* or a pointer */
  va_end(rest);
  return fails(FAULT_FCNTL) ? -1 : __real_fcntl(fd, command, arg);
}

/* A futex: whoever would sleep is woken for nothing. To wake cannot fail. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (is_futex_sleep(number, a[1]) && fails(FAULT_SLEEP)) return -1;
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
