#include "platform.h"

#include "annex.h"
#include "cancel.h"
#include "deadline.h"
#include "listener.h"

/* 'c', which is done, need not be ended at its deadline. */
static void disarm(ctx_context *c)
{
  if (context_has_wish(c)) engine_disarm(c->engine, &deadline_context_of(c)->wish);
}

/* How a context is to end. */
struct ending {
  uint32_t err;
  ctx_cause *cause; /* taken by the context that ends so */
  enum ctx_origin_kind by;
  const char *site;
  int64_t at_ns; /* of a deadline: the instant that it is not to be after */
};

/* Whether 'c' is to end so. A deadline may have been moved since somebody found it over: here,
 * under the lock, is the look that counts. */
static bool ends_locked(ctx_context *c, const struct ending *end)
{
  if (state_is_done(context_state(c))) return false;
  if (end->err == CTX_CANCELED) return true;
  return deadline_is_over_locked(deadline_context_of(c), end->at_ns); /* race: it is moved */
}

static void publish_locked(ctx_context *c, const struct ending *end)
{
  c->node.end.cause = end->cause;
  c->node.ended_by = end->by & 0x7f;
  bool canceled = end->err == CTX_CANCELED;
  if (canceled)
    c->node.ended_ns = end->at_ns; /* else it is the own deadline, and lies there already */
  CTX__STORE(&c->node.state, end->err);
}

/* Those that the end above has spared are given what time they have. It counts from this walk,
 * where the instant of a cancel is only known roughly. */
static void spare(ctx_context *c, struct list *spared, struct list *dead)
{
  bool roughly = c->node.state == CTX_CANCELED && clock_is_monotonic(&c->engine->clock);
  int64_t at_ns = roughly && !list_empty(spared) ? CTX__NOW() : c->node.ended_ns;
  struct list_link *k;
  while ((k = list_pop(spared)) != NULL) {
    struct node *n = LIST_ELEMENT(k, struct node, sibling);
    deadline_spare((struct grace_context *)(void *)n, at_ns, dead);
    if (node_release(n)) list_append(dead, k); /* race: nobody else holds it any more */
  }
}

/* Ends all below 'c', which is done, and locked until the walk goes down; the walk lock is held. */
static void end_below(ctx_context *c, struct hook_batch *batch, struct list *dead)
{
  struct node *n, *origin = node_origin(&c->node);
  struct tree_walk walk;
  tree_walk_from(&walk, &c->node);
  while ((n = tree_next(&walk)) != NULL) {
    node_inherit(n, origin);
    hook_collect_locked(context_of_node(n), batch);
    listener_leave(context_of_node(n));
    disarm(context_of_node(n));
  }
  spare(c, &walk.rest.spared, &walk.rest.dead);
  *dead = walk.rest.dead;
}

/* Ends 'c' and all below it, unless it is done. */
static bool end_tree(ctx_context *c, const struct ending *end, struct hook_batch *batch,
                     struct list *dead)
{
  struct tree *tree = &c->engine->tree;
  CTX__LOCK(&c->node.lock);
  bool live = ends_locked(c, end);
  bool walk = live && !list_empty(&c->node.children);
  if (walk) {
    CTX__UNLOCK(&c->node.lock);
    tree_walk_begin(tree);
    CTX__LOCK(&c->node.lock);
    live = ends_locked(c, end);
  }
  if (live) {
    publish_locked(c, end);
    hook_collect_locked(c, batch);
    annex_keep_site_locked(c, end->site);
    listener_leave(c);
  }
  if (live && walk)
    end_below(c, batch, dead); /* unlocks it */
  else
    CTX__UNLOCK(&c->node.lock);
  if (live) disarm(c); /* last: to the driver something is due until all hooks lie in its queue */
  if (walk) tree_walk_end(tree);
  return live;
}

/* The same with all that follows. False: it was done, and so is all below it by now; or its
 * deadline is a later one by now. */
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
  if (batch.used || !list_empty(&dead)) {
    ctx_retain(c); /* a hook may release the caller's reference */
    hook_run_batch(c->engine, &batch);
    context_free_all(&dead);
    ctx_release(c);
  }
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

bool cancel_expired(struct deadline_context *d, int64_t now_ns, enum hook_runner runner)
{
  ctx_cause *cause = ctx_cause_retain(d->cause);
  bool grace = d->context.node.kind == NODE_GRACE;
  struct ending end = {CTX_DEADLINE_EXCEEDED, cause,
                       grace ? CTX_ORIGIN_PARENT : CTX_ORIGIN_DEADLINE, NULL, now_ns};
  bool first = context_end(&d->context, &end, runner);
  if (!first) ctx_cause_release(cause);
  return first;
}

/* ---- a question past the deadline -------------------------------------- */

static bool is_over(ctx_context *c, int64_t now_ns)
{
  return context_state(c) == CTX__LIVE_TIMED && now_ns >= CTX__LOAD(&c->deadline_ns);
}

/* The slow half of ctx_err: another word is to be read, or the clock. What never ends says so in its
 * own word. */
int ctx__err_asked(const ctx_context *asked)
{
  ctx_context *c = context_ending((ctx_context *)(uintptr_t)asked);
  if (context_state(c) == CTX__LIVE_TIMED) {
    int64_t now_ns = clock_now(&c->engine->clock);
    bool dead = engine_is_dead(c->engine);
    if (dead && is_over(c, now_ns)) return CTX_DEADLINE_EXCEEDED; /* true, but nobody is told */
    while (!dead && is_over(c, now_ns)) {
      struct deadline_context *d = deadline_owner(c);
      if (d == NULL) /* race: the deadline is moved meanwhile */
        tree_join(&c->engine->tree);
      else
        cancel_expired(d, now_ns, HOOK_LEAVE_ALL);
    }
  }
  uint32_t state = context_state(c);
  return state_is_done(state) ? (int)state : 0;
}
