/*
 * tree - who is whose child; the first end wins; the end goes down without
 * recursion
 *
 * A node holds its parent, for life; a parent does not hold its children: one whose
 * last reference goes unlinks itself and is forgotten. Only nodes that can end by
 * themselves are linked: such a child hangs on the nearest ancestor that can end (its
 * 'up'), which need not be its parent. It lies there from its birth until it is freed,
 * whether it is done or not, and holds its up by that, without a reference of its own:
 * so it comes and goes with one lock each. All who lie there count as one reference.
 *
 *     background          never ends, knows no child
 *        |  \
 *        a   v            a can end; v is a value layer, which shares the end of
 *       / \                  the nearest ancestor that has one (here: none)
 *      v2  c              c hangs on a; v2 shares a's end
 *      |
 *      d                  d's parent is v2, and it hangs on a
 *
 * A merge hangs on several nodes: on each by a member, a small node that stands for it
 * among the children there. Its own link is free.
 *
 * To end a node that has children is a walk. It holds the tree's walk lock
 * throughout, goes depth first, hand over hand, and has no stack: where it goes down from a
 * child that has others after it, it retains that child, which so keeps its place, and comes
 * back to it by 'via'. A node in its grace period is taken out, and spared.
 * Where it stands, either the node over that is locked, or there are children: so nobody frees
 * what it stands at.
 *
 * Another walk only looks, and retains the nodes on its path. It lies under the same lock.
 *
 * Lock order: walk, node, then whatever an owner of this file has. Two nodes at once are
 * locked by a walk alone, which goes down.
 *
 * Knows platform.h, list.h and the states of ctx.h. Knows no time, no hook, no heap.
 */
#ifndef CTX_TREE_H
#define CTX_TREE_H

#include "list.h"
#include "platform.h"

/* One reference in 'refs'; and what all children there count. */
enum { NODE_REF = 2, NODE_HELD_BELOW = 1 };

enum node_kind {
  NODE_BACKGROUND,
  NODE_TODO,
  NODE_DETACHED, /* these three never end */
  NODE_VALUE,    /* shares the end of an ancestor */
  NODE_MEMBER,   /* stands for a merge on one of the nodes that it hangs on; shares its end */
  NODE_CANCEL,
  NODE_LISTENER, /* ended by signals, too */
  NODE_DEADLINE,
  NODE_GRACE, /* does not end with its up, but some time after */
  NODE_MERGE  /* from NODE_CANCEL on: nodes with an end of their own */
};

struct node {
  ctx__atomic state; /* live (several words for it) until the end, then fixed; read without lock */
  ctx__atomic refs;  /* twice their number, and one while children hold it; above 2^30 it is never
                        freed */
  ctx__lock lock;    /* guards 'children', their 'sibling', the end, and what context.h adds */
  uint8_t kind;      /* enum node_kind; fixed at birth */
  uint8_t marks;     /* for the owner of the node; under 'lock', or with the only reference */
  uint8_t left : 1;  /* it has left its up for good; under up's lock, as the next two */
  uint8_t counted : 1; /* it holds 'parent' by a reference, not by its place among the children */
  uint8_t last : 1;    /* it was the last that held 'parent', which is freed with it */
  uint8_t : 0;
  uint8_t inherited : 1; /* the end came from above; published by 'state' */
  uint8_t ended_by : 7;  /* not inherited: who ended it, for its owner; published by 'state' */
  struct node *parent;   /* strong; fixed at birth; NULL in a background */
  union {
    struct list children; /* own end: those that hang here, live or done */
    struct node *shares;  /* no end: whose end this shows, or NULL; fixed at birth */
  };
  struct list_link sibling; /* in up's children; under up's lock */
  union {
    struct node *origin; /* inherited: the node that ended first */
    void *cause;         /* not inherited: what its owner keeps there */
  } end;                 /* published by 'state' */
  union {
    int64_t own_ns; /* the first three are the owner's; see context.h */
    int64_t ended_ns;
    size_t layers;
    struct node *via; /* inherited, or a member: to what a walk comes back after this one; under
                         the walk lock */
  };
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

/* The node that 'n', which is no root, hangs on, or NULL. */
static inline struct node *node_up(const struct node *n)
{
  return node_ending(n->parent);
}

/* What 'n', which lies among the children of a node, stands for: itself, or its merge. */
static inline struct node *node_hung(struct node *n)
{
  return n->kind == NODE_MEMBER ? n->shares : n;
}

/* The node that ended first, of a node that is done. */
static inline struct node *node_origin(struct node *n)
{
  return n->inherited ? n->end.origin : n;
}

/* A node of one reference, live in the given word, that holds 'parent'; where it is to hang on
 * that, only once it does so. */
void node_init(struct node *n, enum node_kind kind, uint32_t state, struct node *parent);

/* 'n' will hang nowhere: from now on it holds its parent. */
void node_hold_parent(struct node *n);

void node_retain(struct node *n);

/* From now on the references of 'n' are not counted. */
void node_immortalize(struct node *n);

/* Gives up a reference where somebody else, or a child, holds 'n' to the end of the call. Takes no
 * lock: for signal handlers. */
void node_release_held(struct node *n);

/* True: that was the last reference, no child holds the node, and the caller is to free it: what
 * those did who gave up theirs has happened before. */
bool node_release(struct node *n);

/* Whether nobody but the caller has a reference, or ever had a child there. */
static inline bool node_is_alone(const struct node *n)
{
  return CTX__LOAD(&n->refs) == NODE_REF;
}

/* For who finds 'n' by a link, whose lock it holds. False: it is being freed. */
bool node_retain_unless_dead(struct node *n);

/* Ends 'n', whose lock is held or which nobody else knows, as 'origin' has ended. */
void node_inherit(struct node *n, struct node *origin);

/*
 * tree_link_locked: hangs 'child', which nobody else finds there, on 'up', which is locked.
 * False: that is done, and 'child' is linked nowhere.
 */
bool tree_link_locked(struct node *up, struct node *child);

/* Takes 'n', of which the caller has the last reference, or which nobody holds, off the node it hangs
 * on, and so holds no longer. Its 'last' says whether that is to be freed with it. */
void tree_unlink(struct node *n);

/* The same with 'n' of which the caller has a reference, if it is alone, and its owner has put no
 * mark on it: who finds it otherwise finds it there. False: it is not. */
bool tree_unlink_alone(struct node *n);

/* Takes 'n', which nobody holds, off the node it hangs on; from now on it holds its parent by a
 * reference, and its 'sibling' is free. */
void tree_take_out(struct node *n);

/* Waits until no walk is under way that has begun before this call. */
void tree_join(struct tree *t);

void tree_walk_begin(struct tree *t);
void tree_walk_end(struct tree *t);

/* What a walk leaves to its caller, by their 'sibling'. */
struct tree_rest {
  struct list dead;   /* those without a reference, and so without children: nobody retains them any
                         more. A merge may yet lie among the children of its other parents: a walk
                         that comes by ends it, and leaves its 'sibling' alone. To be freed */
  struct list spared; /* live ones of NODE_GRACE whose up has ended; with a reference on each */
};

/* A walk below a root that ends what it finds. */
struct tree_walk {
  struct node *at;   /* where it stands; locked */
  struct node *over; /* on which 'at' hangs, locked as well; NULL: 'at' is the root */
  struct node *link; /* by which it does so: 'at' itself, or a member */
  struct node *back; /* the last such link to which the walk comes back, then by 'via'; retained */
  unsigned passed;   /* children so far: now and then others get at the lock over them */
  struct tree_rest rest;
};

/* Stands at 'root', which is locked, has ended, and is held by the caller. */
void tree_walk_from(struct tree_walk *w, struct node *root);

/*
 * tree_next: the next live node, depth first, siblings in the order of their creation. It comes
 * locked and not yet done: the caller ends it, and leaves it so. NULL: none is left, and nothing
 * is locked.
 */
struct node *tree_next(struct tree_walk *w);

/*
 * tree_step: the node after 'at' in the walk below 'root' that takes nothing out; those below 'at'
 * only with 'into'. It comes unlocked, with a reference until the next step, and may be
 * done. A member comes as it is, never with 'into'; the reference is on its merge, of which
 * the caller has another one by the next step. NULL: none is left.
 */
struct node *tree_step(struct node *root, struct node *at, bool into, struct list *dead);

#endif
