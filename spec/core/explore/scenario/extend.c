/*
 * extend - a deadline that is moved while somebody ends it, asks, waits, bears or lets go
 */
#include "scenario.h"

struct move {
  ctx_engine *engine;
  ctx_context *timed, *child, *other;
  ctx__atomic moved, canceled;
};

enum { SOON = 10, LATER = 20, NEVER_YET = 1000 };

static struct move *new_move(int64_t deadline_ns)
{
  struct move *m = NEW(struct move);
  m->engine = explore_engine(CTX_DRIVER_HOST);
  m->timed = ctx_with_deadline(ctx_engine_background(m->engine), deadline_ns);
  return m;
}

static int64_t timers(const struct move *m)
{
  ctx_counters n;
  ctx_engine_counters(m->engine, &n);
  return n.timers;
}

static void end_move(struct move *m)
{
  ctx_release(m->other);
  ctx_release(m->child);
  ctx_release(m->timed);
  ctx_counters n;
  ctx_engine_counters(m->engine, &n);
  EXPECT_INT(n.timers, 0);
  EXPECT_INT(n.hooks, 0);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(m->engine), 0);
  CTX__FREE(m);
}

static void to(struct move *m, int64_t deadline_ns)
{
  int err = ctx_extend(m->timed, deadline_ns);
  EXPECT(err == 0 || err == ECANCELED);
  if (err == 0) CTX__STORE(&m->moved, 1);
}

static void move_later(void *arg)
{
  to(arg, LATER);
}

static void move_sooner(void *arg)
{
  to(arg, SOON);
}

static void time_comes(void *arg)
{
  (void)arg;
  TIME_PASSES(SOON);
}

/* The deadline is as the move has said, above and below. */
static void one_deadline(const struct move *m)
{
  int64_t deadline_ns = m->moved ? LATER : SOON;
  EXPECT_INT(ctx_deadline(m->timed), deadline_ns);
  if (m->child != NULL) EXPECT_INT(ctx_deadline(m->child), deadline_ns);
}

/* ---- who ends it -------------------------------------------------------------------- */

static void cancel(void *arg)
{
  struct move *m = arg;
  EXPECT(ctx_cancel(m->timed));
}

static void canceled(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_later, cancel, NULL);
  one_deadline(m);
  EXPECT_INT(ctx_err(m->child), CTX_CANCELED);
  EXPECT_INT(timers(m), 0);
  end_move(m);
}

static void canceled_alone(void)
{
  struct move *m = new_move(SOON);
  together(m, move_later, cancel, NULL);
  one_deadline(m);
  EXPECT_INT(timers(m), 0);
  end_move(m);
}

static void cancel_child(void *arg)
{
  struct move *m = arg;
  EXPECT(ctx_cancel(m->child));
}

/* The walk stands at the child that ends, and goes on to the other one. */
static void canceled_below(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  m->other = ctx_with_cancel(m->timed);
  together(m, move_later, cancel_child, NULL);
  EXPECT_INT(ctx_deadline(m->other), LATER);
  EXPECT(ctx_cancel(m->timed));
  EXPECT_INT(ctx_err(m->other), CTX_CANCELED);
  end_move(m);
}

static void cancel_and_let_go(void *arg)
{
  struct move *m = arg;
  cancel_child(m);
  ctx_release(m->child);
}

static void canceled_and_gone(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_later, cancel_and_let_go, NULL);
  m->child = NULL;
  end_move(m);
}

static void ask(void *arg)
{
  struct move *m = arg;
  int err = ctx_err(m->child);
  EXPECT(err == 0 || CTX__NOW() >= ctx_deadline(m->child));
}

/* Whoever wins: it has not ended before the deadline that it has. */
static void not_early(struct move *m)
{
  one_deadline(m);
  EXPECT_INT(ctx_err(m->child), m->moved ? 0 : CTX_DEADLINE_EXCEEDED);
  TIME_PASSES(LATER);
  ctx_engine_poll(m->engine);
  EXPECT_INT(ctx_err(m->timed), CTX_DEADLINE_EXCEEDED);
  EXPECT_INT(ctx_err(m->child), CTX_DEADLINE_EXCEEDED);
  end_move(m);
}

static void asked(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_later, ask, time_comes, NULL);
  not_early(m);
}

static void poll(void *arg)
{
  struct move *m = arg;
  ctx_engine_poll(m->engine);
}

static void polled(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_later, poll, time_comes, NULL);
  not_early(m);
}

/* ---- who is born --------------------------------------------------------------------- */

static void bear(void *arg)
{
  struct move *m = arg;
  m->child = ctx_with_cancel(m->timed);
}

static void born(void)
{
  struct move *m = new_move(SOON);
  together(m, move_later, bear, NULL);
  one_deadline(m);
  end_move(m);
}

static void bear_between(void *arg)
{
  struct move *m = arg;
  m->child = ctx_with_deadline(m->timed, (SOON + LATER) / 2);
}

static void born_covered(void)
{
  struct move *m = new_move(LATER);
  together(m, move_sooner, bear_between, NULL);
  EXPECT_INT(ctx_deadline(m->child), SOON);
  EXPECT_INT(timers(m), 1);
  end_move(m);
}

static void born_uncovered(void)
{
  struct move *m = new_move(SOON);
  together(m, move_later, bear_between, NULL);
  EXPECT_INT(ctx_deadline(m->child), (SOON + LATER) / 2);
  EXPECT_INT(timers(m), 2);
  end_move(m);
}

/* ---- who waits, and who lets go ------------------------------------------------------- */

static void wait_below(void *arg)
{
  struct move *m = arg;
  EXPECT_INT(ctx_wait(m->child, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
}

static void awaited(void)
{
  struct move *m = new_move(NEVER_YET);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_sooner, wait_below, NULL);
  EXPECT_INT(CTX__NOW(), SOON);
  end_move(m);
}

static void let_go(void *arg)
{
  struct move *m = arg;
  ctx_release(m->child);
}

static void released(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_deadline(m->timed, SOON - 1);
  m->other = ctx_with_cancel(m->timed);
  together(m, move_later, let_go, NULL);
  m->child = NULL;
  EXPECT_INT(ctx_deadline(m->other), LATER);
  end_move(m);
}

/* The walk may hold the last reference on a child, which the driver meets as well. */
static void released_due(void)
{
  struct move *m = new_move(LATER);
  m->child = ctx_with_deadline(m->timed, SOON);
  TIME_PASSES(SOON);
  together(m, move_later, let_go, poll, NULL);
  m->child = NULL;
  end_move(m);
}

static void move_later_still(void *arg)
{
  to(arg, LATER);
}

static void twice(void)
{
  struct move *m = new_move(SOON);
  m->child = ctx_with_cancel(m->timed);
  together(m, move_later, move_later_still, NULL);
  one_deadline(m);
  end_move(m);
}

const struct scenario extend_scenarios[] = {
  {"extend-cancel", "D8 D13 a cancel and a move may meet: no timer is left", canceled_alone,
   .bound = COMPLETE},
  {"extend-cancel-child", "D13 and so with a child", canceled, .bound = COMPLETE},
  {"extend-cancel-below", "D13 a child may end while its parent's deadline is moved",
   canceled_below, .bound = COMPLETE},
  {"extend-cancel-gone", "D13 and be let go, at once", canceled_and_gone, .bound = COMPLETE},
  {"extend-query", "D2 D13 a question may come: it ends by the deadline it has", asked,
   .bound = COMPLETE, .time_passes = true},
  {"extend-poll", "D2 D13 and so may the driver", polled, .bound = COMPLETE, .time_passes = true},
  {"extend-birth", "C6 D13 who is born meanwhile has the parent's deadline", born,
   .bound = COMPLETE},
  {"extend-birth-covered", "D5 D13 and no timer, where that has become the earlier one",
   born_covered, .bound = COMPLETE},
  {"extend-birth-uncovered", "D5 D13 and one, where it has become the later one", born_uncovered,
   .bound = COMPLETE},
  {"extend-wait", "D13 J1 who sleeps below wakes at the new instant", awaited, .bound = COMPLETE,
   .time_passes = true},
  {"extend-release", "D13 a child may be let go meanwhile", released, .bound = COMPLETE},
  {"extend-release-due", "D13 and its own deadline come as well", released_due, .bound = COMPLETE,
   .time_passes = true},
  {"extend-extend", "D13 two moves come one after the other", twice, .bound = COMPLETE},
  {0}};
