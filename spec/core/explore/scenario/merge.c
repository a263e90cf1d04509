/*
 * merge - several parents, and a parent that is outlived for some time, while somebody ends,
 * bears, moves or lets go
 */
#include "scenario.h"

struct family {
  ctx_engine *engine;
  ctx_context *a, *b, *m, *child;
  ctx_cause *why_a, *why_b;
};

enum { SOON = 10, LATER = 20, GRACE = 7 };

static ctx_cause *why(const char *text)
{
  return ctx_cause_new(text, 1, 0, NULL, NULL);
}

static struct family *new_family(void)
{
  struct family *f = NEW(struct family);
  f->engine = explore_engine(CTX_DRIVER_HOST);
  f->a = ctx_with_deadline(ctx_engine_background(f->engine), SOON);
  f->b = ctx_with_deadline(ctx_engine_background(f->engine), LATER);
  f->why_a = why("a");
  f->why_b = why("b");
  return f;
}

static void bear_merge(void *arg)
{
  struct family *f = arg;
  f->m = ctx_merge(2, (ctx_context *[]){f->a, f->b});
}

static int64_t timers(const struct family *f)
{
  ctx_counters n;
  ctx_engine_counters(f->engine, &n);
  return n.timers;
}

static void end_family(struct family *f)
{
  ctx_release(f->child);
  ctx_release(f->m);
  ctx_cancel(f->b);
  ctx_cancel(f->a);
  ctx_release(f->b);
  ctx_release(f->a);
  ctx_cause_release(f->why_a);
  ctx_cause_release(f->why_b);
  ctx_counters n;
  ctx_engine_counters(f->engine, &n);
  EXPECT_INT(n.timers, 0);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(f->engine), 0);
  CTX__FREE(f);
}

static void cancel_a(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel_cause(f->a, ctx_cause_retain(f->why_a)));
}

static void cancel_b(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel_cause(f->b, ctx_cause_retain(f->why_b)));
}

/* The same, where the merge is there from the beginning. */
static void cancel_a_with_all(void *arg)
{
  struct family *f = arg;
  cancel_a(f);
  EXPECT_INT(ctx_err(f->m), CTX_CANCELED);
  EXPECT_INT(ctx_err(f->child), CTX_CANCELED);
}

static void cancel_b_with_all(void *arg)
{
  struct family *f = arg;
  cancel_b(f);
  EXPECT_INT(ctx_err(f->m), CTX_CANCELED);
  EXPECT_INT(ctx_err(f->child), CTX_CANCELED);
}

static void cancel_merge(void *arg)
{
  struct family *f = arg;
  ctx_cancel_cause(f->m, ctx_cause_retain(f->why_b));
  EXPECT_INT(ctx_err(f->m), CTX_CANCELED);
  EXPECT_INT(ctx_err(f->child), CTX_CANCELED);
}

/* It and what is below have one and the same cause. */
static void one_cause(const struct family *f)
{
  const ctx_cause *x = ctx_cause_of(f->m);
  EXPECT(x == f->why_a || x == f->why_b);
  EXPECT(ctx_cause_of(f->child) == x);
}

static struct family *merged(void)
{
  struct family *f = new_family();
  bear_merge(f);
  f->child = ctx_with_cancel(f->m);
  return f;
}

static void both_parents(void)
{
  struct family *f = merged();
  together(f, cancel_a_with_all, cancel_b_with_all, NULL);
  one_cause(f);
  end_family(f);
}

static void parent_and_merge(void)
{
  struct family *f = merged();
  together(f, cancel_a_with_all, cancel_merge, NULL);
  one_cause(f);
  end_family(f);
}

static void let_go(void *arg)
{
  struct family *f = arg;
  ctx_release(f->m);
}

static void merge_released(void)
{
  struct family *f = new_family();
  bear_merge(f);
  together(f, cancel_b, let_go, NULL);
  f->m = NULL;
  end_family(f);
}

static void let_b_go(void *arg)
{
  struct family *f = arg;
  ctx_release(f->b);
}

static void merge_and_parent_released(void)
{
  struct family *f = new_family();
  bear_merge(f);
  together(f, let_go, let_b_go, NULL);
  f->m = f->b = NULL;
  end_family(f);
}

static void merge_born(void)
{
  struct family *f = new_family();
  together(f, cancel_b, bear_merge, NULL);
  EXPECT_INT(ctx_err(f->m), CTX_CANCELED);
  EXPECT(ctx_cause_of(f->m) == f->why_b);
  EXPECT_INT(ctx_deadline(f->m), SOON);
  end_family(f);
}

static void merge_born_first(void)
{
  struct family *f = new_family();
  together(f, cancel_a, bear_merge, NULL);
  EXPECT_INT(ctx_err(f->m), CTX_CANCELED);
  EXPECT(ctx_cause_of(f->m) == f->why_a);
  EXPECT_INT(ctx_deadline(f->m), SOON);
  end_family(f);
}

static void move_a(void *arg)
{
  struct family *f = arg;
  EXPECT_INT(ctx_extend(f->a, LATER + 1), 0);
}

static void merge_born_moved(void)
{
  struct family *f = new_family();
  together(f, move_a, bear_merge, NULL);
  EXPECT_INT(ctx_deadline(f->m), LATER);
  end_family(f);
}

static void just_cancel_merge(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel(f->m));
  ctx_release(f->m);
}

static void merge_moved(void)
{
  struct family *f = new_family();
  bear_merge(f);
  together(f, move_a, just_cancel_merge, NULL);
  f->m = NULL;
  EXPECT(ctx_cancel(f->a));
  EXPECT(ctx_cancel(f->b));
  end_family(f);
}

static void release_it(void *arg)
{
  let_go(arg);
}

static void merge_moved_released(void)
{
  struct family *f = new_family();
  bear_merge(f);
  together(f, move_a, release_it, NULL);
  f->m = NULL;
  end_family(f);
}

/* ---- a grace period --------------------------------------------------------------- */

static void bear_grace(void *arg)
{
  struct family *f = arg;
  f->m = ctx_with_grace(f->a, GRACE);
}

static void cancel_it(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel(f->m));
}

static struct family *spared(void)
{
  struct family *f = new_family();
  bear_grace(f);
  f->child = ctx_with_cancel(f->m);
  return f;
}

static void both_canceled(void)
{
  struct family *f = spared();
  together(f, cancel_a, cancel_it, NULL);
  EXPECT_INT(ctx_err(f->child), CTX_CANCELED);
  EXPECT_INT(timers(f), 1); /* of b */
  end_family(f);
}

static void both_canceled_alone(void)
{
  struct family *f = new_family();
  bear_grace(f);
  together(f, cancel_a, cancel_it, NULL);
  EXPECT_INT(timers(f), 1); /* of b */
  end_family(f);
}

static void ask(void *arg)
{
  struct family *f = arg;
  int err = ctx_err(f->child);
  EXPECT(err == 0 || CTX__NOW() >= ctx_deadline(f->child));
}

static void time_comes(void *arg)
{
  (void)arg;
  TIME_PASSES(GRACE);
}

/* The time counts from the cancel: whoever asks then or later finds it over, and no sooner. */
static void asked(void)
{
  struct family *f = spared();
  together(f, cancel_a, ask, time_comes, NULL);
  EXPECT(ctx_deadline(f->child) >= GRACE);
  EXPECT(ctx_deadline(f->child) <= 2 * GRACE);
  TIME_PASSES(2 * GRACE);
  EXPECT_INT(ctx_err(f->child), CTX_DEADLINE_EXCEEDED);
  EXPECT_INT(timers(f), 1);
  end_family(f);
}

static void grace_born(void)
{
  struct family *f = new_family();
  together(f, cancel_a, bear_grace, NULL);
  EXPECT_INT(ctx_err(f->m), 0);
  EXPECT_INT(ctx_deadline(f->m), GRACE);
  EXPECT_INT(timers(f), 2);
  end_family(f);
}

static void grace_released(void)
{
  struct family *f = new_family();
  bear_grace(f);
  together(f, cancel_a, let_go, NULL);
  f->m = NULL;
  EXPECT_INT(timers(f), 1);
  end_family(f);
}

static void grace_moved(void)
{
  struct family *f = spared();
  together(f, move_a, cancel_b, NULL);
  EXPECT_INT(ctx_deadline(f->child), LATER + 1 + GRACE);
  end_family(f);
}

/* ---- on the way back ----------------------------------------------------------------------- */

static void cancel_b_and_beside(void *arg)
{
  struct family *f = arg;
  cancel_b(f);
  EXPECT(ctx_done(f->child));
}

static void release_merge(void *arg)
{
  struct family *f = arg;
  ctx_release(f->m);
  f->m = NULL;
}

/* The walk comes to the merge by its second parent, and from below it back to what comes there
 * after it. What is below keeps the merge, which then is let go. */
static void passed_by_second(void)
{
  struct family *f = new_family();
  bear_merge(f);
  ctx_context *below = ctx_with_cancel(f->m);
  f->child = ctx_with_cancel(f->b);
  together(f, cancel_b_and_beside, release_merge, NULL);
  EXPECT(ctx_done(below));
  EXPECT(!ctx_done(f->a));
  ctx_release(below);
  end_family(f);
}

/* ---- others are let in before the walk comes to the merge -------------------------------- */

enum { CROWD = 63 };

static void extend_b(void *arg)
{
  struct family *f = arg;
  ctx_extend(f->b, LATER + 1);
}

/* 'm' hangs on 'a' and 'b', and on 'a' 'crowd' others before it. */
static void let_in(struct family *f, int crowd, part *other)
{
  ctx_context *before[CROWD];
  for (int i = 0; i < crowd; i++) before[i] = ctx_with_cancel(f->a);
  bear_merge(f);
  together(f, cancel_a, release_merge, other, NULL);
  for (int i = 0; i < crowd; i++) ctx_release(before[i]);
  end_family(f);
}

/* The walk of the cancel holds the merge last, and somebody walks along its other parent. */
static void let_in_and_moved(void)
{
  let_in(new_family(), CROWD, extend_b);
}

/* The same walk comes to the merge again, because a grace period begins above it. */
static void let_in_and_spared(void)
{
  struct family *f = new_family();
  ctx_release(f->b);
  f->b = ctx_with_grace(f->a, GRACE);
  let_in(f, CROWD - 1, NULL);
}

const struct scenario merge_scenarios[] = {
  {"merge-cancel", "K1 C1 two parents end at once, each with all below", both_parents,
   .bound = COMPLETE},
  {"merge-cancel-itself", "K1 C2 a parent and the merge end at once", parent_and_merge,
   .bound = COMPLETE},
  {"merge-release", "K1 it may be let go while a parent ends", merge_released, .bound = COMPLETE},
  {"merge-release-parent", "K1 and so may a parent, which goes with the last of them",
   merge_and_parent_released, .bound = COMPLETE},
  {"merge-second", "K1 C1 an end may come to it by any parent, and goes on there", passed_by_second,
   .bound = COMPLETE},
  {"merge-birth", "K1 C6 it may be born while a parent ends", merge_born, .bound = COMPLETE},
  {"merge-birth-first", "K1 C6 and so while the first does", merge_born_first, .bound = COMPLETE},
  {"merge-birth-move", "K1 D13 or while the deadline of one is moved", merge_born_moved,
   .bound = COMPLETE},
  {"merge-move", "K1 D13 it may end while the deadline of one is moved", merge_moved,
   .bound = COMPLETE},
  {"merge-move-release", "K1 D13 or be let go", merge_moved_released, .bound = COMPLETE},
  {"merge-crowd-move", "K1 D13 it may be let go amid many, while another parent is moved",
   let_in_and_moved, .bound = 2},
  {"merge-crowd-grace", "K1 G1 or is outlived", let_in_and_spared, .bound = 3},
  {"grace-cancel", "G1 it and its parent may be canceled at once", both_canceled_alone,
   .bound = COMPLETE},
  {"grace-cancel-child", "G1 and so with a child", both_canceled, .bound = COMPLETE},
  {"grace-query", "B8 D2 who asks finds it over in time, and no sooner", asked, .bound = COMPLETE,
   .time_passes = true},
  {"grace-birth", "C6 it may be born while its parent ends: its time counts", grace_born,
   .bound = COMPLETE},
  {"grace-release", "C13 it may be let go while its parent ends", grace_released,
   .bound = COMPLETE},
  {"grace-move", "D13 it follows its parent's deadline", grace_moved, .bound = COMPLETE},
  {0}};
