/*
 * engine - whose time it is: a clock, a wheel, and what waits for the driver
 *
 * The engine holds what is to happen; driver.c makes it happen. Two things wait
 * here: entries of the wheel, each of which belongs to a timer of the host or to
 * the deadline of a context (the entry's tag says which), and hooks of contexts
 * that have ended, in the queue.
 *
 * Lock order: walk, node, engine. The engine lock comes last: under it no other
 * lock is taken, and nothing foreign is called.
 *
 * Knows platform.h, list.h, clock.h, wheel.h, tree.h (each engine is one tree).
 */
#ifndef CTX_ENGINE_H
#define CTX_ENGINE_H

#include "platform.h"

#include "clock.h"
#include "ctx.h"
#include "list.h"
#include "tree.h"
#include "wheel.h"

/* Who drives. */
enum engine_driver {
  DRIVER_HOST = CTX_DRIVER_HOST,
  DRIVER_MANUAL = CTX_DRIVER_MANUAL,
  DRIVER_NONE
};

/* The tag of a wheel entry: what lies around it. */
enum { ENTRY_TIMER, ENTRY_CONTEXT };

enum engine_count { COUNT_CONTEXTS, COUNT_HOOKS, COUNTS };

/* A count split over cache lines, so that threads seldom meet in it. */
struct engine_shard {
  int64_t count[COUNTS];
  char apart[64 - COUNTS * sizeof(int64_t)];
};

struct ctx_engine {
  struct tree tree; /* of all contexts of this engine */

  enum engine_driver driver; /* fixed at birth, like the next five */
  struct clock clock;
  ctx_engine_options memory; /* alloc, free, arg */
  size_t block_size;         /* of the memory block that begins with this engine */
  ctx_context *background;
  ctx_context *todo;

  ctx__lock lock;      /* guards the rest, but for the shards */
  struct wheel wheel;  /* timers and deadlines that are armed */
  struct list queue;   /* hooks to run, first come first */
  size_t queue_count;  /* its length */
  bool driving;        /* somebody is inside poll or advance */
  ctx__atomic closed;  /* nothing is queued or armed any more; may be read without the lock */
  int fd;              /* -1 until it is asked for */
  int64_t fd_armed_ns; /* what the kernel was told; INT64_MAX: nothing */

  struct engine_shard shard[CTX__SHARDS]; /* relaxed atomics */
};

/* A ctx_timer, seen from inside. */
struct timer {
  struct wheel_entry entry; /* under the engine's lock */
  ctx_engine *engine;       /* fixed by ctx_timer_init, like the rest */
  ctx_timer_fn *f;
  void *arg;
};

/* ---- the life of an engine -------------------------------------------- */

/* EINVAL where 'options' contradict each other, ENOTSUP where they ask for what is to come;
 * 0 otherwise. */
int engine_check_options(const ctx_engine_options *options);

/* Makes an empty engine; the roots are put in by the caller. */
void engine_init(ctx_engine *e, const ctx_engine_options *options, enum engine_driver driver);

/* Nothing is queued or armed from now on; the descriptor is closed. */
void engine_close(ctx_engine *e);

/* Memory from the allocator of the engine. NULL: there is none (ENOMEM). */
void *engine_alloc(ctx_engine *e, size_t size);
void engine_free(ctx_engine *e, void *block, size_t size);

void engine_count(ctx_engine *e, enum engine_count what, int by);

/* ---- calling out ------------------------------------------------------ */

/* A call of a hook or timer that is under way; lies on the stack of its thread. */
struct engine_call {
  const ctx_engine *engine;
  struct engine_call *outer;
};

/* Around every call of a hook or a timer; no lock is held then. */
void engine_call_begin(ctx_engine *e, struct engine_call *call);
void engine_call_end(struct engine_call *call);

/* True inside a hook or timer of 'e' on this thread. */
bool engine_calling(const ctx_engine *e);

/* ---- what waits for the driver ---------------------------------------- */

/* 0 where hooks and timers can be given to the driver; EAGAIN: there is none;
 * ECANCELED: the engine is closed. */
int engine_accepts(const ctx_engine *e);

/* Arms 'entry', or moves it; CTX_NEVER disarms it. A closed engine arms nothing. An instant
 * before the one that was driven to last counts as that one: what asks for the past does not
 * overtake. */
void engine_arm(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns);

/* False: it was not armed. */
bool engine_disarm(ctx_engine *e, struct wheel_entry *entry);

/* The instant of the next thing to do: the past when the queue is not empty. */
int64_t engine_next_locked(const ctx_engine *e);

/* Tells a descriptor that is out about the next thing to do; after each change
 * that may have made it earlier. */
void engine_wake_locked(ctx_engine *e);

/* The same after a change in either direction. */
void engine_rearm_locked(ctx_engine *e);

#endif
