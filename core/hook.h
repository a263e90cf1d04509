/*
 * hook - what runs or wakes at the end
 *
 * A hook is attached to a context and runs once, when that has ended. It lies in
 * one list at a time:
 *
 *     the context's hooks --end--> the engine's queue --poll--> runs
 *                            \---> a batch of the canceling thread --> runs
 *
 * Its state word decides the race between starting and stopping: whoever takes it
 * from ATTACHED has the hook, and with it the reference on the context that the
 * hook holds. Only then is that context safe to touch.
 *
 * Always true: the context's hooks are guarded by its node's lock; the queue and
 * every batch by the engine's lock; a hook moves from the one to the other under
 * both, in the same section in which its context ends.
 *
 * Knows context.h (the type), and retain and release of ctx.h.
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
  ctx_hook_fn *f;
  void *arg;
  ctx__atomic state;
  uint16_t refs;  /* atomic; of a hook on the heap; 0: in the caller's memory */
  uint16_t flags; /* CTX_HOOK_... */
};

/* Who ends a context, as far as its hooks are concerned. */
enum hook_runner {
  HOOK_RUN_INLINE, /* a canceler or the driver: runs the inline ones itself */
  HOOK_LEAVE_ALL   /* a query: leaves them all to the driver */
};

/* What a thread that ends contexts has to do once it holds no lock. */
struct hook_batch {
  enum hook_runner runner;
  bool used;        /* something was put into one of the lists, and may be gone again; */
  struct list run;  /* inline hooks, in the order of their contexts' end; */
  struct list drop; /* hooks that nobody will run: their engine is closed */
};

void hook_batch_init(struct hook_batch *b, enum hook_runner runner);

/*
 * Moves the hooks of 'c', whose end is being published under its node's lock, to
 * the engine's queue or, where they are for this thread, to 'b'.
 */
void hook_collect_locked(ctx_context *c, struct hook_batch *b);

/* Runs and drops what was collected. Hold no lock. */
void hook_run_batch(ctx_engine *e, struct hook_batch *b);

/*
 * Takes the first hook that is not stopped from 'list' (the queue, or a batch) and
 * runs it. False: there was none. Call with the engine's lock held; it is dropped.
 */
bool hook_run_first_locked(ctx_engine *e, struct list *list);

/* Drops every hook in 'list', which is the queue of a closed engine, or a batch. */
void hook_drop_all(ctx_engine *e, struct list *list);

#endif
