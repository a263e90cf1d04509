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
  n->inherited = 0;
  n->marks = 0;
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
    if (refs >= REFS_FOREVER || CTX__CAS(&n->refs, &refs, refs + 1)) return true;
  }
  return false;
}

/* Gives up a reference that is not the last; false: it is, and is still held. What those did
 * who gave up theirs has happened before: the caller may free. */
static bool release_unless_last(struct node *n)
{
  uint32_t refs = CTX__LOAD(&n->refs);
  while (refs != 1) {
    if (refs >= REFS_FOREVER || CTX__CAS(&n->refs, &refs, refs - 1)) return true;
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

bool tree_link(struct node *up, struct node *child)
{
  CTX__LOCK(&up->lock);
  bool live = !done_locked(up);
  if (live)
    list_append(&up->children, &child->sibling);
  else
    node_inherit(child, node_origin(up));
  CTX__UNLOCK(&up->lock);
  return live;
}

void tree_unlink(struct node *n)
{
  struct node *up = node_up(n);
  if (up == NULL) return;
  CTX__LOCK(&up->lock);
  if (list_linked(&n->sibling)) list_remove(&up->children, &n->sibling);
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

/* Pops children of 'at' up to the first that is not being freed, and retains it. */
static struct node *pop_child(struct node *at)
{
  struct node *child = NULL;
  CTX__LOCK(&at->lock);
  struct list_link *k;
  while (child == NULL && (k = list_pop(&at->children)) != NULL) {
    struct node *n = LIST_ELEMENT(k, struct node, sibling);
    if (node_retain_unless_dead(n)) child = n;
  }
  CTX__UNLOCK(&at->lock);
  return child;
}

struct node *tree_next(struct node *root, struct node *at, struct list *dead)
{
  for (;;) {
    struct node *child = pop_child(at);
    if (child == NULL && at == root) return NULL;
    struct node *leave = at;
    if (child != NULL) {
      CTX__LOCK(&child->lock);
      if (!done_locked(child)) return child;
      CTX__UNLOCK(&child->lock);
      leave = child; /* it had no children, or its walk would be this one */
    } else {
      at = node_up(at);
    }
    if (!release_unless_last(leave)) list_append(dead, &leave->sibling);
  }
}
