/*
 * explore - the platform under which the real sources run one thread at a time
 *
 * Another build of core/platform.h (CTX__PLATFORM names this file): every macro is a
 * call of the explorer, which may first let other threads run. See search.h for what
 * is explored, and docs/explorer.md for how.
 *
 * The sources are compiled with the instrumentation of the thread sanitizer, but linked
 * with functions of memory.c in place of its runtime: so plain reads and writes are seen
 * as well, and the inline check of ctx.h, which uses the compiler's atomics.
 *
 * For 64-bit machines.
 */
#ifndef CTX_EXPLORE_H
#define CTX_EXPLORE_H

#define EXPLORE_TEXT_(x) #x
#define EXPLORE_TEXT(x) EXPLORE_TEXT_(x)
#define EXPLORE_HERE __FILE__ ":" EXPLORE_TEXT(__LINE__)

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "words and pointers go through 64 bits");

/* ---- atomics ---------------------------------------------------------- */

uint64_t explore_load(const volatile void *p, size_t size, const char *where);
void explore_store(volatile void *p, size_t size, uint64_t v, const char *where);
void explore_add(volatile void *p, size_t size, uint64_t v, const char *where);
uint64_t explore_sub(volatile void *p, size_t size, uint64_t v, const char *where);
uint64_t explore_exchange(volatile void *p, size_t size, uint64_t v, const char *where);
bool explore_cas(volatile void *p, size_t size, void *expected, uint64_t v, const char *where);

#define EXPLORE_AS(p, v) ((__typeof__(*(p)))(uintptr_t)(v))
#define EXPLORE_OF(v) ((uint64_t)(uintptr_t)(v))

#define CTX__LOAD(p) EXPLORE_AS(p, explore_load((p), sizeof *(p), EXPLORE_HERE))
#define CTX__LOAD_RELAXED(p) CTX__LOAD(p)
#define CTX__STORE(p, v) explore_store((p), sizeof *(p), EXPLORE_OF(v), EXPLORE_HERE)
/* No value: two of them commute, because nobody sees which came first. */
#define CTX__ADD(p, v) explore_add((p), sizeof *(p), EXPLORE_OF(v), EXPLORE_HERE)
#define CTX__ADD_RELEASE(p, v) CTX__ADD((p), (v))
/* The value of the next two may be left unused. */
#define EXPLORE_CHANGED(p, call) \
  __extension__({ \
    __typeof__(*(p)) explore_old = EXPLORE_AS(p, call); \
    explore_old; \
  })
#define CTX__SUB_RELEASE(p, v) \
  EXPLORE_CHANGED(p, explore_sub((p), sizeof *(p), EXPLORE_OF(v), EXPLORE_HERE))
#define CTX__EXCHANGE(p, v) \
  EXPLORE_CHANGED(p, explore_exchange((p), sizeof *(p), EXPLORE_OF(v), EXPLORE_HERE))
#define CTX__CAS(p, expected, v) \
  explore_cas((p), sizeof *(p), (expected), EXPLORE_OF(v), EXPLORE_HERE)

#define CTX__CAS_ACQUIRE(p, expected, v) CTX__CAS((p), (expected), (v))

/* ---- what belongs to a thread ------------------------------------------ */

struct ctx__self *explore_self(void);
size_t explore_shard(void);
void explore_foreign(const char *where);

#define CTX__SELF() explore_self()
#define CTX__SHARDS 3 /* the main thread and the next have their own */
#define CTX__SHARD() explore_shard()
#define CTX__SHARD_IS_OWN(i) ((i) < CTX__SHARDS - 1)
#define CTX__FOREIGN() explore_foreign(EXPLORE_HERE)

/* ---- locks and waiting -------------------------------------------------- */

typedef ctx__atomic ctx__lock; /* 0 free, else the number of the thread that holds it, and 1 */

void explore_lock(ctx__lock *l, const char *where);
void explore_unlock(ctx__lock *l, const char *where);
void explore_wait(const ctx__atomic *p, uint32_t seen, int64_t until_ns, const char *where);
void explore_wait_a_moment(const ctx__atomic *p, uint32_t seen, const char *where);
void explore_wake(const ctx__atomic *p, const char *where);

#define CTX__LOCK(l) explore_lock((l), EXPLORE_HERE)
#define CTX__UNLOCK(l) explore_unlock((l), EXPLORE_HERE)
#define CTX__WAIT(p, seen, until_ns) explore_wait((p), (seen), (until_ns), EXPLORE_HERE)
#define CTX__WAIT_A_MOMENT(p, seen) explore_wait_a_moment((p), (seen), EXPLORE_HERE)
#define CTX__WAKE(p) explore_wake((p), EXPLORE_HERE)
#define CTX__WAKE_ONE(p) CTX__WAKE(p)
#define CTX__SPINS 1
#define CTX__WAKE_FROM_SIGNAL(p) explore_wake((p), EXPLORE_HERE)

/* ---- threads and processes --------------------------------------------- */

typedef struct ctx__once {
  ctx__lock lock;
  bool done;
} ctx__once;
#define CTX__ONCE_INIT \
  { \
    0, false \
  }

typedef int ctx__thread;

void explore_once(ctx__once *o, void (*f)(void), const char *where);
int explore_start(ctx__thread *t, void *(*f)(void *), void *arg);
void explore_join(ctx__thread t, const char *where);

#define CTX__ONCE(o, f) explore_once((o), (f), EXPLORE_HERE)
#define CTX__THREAD_START(t, f, arg) explore_start((t), (f), (arg))
#define CTX__THREAD_JOIN(t) explore_join(*(t), EXPLORE_HERE)
#define CTX__PROCESS() ((uint32_t)1)
#define CTX__WATCH_FORKS() 0

/* ---- signals of the process: none here --------------------------------- */

#define CTX__SIGNALS_OPEN(f) ((void)(f), EAGAIN)
#define CTX__SIGNAL_CATCH(s) ((void)(s), EAGAIN)
#define CTX__SIGNAL_RESTORE(s) ((void)(s))
#define CTX__SIGNAL_CAN(s) ((void)(s), true)
#define CTX__SIGNAL_NAME(s) ((void)(s), (const char *)NULL)

/* ---- memory and time ---------------------------------------------------- */

void *explore_alloc(size_t size, const char *where);
void explore_free(void *block, const char *where);
int64_t explore_now(const char *where);

#define CTX__ALLOC(size) explore_alloc((size), EXPLORE_HERE)
#define CTX__FREE(block) explore_free((block), EXPLORE_HERE)
#define CTX__NOW() explore_now(EXPLORE_HERE)
#define CTX__NOW_COARSE() ((int64_t)0) /* for people; nothing depends on it */

/* ---- descriptors --------------------------------------------------------- */

typedef struct ctx__fd {
  int fd;
} ctx__fd;

#define CTX__FD_NONE \
  { \
    -1 \
  }

int explore_fd_open(ctx__fd *f);
void explore_fd_arm(const ctx__fd *f, int64_t ns, const char *where);
void explore_fd_close(ctx__fd *f, const char *where);

#define CTX__FD_OPEN(f) explore_fd_open(f)
#define CTX__FD_ARM(f, ns) explore_fd_arm((f), (ns), EXPLORE_HERE)
#define CTX__FD_RENEW(f) ((void)(f), 0)
#define CTX__FD_CLOSE(f) explore_fd_close((f), EXPLORE_HERE)
#define CTX__FD_TIMED 1

#endif
