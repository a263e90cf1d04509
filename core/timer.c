/*
 * timer - a function of the host that runs once, at an instant
 */
#include "platform.h"

#include "driver.h"
#include "engine.h"

_Static_assert(sizeof(struct timer) <= sizeof(ctx_timer), "a ctx_timer has room for a timer");

static struct timer *inside(ctx_timer *t)
{
  return (struct timer *)(void *)t;
}

void ctx_timer_init(ctx_timer *public, ctx_engine *e, ctx_timer_fn *f, void *arg)
{
  struct timer *t = inside(public);
  wheel_entry_init(&t->entry);
  t->entry.tag = ENTRY_TIMER;
  t->engine = e;
  t->f = f;
  t->arg = arg;
}

int ctx_timer_arm(ctx_timer *public, int64_t deadline_ns)
{
  struct timer *t = inside(public);
  int refused = driver_start(t->engine);
  if (refused != 0) return refused;
  engine_arm(t->engine, &t->entry, deadline_ns);
  return 0;
}

bool ctx_timer_disarm(ctx_timer *public)
{
  struct timer *t = inside(public);
  return !engine_is_dead(t->engine) && engine_disarm(t->engine, &t->entry);
}

/* Waits while the function runs. True: it has armed its timer again. */
static bool armed_again(ctx_engine *e, const struct timer *t)
{
  engine_lock(e);
  engine_await_call_locked(e, t);
  bool armed = wheel_armed(&t->entry);
  engine_unlock(e);
  return armed;
}

bool ctx_timer_disarm_wait(ctx_timer *public)
{
  const struct timer *t = inside(public);
  ctx_engine *e = t->engine;
  bool disarmed = ctx_timer_disarm(public);
  if (engine_is_dead(e) || engine_calling(NULL)) return disarmed;
  while (armed_again(e, t)) disarmed |= ctx_timer_disarm(public); /* race: with its function */
  return disarmed;
}
