#include "platform.h"

#include "cancel.h"

/* 'c', which is done, need not be ended at its deadline. */
static void disarm(ctx_context *c)
{
  if (c->node.kind == NODE_DEADLINE) engine_disarm(c->engine, &deadline_context_of(c)->wish);
}

/* Ends all below 'c', which is done; the walk lock is held. */
static void end_below(ctx_context *c, struct hook_batch *batch, struct list *dead)
{
  struct node *n = &c->node;
  while ((n = tree_next(&c->node, n, dead)) != NULL) {
    node_inherit(n, node_origin(&c->node));
    hook_collect_locked(context_of_node(n), batch);
    disarm(context_of_node(n));
    CTX__UNLOCK(&n->lock);
  }
}

/* How a context is to end. */
struct ending {
  uint32_t err;
  ctx_cause *cause; /* taken by the context that ends so */
  enum ctx_origin_kind by;
  const char *site;
  int64_t at_ns;
};

static void publish_locked(ctx_context *c, const struct ending *end)
{
  c->node.end.cause = end->cause;
  c->node.ended_by = (uint8_t)end->by;
  c->ended_ns = end->at_ns;
  CTX__STORE(&c->node.state, end->err);
}

/* All below 'c', which has ended, is done as well: its place for children is free. */
static void keep_site(ctx_context *c, const char *site)
{
  CTX__LOCK(&c->node.lock);
  c->node.site = site;
  CTX__UNLOCK(&c->node.lock);
}

/* Ends 'c' and all below it, unless it is done. */
static bool end_tree(ctx_context *c, const struct ending *end, struct hook_batch *batch,
                     struct list *dead)
{
  struct tree *tree = &c->engine->tree;
  CTX__LOCK(&c->node.lock);
  bool live = !state_is_done(context_state(c));
  bool walk = live && !list_empty(&c->node.children);
  if (walk) {
    CTX__UNLOCK(&c->node.lock);
    tree_walk_begin(tree);
    CTX__LOCK(&c->node.lock);
    live = !state_is_done(context_state(c));
  }
  if (live) {
    publish_locked(c, end);
    if (!walk) c->node.site = end->site;
    hook_collect_locked(c, batch);
  }
  CTX__UNLOCK(&c->node.lock);
  if (live && walk) {
    end_below(c, batch, dead);
    keep_site(c, end->site);
  }
  if (live) disarm(c); /* last: to the driver something is due until all hooks lie in its queue */
  if (walk) tree_walk_end(tree);
  return live;
}

/* The same with all that follows. False: it was done, and so is all below it by now. */
static bool context_end(ctx_context *c, const struct ending *end, enum hook_runner runner)
{
  struct hook_batch batch;
  struct list dead;
  if (engine_is_dead(c->engine)) return false;
  hook_batch_init(&batch, runner);
  list_init(&dead);
  if (!end_tree(c, end, &batch, &dead)) {
    tree_join(&c->engine->tree);
    return false;
  }
  tree_unlink(&c->node);

  ctx_retain(c); /* a hook may release the caller's reference */
  hook_run_batch(c->engine, &batch);
  struct list_link *k;
  while ((k = list_pop(&dead)) != NULL)
    context_free_upwards(context_of_node(LIST_ELEMENT(k, struct node, sibling)));
  ctx_release(c);
  return true;
}

bool ctx_cancel_at(ctx_context *c, ctx_cause *cause, ctx_origin_kind by, const char *site)
{
  bool first = false;
  if (c != NULL && node_can_end(&c->node)) {
    struct ending end = {CTX_CANCELED, cause, by, site, clock_recent(&c->engine->clock)};
    first = context_end(c, &end, HOOK_RUN_INLINE);
  }
  if (!first) ctx_cause_release(cause);
  return first;
}

bool(ctx_cancel_cause)(ctx_context *c, ctx_cause *cause)
{
  return ctx_cancel_at(c, cause, CTX_ORIGIN_EXPLICIT, NULL);
}

bool(ctx_cancel)(ctx_context *c)
{
  return ctx_cancel_at(c, NULL, CTX_ORIGIN_EXPLICIT, NULL);
}

bool cancel_expired(struct deadline_context *d, enum hook_runner runner)
{
  ctx_cause *cause = ctx_cause_retain(d->cause);
  struct ending end = {CTX_DEADLINE_EXCEEDED, cause, CTX_ORIGIN_DEADLINE, NULL,
                       d->wish.deadline_ns};
  bool first = context_end(&d->context, &end, runner);
  if (!first) ctx_cause_release(cause);
  return first;
}

/* ---- a question past the deadline -------------------------------------- */

/* The context whose own deadline is the effective one of 'c', which has one. */
static struct deadline_context *deadline_owner(ctx_context *c)
{
  int64_t deadline_ns = CTX__LOAD(&c->deadline_ns);
  for (;;) {
    struct node *up = node_up(&c->node);
    if (up == NULL || CTX__LOAD(&context_of_node(up)->deadline_ns) > deadline_ns) break;
    c = context_of_node(up);
  }
  return deadline_context_of(c);
}

/* The slow half of ctx_err: another word is to be read, or the clock. */
int ctx__err_asked(const ctx_context *asked)
{
  ctx_context *c = context_ending((ctx_context *)(uintptr_t)asked);
  if (c == NULL) return 0;
  if (context_state(c) == CTX__LIVE_TIMED &&
      clock_now(&c->engine->clock) >= CTX__LOAD(&c->deadline_ns)) {
    if (engine_is_dead(c->engine)) return CTX_DEADLINE_EXCEEDED; /* true, but nobody is told */
    cancel_expired(deadline_owner(c), HOOK_LEAVE_ALL);
  }
  uint32_t state = context_state(c);
  return state_is_done(state) ? (int)state : 0;
}
