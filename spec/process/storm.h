/*
 * storm - a tree that many threads work on at once
 *
 * The upper part of the tree lies in places that all threads know. A thread takes a context
 * from a place, hangs its own below, cancels it, or puts a new one there.
 *
 * Always true: a context that lies in a place will be canceled, so that who waits for it
 * for ever comes back.
 *
 * Knows process.h, counted.h.
 */
#ifndef CTX_STORM_H
#define CTX_STORM_H

#include "process.h"

#include "counted.h"

enum { THREADS = 8, PLACES = 16, RING = 16, CHAIN = 6, DEPTH = 8, STAMP = 4711 };

struct place {
  pthread_mutex_t lock;
  ctx_context *c; /* with a reference */
  int depth;
};

struct worker;

/* A hook of one thread, which others stop, too. */
struct hooked {
  pthread_rwlock_t lock; /* to write: it is settled and made anew; to read: it is stopped */
  ctx_hook own;
  ctx_hook *heap; /* of ctx_after_func; or NULL: 'own' is in use */
  struct worker *worker;
  int64_t attached; /* this and the rest are atomic */
  int64_t ran;
  int64_t stopped;
};

struct timed {
  pthread_rwlock_t lock; /* as above */
  ctx_timer timer;
  ctx_engine *engine;
  int64_t deadline_ns;
  int64_t armed;
  int64_t fired;
  int64_t disarmed;
};

struct worker {
  struct storm *storm;
  uint64_t seed;
  int64_t calls; /* of ctx.h, now and then brought up to date; atomic */
  struct hooked hooks[RING];
  struct timed timers[RING];
};

struct storm {
  ctx_engine *engine;
  ctx_context *end; /* to be canceled when all is over */
  ctx_context *top; /* a value below it; above all others */
  bool over;        /* atomic */
  struct place places[PLACES];
  struct worker workers[THREADS];
  struct worker reaper; /* the main thread: should all others wait for ever, it goes on */
};

static const char key;
static int64_t things, things_dropped; /* values and data of causes; atomic */

/* ---- values and causes --------------------------------------------------- */

static inline void drop_thing(void *thing)
{
  count(&things_dropped, 1);
  free(thing);
}

/* What whoever sees it can tell from memory that was not written yet. */
static inline int *new_thing(void)
{
  int *thing = need(malloc(sizeof *thing));
  *thing = STAMP;
  count(&things, 1);
  return thing;
}

static inline ctx_cause *new_cause(int err)
{
  return need(ctx_cause_new("why", 3, err, new_thing(), drop_thing));
}

/* ---- contexts ------------------------------------------------------------ */

/* Some child of 'parent', which ends with it at the latest. */
static inline ctx_context *child_of(struct worker *w, ctx_context *parent)
{
  switch (below(&w->seed, 5)) {
  case 0: return need(ctx_with_timeout(parent, below(&w->seed, 1000000)));
  case 1:
    return need(
      ctx_with_timeout_cause(parent, below(&w->seed, 1000000), new_cause(CTX_DEADLINE_EXCEEDED)));
  case 2: return need(ctx_with_value(parent, &key, new_thing(), drop_thing));
  default: return need(ctx_with_cancel(parent));
  }
}

/* A reference on what lies in some place. */
static inline ctx_context *borrow(struct worker *w, int *depth)
{
  struct place *p = &w->storm->places[below(&w->seed, PLACES)];
  pthread_mutex_lock(&p->lock);
  ctx_context *c = ctx_retain(p->c);
  *depth = p->depth;
  pthread_mutex_unlock(&p->lock);
  return c;
}

static inline ctx_context *borrow_any(struct worker *w)
{
  int depth;
  return borrow(w, &depth);
}

/* Puts 'c' into some place, with the reference; gives what was there. */
static inline ctx_context *exchange(struct worker *w, ctx_context *c, int depth)
{
  struct place *p = &w->storm->places[below(&w->seed, PLACES)];
  pthread_mutex_lock(&p->lock);
  ctx_context *before = p->c;
  p->c = c;
  p->depth = depth;
  pthread_mutex_unlock(&p->lock);
  return before;
}

static inline void cancel_somehow(struct worker *w, ctx_context *c)
{
  if (below(&w->seed, 2) == 0)
    ctx_cancel(c);
  else
    ctx_cancel_cause(c, new_cause(CTX_CANCELED));
}

/* A done parent, or a deep one, would keep ever longer chains of the dead. */
static inline void replace(struct worker *w)
{
  int depth;
  ctx_context *parent = borrow(w, &depth);
  bool fit = depth < DEPTH && !ctx_done(parent);
  ctx_context *c = need(ctx_with_cancel(fit ? parent : w->storm->top));
  ctx_context *before = exchange(w, c, fit ? depth + 1 : 0);
  cancel_somehow(w, before);
  ctx_release(before);
  ctx_release(parent);
}

#endif
