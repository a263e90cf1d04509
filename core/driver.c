/*
 * driver - who makes time pass
 *
 * Everything that happens by itself happens here: due contexts end, due timers
 * fire, waiting hooks run, one at a time, each with no lock held.
 */
#include "platform.h"

#include "cancel.h"

/* False: somebody drives 'e' already. */
static bool begin_driving(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
  bool mine = !e->driving && !e->closed;
  if (mine) e->driving = true;
  CTX__UNLOCK(&e->lock);
  return mine;
}

static void end_driving(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
  e->driving = false;
  engine_rearm_locked(e);
  CTX__UNLOCK(&e->lock);
}

/* Does what a popped entry stands for. Called with the engine's lock; it is dropped. */
static bool fire_locked(ctx_engine *e, struct wheel_entry *entry)
{
  if (entry->tag == ENTRY_TIMER) {
    struct timer t = *LIST_ELEMENT(entry, struct timer, entry);
    CTX__UNLOCK(&e->lock);
    struct engine_call call;
    engine_call_begin(e, &call);
    t.f((ctx_timer *)(void *)LIST_ELEMENT(entry, struct timer, entry), t.arg);
    engine_call_end(&call);
    return true;
  }
  struct deadline_context *d = LIST_ELEMENT(entry, struct deadline_context, wish);
  bool alive = node_retain_unless_dead(&d->context.node);
  CTX__UNLOCK(&e->lock);
  bool ended = alive && cancel_expired(d, HOOK_RUN_INLINE);
  if (alive) ctx_release(&d->context);
  return ended;
}

/* One thing to do: *did says whether something was; false: nothing is left. */
static bool step(ctx_engine *e, int64_t now_ns, uint64_t last_order, bool *did)
{
  *did = false;
  CTX__LOCK(&e->lock);
  if (!list_empty(&e->queue)) {
    *did = hook_run_first_locked(e, &e->queue);
    return true;
  }
  bool more = false;
  struct wheel_entry *entry = wheel_pop(&e->wheel, now_ns, &more);
  if (entry != NULL && entry->order > last_order) {
    wheel_unpop(&e->wheel, entry);
    entry = NULL;
  }
  if (entry != NULL) {
    *did = fire_locked(e, entry);
    return true;
  }
  CTX__UNLOCK(&e->lock);
  return more;
}

/* Does all that is due at 'now_ns' and was armed by 'last_order'. */
static size_t drive(ctx_engine *e, int64_t now_ns, uint64_t last_order)
{
  size_t fired = 0;
  bool did;
  while (step(e, now_ns, last_order, &did)) fired += did;
  return fired;
}

size_t ctx_engine_poll(ctx_engine *e)
{
  int64_t now_ns = clock_now(&e->clock);
  if (!begin_driving(e)) return 0;
  CTX__LOCK(&e->lock);
  uint64_t last_order = e->wheel.armings;
  CTX__UNLOCK(&e->lock);
  size_t fired = drive(e, now_ns, last_order);
  end_driving(e);
  return fired;
}

int ctx_engine_advance(ctx_engine *e, int64_t ns)
{
  if (e->driver != DRIVER_MANUAL || ns < 0) return EINVAL;
  if (engine_calling(e) || !begin_driving(e)) return EDEADLK;
  int64_t until_ns = clock_after(clock_now(&e->clock), ns);
  for (;;) {
    int64_t next_ns = ctx_engine_next(e);
    if (next_ns > until_ns) break;
    clock_set(&e->clock, next_ns);
    if (drive(e, clock_now(&e->clock), UINT64_MAX) == 0 && next_ns == CTX_NEVER) break;
  }
  clock_set(&e->clock, until_ns);
  end_driving(e);
  return 0;
}
