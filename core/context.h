/*
 * context - what a context is: node + engine + values + deadline, put together
 *
 * One memory block a context, as long as its kind needs. What is fixed at birth
 * is read without a lock.
 *
 * Always true, but below a node whose deadline is just being moved: the effective deadline of
 * a context is the earliest of its own wish and those of the nodes it hangs on; where the
 * engine is open, its entry is armed while it is live and its own wish is the earlier one, and
 * no longer once who has ended it comes back. A done context has no hooks.
 *
 * Knows tree.h, engine.h and all below them; deadline.h moves its deadline, cancel.h ends it,
 * hook.h runs at the end.
 */
#ifndef CTX_CONTEXT_H
#define CTX_CONTEXT_H

#include "platform.h"

#include "engine.h"
#include "list.h"
#include "tree.h"

/* Marks of a node. */
enum { MARK_ANNEX = 1 }; /* the first in 'hooks' is its annex; see annex.h */

/*
 * Where a value has slots of its own, they are fixed at birth; the others have theirs only where the
 * node can end. In the node:
 *
 *   own_ns     live, with a wish: the deadline that it wishes; changed as deadline_ns
 *   ended_ns   ended, and not inherited: when; published by node.state
 *   layers     of a value: how many are in a row from it upward, up to a merge
 */
struct ctx_context {
  struct node node;
  ctx_engine *engine;         /* fixed at birth */
  struct ctx_context *values; /* the nearest value context, itself included; fixed at birth */
  union {                     /* both under node.lock */
    struct list hooks; /* to run at the end; but for an annex, empty from the end on; and always, in
                          a value context */
    const char *site;  /* ended, not inherited, without an annex: where the end was asked for, or
                          NULL */
  };
  union {
    /* Effective; CTX_NEVER: none; of a live one that somebody knows, changed under the walk lock
     * and node.lock. */
    ctx__atomic64 deadline_ns;
    struct ctx_context *above; /* of a value: the next of 'values' */
  };
};

/* NODE_DEADLINE, NODE_GRACE */
struct deadline_context {
  struct ctx_context context;
  struct wheel_entry wish; /* in the wheel while the own deadline is the effective one */
  ctx_cause *cause;        /* of an end by the own deadline; owned, may be NULL; fixed at birth */
};

/* NODE_GRACE */
struct grace_context {
  struct deadline_context deadline; /* its own_ns follows from what is above */
  int64_t grace_ns;                 /* fixed at birth */
};

struct value_context;

struct merged_value {
  const struct value_context *context;
  size_t rank; /* in the order of a lookup; needed at birth only */
};

/* NODE_MERGE; in one block with its members, one for each parent, and its values */
struct merge_context {
  struct ctx_context context;
  size_t size; /* of the block; fixed at birth, like the next three */
  size_t members;
  size_t values;
  const struct merged_value *value; /* what the further parents see, sorted by key */
  size_t arrivals;                  /* both for deadline.c; under the walk lock */
  uint8_t stage;
  ctx__atomic born;     /* it hangs on all its parents; before that nobody is shown it */
  struct node member[]; /* each holds its parent */
};

/* NODE_VALUE; all fixed at birth. One of VALUE_STEP in a row has an index behind it; see value.c. */
struct value_context {
  struct ctx_context context;
  const void *key;
  void *value;
  void (*drop)(void *value);
};

enum { VALUE_STEP = 32, VALUE_SLOTS = 2 * VALUE_STEP };

struct value_index {
  ctx_context *beyond; /* the first of 'values' that is not in it */
  struct value_slot {
    const void *key;
    const struct value_context *nearest; /* with that key; NULL: the slot is free */
  } slot[VALUE_SLOTS];
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

static inline struct merge_context *merge_context_of(ctx_context *c)
{
  return (struct merge_context *)(void *)c;
}

static inline struct value_context *value_context_of(const ctx_context *c)
{
  return (struct value_context *)(uintptr_t)c;
}

/* Behind 'v', or NULL: it has none. */
static inline struct value_index *value_index_of(struct value_context *v)
{
  return v->context.node.layers % VALUE_STEP == 0 ? (struct value_index *)(void *)(v + 1) : NULL;
}

static inline size_t value_context_size(const ctx_context *c)
{
  struct value_context *v = value_context_of(c);
  return sizeof *v + (value_index_of(v) != NULL ? sizeof(struct value_index) : 0);
}

/* How many nodes 'c', which can end, may hang on; and one of them, or NULL. */
static inline size_t context_ups(ctx_context *c)
{
  return c->node.kind == NODE_MERGE ? merge_context_of(c)->members : 1;
}

static inline struct node *context_up(ctx_context *c, size_t i)
{
  return node_up(c->node.kind == NODE_MERGE ? &merge_context_of(c)->member[i] : &c->node);
}

static inline bool context_has_wish(const ctx_context *c)
{
  return c->node.kind == NODE_DEADLINE || c->node.kind == NODE_GRACE;
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

/* A live context of one reference, of 'size' bytes, that holds 'parent'. NULL with errno: as the
 * constructors. */
ctx_context *context_new(ctx_context *parent, enum node_kind kind, size_t size);

/* Gives 'c', of which all is in its place now: those may find it who look for what is tracked. */
ctx_context *context_made(ctx_context *c);

/*
 * Gives 'c', which nobody knows, its effective deadline, of which 'own_ns' is its own wish, hangs
 * it on its up, if it has one, and arms it where it is to end by itself. False: the wish is the
 * earlier one, and 'past'; or the up is done, and so is 'c'. Then it is hung nowhere.
 */
bool context_hang(ctx_context *c, int64_t own_ns, bool past);

/* Gives 'c', which nobody knows, this effective deadline. */
void context_begin(ctx_context *c, int64_t deadline_ns);

/* Frees 'c', whose last reference is gone, and the ancestors that only it has kept. Calls drop
 * functions: hold no lock. */
void context_free_upwards(ctx_context *c);

/* The same with all in 'dead', which a walk has left, by their 'sibling'. */
void context_free_all(struct list *dead);

#endif
