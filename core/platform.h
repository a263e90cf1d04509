/*
 * platform - every lock, atomic, allocation, clock read, thread-local variable
 * and descriptor of the engine, as macros
 *
 * Nothing else in core/ calls pthreads, malloc, clock_gettime or opens a
 * descriptor, so that another build of this file can run the real sources one
 * thread at a time. Include it before any system header.
 *
 *   CTX__LOAD STORE CAS    acquire, release, both; on 32 and 64 bit words
 *   CTX__LOAD_RELAXED ADD  relaxed: for counts that publish nothing
 *   CTX__SUB_RELEASE       for the last reference: releases, and acquires
 *   CTX__LOCK UNLOCK       a lock of one word, 0 when free; sleeps in the kernel
 *   CTX__NOW               monotonic nanoseconds
 *   CTX__SLEEP_UNTIL       sleeps to a monotonic instant; false: a signal came
 *   CTX__FD_OPEN ARM CLOSE a descriptor that is readable from an instant on
 *
 * Knows the operating system, and nothing of ours.
 */
#ifndef CTX_PLATFORM_H
#define CTX_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif

/* ---- atomics ---------------------------------------------------------- */

typedef uint32_t ctx__atomic;

#define CTX__LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define CTX__LOAD_RELAXED(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define CTX__STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define CTX__ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define CTX__SUB_RELEASE(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define CTX__CAS(p, expected, v) \
  __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* ---- the one-word lock ------------------------------------------------ */

typedef uint32_t ctx__lock; /* 0 free, 1 held, 2 held and somebody sleeps */

#ifdef CTX_DEBUG
/* How many locks this thread holds: none may be, where foreign code is called. */
extern _Thread_local int ctx__locks_held;
#define CTX__HELD(n) (ctx__locks_held += (n))
#define CTX__FOREIGN() \
  do { \
    if (ctx__locks_held != 0) abort(); \
  } while (0)
#else
#define CTX__HELD(n) ((void)0)
#define CTX__FOREIGN() ((void)0)
#endif

static inline void ctx__lock_sleep(ctx__lock *l)
{
#ifdef __linux__
  syscall(SYS_futex, l, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
#else
  (void)l;
  sched_yield();
#endif
}

static inline void ctx__lock_wake(ctx__lock *l)
{
#ifdef __linux__
  syscall(SYS_futex, l, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#else
  (void)l;
#endif
}

/* The three-state mutex of Drepper, "Futexes are tricky" (2011), after a short spin. */
static inline void ctx__lock_slow(ctx__lock *l)
{
  for (int spin = 0; spin < 64; spin++) {
    uint32_t expected = 0;
    if (CTX__LOAD_RELAXED(l) == 0 && CTX__CAS(l, &expected, 1)) return;
  }
  while (__atomic_exchange_n(l, 2, __ATOMIC_ACQUIRE) != 0) ctx__lock_sleep(l);
}

static inline void ctx__lock_take(ctx__lock *l)
{
  uint32_t expected = 0;
  if (!__atomic_compare_exchange_n(l, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    ctx__lock_slow(l);
  CTX__HELD(1);
}

static inline void ctx__lock_drop(ctx__lock *l)
{
  CTX__HELD(-1);
  if (__atomic_exchange_n(l, 0, __ATOMIC_RELEASE) == 2) ctx__lock_wake(l);
}

#define CTX__LOCK(l) ctx__lock_take(l)
#define CTX__UNLOCK(l) ctx__lock_drop(l)

/* ---- threads ---------------------------------------------------------- */

#define CTX__TLS _Thread_local

typedef pthread_once_t ctx__once;
#define CTX__ONCE_INIT PTHREAD_ONCE_INIT
#define CTX__ONCE(o, f) pthread_once((o), (f))

/* A small number that differs between most threads: which part of a split count to use. */
extern _Thread_local char ctx__here;
#define CTX__SHARDS 8
#define CTX__SHARD() ((size_t)((uintptr_t)&ctx__here >> 12) % CTX__SHARDS)

/* ---- memory ----------------------------------------------------------- */

#define CTX__ALLOC(size) malloc(size)
#define CTX__FREE(block) free(block)

/* ---- time ------------------------------------------------------------- */

static inline int64_t ctx__now(void)
{
  struct timespec t;
  if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) abort();
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline struct timespec ctx__timespec(int64_t ns)
{
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  return t;
}

static inline bool ctx__sleep_until(int64_t ns)
{
#ifdef __linux__
  struct timespec t = ctx__timespec(ns);
  return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != EINTR;
#else
  int64_t left = ns - ctx__now();
  struct timespec t = ctx__timespec(left > 0 ? left : 0);
  return nanosleep(&t, NULL) == 0 || errno != EINTR;
#endif
}

#define CTX__NOW() ctx__now()
#define CTX__SLEEP_UNTIL(ns) ctx__sleep_until(ns)

/* ---- a descriptor that an instant makes readable ---------------------- */

#ifdef __linux__

#define CTX__FD_OPEN() timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)

/* Readable from 'ns' on, and not before; INT64_MAX: never. */
static inline void ctx__fd_arm(int fd, int64_t ns)
{
  struct itimerspec t = {{0, 0}, {0, 0}};
  if (ns != INT64_MAX) t.it_value = ctx__timespec(ns > 0 ? ns : 1);
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
}

#else

#define CTX__FD_OPEN() (errno = ENOTSUP, -1)
static inline void ctx__fd_arm(int fd, int64_t ns)
{
  (void)fd, (void)ns;
}

#endif

#define CTX__FD_ARM(fd, ns) ctx__fd_arm(fd, ns)
#define CTX__FD_CLOSE(fd) close(fd)

#endif
