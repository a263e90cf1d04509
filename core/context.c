#include "platform.h"

#include "annex.h"
#include "cause.h"
#include "context.h"
#include "listener.h"

_Static_assert(offsetof(ctx_context, node.state) == 0, "ctx_err reads the first word as the state");

/* ---- the last release ------------------------------------------------- */

static size_t size_of(const ctx_context *c)
{
  switch (c->node.kind) {
  case NODE_VALUE: return value_context_size(c);
  case NODE_LISTENER: return sizeof(struct listener_context);
  case NODE_DEADLINE: return sizeof(struct deadline_context);
  case NODE_GRACE: return sizeof(struct grace_context);
  case NODE_MERGE: return merge_context_of((ctx_context *)(uintptr_t)c)->size;
  default: return sizeof(ctx_context);
  }
}

/* Takes 'c' off all that it hangs on. */
static void unlink_all(ctx_context *c)
{
  if (c->node.kind != NODE_MERGE) {
    tree_unlink(&c->node);
    return;
  }
  struct merge_context *m = merge_context_of(c);
  for (size_t i = 0; i < m->members; i++) tree_unlink(&m->member[i]);
}

/* Takes what can end out of all that may still find it: its up, and the wheel. A
 * done one is not in that: who ended it saw to it, with a reference in his hands, or its lock. */
static void disappear(ctx_context *c)
{
  bool done = state_is_done(context_state(c));
  unlink_all(c);
  if (done) return;
  listener_leave(c);
  if (context_has_wish(c)) engine_disarm(c->engine, &deadline_context_of(c)->wish);
}

/* Takes what is to be told of the end of 'c', or would have been: for drop_causes. */
static void take_causes(const ctx_context *c, ctx_cause *causes[2])
{
  bool own = state_is_done(context_state(c)) && !c->node.inherited;
  causes[0] = own ? c->node.end.cause : NULL;
  causes[1] = context_has_wish(c) ? deadline_context_of((ctx_context *)(uintptr_t)c)->cause : NULL;
}

static void drop_causes(ctx_cause *causes[2])
{
  ctx_cause_release(causes[0]);
  ctx_cause_release(causes[1]);
}

static void drop_value(struct value_context *v)
{
  CTX__FOREIGN();
  if (v->drop != NULL) v->drop(v->value);
}

/* Whoever frees a context that has held its parent by lying there needs the engine a moment longer.
 * Where one is held up for long, or two copies of the library have counted on one engine, that is
 * left rather than waited for. */
static void free_root(ctx_context *c)
{
  ctx_engine *e = c->engine;
  if (c->node.kind != NODE_BACKGROUND) return; /* its memory goes with the background's */
  if (engine_await_none(e, COUNT_CONTEXTS)) engine_free(e, e, e->block_size);
}

/* Gives up the further parents of a merge, which hangs on them no longer. Those that it alone has
 * kept are taken out, and put into 'dead'. */
static void leave_members(struct merge_context *m, struct list *dead)
{
  for (size_t i = 1; i < m->members; i++) {
    struct node *parent = m->member[i].parent;
    if (!node_release(parent)) continue;
    if (node_can_end(parent) && parent->kind != NODE_MERGE) tree_take_out(parent);
    list_append(dead, &parent->sibling);
  }
}

/* The memory of 'c'. What is counted last shows that its engine is not needed any more. */
static void free_block(ctx_context *c)
{
  ctx_engine *e = c->engine;
  engine_free(e, c, size_of(c));
  engine_count(e, COUNT_CONTEXTS, -1);
}

/* The parent, where that is to be freed as well, or NULL. Further parents are put into 'dead'. The
 * causes come last: what they drop may be the parent, and the last that keeps the engine. */
static struct node *context_free(ctx_context *c, struct list *dead)
{
  struct node *n = &c->node, *parent = n->parent;
  ctx_cause *causes[2] = {NULL, NULL};
  annex_unpublish(c);
  if (node_can_end(n)) {
    take_causes(c, causes);
    disappear(c);
  }
  annex_drop(c);
  if (n->kind == NODE_MERGE) leave_members(merge_context_of(c), dead);
  if (n->kind == NODE_VALUE) drop_value(value_context_of(c));
  if (engine_is_dead(c->engine)) return NULL; /* the drop has forked, and this is the child */
  bool counted = n->counted, last = n->last;
  if (n->kind == NODE_BACKGROUND || n->kind == NODE_TODO)
    free_root(c);
  else
    free_block(c);
  if (counted) last = parent != NULL && node_release(parent);
  drop_causes(causes);
  return last ? parent : NULL;
}

void context_free_upwards(ctx_context *c)
{
  struct list dead; /* by their siblings: a further parent of a merge may be a merge again */
  list_init(&dead);
  while (!engine_is_dead(c->engine)) { /* race: with who forks in a drop, as above */
    struct node *n = context_free(c, &dead);
    if (n == NULL) {
      struct list_link *k = list_pop(&dead);
      if (k == NULL) return;
      n = LIST_ELEMENT(k, struct node, sibling);
    }
    c = context_of_node(n);
  }
}

void context_free_all(struct list *dead)
{
  struct list_link *k;
  while ((k = list_pop(dead)) != NULL)
    context_free_upwards(context_of_node(LIST_ELEMENT(k, struct node, sibling)));
}

ctx_context *ctx_retain(ctx_context *c)
{
  node_retain(&c->node);
  return c;
}

/* Whether the caller has the only reference on 'c', and nobody finds it without one: then it need
 * not be counted down. What is done is found by its up alone, and so is taken off there; a merge
 * by several, and what is tracked by its annex. */
static bool is_ours_alone(ctx_context *c)
{
  struct node *n = &c->node;
  if (!node_can_end(n) || n->kind == NODE_MERGE || !state_is_done(context_state(c))) return false;
  return node_is_alone(n) && tree_unlink_alone(n); /* race: somebody finds it there */
}

void ctx_release(ctx_context *c)
{
  if (c == NULL || engine_is_dead(c->engine)) return; /* whose links may be half made */
  if (is_ours_alone(c) || node_release(&c->node)) context_free_upwards(c);
}

/* ---- asking ----------------------------------------------------------- */

ctx_cause *ctx_cause_of(const ctx_context *c)
{
  int err = ctx_err(c);
  if (err == 0) return NULL;
  struct node *ended = node_ending(&((ctx_context *)(uintptr_t)c)->node);
  ctx_cause *cause = node_origin(ended)->end.cause;
  return cause != NULL ? cause : cause_of_err(err);
}

int64_t ctx_deadline(const ctx_context *c)
{
  ctx_context *end = context_ending((ctx_context *)(uintptr_t)c);
  return end != NULL ? CTX__LOAD(&end->deadline_ns) : CTX_NEVER;
}

ctx_engine *ctx_engine_of(const ctx_context *c)
{
  return c->engine;
}

/* ---- making ----------------------------------------------------------- */

void context_init_root(ctx_context *c, ctx_engine *e, enum node_kind kind, ctx_context *parent)
{
  node_init(&c->node, kind, CTX__LIVE, parent != NULL ? &parent->node : NULL);
  c->engine = e;
  c->values = NULL;
  list_init(&c->hooks);
}

/* A new context that nobody knows: the caller still holds its parent. */
static void give_up(ctx_context *c, size_t size)
{
  if (c->node.counted) node_release(c->node.parent);
  engine_count(c->engine, COUNT_CONTEXTS, -1);
  engine_free(c->engine, c, size);
  errno = ENOMEM;
}

ctx_context *context_new(ctx_context *parent, enum node_kind kind, size_t size)
{
  if (parent == NULL) {
    errno = EINVAL;
    return NULL;
  }
  ctx_engine *e = parent->engine;
  if (engine_is_dead(e)) {
    errno = ECHILD;
    return NULL;
  }
  ctx_context *c = engine_alloc(e, size);
  if (c == NULL) return NULL;
  node_init(&c->node, kind, CTX__LIVE, &parent->node);
  c->engine = e;
  c->values = parent->values;
  list_init(&c->hooks);
  engine_count(e, COUNT_CONTEXTS, 1);
  if (CTX__LOAD_RELAXED(&e->tracking) != 0 && !annex_track(c)) {
    give_up(c, size);
    return NULL;
  }
  return c;
}

void context_begin(ctx_context *c, int64_t deadline_ns)
{
  c->deadline_ns = deadline_ns;
  if (deadline_ns != CTX_NEVER) c->node.state = CTX__LIVE_TIMED;
}

/* Nobody but the wheel finds 'c' yet, or its up is locked: it cannot end before it is armed. */
static bool arm(ctx_context *c, int64_t own_ns)
{
  struct deadline_context *d = deadline_context_of(c);
  return context_has_wish(c) && engine_arm_first(c->engine, &d->wish, own_ns);
}

/* 'c' is not hung on its up: that is done, and it with it; or 'up' is NULL. */
static void bear_unhung(ctx_context *c, struct node *up)
{
  if (!c->node.counted) node_hold_parent(&c->node);
  if (up != NULL) node_inherit(&c->node, node_origin(up));
}

/* The deadline is taken over in the section in which 'c' is hung up: who moves that of the up
 * finds 'c' below it, or has moved it before. */
static bool hang_on(struct node *up, ctx_context *c, int64_t own_ns, bool past, bool *wake)
{
  CTX__LOCK(&up->lock);
  int64_t above_ns = CTX__LOAD(&context_of_node(up)->deadline_ns);
  bool own = own_ns < above_ns;
  context_begin(c, own ? own_ns : above_ns);
  bool born_past = own && past;
  bool live = !born_past && tree_link_locked(up, &c->node);
  *wake = live && own && arm(c, own_ns);
  CTX__UNLOCK(&up->lock);
  if (!live) bear_unhung(c, born_past ? NULL : up);
  return live;
}

bool context_hang(ctx_context *c, int64_t own_ns, bool past)
{
  struct node *up = node_up(&c->node);
  bool live = !past, wake = false;
  if (up != NULL) {
    live = hang_on(up, c, own_ns, past, &wake);
  } else {
    context_begin(c, own_ns);
    wake = live && arm(c, own_ns);
  }
  if (wake) engine_wake(c->engine);
  return live;
}

ctx_context *context_made(ctx_context *c)
{
  annex_publish(c);
  return c;
}

ctx_context *ctx_with_cancel(ctx_context *parent)
{
  ctx_context *c = context_new(parent, NODE_CANCEL, sizeof *c);
  if (c == NULL) return NULL;
  context_hang(c, CTX_NEVER, false);
  return context_made(c);
}

ctx_context *ctx_without_cancel(ctx_context *parent)
{
  ctx_context *c = context_new(parent, NODE_DETACHED, sizeof *c);
  return c != NULL ? context_made(c) : NULL;
}
