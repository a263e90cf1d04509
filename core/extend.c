/*
 * extend - moves the deadline of a live context, and of all below it
 *
 * Where there was no deadline at all before, hooks below may have been attached that need no
 * driver for a cancel, and do for a deadline: so the engine's thread is started here.
 */
#include "platform.h"

#include "deadline.h"
#include "driver.h"

int ctx_extend(ctx_context *c, int64_t deadline_ns)
{
  ctx_engine *e = c->engine;
  struct list dead;
  if (c->node.kind != NODE_DEADLINE) return EINVAL;
  if (engine_is_dead(e)) return ECHILD;
  if (ctx_err(c) != 0) return ECANCELED;
  bool first = ctx_deadline(c) == CTX_NEVER && deadline_ns != CTX_NEVER;
  if (first && driver_start(e) == EAGAIN) return EAGAIN;

  list_init(&dead);
  tree_walk_begin(&e->tree);
  bool live = deadline_move(deadline_context_of(c), deadline_ns, &dead);
  tree_walk_end(&e->tree);
  if (live) (void)ctx_err(c); /* where that instant is past, it ends here */
  context_free_all(&dead);    /* a drop function may release the caller's reference */
  return live ? 0 : ECANCELED;
}
