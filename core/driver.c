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

/* What one call may do: so that it comes to an end whatever the functions do that it runs. */
struct bounds {
  int64_t now_ns;
  uint64_t last_order; /* timers armed later wait for the next call */
  size_t hooks;        /* so many hooks, before the next timer */
};

/* Pops the first entry that is due, and was armed in time. */
static struct wheel_entry *pop_locked(ctx_engine *e, const struct bounds *b, bool *more)
{
  struct wheel_entry *entry = wheel_pop(&e->wheel, b->now_ns, more);
  if (entry == NULL || entry->order <= b->last_order) return entry;
  wheel_unpop(&e->wheel, entry);
  return NULL;
}

/* One thing to do: *did says whether something was; false: nothing is left. */
static bool step(ctx_engine *e, struct bounds *b, bool *did)
{
  bool more = false;
  *did = false;
  CTX__LOCK(&e->lock);
  if (!list_empty(&e->queue) && b->hooks > 0) {
    b->hooks--;
    *did = hook_run_first_locked(e, &e->queue);
    return true;
  }
  struct wheel_entry *entry = pop_locked(e, b, &more);
  if (entry == NULL) {
    CTX__UNLOCK(&e->lock);
    return more;
  }
  *did = fire_locked(e, entry);
  CTX__LOCK(&e->lock);
  b->hooks = e->queue_count;
  CTX__UNLOCK(&e->lock);
  return true;
}

static size_t drive(ctx_engine *e, struct bounds *b)
{
  size_t fired = 0;
  bool did;
  while (step(e, b, &did)) fired += did;
  return fired;
}

size_t ctx_engine_poll(ctx_engine *e)
{
  struct bounds b = {.now_ns = clock_now(&e->clock)};
  if (!begin_driving(e)) return 0;
  CTX__LOCK(&e->lock);
  wheel_set_now(&e->wheel, b.now_ns);
  b.last_order = e->wheel.armings;
  b.hooks = e->queue_count;
  CTX__UNLOCK(&e->lock);
  size_t fired = drive(e, &b);
  end_driving(e);
  return fired;
}

/* Does all that is due at the instant 'now_ns' of a manual clock, whatever comes of it. */
static size_t drive_instant(ctx_engine *e, int64_t now_ns)
{
  size_t fired = 0, did;
  clock_set(&e->clock, now_ns);
  do {
    struct bounds b = {clock_now(&e->clock), UINT64_MAX, SIZE_MAX};
    did = drive(e, &b);
    fired += did;
  } while (did > 0);
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
    if (drive_instant(e, next_ns) == 0 && next_ns == CTX_NEVER) break;
  }
  clock_set(&e->clock, until_ns);
  end_driving(e);
  return 0;
}
