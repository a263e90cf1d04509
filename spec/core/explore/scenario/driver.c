/*
 * driver - the engine's thread: starts once, sleeps, is woken in time, is joined
 */
#include "scenario.h"

struct shop {
  ctx_engine *engine;
  ctx_context *a, *b;
  ctx_hook *first, *second;
  ctx_timer *timer, *sooner;
  ctx__atomic ran, rang_ns;
};

static struct shop *new_shop(void)
{
  struct shop *s = NEW(struct shop);
  s->engine = explore_engine(CTX_DRIVER_THREAD);
  s->a = ctx_with_cancel(ctx_engine_background(s->engine));
  return s;
}

static void close_shop(void *arg)
{
  struct shop *s = arg;
  EXPECT_INT(ctx_engine_close(s->engine), 0);
}

static void end_shop(struct shop *s)
{
  ctx_hook_release(s->first);
  ctx_hook_release(s->second);
  ctx_release(s->a);
  ctx_release(s->b);
  CTX__FREE(s);
}

static void ring(ctx_context *c, void *arg)
{
  struct shop *s = arg;
  (void)c;
  CTX__ADD(&s->ran, 1);
  CTX__WAKE(&s->ran);
}

static void cancel_a(void *arg)
{
  struct shop *s = arg;
  ctx_cancel(s->a);
}

static void cancel_b(void *arg)
{
  struct shop *s = arg;
  ctx_cancel(s->b);
}

/* ---- hooks ----------------------------------------------------------------------------- */

/* The thread may be anywhere between its start and its sleep when the hook comes. */
static void hook_runs(void)
{
  struct shop *s = new_shop();
  s->first = ctx_after_func(s->a, ring, s, 0);
  ctx_cancel(s->a);
  AWAIT(&s->ran);
  close_shop(s);
  EXPECT_INT(s->ran, 1);
  end_shop(s);
}

static void await_two(struct shop *s)
{
  uint32_t ran;
  while ((ran = CTX__LOAD(&s->ran)) < 2) CTX__WAIT(&s->ran, ran, INT64_MAX);
}

static void hooks_run(void)
{
  struct shop *s = new_shop();
  s->b = ctx_with_cancel(ctx_engine_background(s->engine));
  s->first = ctx_after_func(s->a, ring, s, 0);
  s->second = ctx_after_func(s->b, ring, s, 0);
  together(s, cancel_a, cancel_b, NULL);
  await_two(s);
  close_shop(s);
  end_shop(s);
}

/* ---- the start ---------------------------------------------------------------------------- */

static void attach_first(void *arg)
{
  struct shop *s = arg;
  s->first = ctx_after_func(s->a, ring, s, 0);
  EXPECT(s->first != NULL);
}

static void attach_second(void *arg)
{
  struct shop *s = arg;
  s->second = ctx_after_func(s->b, ring, s, 0);
  EXPECT(s->second != NULL);
}

static void started_by_two(void)
{
  struct shop *s = new_shop();
  s->b = ctx_with_cancel(ctx_engine_background(s->engine));
  together(s, attach_first, attach_second, NULL);
  close_shop(s);
  EXPECT(ctx_hook_stop(s->first));
  EXPECT(ctx_hook_stop(s->second));
  end_shop(s);
}

static void attach_or_not(void *arg)
{
  struct shop *s = arg;
  s->first = ctx_after_func(s->a, ring, s, 0);
  EXPECT(s->first != NULL || errno == ECANCELED);
}

static void started_or_closed(void)
{
  struct shop *s = new_shop();
  together(s, attach_or_not, close_shop, NULL);
  if (s->first != NULL) ctx_hook_stop(s->first);
  end_shop(s);
}

/* ---- the close ------------------------------------------------------------------------------ */

static void closed_by_cancel(void)
{
  struct shop *s = new_shop();
  s->first = ctx_after_func(s->a, ring, s, 0);
  together(s, cancel_a, close_shop, NULL);
  ctx_hook_stop(s->first);
  EXPECT(s->ran <= 1);
  end_shop(s);
}

static void stop_first(void *arg)
{
  struct shop *s = arg;
  ctx_hook_stop_wait(s->first);
}

static void stopped_by_two(void)
{
  struct shop *s = new_shop();
  s->first = ctx_after_func(s->a, ring, s, 0);
  together(s, cancel_a, stop_first, NULL);
  close_shop(s);
  end_shop(s);
}

/* The thread, two that cancel, and one that stops: what has run has run once. */
static void run_or_stopped(void)
{
  struct shop *s = new_shop();
  s->b = ctx_with_cancel(ctx_engine_background(s->engine));
  s->first = ctx_after_func(s->a, ring, s, 0);
  s->second = ctx_after_func(s->b, ring, s, 0);
  together(s, cancel_a, cancel_b, stop_first, NULL);
  close_shop(s);
  EXPECT(s->ran <= 2);
  end_shop(s);
}

static void stop_second(void *arg)
{
  struct shop *s = arg;
  ctx_hook_stop(s->second);
}

/* And one more that stops the other. */
static void both_run_or_stopped(void)
{
  struct shop *s = new_shop();
  s->b = ctx_with_cancel(ctx_engine_background(s->engine));
  s->first = ctx_after_func(s->a, ring, s, 0);
  s->second = ctx_after_func(s->b, ring, s, 0);
  together(s, cancel_a, cancel_b, stop_first, stop_second, NULL);
  close_shop(s);
  EXPECT(s->ran <= 2);
  end_shop(s);
}

/* ---- timers ---------------------------------------------------------------------------------- */

/* On the virtual clock, at its instant and not a nanosecond later. */
static void tick(ctx_timer *t, void *arg)
{
  struct shop *s = arg;
  EXPECT_INT(CTX__NOW(), t == s->sooner ? 10 : 20);
  CTX__ADD(&s->ran, 1);
  CTX__WAKE(&s->ran);
}

static void arm_sooner(void *arg)
{
  struct shop *s = arg;
  EXPECT_INT(ctx_timer_arm(s->sooner, 10), 0);
}

static void arm_later(void *arg)
{
  struct shop *s = arg;
  EXPECT_INT(ctx_timer_arm(s->timer, 20), 0);
}

static struct shop *new_timers(void)
{
  struct shop *s = new_shop();
  s->timer = NEW(ctx_timer);
  s->sooner = NEW(ctx_timer);
  ctx_timer_init(s->timer, s->engine, tick, s);
  ctx_timer_init(s->sooner, s->engine, tick, s);
  return s;
}

static void end_timers(struct shop *s)
{
  CTX__FREE(s->timer);
  CTX__FREE(s->sooner);
  end_shop(s);
}

static void armed_sooner(void)
{
  struct shop *s = new_timers();
  arm_later(s);
  arm_sooner(s);
  await_two(s);
  close_shop(s);
  end_timers(s);
}

static void armed_by_two(void)
{
  struct shop *s = new_timers();
  together(s, arm_later, arm_sooner, NULL);
  await_two(s);
  close_shop(s);
  end_timers(s);
}

static void time_comes(void *arg)
{
  (void)arg;
  TIME_PASSES(20);
}

static void count_tick(ctx_timer *t, void *arg)
{
  struct shop *s = arg;
  (void)t;
  CTX__ADD(&s->ran, 1);
}

static void disarm(void *arg)
{
  struct shop *s = arg;
  bool disarmed = ctx_timer_disarm_wait(s->timer);
  EXPECT_INT(CTX__LOAD(&s->ran), disarmed ? 0 : 1);
  CTX__FREE(s->timer);
}

static void disarmed_in_time(void)
{
  struct shop *s = new_shop();
  s->timer = NEW(ctx_timer);
  ctx_timer_init(s->timer, s->engine, count_tick, s);
  arm_later(s);
  together(s, disarm, time_comes, NULL);
  close_shop(s);
  end_shop(s);
}

/* ---- deadlines ---------------------------------------------------------------------------------- */

static void ring_in_time(ctx_context *c, void *arg)
{
  EXPECT_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  EXPECT_INT(CTX__NOW(), 10);
  ring(c, arg);
}

static void deadline_rings(void)
{
  struct shop *s = new_shop();
  s->b = ctx_with_deadline(s->a, 10);
  s->first = ctx_after_func(s->b, ring_in_time, s, 0);
  AWAIT(&s->ran);
  close_shop(s);
  end_shop(s);
}

/* The thread has started, and sleeps without end. */
static void deadline_rings_later(void)
{
  struct shop *s = new_shop();
  s->second = ctx_after_func(s->a, ring, s, 0);
  s->b = ctx_with_deadline(s->a, 10);
  s->first = ctx_after_func(s->b, ring_in_time, s, 0);
  AWAIT(&s->ran);
  EXPECT(ctx_hook_stop(s->second));
  close_shop(s);
  end_shop(s);
}

const struct scenario driver_scenarios[] = {
  {"driver-hook", "a hook wakes the thread, wherever that is, and close joins it", hook_runs,
   .bound = COMPLETE},
  {"driver-hooks", "and so from two threads", hooks_run, .bound = COMPLETE},
  {"driver-start", "two who need the thread start one", started_by_two, .bound = COMPLETE},
  {"driver-start-close", "an attach and a close may meet: no thread is left", started_or_closed,
   .bound = COMPLETE},
  {"driver-close", "a cancel and a close may meet: the hook runs or is dropped", closed_by_cancel,
   .bound = COMPLETE},
  {"driver-stop-wait", "H6 a hook is stopped in the hands of the thread", stopped_by_two,
   .bound = COMPLETE},
  {"driver-timer", "the thread wakes for the sooner of two timers, to the nanosecond", armed_sooner,
   .bound = COMPLETE},
  {"driver-four", "H2 and one may be stopped meanwhile", run_or_stopped, .bound = 3},
  {"driver-five", "H2 and both of them", both_run_or_stopped, .bound = 3, .most = 3000000},
  {"driver-timers", "and so when two threads arm them", armed_by_two, .bound = COMPLETE},
  {"driver-disarm", "a timer fires or is disarmed, and then its memory is free", disarmed_in_time,
   .bound = COMPLETE, .time_passes = true},
  {"driver-deadline", "a deadline runs its hooks, to the nanosecond", deadline_rings,
   .bound = COMPLETE},
  {"driver-deadline-later", "and so where the thread sleeps by then", deadline_rings_later,
   .bound = COMPLETE},
  {0}};
