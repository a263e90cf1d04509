/*
 * grace - what outlives its parent, for some time
 *
 * A context with a grace period hangs on its parent as any other; but the walk that ends the parent
 * spares it, and gives it its own deadline then. While the parent lives, that follows from
 * the parent's: so whoever asks past both finds it done, and nobody else is needed.
 */
#include "platform.h"

#include "deadline.h"
#include "driver.h"

ctx_context *ctx_without_cancel_keep_deadline(ctx_context *parent)
{
  const char *site = CTX__SELF()->site; /* for both of them */
  ctx_context *detached = ctx_without_cancel(parent);
  if (detached == NULL) return NULL;
  CTX__SELF()->site = site;
  ctx_context *c = ctx_with_deadline(detached, ctx_deadline(parent));
  int error = errno;
  ctx_release(detached);
  errno = error;
  return c;
}

/* Hangs 'g' on 'up', and gives it the deadline that follows from that. False: 'up' is done. */
static bool hang(struct grace_context *g, struct node *up, int64_t now_ns)
{
  ctx_context *c = &g->deadline.context, *above = context_of_node(up);
  (void)ctx_err(above); /* past its deadline it ends here */
  CTX__LOCK(&up->lock);
  bool live = tree_link_locked(up, &c->node);
  bool canceled = context_state(above) == CTX_CANCELED;
  int64_t from_ns = canceled ? now_ns : CTX__LOAD(&above->deadline_ns);
  c->node.own_ns = clock_after(from_ns, g->grace_ns);
  context_begin(c, c->node.own_ns);
  CTX__UNLOCK(&up->lock);
  if (!live && !c->node.counted) node_hold_parent(&c->node);
  return live;
}

/* 'd', which nobody knows, is over at its birth. */
static void bear_done(struct deadline_context *d)
{
  struct node *n = &d->context.node;
  n->ended_by = CTX_ORIGIN_PARENT;
  CTX__STORE(&n->state, CTX_DEADLINE_EXCEEDED);
}

/* An inline hook here or below may come to need a driver with the end of the parent: so the
 * thread starts now. */
static bool has_driver(ctx_context *parent, int64_t grace_ns)
{
  bool refused = parent != NULL && grace_ns != CTX_NEVER && driver_start(parent->engine) == EAGAIN;
  if (refused) errno = EAGAIN;
  return !refused;
}

ctx_context *ctx_with_grace(ctx_context *parent, int64_t grace_ns)
{
  if (!has_driver(parent, grace_ns)) return NULL;
  struct grace_context *g =
    (struct grace_context *)(void *)context_new(parent, NODE_GRACE, sizeof *g);
  if (g == NULL) return NULL;
  struct deadline_context *d = &g->deadline;
  ctx_context *c = &d->context;
  struct node *up = node_up(&c->node);
  int64_t now_ns = clock_now(&c->engine->clock);
  deadline_init(d, CTX_NEVER, NULL);
  g->grace_ns = grace_ns > 0 ? grace_ns : 0;
  context_begin(c, CTX_NEVER);
  bool live = up == NULL || hang(g, up, now_ns);
  if (!live && c->node.own_ns <= now_ns)
    bear_done(d);
  else
    deadline_arm(d);
  return context_made(c);
}
