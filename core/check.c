/*
 * check - what is true of an engine at which nobody works
 *
 * For tests, which damage it and want to be told (spec/core/damage.c). It reaches the contexts that
 * are armed: an engine knows no others.
 */
#include "platform.h"

#include "context.h"

/* Walks a ring, and answers its length; -1 where it is torn. */
static int64_t length(const struct list *l)
{
  int64_t n = 0;
  for (const struct list_link *k = l->first; k != NULL; k = list_after(l, k)) {
    if (k->next->prev != k) return -1;
    n++;
  }
  return n;
}

static const char *check_lists(const ctx_engine *e)
{
  int64_t queued = length(&e->queue);
  if (queued < 0) return "the queue is torn";
  if ((size_t)queued != e->queue_count) return "the queue is not as long as it is counted";
  if (length(&e->calls) < 0) return "the list of calls is torn";
  if (length(&e->tracked) < 0) return "the list of the tracked is torn";
  return NULL;
}

static const char *check_requests(ctx_engine *e)
{
  if (CTX__LOAD(&e->signals) != 0) return NULL;
  for (int i = 0; i < SIGNALED_MAX; i++) {
    if (CTX__LOAD(&e->signaled[i]) != NULL) return "nobody looks for a cancel of a signal handler";
  }
  return NULL;
}

/* A live context that does not outlive what it hangs on: its place there. */
static const char *check_place(ctx_context *c, const struct node *up)
{
  const struct list_link *k = &c->node.sibling;
  if (state_is_done(CTX__LOAD(&up->state))) return "a live context hangs on one that is done";
  if (!list_linked(k) || k->next->prev != k || k->prev->next != k)
    return "a live context is not among the children";
  return NULL;
}

/* An armed entry that belongs to a context. */
static const char *check_wish(const struct wheel_entry *entry)
{
  if (entry->tag != ENTRY_CONTEXT) return NULL;
  struct deadline_context *d = LIST_ELEMENT(entry, struct deadline_context, wish);
  ctx_context *c = &d->context;
  struct node *up = node_up(&c->node);
  int64_t deadline_ns = CTX__LOAD(&c->deadline_ns);
  if (state_is_done(context_state(c))) return "a context that is done is armed";
  if (deadline_ns != d->context.node.own_ns)
    return "a context is armed, and another deadline is in force";
  if (entry->deadline_ns < deadline_ns) return "a context is armed too early";
  if (up == NULL || c->node.kind == NODE_GRACE) return NULL;
  if (CTX__LOAD(&context_of_node(up)->deadline_ns) < deadline_ns)
    return "a context has a later deadline than what it hangs on";
  return check_place(c, up);
}

const char *ctx__check(ctx_engine *e)
{
  engine_lock(e);
  const char *broken = wheel_check(&e->wheel, check_wish);
  if (broken == NULL) broken = check_lists(e);
  engine_unlock(e);
  return broken != NULL ? broken : check_requests(e);
}
