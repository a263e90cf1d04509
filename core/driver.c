#include "platform.h"

#include "cancel.h"
#include "driver.h"
#include "interrupt.h"

/* ---- one thing after the other ----------------------------------------- */

/* False: somebody drives 'e' already. */
static bool begin_driving(ctx_engine *e)
{
  engine_lock(e);
  bool mine = !e->driving && !e->closed;
  if (mine) e->driving = true;
  if (mine && e->driver == CTX_DRIVER_THREAD) e->told_ns = INT64_MIN; /* it is awake */
  engine_unlock(e);
  return mine;
}

static void end_driving(ctx_engine *e)
{
  if (engine_is_dead(e)) return; /* a hook has forked, and this is the child */
  engine_lock(e);
  e->driving = false;
  engine_rearm_locked(e);
  engine_unlock(e);
}

/* Does what a popped entry stands for. Called with the engine's lock; it is dropped. */
static bool fire_locked(ctx_engine *e, struct wheel_entry *entry)
{
  if (entry->tag == ENTRY_TIMER) {
    ctx_timer *public = (ctx_timer *)(void *)LIST_ELEMENT(entry, struct timer, entry);
    struct timer t = *LIST_ELEMENT(entry, struct timer, entry);
    struct engine_call call;
    engine_call_begin_locked(e, &call, public);
    t.f(public, t.arg);
    engine_call_end(&call);
    return true;
  }
  struct deadline_context *d = LIST_ELEMENT(entry, struct deadline_context, wish);
  bool alive = node_retain_unless_dead(&d->context.node);
  int64_t now_ns = e->wheel.now_ns; /* at which the entry was found due */
  engine_unlock(e);
  if (!alive) return false; /* race: the last release comes before */
  bool ended = cancel_expired(d, now_ns, HOOK_RUN_INLINE);
  ctx_release(&d->context);
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
  if (engine_accepts(e) != 0) return false;
  ctx_context *asked = interrupt_take(e);
  if (asked != NULL) {
    *did = ctx_cancel_at(asked, NULL, CTX_ORIGIN_SIGNAL, NULL);
    ctx_release(asked);
    return true;
  }
  engine_lock(e);
  if (!list_empty(&e->queue) && b->hooks > 0) {
    b->hooks--;
    *did = hook_run_first_locked(e, &e->queue);
    return true;
  }
  struct wheel_entry *entry = pop_locked(e, b, &more);
  if (entry == NULL) {
    engine_unlock(e);
    return more;
  }
  *did = fire_locked(e, entry);
  if (engine_is_dead(e)) return false;
  engine_lock(e);
  b->hooks = e->queue_count;
  engine_unlock(e);
  return true;
}

static size_t drive(ctx_engine *e, struct bounds *b)
{
  size_t fired = 0;
  bool did;
  while (step(e, b, &did)) fired += did;
  return fired;
}

/* Does what is due by now, so that it comes to an end. */
static size_t poll_once(ctx_engine *e)
{
  struct bounds b = {.now_ns = clock_now(&e->clock)};
  if (!begin_driving(e)) return 0;
  engine_lock(e);
  wheel_set_now(&e->wheel, b.now_ns);
  b.last_order = e->wheel.armings;
  b.hooks = e->queue_count;
  engine_unlock(e);
  size_t fired = drive(e, &b);
  end_driving(e);
  return fired;
}

/* ---- the host ----------------------------------------------------------- */

size_t ctx_engine_poll(ctx_engine *e)
{
  return e->driver != CTX_DRIVER_THREAD ? poll_once(e) : 0;
}

/* ---- by hand ------------------------------------------------------------ */

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
  if (e->driver != CTX_DRIVER_MANUAL || ns < 0) return EINVAL;
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

/* ---- the thread ---------------------------------------------------------- */

/* Sleeps until something is to do, unless 'alarm' is no longer as it was seen before the last
 * look at what there is to do. False: the engine is closed. */
static bool sleep_till_due(ctx_engine *e, uint32_t seen)
{
  engine_lock(e);
  bool open = !e->closed;
  int64_t next_ns = e->told_ns;
  engine_unlock(e);
  if (open && next_ns > CTX__NOW()) CTX__WAIT(&e->alarm, seen, next_ns);
  return open;
}

static void *drive_for_ever(void *arg)
{
  ctx_engine *e = arg;
  for (;;) {
    uint32_t seen = CTX__LOAD(&e->alarm);
    poll_once(e);
    if (engine_is_dead(e) || !sleep_till_due(e, seen)) return NULL;
  }
}

/* This caller is the one that starts the thread. */
static int start(ctx_engine *e)
{
  int failed = CTX__WATCH_FORKS();
  CTX__STORE(&e->process, CTX__PROCESS());
  if (failed == 0) failed = CTX__THREAD_START(&e->thread, drive_for_ever, e);
  if (failed != 0) CTX__STORE(&e->process, 0);
  CTX__STORE(&e->thread_is, failed == 0 ? THREAD_RUNS : THREAD_NONE);
  CTX__WAKE(&e->thread_is);
  return failed == 0 ? 0 : EAGAIN;
}

int driver_start(ctx_engine *e)
{
  int refused = engine_accepts(e);
  if (refused != 0 || e->driver != CTX_DRIVER_THREAD) return refused;
  for (;;) {
    uint32_t is = CTX__LOAD(&e->thread_is);
    if (is == THREAD_RUNS) return 0;
    if (is == THREAD_OVER) return ECANCELED; /* race: with the closing */
    if (is == THREAD_STARTING)               /* race: another does it */
      CTX__WAIT(&e->thread_is, THREAD_STARTING, INT64_MAX);
    else if (CTX__CAS(&e->thread_is, &is, THREAD_STARTING)) /* race: two start it */
      return start(e);
  }
}

void driver_stop(ctx_engine *e)
{
  for (;;) {
    uint32_t is = CTX__LOAD(&e->thread_is);
    if (is == THREAD_OVER) return; /* race: of two that close */
    if (is == THREAD_STARTING) CTX__WAIT(&e->thread_is, is, INT64_MAX); /* race: start, stop */
    if (is == THREAD_RUNS) CTX__THREAD_JOIN(&e->thread);
    if (is != THREAD_STARTING && CTX__CAS(&e->thread_is, &is, THREAD_OVER)) return; /* race: too */
  }
}

int ctx_engine_start(ctx_engine *e)
{
  return driver_start(e);
}
