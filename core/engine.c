#include "platform.h"

#include "engine.h"

_Static_assert(sizeof(struct timer) <= sizeof(ctx_timer), "a ctx_timer has room for a timer");

#ifdef CTX_DEBUG
_Thread_local int ctx__locks_held;
#endif
_Thread_local char ctx__here;

/* ---- the life of an engine -------------------------------------------- */

int engine_check_options(const ctx_engine_options *o)
{
  bool half_allocator = (o->alloc == NULL) != (o->free == NULL);
  bool known = (unsigned)o->driver <= CTX_DRIVER_MANUAL;
  bool two_clocks = o->driver == CTX_DRIVER_MANUAL && o->now != NULL;
  if (half_allocator || !known || two_clocks) return EINVAL;
  return o->driver == CTX_DRIVER_THREAD ? ENOTSUP : 0;
}

void engine_init(ctx_engine *e, const ctx_engine_options *options, enum engine_driver driver)
{
  *e = (ctx_engine){.driver = driver, .memory = *options, .fd = -1, .fd_armed_ns = INT64_MAX};
  if (driver == DRIVER_MANUAL)
    clock_init_manual(&e->clock, options->start_ns);
  else if (options->now != NULL)
    clock_init_host(&e->clock, options->now, options->arg);
  else
    clock_init_monotonic(&e->clock);
  wheel_init(&e->wheel, clock_now(&e->clock));
}

void engine_close(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
  CTX__STORE(&e->closed, 1);
  if (e->fd >= 0) CTX__FD_CLOSE(e->fd);
  e->fd = -1;
  CTX__UNLOCK(&e->lock);
}

void *engine_alloc(ctx_engine *e, size_t size)
{
  CTX__FOREIGN();
  void *block = e->memory.alloc != NULL ? e->memory.alloc(e->memory.arg, size) : CTX__ALLOC(size);
  if (block == NULL) errno = ENOMEM;
  return block;
}

void engine_free(ctx_engine *e, void *block, size_t size)
{
  CTX__FOREIGN();
  if (e->memory.free != NULL)
    e->memory.free(e->memory.arg, block, size);
  else
    CTX__FREE(block);
}

void engine_count(ctx_engine *e, enum engine_count what, int by)
{
  CTX__ADD(&e->shard[CTX__SHARD()].count[what], by);
}

/* ---- calling out ------------------------------------------------------ */

static CTX__TLS struct engine_call *innermost;

void engine_call_begin(ctx_engine *e, struct engine_call *call)
{
  CTX__FOREIGN();
  *call = (struct engine_call){e, innermost};
  innermost = call;
}

void engine_call_end(struct engine_call *call)
{
  innermost = call->outer;
}

bool engine_calling(const ctx_engine *e)
{
  for (struct engine_call *c = innermost; c != NULL; c = c->outer) {
    if (c->engine == e) return true;
  }
  return false;
}

/* ---- what waits for the driver ---------------------------------------- */

int engine_accepts(const ctx_engine *e)
{
  if (e->driver == DRIVER_NONE) return EAGAIN;
  return CTX__LOAD(&e->closed) != 0 ? ECANCELED : 0;
}

int64_t engine_next_locked(const ctx_engine *e)
{
  return list_empty(&e->queue) ? wheel_next(&e->wheel) : INT64_MIN;
}

void engine_rearm_locked(ctx_engine *e)
{
  if (e->fd < 0) return;
  e->fd_armed_ns = engine_next_locked(e);
  CTX__FD_ARM(e->fd, e->fd_armed_ns);
}

void engine_wake_locked(ctx_engine *e)
{
  if (e->fd >= 0 && engine_next_locked(e) < e->fd_armed_ns) engine_rearm_locked(e);
}

void engine_arm(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns)
{
  CTX__LOCK(&e->lock);
  if (!e->closed && e->driver != DRIVER_NONE) {
    if (deadline_ns < e->wheel.now_ns) deadline_ns = e->wheel.now_ns;
    wheel_disarm(&e->wheel, entry);
    if (deadline_ns != CTX_NEVER) wheel_arm(&e->wheel, entry, deadline_ns);
    engine_wake_locked(e);
  }
  CTX__UNLOCK(&e->lock);
}

bool engine_disarm(ctx_engine *e, struct wheel_entry *entry)
{
  CTX__LOCK(&e->lock);
  bool armed = wheel_disarm(&e->wheel, entry);
  CTX__UNLOCK(&e->lock);
  return armed;
}

/* ---- timers ----------------------------------------------------------- */

void ctx_timer_init(ctx_timer *public, ctx_engine *e, ctx_timer_fn *f, void *arg)
{
  struct timer *t = (struct timer *)(void *)public;
  wheel_entry_init(&t->entry);
  t->entry.tag = ENTRY_TIMER;
  t->engine = e;
  t->f = f;
  t->arg = arg;
}

int ctx_timer_arm(ctx_timer *public, int64_t deadline_ns)
{
  struct timer *t = (struct timer *)(void *)public;
  int refused = engine_accepts(t->engine);
  if (refused != 0) return refused;
  engine_arm(t->engine, &t->entry, deadline_ns);
  return 0;
}

bool ctx_timer_disarm(ctx_timer *public)
{
  struct timer *t = (struct timer *)(void *)public;
  return engine_disarm(t->engine, &t->entry);
}

/* ---- asking ----------------------------------------------------------- */

ctx_context *ctx_engine_background(ctx_engine *e)
{
  return e->background;
}

ctx_context *ctx_engine_todo(ctx_engine *e)
{
  return e->todo;
}

int64_t ctx_engine_now(const ctx_engine *e)
{
  return clock_now(&e->clock);
}

int64_t ctx_engine_next(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
  int64_t next_ns = engine_next_locked(e);
  CTX__UNLOCK(&e->lock);
  return next_ns;
}

int ctx_engine_fd(ctx_engine *e)
{
  if (e->driver != DRIVER_HOST || !clock_is_monotonic(&e->clock)) {
    errno = EINVAL;
    return -1;
  }
  CTX__LOCK(&e->lock);
  if (e->fd < 0) e->fd = CTX__FD_OPEN();
  engine_rearm_locked(e);
  int fd = e->fd;
  CTX__UNLOCK(&e->lock);
  return fd;
}

void ctx_engine_counters(ctx_engine *e, ctx_counters *counters)
{
  int64_t sum[COUNTS] = {0};
  for (int i = 0; i < CTX__SHARDS; i++) {
    for (int what = 0; what < COUNTS; what++) sum[what] += CTX__LOAD(&e->shard[i].count[what]);
  }
  CTX__LOCK(&e->lock);
  int64_t timers = (int64_t)e->wheel.count;
  CTX__UNLOCK(&e->lock);
  *counters =
    (ctx_counters){.contexts = sum[COUNT_CONTEXTS], .hooks = sum[COUNT_HOOKS], .timers = timers};
}

const char *ctx__check(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
  const char *broken = wheel_check(&e->wheel);
  CTX__UNLOCK(&e->lock);
  return broken;
}
