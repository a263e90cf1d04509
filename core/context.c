#include "platform.h"

#include "annex.h"
#include "cause.h"
#include "context.h"

_Static_assert(offsetof(ctx_context, node.state) == 0, "ctx_err reads the first word as the state");

static struct value_context *as_value(const ctx_context *c)
{
  return (struct value_context *)(uintptr_t)c;
}

/* ---- the last release ------------------------------------------------- */

static size_t size_of(const ctx_context *c)
{
  switch (c->node.kind) {
  case NODE_VALUE: return sizeof(struct value_context);
  case NODE_DEADLINE: return sizeof(struct deadline_context);
  default: return sizeof(ctx_context);
  }
}

/* Takes what can end out of all that may still find it: its up, and the wheel. A
 * done one is in neither: who ended it saw to that, with a reference in his hands. */
static void disappear(ctx_context *c)
{
  if (state_is_done(context_state(c))) {
    if (!c->node.inherited) ctx_cause_release(c->node.end.cause);
  } else {
    tree_unlink(&c->node);
    if (c->node.kind == NODE_DEADLINE) engine_disarm(c->engine, &deadline_context_of(c)->wish);
  }
  if (c->node.kind == NODE_DEADLINE) ctx_cause_release(deadline_context_of(c)->cause);
}

static void drop_value(struct value_context *v)
{
  CTX__FOREIGN();
  if (v->drop != NULL) v->drop(v->value);
}

static void free_root(ctx_context *c)
{
  ctx_engine *e = c->engine;
  if (c->node.kind != NODE_BACKGROUND) return; /* its memory goes with the background's */
  engine_free(e, e, e->block_size);
}

static void context_free(ctx_context *c)
{
  annex_drop(c);
  if (c->node.kind == NODE_BACKGROUND || c->node.kind == NODE_TODO) {
    free_root(c);
    return;
  }
  if (node_can_end(&c->node)) disappear(c);
  if (c->node.kind == NODE_VALUE) drop_value(as_value(c));
  engine_count(c->engine, COUNT_CONTEXTS, -1);
  engine_free(c->engine, c, size_of(c));
}

void context_free_upwards(ctx_context *c)
{
  if (engine_is_dead(c->engine)) return; /* its links may be half made: it is left to the process */
  for (;;) {
    struct node *parent = c->node.parent;
    context_free(c);
    if (parent == NULL || !node_release(parent)) return;
    c = context_of_node(parent);
  }
}

ctx_context *ctx_retain(ctx_context *c)
{
  node_retain(&c->node);
  return c;
}

void ctx_release(ctx_context *c)
{
  if (c != NULL && node_release(&c->node)) context_free_upwards(c);
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

void *ctx_value(const ctx_context *c, const void *key)
{
  for (c = c->values; c != NULL; c = context_of_node(c->node.parent)->values) {
    if (as_value(c)->key == key) return as_value(c)->value;
  }
  return NULL;
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
  node_release(c->node.parent);
  engine_count(c->engine, COUNT_CONTEXTS, -1);
  engine_free(c->engine, c, size);
  errno = ENOMEM;
}

static ctx_context *context_new(ctx_context *parent, enum node_kind kind, size_t size)
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

/* Gives a new context that can end its effective deadline. */
static void begin(ctx_context *c, int64_t deadline_ns)
{
  c->deadline_ns = deadline_ns;
  if (deadline_ns != CTX_NEVER) c->node.state = CTX__LIVE_TIMED;
}

static int64_t deadline_of_up(const ctx_context *c)
{
  struct node *up = node_up(&c->node);
  return up != NULL ? CTX__LOAD(&context_of_node(up)->deadline_ns) : CTX_NEVER;
}

/* Hangs 'c' on its up, if it has one. False: it is done, as that is. */
static bool hang(ctx_context *c)
{
  struct node *up = node_up(&c->node);
  return up == NULL || tree_link(up, &c->node);
}

ctx_context *ctx_with_cancel(ctx_context *parent)
{
  ctx_context *c = context_new(parent, NODE_CANCEL, sizeof *c);
  if (c == NULL) return NULL;
  begin(c, deadline_of_up(c));
  hang(c);
  return c;
}

/* Ends 'd', which nobody knows yet, because of its deadline or, if that is done, its up. An
 * up whose own deadline has passed is done, whether or not a driver has said so yet. */
static void bear_done(struct deadline_context *d, int64_t now_ns)
{
  struct node *n = &d->context.node;
  struct node *up = node_up(n);
  if (up != NULL && ctx_err(context_of_node(up)) != 0) {
    node_inherit(n, node_origin(up));
  } else {
    n->end.cause = ctx_cause_retain(d->cause);
    n->ended_by = CTX_ORIGIN_DEADLINE;
    d->context.ended_ns = now_ns;
    CTX__STORE(&n->state, CTX_DEADLINE_EXCEEDED);
  }
}

/* Arms the own deadline of 'd', unless it has ended since it was hung up. */
static void arm(struct deadline_context *d, int64_t deadline_ns)
{
  ctx_context *c = &d->context;
  CTX__LOCK(&c->node.lock);
  if (!state_is_done(context_state(c))) engine_arm(c->engine, &d->wish, deadline_ns);
  CTX__UNLOCK(&c->node.lock);
}

/* A child with a deadline of its own, which 'past' says is over 'now_ns'. Takes 'cause'. */
static ctx_context *with_deadline(ctx_context *parent, int64_t deadline_ns, int64_t now_ns,
                                  bool past, ctx_cause *cause)
{
  struct deadline_context *d =
    (struct deadline_context *)(void *)context_new(parent, NODE_DEADLINE, sizeof *d);
  if (d == NULL) return NULL;
  ctx_context *c = &d->context;
  wheel_entry_init(&d->wish);
  d->wish.tag = ENTRY_CONTEXT;
  d->wish.deadline_ns = deadline_ns;
  d->cause = cause;

  int64_t above_ns = deadline_of_up(c);
  bool own = deadline_ns < above_ns;
  begin(c, own ? deadline_ns : above_ns);
  if (own && past)
    bear_done(d, now_ns);
  else if (hang(c) && own)
    arm(d, deadline_ns);
  return c;
}

ctx_context *ctx_with_deadline_cause(ctx_context *parent, int64_t deadline_ns, ctx_cause *cause)
{
  int64_t now_ns = parent != NULL ? clock_now(&parent->engine->clock) : 0;
  return with_deadline(parent, deadline_ns, now_ns, deadline_ns <= now_ns, cause);
}

ctx_context *ctx_with_timeout_cause(ctx_context *parent, int64_t timeout_ns, ctx_cause *cause)
{
  int64_t now_ns = parent != NULL ? clock_now(&parent->engine->clock) : 0;
  int64_t deadline_ns = clock_after(now_ns, timeout_ns);
  return with_deadline(parent, deadline_ns, now_ns, timeout_ns <= 0, cause);
}

ctx_context *ctx_with_deadline(ctx_context *parent, int64_t deadline_ns)
{
  return ctx_with_deadline_cause(parent, deadline_ns, NULL);
}

ctx_context *ctx_with_timeout(ctx_context *parent, int64_t timeout_ns)
{
  return ctx_with_timeout_cause(parent, timeout_ns, NULL);
}

ctx_context *ctx_with_value(ctx_context *parent, const void *key, void *value, void (*drop)(void *))
{
  struct value_context *v =
    (struct value_context *)(void *)context_new(parent, NODE_VALUE, sizeof *v);
  if (v == NULL) return NULL;
  v->key = key;
  v->value = value;
  v->drop = drop;
  v->context.values = &v->context;
  struct node *n = &v->context.node;
  n->shares = node_up(n);
  if (n->shares != NULL) n->state = CTX__ELSEWHERE;
  return &v->context;
}

ctx_context *ctx_without_cancel(ctx_context *parent)
{
  return context_new(parent, NODE_DETACHED, sizeof(ctx_context));
}
