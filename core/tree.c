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

void tree_rest_init(struct tree_rest *rest)
{
  list_init(&rest->dead);
  list_init(&rest->merges);
  list_init(&rest->spared);
}

/* Pops children of 'at' up to the first that is not being freed, and retains it. One that is to
 * be spared hangs on nothing from now on. */
static struct node *pop_child(struct node *at)
{
  struct node *child = NULL;
  CTX__LOCK(&at->lock);
  struct list_link *k;
  while (child == NULL && (k = list_pop(&at->children)) != NULL) {
    struct node *n = LIST_ELEMENT(k, struct node, sibling), *hung = node_hung(n);
    if (n->kind == NODE_GRACE) n->pinned = 1;
    if (node_retain_unless_dead(hung)) child = hung;
  }
  CTX__UNLOCK(&at->lock);
  return child;
}

/* The node that the walk has come from to 'n'. */
static struct node *way_back(struct node *n)
{
  if (n->kind != NODE_MERGE) return node_up(n);
  struct node *via = n->via;
  n->sibling.next = n->sibling.prev = NULL;
  return via;
}

/* Locks 'n', to which the walk comes from 'at'. False: it is done, or to be spared; then it has
 * no children, or their walk would be this one. */
static bool enter(struct node *n, struct node *at)
{
  if (n->kind == NODE_GRACE) return false;
  CTX__LOCK(&n->lock);
  bool live = !done_locked(n);
  if (live && n->kind == NODE_MERGE) n->via = at;
  if (!live) CTX__UNLOCK(&n->lock);
  return live;
}

struct node *tree_next(struct node *root, struct node *at, struct tree_rest *rest)
{
  for (;;) {
    struct node *child = pop_child(at), *leave = child;
    if (child == NULL && at == root) return NULL;
    if (child != NULL && enter(child, at)) return child;
    if (child == NULL) {
      leave = at;
      at = way_back(leave);
    }
    if (leave->kind == NODE_GRACE)
      list_append(&rest->spared, &leave->sibling);
    else if (leave->kind == NODE_MERGE && leave != child)
      list_append(&rest->merges, &leave->sibling);
    else if (!node_release_unless_last(leave))
      list_append(&rest->dead, &leave->sibling);
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
  if (done) list_remove(&up->children, &n->sibling);
  n->pinned = 0;
  bool last = !node_release_unless_last(hung);
  if (last) {
    if (!done) list_remove(&up->children, &n->sibling);
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
