/*
 * expiry - a deadline that comes while somebody cancels, asks or lets go
 */
#include "scenario.h"

struct deal {
  ctx_engine *engine;
  ctx_context *timed, *child;
  ctx_cause *late, *early;
  ctx__atomic canceled, ran;
};

enum { DEADLINE = 10 };

static void count_run(ctx_context *c, void *arg)
{
  struct deal *d = arg;
  EXPECT(ctx_done(c));
  CTX__ADD(&d->ran, 1);
}

static struct deal *new_deal(void)
{
  struct deal *d = NEW(struct deal);
  d->engine = explore_engine(CTX_DRIVER_HOST);
  d->late = ctx_cause_new("late", 4, 0, NULL, NULL);
  d->early = ctx_cause_new("early", 5, 0, NULL, NULL);
  ctx_cause_retain(d->late);
  ctx_cause_retain(d->early);
  d->timed = ctx_with_deadline_cause(ctx_engine_background(d->engine), DEADLINE, d->late);
  return d;
}

/* err and cause are those of one and the same end, above and below. */
static void one_end(const struct deal *d)
{
  int err = d->canceled ? CTX_CANCELED : CTX_DEADLINE_EXCEEDED;
  EXPECT_INT(ctx_err(d->timed), err);
  EXPECT(ctx_cause_of(d->timed) == (d->canceled ? d->early : d->late));
  if (d->child != NULL) EXPECT_INT(ctx_err(d->child), err);
}

static void end_deal(struct deal *d)
{
  ctx_release(d->child);
  ctx_release(d->timed);
  ctx_cause_release(d->late);
  ctx_cause_release(d->early);
  ctx_counters n;
  ctx_engine_counters(d->engine, &n);
  EXPECT_INT(n.timers, 0);
  EXPECT_INT(n.hooks, 0);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(d->engine), 0);
  CTX__FREE(d);
}

static void time_comes(void *arg)
{
  (void)arg;
  TIME_PASSES(DEADLINE);
}

static void cancel_early(void *arg)
{
  struct deal *d = arg;
  if (ctx_cancel_cause(d->timed, d->early)) CTX__STORE(&d->canceled, 1);
}

static void poll(void *arg)
{
  struct deal *d = arg;
  ctx_engine_poll(d->engine);
}

static void ask(void *arg)
{
  struct deal *d = arg;
  int err = ctx_err(d->timed);
  if (err != 0) EXPECT_INT(ctx_err(d->timed), err);
}

static void ask_child(void *arg)
{
  struct deal *d = arg;
  int err = ctx_err(d->child);
  if (err != 0) EXPECT_INT(ctx_err(d->timed), err);
}

/* ---- cancel and deadline ----------------------------------------------------------- */

static void polled(void)
{
  struct deal *d = new_deal();
  d->child = ctx_with_cancel(d->timed);
  ctx_hook *h = ctx_after_func(d->timed, count_run, d, CTX_HOOK_INLINE);
  together(d, poll, cancel_early, time_comes, NULL);
  ctx_engine_poll(d->engine);
  one_end(d);
  EXPECT_INT(d->ran, 1);
  ctx_hook_release(h);
  end_deal(d);
}

static void asked(void)
{
  struct deal *d = new_deal();
  ctx_hook *h = ctx_after_func(d->timed, count_run, d, 0);
  together(d, ask, cancel_early, time_comes, NULL);
  ctx_engine_poll(d->engine);
  one_end(d);
  EXPECT_INT(d->ran, 1);
  ctx_hook_release(h);
  end_deal(d);
}

static void asked_below(void)
{
  struct deal *d = new_deal();
  d->child = ctx_with_cancel(d->timed);
  together(d, ask_child, cancel_early, time_comes, NULL);
  ctx_engine_poll(d->engine);
  one_end(d);
  end_deal(d);
}

/* ---- a question and who asks the engine when to come ---------------------------------- */

static void ask_next(void *arg)
{
  struct deal *d = arg;
  EXPECT(ctx_engine_next(d->engine) <= DEADLINE);
}

static void due_until_run(void)
{
  struct deal *d = new_deal();
  d->child = ctx_with_cancel(d->timed);
  ctx_hook *h = ctx_after_func(d->child, count_run, d, 0);
  TIME_PASSES(DEADLINE);
  together(d, ask, ask_next, NULL);
  ask_next(d);
  ctx_engine_poll(d->engine);
  one_end(d);
  EXPECT_INT(d->ran, 1);
  ctx_hook_release(h);
  ctx_cause_release(d->early);
  end_deal(d);
}

/* ---- the last release and the deadline ------------------------------------------------ */

static void let_go(void *arg)
{
  struct deal *d = arg;
  ctx_release(d->timed);
}

static void released(void)
{
  struct deal *d = new_deal();
  TIME_PASSES(DEADLINE);
  together(d, poll, let_go, NULL);
  d->timed = NULL;
  ctx_cause_release(d->early);
  end_deal(d);
}

/* ---- a birth and the deadline of the parent ------------------------------------------- */

static void bear_timed(void *arg)
{
  struct deal *d = arg;
  d->child = ctx_with_deadline(d->timed, DEADLINE + 10);
}

static void born_late(void)
{
  struct deal *d = new_deal();
  together(d, bear_timed, cancel_early, time_comes, NULL);
  ctx_engine_poll(d->engine);
  one_end(d);
  EXPECT_INT(ctx_deadline(d->child), DEADLINE);
  end_deal(d);
}

static void bear_sooner(void *arg)
{
  struct deal *d = arg;
  d->child = ctx_with_deadline(d->timed, DEADLINE - 5);
}

static void born_sooner(void)
{
  struct deal *d = new_deal();
  together(d, bear_sooner, cancel_early, NULL);
  EXPECT_INT(ctx_err(d->child), CTX_CANCELED);
  end_deal(d);
}

const struct scenario expiry_scenarios[] = {
  {"expiry-poll", "E1 of cancel and deadline one wins, above and below", polled, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-query", "B8 and so when it is a question that ends it", asked, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-query-below", "B8 and a question below", asked_below, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-next", "B8 until the hooks have run something is due", due_until_run, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-release", "the last release and the deadline may meet", released, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-birth", "D5 who is born meanwhile ends with the parent", born_late, .bound = COMPLETE,
   .time_passes = true},
  {"expiry-arm", "D8 a cancel from above disarms who is just being born", born_sooner,
   .bound = COMPLETE},
  {0}};
