/*
 * hook - what runs or wakes at the end
 *
 * A hook is attached to a context and runs once, when that has ended. A sleeper is a hook
 * that runs nothing: it wakes the thread that has attached it. Each lies in one list at a
 * time:
 *
 *     the context's hooks --end--> the engine's queue --poll--> runs
 *                            \---> a batch of the thread that ends it --> runs, wakes
 *
 * Its state word decides the race between starting and stopping: whoever takes it
 * from ATTACHED has the hook, and with it the reference on the context that the
 * hook holds. Only then is that context safe to touch.
 *
 * Always true: the context's hooks are guarded by its node's lock; the queue and
 * every batch by the engine's lock; a hook moves from the one to the other under
 * both, in the same section in which its context ends.
 *
 * How a hook comes to a context is attach.c.
 *
 * Knows context.h (the type), descriptor.h, and retain and release of ctx.h.
 */
#ifndef CTX_HOOK_H
#define CTX_HOOK_H

#include "platform.h"

#include "context.h"
#include "list.h"

/* A ctx_hook, seen from inside. */
struct hook {
  struct list_link link;
  struct list *in;      /* the list that 'link' lies in */
  ctx_context *context; /* as it was attached to; a reference while ATTACHED */
  ctx_engine *engine;   /* that it was last attached in; atomic; NULL: never attached */
  ctx_hook_fn *f;
  void *arg;
  ctx__atomic state;
  uint16_t refs;  /* atomic; of a hook on the heap; 0: in the caller's memory */
  uint16_t flags; /* CTX_HOOK_..., or HOOK_SLEEPER */
};

/* A hook that ctx_after_func made. Keeps the engine, whose memory it is, by its background. */
struct heap_hook {
  struct hook hook;
  ctx_engine *home;
};

/* STOPPING: a stop has it, and is about to unlink it. DROPPED: its engine is closed, and nobody
 * will run it: one stop still says so. */
enum hook_state { HOOK_IDLE, HOOK_ATTACHED, HOOK_STARTED, HOOK_STOPPING, HOOK_DROPPED };

/* A thread that waits for the end, on its own stack. */
struct sleeper {
  struct hook hook;
  ctx__atomic woken; /* odd: the hook has been taken, and nobody will touch this again; else it
                        changes when the deadline has become earlier */
};

enum { HOOK_SLEEPER = 0x8000 };

/* Who ends a context, as far as its hooks are concerned. */
enum hook_runner {
  HOOK_RUN_INLINE, /* a canceler or the driver: runs the inline ones itself */
  HOOK_LEAVE_ALL   /* a query: leaves them all to the driver */
};

/* What a thread that ends contexts has to do once it holds no lock. */
struct hook_batch {
  enum hook_runner runner;
  bool used;        /* something was put into one of the lists, and may be gone again; */
  struct list wake; /* sleepers; */
  struct list run;  /* inline hooks, in the order of their contexts' end; */
  struct list drop; /* hooks that nobody will run: their engine is closed */
};

void hook_batch_init(struct hook_batch *b, enum hook_runner runner);

/*
 * Moves the hooks of 'c', whose end is being published under its node's lock, to
 * the engine's queue or, where they are for this thread, to 'b'.
 */
void hook_collect_locked(ctx_context *c, struct hook_batch *b);

/* Wakes, runs and drops what was collected. Hold no lock. */
void hook_run_batch(ctx_engine *e, struct hook_batch *b);

/*
 * Takes the first hook that is not stopped from 'list' (the queue, or a batch) and
 * runs it. False: there was none. Call with the engine's lock held; it is dropped.
 */
bool hook_run_first_locked(ctx_engine *e, struct list *list);

/* As ctx_hook_stop. */
bool hook_stop(struct hook *h);

/* One reference less on a hook on the heap. */
void hook_unref(struct heap_hook *h);

/* Runs a hook that nobody else knows yet, of a context that is done. */
void hook_run_at_once(ctx_engine *e, struct hook *h);

/* Hangs 'h', which holds its context, on 'end', the context whose end that shows. False: it
 * is done. */
bool hook_hang(ctx_context *end, struct hook *h);

/* Gives a hook of a context that is done to the driver. 0, or as engine_accepts. */
int hook_queue(ctx_engine *e, struct hook *h);

/* Makes 's' a sleeper, and hangs it on 'end'. False: that is done. */
bool hook_sleep(struct sleeper *s, ctx_context *end);

/* Who sleeps on 'c', whose node is locked, looks again. */
void hook_rouse_locked(ctx_context *c);

/* Drops every hook in 'list', which is the queue of a closed engine, or a batch. */
void hook_drop_all(ctx_engine *e, struct list *list);

#endif
