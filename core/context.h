/*
 * context - what a context is: node + engine + values + deadline, put together
 *
 * One memory block a context, as long as its kind needs. What is fixed at birth
 * is read without a lock.
 *
 * Always true: the effective deadline of a context is the earliest of its own
 * wish and that of the node it hangs on; where the engine is open, its entry is
 * armed while it is live and its own wish is the earlier one, and no longer once who has ended
 * it comes back. A done context has no hooks.
 *
 * Knows tree.h, engine.h and all below them; cancel.h ends it, hook.h runs at the end.
 */
#ifndef CTX_CONTEXT_H
#define CTX_CONTEXT_H

#include "platform.h"

#include "engine.h"
#include "list.h"
#include "tree.h"

/* Marks of a node. */
enum { MARK_ANNEX = 1 }; /* the first in 'hooks' is its annex; see annex.h */

struct ctx_context {
  struct node node;
  ctx_engine *engine;         /* fixed at birth */
  struct ctx_context *values; /* the nearest value context, itself included; fixed at birth */
  struct list hooks;   /* to run at the end; under node.lock; but for an annex, empty from the
                        end on; and always, in a value context */
  int64_t deadline_ns; /* only where the node can end: effective; atomic; CTX_NEVER: none */
  int64_t ended_ns;    /* only there, and not inherited: when; published by node.state */
};

/* NODE_DEADLINE */
struct deadline_context {
  struct ctx_context context;
  struct wheel_entry wish; /* the own deadline; in the wheel while it is the effective one */
  ctx_cause *cause;        /* of an end by the own deadline; owned, may be NULL; fixed at birth */
};

/* NODE_VALUE; all fixed at birth */
struct value_context {
  struct ctx_context context;
  const void *key;
  void *value;
  void (*drop)(void *value);
};

static inline ctx_context *context_of_node(struct node *n)
{
  return (ctx_context *)(void *)n;
}

/* The context whose end 'c' shows, or NULL when it never ends. */
static inline ctx_context *context_ending(ctx_context *c)
{
  struct node *n = node_ending(&c->node);
  return n != NULL ? context_of_node(n) : NULL;
}

static inline struct deadline_context *deadline_context_of(ctx_context *c)
{
  return (struct deadline_context *)(void *)c;
}

static inline uint32_t context_state(const ctx_context *c)
{
  return CTX__LOAD(&c->node.state);
}

static inline bool state_is_done(uint32_t state)
{
  return state == CTX_CANCELED || state == CTX_DEADLINE_EXCEEDED;
}

/* Makes a root ('kind' background or todo) in memory that comes from the engine's. */
void context_init_root(ctx_context *c, ctx_engine *e, enum node_kind kind, ctx_context *parent);

/* Frees 'c', whose last reference is gone, and the ancestors that only it has kept. Calls drop
 * functions: hold no lock. */
void context_free_upwards(ctx_context *c);

#endif
