#include "platform.h"

#include "ctx.h"
#include "tree.h"

/* A count that high is no longer kept: the node lives as long as the process. */
enum { REFS_FOREVER = 1 << 30 };

static bool done_locked(const struct node *n)
{
  uint32_t state = CTX__LOAD_RELAXED(&n->state);
  return state == CTX_CANCELED || state == CTX_DEADLINE_EXCEEDED;
}

void node_init(struct node *n, enum node_kind kind, uint32_t state, struct node *parent)
{
  n->state = state;
  n->refs = 1;
  n->lock = 0;
  n->kind = (uint8_t)kind;
  n->marks = 0;
  n->pinned = 0;
  n->inherited = 0;
  n->ended_by = 0;
  n->parent = parent;
  n->sibling.next = n->sibling.prev = NULL;
  n->end.cause = NULL;
  if (node_can_end(n))
    list_init(&n->children);
  else
    n->shares = NULL;
  if (parent != NULL) node_retain(parent);
}

/* ---- references ------------------------------------------------------- */

void node_retain(struct node *n)
{
  if (CTX__LOAD_RELAXED(&n->refs) < REFS_FOREVER) CTX__ADD(&n->refs, 1);
}

void node_immortalize(struct node *n)
{
  CTX__STORE(&n->refs, REFS_FOREVER);
}

bool node_release(struct node *n)
{
  if (CTX__LOAD_RELAXED(&n->refs) >= REFS_FOREVER) return false;
  return CTX__SUB_RELEASE(&n->refs, 1) == 1;
}

bool node_retain_unless_dead(struct node *n)
{
  uint32_t refs = CTX__LOAD_RELAXED(&n->refs);
  while (refs != 0) {
    if (refs >= REFS_FOREVER || CTX__CAS(&n->refs, &refs, refs + 1)) return true; /* race: for it */
  }
  return false;
}

bool node_release_unless_last(struct node *n)
{
  uint32_t refs = CTX__LOAD(&n->refs);
  while (refs != 1) {
    if (refs >= REFS_FOREVER || CTX__CAS(&n->refs, &refs, refs - 1)) return true; /* race: for it */
  }
  return false;
}

/* ---- links ------------------------------------------------------------ */

void node_inherit(struct node *n, struct node *origin)
{
  n->inherited = 1;
  n->end.origin = origin;
  CTX__STORE(&n->state, CTX__LOAD_RELAXED(&origin->state));
}

bool tree_link_locked(struct node *up, struct node *child)
{
  bool live = !done_locked(up);
  if (live) list_append(&up->children, &child->sibling);
  return live;
}

void tree_unlink(struct node *n)
{
  struct node *up = node_up(n);
  if (up == NULL) return;
  CTX__LOCK(&up->lock);
  if (!n->pinned && list_linked(&n->sibling)) list_remove(&up->children, &n->sibling);
  CTX__UNLOCK(&up->lock);
}

/* ---- the walk --------------------------------------------------------- */

void tree_walk_begin(struct tree *t)
{
  CTX__LOCK(&t->walk);
  CTX__STORE(&t->walking, 1);
}

void tree_walk_end(struct tree *t)
{
  CTX__STORE(&t->walking, 0);
  CTX__UNLOCK(&t->walk);
}

void tree_join(struct tree *t)
{
  if (CTX__LOAD(&t->walking) == 0) return;
  CTX__LOCK(&t->walk);
  CTX__UNLOCK(&t->walk);
}

void tree_leave(struct tree *t, struct node *n)
{
  if (CTX__LOAD(&t->walking) == 0) return;
  CTX__LOCK(&n->lock);
  CTX__UNLOCK(&n->lock);
}

/* So many children are popped before others get at the lock of their up. */
enum { AT_ONCE = 64 };

void tree_walk_from(struct tree_walk *w, struct node *root)
{
  *w = (struct tree_walk){.root = root, .at = root, .held = true};
  list_init(&w->rest.dead);
  list_init(&w->rest.merges);
  list_init(&w->rest.spared);
}

/* The walk is to come back to 'n', which is locked. One that has children is held by them. */
static void hold(struct tree_walk *w, struct node *n)
{
  if (w->held) return;
  node_retain(n);
  n->via = w->back;
  w->held = true;
}

/* Unlocks 'n', to which the walk does not come back; below a merge, others may still wait for it. */
static void leave(struct tree_walk *w, struct node *n, bool held)
{
  bool give_up = held && n != w->root;
  if (give_up) n->via = NULL;
  CTX__UNLOCK(&n->lock);
  if (!give_up) return;
  if (n->kind == NODE_MERGE)
    list_append(&w->rest.merges, &n->sibling);
  else if (!node_release_unless_last(n)) /* race: with the last release */
    list_append(&w->rest.dead, &n->sibling);
}

/* Unlocks the node over 'at', which has children: all below 'at' comes first. */
static void descend(struct tree_walk *w)
{
  struct node *over = w->over;
  if (list_empty(&over->children)) {
    leave(w, over, w->held);
  } else {
    hold(w, over);
    w->back = over;
    CTX__UNLOCK(&over->lock);
  }
  w->over = NULL;
  w->held = w->at->kind == NODE_MERGE;
  if (w->held) w->at->via = w->back;
}

/* From 'at', which has no children, to the one over it, which is locked still. */
static void ascend(struct tree_walk *w)
{
  struct node *over = w->over;
  leave(w, w->at, w->at->kind == NODE_MERGE);
  w->at = over;
  w->over = NULL;
}

/* From 'at', which has no child left, to where there may be more. False: there is not. */
static bool go_back(struct tree_walk *w)
{
  leave(w, w->at, w->held);
  w->at = w->back;
  if (w->at == NULL) return false;
  CTX__LOCK(&w->at->lock);
  w->held = true;
  w->back = w->at != w->root ? w->at->via : NULL;
  return true;
}

/* 'n' of NODE_GRACE, which was popped, hangs on nothing from now on. */
static void pass_by(struct tree_walk *w, struct node *n)
{
  n->pinned = 1;
  if (node_retain_unless_dead(n)) /* race: it goes */
    list_append(&w->rest.spared, &n->sibling);
}

/* Where the walk stands and will go on, others are let in. */
static void let_in(struct tree_walk *w)
{
  struct node *at = w->at;
  if (++w->popped % AT_ONCE != 0 || list_empty(&at->children)) return;
  hold(w, at);
  CTX__UNLOCK(&at->lock);
  CTX__LOCK(&at->lock);
}

/* Pops children of 'at' up to the first that is live, and locks it. One that is done has no
 * children, or their walk would be this one. */
static struct node *pop_child(struct tree_walk *w)
{
  struct list *children = &w->at->children;
  struct list_link *k;
  for (let_in(w); (k = list_pop(children)) != NULL; let_in(w)) {
    struct node *child = node_hung(LIST_ELEMENT(k, struct node, sibling));
    if (child->kind == NODE_GRACE) {
      pass_by(w, child);
      continue;
    }
    CTX__LOCK(&child->lock);
    bool live = !done_locked(child);
    if (live && child->kind == NODE_MERGE) live = node_retain_unless_dead(child);
    if (live) return child;
    CTX__UNLOCK(&child->lock);
  }
  return NULL;
}

struct node *tree_next(struct tree_walk *w)
{
  for (;;) {
    if (w->over != NULL) {
      if (list_empty(&w->at->children))
        ascend(w);
      else
        descend(w);
    }
    struct node *child = pop_child(w);
    if (child != NULL) {
      w->over = w->at;
      return w->at = child;
    }
    if (!go_back(w)) return NULL;
  }
}

/* ---- the walk that only looks -------------------------------------------- */

/* Pins the first from 'k' on that is not being freed, among the children of 'at', which is
 * locked, and retains what it stands for. Those that are being freed are taken out. */
static struct node *pin_from(struct node *at, struct list_link *k)
{
  while (k != NULL) {
    struct list_link *after = list_after(&at->children, k);
    struct node *n = LIST_ELEMENT(k, struct node, sibling);
    if (node_retain_unless_dead(node_hung(n))) {
      n->pinned = 1;
      return n;
    }
    list_remove(&at->children, k);
    k = after;
  }
  return NULL;
}

static struct node *first_below(struct node *at)
{
  CTX__LOCK(&at->lock);
  struct node *n = done_locked(at) ? NULL : pin_from(at, at->children.first);
  CTX__UNLOCK(&at->lock);
  return n;
}

/* Leaves 'n' for the one after it. Who has ended 'n' meanwhile has left it in its place: it is
 * taken out now, before the reference is given up. One that nobody else holds is taken out for
 * good, and so stays pinned. */
static struct node *next_beside(struct node *n, struct list *dead)
{
  struct node *up = node_up(n), *hung = node_hung(n);
  CTX__LOCK(&up->lock);
  struct list_link *k = list_after(&up->children, &n->sibling);
  bool done = done_locked(hung);
  if (done) list_remove(&up->children, &n->sibling); /* race: it ends meanwhile */
  n->pinned = 0;
  bool last = !node_release_unless_last(hung);
  if (last) {                                           /* race: it was let go meanwhile */
    if (!done) list_remove(&up->children, &n->sibling); /* race: it ends, and then goes */
    n->pinned = 1;
    list_append(dead, &hung->sibling);
  }
  struct node *next = pin_from(up, k);
  CTX__UNLOCK(&up->lock);
  return next;
}

struct node *tree_step(struct node *root, struct node *at, bool into, struct list *dead)
{
  struct node *n = into ? first_below(at) : NULL;
  while (n == NULL && at != root) {
    struct node *up = node_up(at);
    n = next_beside(at, dead);
    at = up;
  }
  return n;
}
