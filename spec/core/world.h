/*
 * world - an engine whose clock, memory and chance are the test's own
 *
 * A world counts the blocks that its engine holds, and refuses them when it is
 * told to; the clock of a host engine stands until the test sets it. A test opens
 * a world, works in it and closes it, which states that nothing is left.
 *
 *   struct world w;
 *   ctx_context *a = ctx_with_timeout(host(&w), 50);
 *   w.now_ns = 50;
 *   CHECK(ctx_done(a));
 *   ctx_release(a);
 *   world_close(&w);
 *
 * Knows ctx.h and check.h.
 */
#ifndef CTX_WORLD_H
#define CTX_WORLD_H

#include "ctx.h"

#include "check.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* When time begins; who wants another instant defines it before including this. */
#ifndef START
#define START 0
#endif

/* Whether a sanitizer watches: it makes frames larger and everything slower. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
  __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Defined where all is slower than usual, so that less of it has to do. -DSLOW=n is for where threads
 * start slowly, too: of the rounds that start one, the n-th part. */
#if defined(SANITIZED) && !defined(SLOW)
#define SLOW 10
#elif defined(COVERED) && !defined(SLOW)
#define SLOW 1
#endif

struct world {
  ctx_engine *engine;
  _Alignas(8) int64_t now_ns; /* atomic; the clock of a host engine */
  int64_t blocks;             /* atomic; outstanding */
  int64_t calls;              /* atomic; allocations asked for */
  int64_t misfits;            /* atomic; blocks given back with another size than was asked for */
  int64_t fail_at;            /* which of the calls fails; 0: none */
  bool forever;               /* and all after it */
  bool nosy;                  /* clock and allocator ask the engine something */
};

/* Adds 'n' to what several threads count. */
static inline void count(int64_t *counter, int64_t n)
{
  __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Gives 'block'; ends the program when there is none. */
static inline void *need(void *block)
{
  if (block == NULL) abort();
  return block;
}

/* ---- its memory and its clock ----------------------------------------- */

union world_block {
  size_t size;
  max_align_t align;
};

/* Hangs when a lock of the engine is held. */
static inline void world_pry(const struct world *w)
{
  ctx_counters n;
  if (w->nosy) ctx_engine_counters(w->engine, &n);
}

/* The allocator of a world, for ctx_engine_options. */
static inline void *world_alloc(void *arg, size_t size)
{
  struct world *w = arg;
  int64_t call = __atomic_add_fetch(&w->calls, 1, __ATOMIC_RELAXED);
  world_pry(w);
  if (w->fail_at != 0 && (call == w->fail_at || (w->forever && call > w->fail_at))) return NULL;
  union world_block *b = malloc(sizeof *b + size);
  if (b == NULL) return NULL;
  b->size = size;
  count(&w->blocks, 1);
  return b + 1;
}

static inline void world_free(void *arg, void *block, size_t size)
{
  struct world *w = arg;
  union world_block *b = (union world_block *)block - 1;
  world_pry(w);
  count(&w->blocks, -1);
  if (b->size != size) count(&w->misfits, 1);
  free(b);
}

static inline int64_t world_now(void *arg)
{
  const struct world *w = arg;
  world_pry(w);
  return __atomic_load_n(&w->now_ns, __ATOMIC_RELAXED);
}

/* Sets the clock of a host engine while other threads read it. */
static inline void world_set(struct world *w, int64_t now_ns)
{
  __atomic_store_n(&w->now_ns, now_ns, __ATOMIC_RELAXED);
}

/* ---- its engine -------------------------------------------------------- */

/* Opens an engine on 'w' as it stands, at w->now_ns; NULL with errno when that fails. */
static inline ctx_engine *world_engine(struct world *w, ctx_driver driver)
{
  ctx_engine_options o = {.driver = driver, .alloc = world_alloc, .free = world_free, .arg = w};
  if (driver == CTX_DRIVER_MANUAL) o.start_ns = w->now_ns;
  if (driver == CTX_DRIVER_HOST) o.now = world_now;
  return ctx_engine_open(&o);
}

/* Makes 'w' new, its time beginning at 'start_ns'; gives the background of its engine. */
static inline ctx_context *world_open(struct world *w, ctx_driver driver, int64_t start_ns)
{
  *w = (struct world){.now_ns = start_ns};
  w->engine = need(world_engine(w, driver));
  return ctx_engine_background(w->engine);
}

/* Opens 'w' at START, on a manual engine; gives its background. */
static inline ctx_context *manual(struct world *w)
{
  return world_open(w, CTX_DRIVER_MANUAL, START);
}

/* The same, on a host engine whose clock is w->now_ns. */
static inline ctx_context *host(struct world *w)
{
  return world_open(w, CTX_DRIVER_HOST, START);
}

/* The same, on an engine with a thread, in real time. */
static inline ctx_context *threaded(struct world *w)
{
  return world_open(w, CTX_DRIVER_THREAD, 0);
}

/* What lives in the engine of 'w'. */
static inline ctx_counters counters(const struct world *w)
{
  ctx_counters n;
  ctx_engine_counters(w->engine, &n);
  return n;
}

/* States that no block is out: the engine and its contexts are gone. */
static inline void world_memory_is_back(const struct world *w)
{
  CHECK_INT(w->blocks, 0);
  CHECK_INT(w->misfits, 0);
}

/* States that nothing lives in the engine, which is sound. */
static inline void world_is_empty(const struct world *w)
{
  ctx_counters n = counters(w);
  CHECK_INT(n.contexts, 0);
  CHECK_INT(n.hooks, 0);
  CHECK_INT(n.timers, 0);
  CHECK(ctx__check(w->engine) == NULL);
}

/* Closes the engine, stating that nothing is left in it and in its memory. */
static inline void world_close(struct world *w)
{
  world_is_empty(w);
  CHECK_INT(ctx_engine_close(w->engine), 0);
  world_memory_is_back(w);
}

/* ---- causes and chance ------------------------------------------------- */

/* A drop function: counts in an int how often it is called. */
static inline void count_drop(void *times)
{
  ++*(int *)times;
}

/* A cause of this text. */
static inline ctx_cause *cause(const char *text)
{
  return need(ctx_cause_new(text, strlen(text), 0, NULL, NULL));
}

/* A cause that counts in 'times' how often it is dropped. */
static inline ctx_cause *counted_cause(const char *text, int *times)
{
  return need(ctx_cause_new(text, strlen(text), 0, times, count_drop));
}

/* xorshift64*: the same numbers for the same seed, everywhere. */
static inline uint64_t draw(uint64_t *seed)
{
  uint64_t x = *seed;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  *seed = x;
  return x * 2685821657736338717u >> 16;
}

/* A number from 0 to n - 1. */
static inline int64_t below(uint64_t *seed, int64_t n)
{
  return (int64_t)(draw(seed) % (uint64_t)n);
}

#endif
