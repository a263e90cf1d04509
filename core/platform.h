/*
 * platform - every lock, wait, atomic, allocation, clock read, thread and
 * descriptor of the engine, as macros
 *
 * Nothing else in core/ calls pthreads, malloc, clock_gettime or opens a
 * descriptor, so that another build of this file (CTX__PLATFORM names it) can run
 * the real sources one thread at a time. Include it before any system header.
 *
 *   CTX__LOAD STORE CAS    acquire, release, both; on words and pointers
 *   CTX__EXCHANGE          both
 *   CTX__LOAD_RELAXED ADD  relaxed: for counts that publish nothing
 *   CTX__ADD_RELEASE       for a count that is waited for: releases
 *   CTX__SUB_RELEASE       for the last reference: releases, and acquires
 *   CTX__CAS_ACQUIRE       acquire
 *   CTX__LOCK UNLOCK       a lock of one word, 0 when free; sleeps in the kernel; see lock.h
 *   CTX__SPINS             how often a lock is tried before that
 *   CTX__WAIT WAKE         sleeps while a word has a value, up to an instant, or less;
 *                          wakes all who sleep on that word, whose memory may be gone
 *   CTX__WAIT_A_MOMENT     the same for about a millisecond at most; reads no clock
 *   CTX__WAKE_ONE          wakes one of them, or more
 *   CTX__WAKE_FROM_SIGNAL  the same in a signal handler; without Linux, a little later
 *   CTX__SELF              what belongs to this thread: a struct ctx__self
 *   CTX__SHARD             the part of a split count for this thread, below CTX__SHARDS;
 *   CTX__SHARD_IS_OWN      whether no other thread changes that part
 *   CTX__ONCE              runs a function once in the process
 *   CTX__THREAD_START      0, or the errno of the failure; the thread takes no signals
 *   CTX__THREAD_JOIN       waits for its end
 *   CTX__PROCESS           a number that is another one in a forked child
 *   CTX__WATCH_FORKS       makes that so; 0, or an errno
 *   CTX__SIGNALS_OPEN      starts, once, the thread that calls f(signal) for those caught; 0, or an errno
 *   CTX__SIGNAL_CATCH      puts a handler in place of the disposition; 0, or an errno
 *   CTX__SIGNAL_RESTORE    puts that back, unless somebody has put in another one
 *   CTX__SIGNAL_CAN        whether a signal can be caught, and handled later
 *   CTX__SIGNAL_NAME       "INT", or NULL
 *   CTX__NOW               monotonic nanoseconds
 *   CTX__NOW_COARSE        the same up to 10 ms ago, at a fraction of the price
 *   CTX__FD_OPEN CLOSE     0, or -1 with errno; a descriptor that is not readable yet
 *   CTX__FD_ARM            makes it readable from an instant on, and not before;
 *                          may be called in a signal handler
 *   CTX__FD_TIMED          whether such an instant may lie in the future
 *   CTX__FD_RENEW          in a forked child: the same number, no longer shared
 *
 * -DCTX__PORTABLE leaves out what only Linux has.
 *
 * Knows the operating system, and nothing of ours.
 */
#ifndef CTX_PLATFORM_H
#define CTX_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What belongs to one thread. */
struct ctx__self {
  void *calling;    /* the innermost call of foreign code on this thread; see engine.h */
  const char *site; /* of the next context that is tracked; see annex.h */
  unsigned shard;   /* which it counts in, and 1; 0: it has not asked yet */
  int locks_held;   /* counted with CTX_DEBUG only */
};

typedef uint32_t ctx__atomic;

/* A 32-bit machine may give a plain int64_t in a struct 4 bytes of alignment. It may then lie in
 * two cache lines, and is not read at once. */
typedef int64_t ctx__atomic64 __attribute__((aligned(8)));

#ifdef CTX__PLATFORM
#include CTX__PLATFORM
#else

#include <pthread.h>

/* ---- atomics ---------------------------------------------------------- */

#define CTX__LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define CTX__LOAD_RELAXED(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define CTX__STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define CTX__ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define CTX__ADD_RELEASE(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define CTX__SUB_RELEASE(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define CTX__EXCHANGE(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define CTX__CAS(p, expected, v) \
  __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

#define CTX__CAS_ACQUIRE(p, expected, v) \
  __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)

/* ---- what belongs to a thread ------------------------------------------ */

/* In a library that is loaded late, a thread-local variable costs a call; not so in the few
 * bytes that glibc sets aside for such libraries. */
#ifdef __GLIBC__
#define CTX__TLS _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define CTX__TLS _Thread_local
#endif

extern CTX__TLS struct ctx__self ctx__self;
#define CTX__SELF() (&ctx__self)

/* Which part of a split count to use. The first threads that ask have one each, for as long as the
 * process lives, and need no atomic addition there; the last is of all the others. */
#define CTX__SHARDS 16
#define CTX__SHARD_IS_OWN(i) ((i) < CTX__SHARDS - 1)
#define CTX__SHARD() ctx__shard()
size_t ctx__shard_new(void);

static inline size_t ctx__shard(void)
{
  size_t i = CTX__SELF()->shard;
  return i != 0 ? i - 1 : ctx__shard_new();
}

#ifdef CTX_DEBUG
/* How many locks this thread holds: none may be, where foreign code is called. */
#define CTX__HELD(n) (CTX__SELF()->locks_held += (n))
#define CTX__FOREIGN() \
  do { \
    if (CTX__SELF()->locks_held != 0) abort(); \
  } while (0)
#else
#define CTX__HELD(n) ((void)0)
#define CTX__FOREIGN() ((void)0)
#endif

/* ---- waiting, and the one-word lock ------------------------------------ */

void ctx__wait(const ctx__atomic *p, uint32_t seen, int64_t until_ns);
void ctx__wait_a_moment(const ctx__atomic *p, uint32_t seen);
void ctx__wake(const ctx__atomic *p, bool all);
void ctx__wake_from_signal(const ctx__atomic *p);

#define CTX__WAIT(p, seen, until_ns) ctx__wait((p), (seen), (until_ns))
#define CTX__WAIT_A_MOMENT(p, seen) ctx__wait_a_moment((p), (seen))
#define CTX__WAKE(p) ctx__wake((p), true)
#define CTX__WAKE_ONE(p) ctx__wake((p), false)
#define CTX__WAKE_FROM_SIGNAL(p) ctx__wake_from_signal(p)

typedef ctx__atomic ctx__lock;

#define CTX__SPINS 64

#define CTX__LOCK(l) \
  do { \
    ctx__lock_take(l); \
    CTX__HELD(1); \
  } while (0)
#define CTX__UNLOCK(l) \
  do { \
    CTX__HELD(-1); \
    ctx__lock_drop(l); \
  } while (0)

/* ---- threads and processes --------------------------------------------- */

typedef pthread_once_t ctx__once;
#define CTX__ONCE_INIT PTHREAD_ONCE_INIT
#define CTX__ONCE(o, f) pthread_once((o), (f))

typedef pthread_t ctx__thread;

int ctx__thread_start(ctx__thread *t, void *(*f)(void *), void *arg);

#define CTX__THREAD_START(t, f, arg) ctx__thread_start((t), (f), (arg))
#define CTX__THREAD_JOIN(t) pthread_join(*(t), NULL)

extern uint32_t ctx__process; /* changes in a child alone, while that has one thread */
int ctx__watch_forks(void);

#define CTX__PROCESS() CTX__LOAD_RELAXED(&ctx__process)
#define CTX__WATCH_FORKS() ctx__watch_forks()

/* ---- signals ------------------------------------------------------------ */

int ctx__signals_open(void (*received)(int signal));
int ctx__signal_catch(int signal);
void ctx__signal_restore(int signal);
bool ctx__signal_can(int signal);
const char *ctx__signal_name(int signal);

#define CTX__SIGNALS_OPEN(f) ctx__signals_open(f)
#define CTX__SIGNAL_CATCH(s) ctx__signal_catch(s)
#define CTX__SIGNAL_RESTORE(s) ctx__signal_restore(s)
#define CTX__SIGNAL_CAN(s) ctx__signal_can(s)
#define CTX__SIGNAL_NAME(s) ctx__signal_name(s)

/* ---- memory and time ---------------------------------------------------- */

#define CTX__ALLOC(size) malloc(size)
#define CTX__FREE(block) free(block)

int64_t ctx__now(void);
int64_t ctx__now_coarse(void);
#define CTX__NOW() ctx__now()
#define CTX__NOW_COARSE() ctx__now_coarse()

/* ---- a descriptor that an instant makes readable ------------------------ */

typedef struct ctx__fd {
  int fd;    /* the one to poll; -1: closed */
  int write; /* the other end of a pipe, or -1 */
} ctx__fd;

#define CTX__FD_NONE \
  { \
    -1, -1 \
  }

int ctx__fd_open(ctx__fd *f);
void ctx__fd_arm(const ctx__fd *f, int64_t ns); /* INT64_MAX: not readable */
int ctx__fd_renew(ctx__fd *f);
void ctx__fd_close(ctx__fd *f);

#define CTX__FD_OPEN(f) ctx__fd_open(f)
#define CTX__FD_ARM(f, ns) ctx__fd_arm((f), (ns))
#define CTX__FD_RENEW(f) ctx__fd_renew(f)
#define CTX__FD_CLOSE(f) ctx__fd_close(f)

#if defined(__linux__) && !defined(CTX__PORTABLE)
#define CTX__FD_TIMED 1
#else
#define CTX__FD_TIMED 0
#endif

#include "lock.h"

#endif
#endif
