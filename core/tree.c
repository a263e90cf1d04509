#include "platform.h"

#include "ctx.h"
#include "tree.h"

/* References so high are no longer counted: the node lives as long as the process. */
enum { REFS_FOREVER = 1 << 30 };

static bool done_locked(const struct node *n)
{
  uint32_t state = CTX__LOAD_RELAXED(&n->state);
  return state == CTX_CANCELED || state == CTX_DEADLINE_EXCEEDED;
}

/* Whether 'n' holds its parent by lying among its children. */
static bool hangs_on_parent(const struct node *n)
{
  return node_can_end(n) && n->kind != NODE_MERGE && n->parent != NULL && node_can_end(n->parent);
}

void node_init(struct node *n, enum node_kind kind, uint32_t state, struct node *parent)
{
  n->state = state;
  n->refs = NODE_REF;
  n->lock = 0;
  n->kind = (uint8_t)kind;
  n->marks = 0;
  n->left = 0;
  n->counted = 0;
  n->last = 0;
  n->inherited = 0;
  n->ended_by = 0;
  n->parent = parent;
  n->sibling.next = n->sibling.prev = NULL;
  n->end.cause = NULL;
  if (node_can_end(n))
    list_init(&n->children);
  else
    n->shares = NULL;
  if (!hangs_on_parent(n)) node_hold_parent(n);
}

void node_hold_parent(struct node *n)
{
  n->counted = 1;
  if (n->parent != NULL) node_retain(n->parent);
}

/* ---- references ------------------------------------------------------- */

void node_retain(struct node *n)
{
  if (CTX__LOAD_RELAXED(&n->refs) < REFS_FOREVER) CTX__ADD(&n->refs, NODE_REF);
}

void node_release_held(struct node *n)
{
  if (CTX__LOAD_RELAXED(&n->refs) < REFS_FOREVER) CTX__SUB_RELEASE(&n->refs, NODE_REF);
}

void node_immortalize(struct node *n)
{
  CTX__STORE(&n->refs, REFS_FOREVER);
}

/* The caller has the only reference. Children may have held 'n' as well: where none is left, they
 * count no longer. Else the reference is given up, and true. */
static bool leave_to_children(struct node *n)
{
  CTX__LOCK(&n->lock);
  bool left = !list_empty(&n->children);
  CTX__SUB_RELEASE(&n->refs, left ? NODE_REF : NODE_HELD_BELOW);
  CTX__UNLOCK(&n->lock);
  return left;
}

bool node_release(struct node *n)
{
  uint32_t refs = CTX__LOAD(&n->refs);
  for (;;) {
    if (refs >= REFS_FOREVER) return false;
    if (refs == NODE_REF + NODE_HELD_BELOW) {
      if (leave_to_children(n)) return false;
      refs = CTX__LOAD(&n->refs);
    } else if (CTX__CAS(&n->refs, &refs, refs - NODE_REF)) { /* race: for it */
      return refs == NODE_REF;
    }
  }
}

bool node_retain_unless_dead(struct node *n)
{
  uint32_t refs = CTX__LOAD_RELAXED(&n->refs);
  while (refs != 0) {
    if (refs >= REFS_FOREVER || CTX__CAS(&n->refs, &refs, refs + NODE_REF)) return true; /* race */
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
  if (done_locked(up)) return false;
  uint32_t refs = CTX__LOAD_RELAXED(&up->refs);
  if (refs < REFS_FOREVER && (refs & NODE_HELD_BELOW) == 0) CTX__ADD(&up->refs, NODE_HELD_BELOW);
  list_append(&up->children, &child->sibling);
  return true;
}

/* Children that have been counted go on to count while anybody else has a reference on 'up': so they
 * are not counted again and again where they come and go. */
static void unlink_locked(struct node *up, struct node *n)
{
  if (!list_linked(&n->sibling)) return;
  list_remove(&up->children, &n->sibling);
  n->left = 1;
  uint32_t refs = NODE_HELD_BELOW;
  if (list_empty(&up->children) && CTX__LOAD(&up->refs) == refs)
    n->last = CTX__CAS(&up->refs, &refs, 0); /* race: with who finds it */
}

void tree_unlink(struct node *n)
{
  if (n->left) return; /* its up may be gone */
  struct node *up = node_up(n);
  if (up == NULL) return;
  CTX__LOCK(&up->lock);
  unlink_locked(up, n);
  CTX__UNLOCK(&up->lock);
}

bool tree_unlink_alone(struct node *n)
{
  struct node *up = node_up(n);
  if (up == NULL) return n->marks == 0; /* by its mark it may be found elsewhere, as live yet */
  CTX__LOCK(&up->lock);
  bool alone = node_is_alone(n) && n->marks == 0; /* race: with who finds it there */
  if (alone) unlink_locked(up, n);                /* race: the same */
  CTX__UNLOCK(&up->lock);
  return alone;
}

static void take_out_locked(struct node *up, struct node *n)
{
  if (!list_linked(&n->sibling)) return;
  if (!n->counted) node_hold_parent(n);
  list_remove(&up->children, &n->sibling);
}

void tree_take_out(struct node *n)
{
  struct node *up = node_up(n);
  if (up == NULL) return;
  CTX__LOCK(&up->lock);
  take_out_locked(up, n);
  CTX__UNLOCK(&up->lock);
}

/* Gives up the reference on what 'n' stands for, which lies below 'up'. If that was the last one,
 * it goes to 'dead', and false: 'n' lies there no longer. */
static bool let_go_locked(struct node *up, struct node *n, struct list *dead)
{
  struct node *hung = node_hung(n);
  if (!node_release(hung)) return true; /* race: with the last release */
  take_out_locked(up, n);
  list_append(dead, &hung->sibling);
  return false;
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

/* So many children are passed before others get at the lock of their up. */
enum { AT_ONCE = 64 };

void tree_walk_from(struct tree_walk *w, struct node *root)
{
  *w = (struct tree_walk){.at = root};
  list_init(&w->rest.dead);
  list_init(&w->rest.spared);
}

/* Unlocks the node over 'at', to go on below 'at'. What has others after it keeps its place. */
static void descend(struct tree_walk *w)
{
  if (list_after(&w->over->children, &w->link->sibling) != NULL) {
    node_retain(w->at);
    w->link->via = w->back;
    w->back = w->link;
  }
  CTX__UNLOCK(&w->over->lock);
}

/* Back to the node over the last that was retained, which is locked now. '*k': its next child. */
static struct node *come_back(struct tree_walk *w, struct list_link **k)
{
  struct node *link = w->back, *up = node_up(link);
  w->back = link->via;
  CTX__LOCK(&up->lock);
  *k = list_after(&up->children, &link->sibling);
  let_go_locked(up, link, &w->rest.dead);
  return up;
}

/* Now and then others are let in before the walk goes on with 'k' below 'up'. Where to go on then. */
static struct list_link *let_in(struct tree_walk *w, struct node *up, struct list_link *k)
{
  if (k == NULL || ++w->passed % AT_ONCE != 0) return k;
  struct node *n = LIST_ELEMENT(k, struct node, sibling);
  if (!node_retain_unless_dead(node_hung(n))) return k; /* race: it goes */
  CTX__UNLOCK(&up->lock);
  CTX__LOCK(&up->lock);
  struct list_link *after = list_after(&up->children, k);
  return let_go_locked(up, n, &w->rest.dead) ? k : after; /* race: it goes meanwhile */
}

/* 'n' of NODE_GRACE, which lies below 'up', hangs on nothing from now on. */
static void spare(struct tree_walk *w, struct node *up, struct node *n)
{
  if (done_locked(n) || !node_retain_unless_dead(n)) return; /* race: it goes */
  take_out_locked(up, n);
  list_append(&w->rest.spared, &n->sibling);
}

/* The first from 'k' on below 'up' that is live, locked. One that is done has no live children, or
 * their walk would be this one. */
static struct node *find_live(struct tree_walk *w, struct node *up, struct list_link *k)
{
  while ((k = let_in(w, up, k)) != NULL) {
    struct node *n = LIST_ELEMENT(k, struct node, sibling), *child = node_hung(n);
    k = list_after(&up->children, k);
    if (child->kind == NODE_GRACE) {
      spare(w, up, child);
      continue;
    }
    CTX__LOCK(&child->lock);
    w->link = n;
    if (!done_locked(child)) return child;
    CTX__UNLOCK(&child->lock);
  }
  return NULL;
}

struct node *tree_next(struct tree_walk *w)
{
  struct node *up = w->at;
  struct list_link *k = up->children.first;
  if (w->over != NULL && k == NULL) {
    CTX__UNLOCK(&up->lock);
    up = w->over;
    k = list_after(&up->children, &w->link->sibling);
  } else if (w->over != NULL) {
    descend(w);
  }
  while ((w->at = find_live(w, up, k)) == NULL) {
    CTX__UNLOCK(&up->lock);
    if (w->back == NULL) return NULL;
    up = come_back(w, &k);
  }
  w->over = up;
  return w->at;
}

/* ---- the walk that only looks -------------------------------------------- */

/* The first from 'k' on below 'up', which is locked, that is live and is not being freed; what it
 * stands for is retained. Of many that are done one is given now and then, for the caller to pass
 * over: so others are let in. */
static struct node *retain_from(struct node *up, struct list_link *k)
{
  for (unsigned passed = 1; k != NULL; passed++, k = list_after(&up->children, k)) {
    struct node *n = LIST_ELEMENT(k, struct node, sibling), *hung = node_hung(n);
    bool wanted = !done_locked(hung) || passed % AT_ONCE == 0;
    if (wanted && node_retain_unless_dead(hung)) return n; /* race: it goes */
  }
  return NULL;
}

static struct node *first_below(struct node *up)
{
  CTX__LOCK(&up->lock);
  struct node *n = done_locked(up) ? NULL : retain_from(up, up->children.first);
  CTX__UNLOCK(&up->lock);
  return n;
}

/* Leaves 'n' for the one after it. */
static struct node *next_beside(struct node *n, struct list *dead)
{
  struct node *up = node_up(n);
  CTX__LOCK(&up->lock);
  struct list_link *k = list_after(&up->children, &n->sibling);
  let_go_locked(up, n, dead);
  struct node *next = retain_from(up, k);
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
