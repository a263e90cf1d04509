/*
 * tree - who is whose child; the first end wins; the end goes down without
 * recursion
 *
 * A node holds its parent strongly, for life; a parent links its children weakly,
 * so that a child whose last reference goes unlinks itself and is forgotten.
 * Only nodes that can end by themselves are linked: such a child hangs on the
 * nearest ancestor that can end (its 'up'), which need not be its parent.
 *
 *     background          never ends, knows no child
 *        |  \
 *        a   v            a can end; v is a value layer, which shares the end of
 *       / \                  the nearest ancestor that has one (here: none)
 *      v2  c              c hangs on a; v2 shares a's end
 *      |
 *      d                  d's parent is v2, and it hangs on a
 *
 * To end a node that has children is a walk. It holds the tree's walk lock
 * throughout, goes depth first, and has no stack: it pops one child at a time
 * from the node it stands at, and finds the way back by 'up'. On its path it
 * holds a reference on each node.
 *
 * Lock order: walk, node, then whatever an owner of this file has. Never two
 * nodes at once.
 *
 * Knows platform.h, list.h and the states of ctx.h. Knows no time, no hook, no heap.
 */
#ifndef CTX_TREE_H
#define CTX_TREE_H

#include "list.h"
#include "platform.h"

enum node_kind {
  NODE_BACKGROUND,
  NODE_TODO,
  NODE_DETACHED, /* these three never end */
  NODE_VALUE,    /* shares the end of an ancestor */
  NODE_CANCEL,
  NODE_DEADLINE /* from NODE_CANCEL on: nodes with an end of their own */
};

struct node {
  ctx__atomic state; /* live (several words for it) until the end, then fixed; read without lock */
  ctx__atomic refs;  /* above 2^30 the node is never freed */
  ctx__lock lock;    /* guards 'children', their 'sibling', the end, and what context.h adds */
  uint8_t kind;      /* enum node_kind; fixed at birth */
  uint8_t inherited; /* the end came from above; published by 'state' */
  uint8_t marks;     /* for the owner of the node; under 'lock' */
  uint8_t ended_by;  /* not inherited: who ended it, for its owner; published by 'state' */
  struct node *parent; /* strong; fixed at birth; NULL in a background */
  union {
    struct list children; /* own end: weak; all gone once the end has been walked down; then, */
    const char *site;     /* not inherited: where the end was asked for, or NULL */
    struct node *shares;  /* no end: whose end this shows, or NULL; fixed at birth */
  };
  struct list_link sibling; /* own end: in up's children; under up's lock */
  union {
    struct node *origin; /* inherited: the node that ended first */
    void *cause;         /* not inherited: what its owner keeps there */
  } end;                 /* published by 'state' */
};

/* One for each set of nodes that hang together. */
struct tree {
  ctx__lock walk;      /* held by the one that ends a node with children */
  ctx__atomic walking; /* 1 while it is held; set before the first node of the walk is done */
};

static inline bool node_can_end(const struct node *n)
{
  return n->kind >= NODE_CANCEL;
}

/* The node whose end 'n' shows: itself, an ancestor, or NULL when it never ends. */
static inline struct node *node_ending(struct node *n)
{
  return node_can_end(n) ? n : n->shares;
}

/* The node that 'n' hangs on, or NULL. */
static inline struct node *node_up(const struct node *n)
{
  return n->parent != NULL ? node_ending(n->parent) : NULL;
}

/* The node that ended first, of a node that is done. */
static inline struct node *node_origin(struct node *n)
{
  return n->inherited ? n->end.origin : n;
}

/* A node of one reference, live in the given word, that holds 'parent' (whose
 * count is raised). */
void node_init(struct node *n, enum node_kind kind, uint32_t state, struct node *parent);

void node_retain(struct node *n);

/* From now on the references of 'n' are not counted. */
void node_immortalize(struct node *n);

/* True: that was the last reference, and the caller is to free the node. */
bool node_release(struct node *n);

/* For who finds 'n' by a weak link, whose lock it holds. False: it is being freed. */
bool node_retain_unless_dead(struct node *n);

/* Ends 'n', whose lock is held or which nobody else knows, as 'origin' has ended. */
void node_inherit(struct node *n, struct node *origin);

/*
 * tree_link: hangs 'child', which nobody else knows, on 'up'. False: 'up' is done,
 * and 'child' is now done as well, and linked nowhere.
 */
bool tree_link(struct node *up, struct node *child);

/* Takes 'n' off the node it hangs on, if it still does. */
void tree_unlink(struct node *n);

/* Waits until no walk is under way that has begun before this call. */
void tree_join(struct tree *t);

void tree_walk_begin(struct tree *t);
void tree_walk_end(struct tree *t);

/*
 * tree_next: the node after 'at' in the walk below 'root': the next live one,
 * depth first, siblings in the order of their creation. It comes locked and not
 * yet done: the caller ends it, and unlocks it. NULL: none is left. Nodes whose
 * last reference the walk had to take are put on 'dead' by their 'sibling'; the
 * caller frees them when the walk is over.
 */
struct node *tree_next(struct node *root, struct node *at, struct list *dead);

#endif
