/*
 * engine - whose time it is: a clock, a wheel, and what waits for the driver
 *
 * The engine holds what is to happen; driver.c makes it happen. Three things wait
 * here: entries of the wheel, each of which belongs to a timer of the host or to
 * the deadline of a context (the entry's tag says which); hooks of contexts that
 * have ended, in the queue; and contexts that signal handlers have asked to cancel.
 *
 * Whoever is to make it happen sleeps till an instant that was told him: the kernel's
 * timer behind the host's descriptor, or the engine's thread, on the word 'alarm'.
 * What makes that instant earlier tells him anew.
 *
 * An engine with a thread belongs to the process of that thread. In a child of that
 * process it is dead: its locks may be held by threads that are not there, so none
 * is taken.
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

/* The tag of a wheel entry: what lies around it. */
enum { ENTRY_TIMER, ENTRY_CONTEXT };

enum engine_count { COUNT_CONTEXTS, COUNT_HOOKS, COUNT_FDS, COUNTS };

/* A count split over cache lines, so that threads seldom meet in it. A part that CTX__SHARD_IS_OWN
 * is changed by one thread alone, and in no signal handler; the last one by additions. */
struct engine_shard {
  ctx__atomic64 count[COUNTS];
  char apart[64 - COUNTS * sizeof(ctx__atomic64)];
};

/* A call of a hook or timer that is under way; lies on the stack of its thread. */
struct engine_call {
  ctx_engine *engine;
  const void *what;          /* the hook or timer: its address, which may be all that is left */
  struct engine_call *outer; /* on the same thread */
  struct list_link link;     /* in engine->calls */
};

/* Of an engine's thread; OVER: it will not start, or has been joined. */
enum engine_thread { THREAD_NONE, THREAD_STARTING, THREAD_RUNS, THREAD_OVER };

enum { SIGNALED_MAX = 16 };

struct ctx_engine {
  struct tree tree; /* of all contexts of this engine */

  ctx_driver driver; /* fixed at birth, like the next five */
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
  bool alarming;       /* 'alarm' has changed, and the thread is to be woken */
  ctx__atomic closed;  /* nothing is queued or armed any more; may be read without the lock */
  struct list calls;   /* of hooks and timers that run now */
  struct list tracked; /* the annexes of contexts, in the order of their birth */
  uint64_t last_id;    /* that ctx_id has given */
  unsigned awaiting;   /* who wait in engine_await_call_locked */
  int64_t told_ns;     /* the instant that who sleeps was told; INT64_MAX: none */
  ctx__fd fd;          /* closed until it is asked for */

  /* Words that are waited on, or read and written without the lock: */
  ctx__atomic alarm;       /* one less when the thread is to look again */
  ctx__atomic calls_ended; /* grows when a call ends that somebody awaits */
  ctx__atomic thread_is;   /* enum engine_thread */
  ctx__atomic process;     /* CTX__PROCESS() of the thread's start; 0: none has started */
  ctx__atomic fd_process;  /* CTX__PROCESS() when 'fd' was opened; 0: it is closed */
  ctx__atomic tracking;    /* 1: each new context is tracked; see annex.h */
  ctx__atomic asking;      /* calls of ctx_cancel_from_signal; see interrupt.h */
  ctx__atomic signals;     /* 1: look into 'signaled' */
  ctx_context *signaled[SIGNALED_MAX]; /* to be canceled, with a reference; or NULL */
  ctx__thread thread;                  /* from THREAD_RUNS on */

  struct engine_shard shard[CTX__SHARDS]; /* read by all */
};

/* A ctx_timer, seen from inside. */
struct timer {
  struct wheel_entry entry; /* under the engine's lock */
  ctx_engine *engine;       /* fixed by ctx_timer_init, like the rest */
  ctx_timer_fn *f;
  void *arg;
};

/* ---- the life of an engine -------------------------------------------- */

/* EINVAL where 'options' contradict each other, else 0. */
int engine_check_options(const ctx_engine_options *options);

/* Makes an empty engine; the roots are put in by the caller. */
void engine_init(ctx_engine *e, const ctx_engine_options *options);

/* Nothing is queued or armed from now on; the descriptor is closed. */
void engine_close(ctx_engine *e);

/* Memory from the allocator of the engine. NULL: there is none (ENOMEM). */
void *engine_alloc(ctx_engine *e, size_t size);
void engine_free(ctx_engine *e, void *block, size_t size);

void engine_count(ctx_engine *e, enum engine_count what, int by);

/* Waits until a count of an engine that is closed is 0: for the last ones to leave, who do not say
 * so. False: not within a second: it was counted wrong, or somebody is held up. */
bool engine_await_none(ctx_engine *e, enum engine_count what);

/* True in a child of the process in which the engine's thread was started. */
static inline bool engine_is_dead(ctx_engine *e)
{
  uint32_t process = CTX__LOAD_RELAXED(&e->process);
  return process != 0 && process != CTX__PROCESS();
}

/* The engine's lock. Who drops it wakes the thread, when something has become earlier. */
void engine_lock(ctx_engine *e);
void engine_unlock(ctx_engine *e);

/* ---- calling out ------------------------------------------------------ */

/* Around every call of a hook or a timer, 'what'. The lock, held at the beginning of the
 * first, is dropped. In the section of the begin, 'what' ceases to be waiting. */
void engine_call_begin_locked(ctx_engine *e, struct engine_call *call, const void *what);
void engine_call_end(struct engine_call *call);

/* True inside a hook or timer of 'e' on this thread; of any engine where 'e' is NULL. */
bool engine_calling(const ctx_engine *e);

/* Waits until no call of 'what' is under way. The lock is held before and after, and dropped
 * between. */
void engine_await_call_locked(ctx_engine *e, const void *what);

/* ---- what waits for the driver ---------------------------------------- */

/* 0 where hooks and timers can be given to the driver; ECANCELED: the engine is closed;
 * ECHILD: it is dead. */
int engine_accepts(ctx_engine *e);

/* Arms 'entry', or moves it; CTX_NEVER disarms it. A closed engine arms nothing. An instant
 * before the one that was driven to last counts as that one: what asks for the past does not
 * overtake. */
void engine_arm(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns);

/* The same for an entry that was never armed, under a lock that is not to be held for long. True:
 * engine_wake is to come, without it. */
bool engine_arm_first(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns);
void engine_wake(ctx_engine *e);

/* Arms 'entry', unless it is armed. */
void engine_keep(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns);

/* False: it was not armed. */
bool engine_disarm(ctx_engine *e, struct wheel_entry *entry);

/* The instant of the next thing to do: the past when the queue is not empty. */
int64_t engine_next_locked(const ctx_engine *e);

/* Tells who sleeps about the next thing to do; after each change that may have made it
 * earlier. */
void engine_wake_locked(ctx_engine *e);

/* The same after a change in either direction. */
void engine_rearm_locked(ctx_engine *e);

/* The same in a signal handler: the instant is now. */
void engine_wake_from_signal(ctx_engine *e);

#endif
