/*
 * semaphore - acquires that meet releases and ends; and the end of a group
 */
#include "scenario.h"

struct counter {
  ctx_engine *engine;
  ctx_context *a, *b;
  ctx_semaphore *s;
  ctx_group *g;
};

static struct counter *new_counter(int64_t tokens)
{
  struct counter *t = NEW(struct counter);
  t->engine = explore_engine(CTX_DRIVER_HOST);
  t->a = ctx_with_cancel(ctx_engine_background(t->engine));
  t->b = ctx_with_cancel(ctx_engine_background(t->engine));
  t->s = ctx_semaphore_open(tokens);
  EXPECT(ctx_semaphore_try_acquire(t->s, 1));
  return t;
}

static void end_counter(struct counter *t)
{
  ctx_semaphore_close(t->s);
  ctx_release(t->a);
  ctx_release(t->b);
  EXPECT_INT(ctx_engine_close(t->engine), 0);
  CTX__FREE(t);
}

static void take_and_give(struct counter *t, ctx_context *c)
{
  int err = ctx_semaphore_acquire(t->s, c, 1);
  EXPECT_INT(err, err == 0 ? 0 : ctx_err(c));
  if (err == 0) EXPECT_INT(ctx_semaphore_release(t->s, 1), 0);
}

static void acquire_a(void *arg)
{
  struct counter *t = arg;
  take_and_give(t, t->a);
}

static void acquire_b(void *arg)
{
  struct counter *t = arg;
  take_and_give(t, t->b);
}

static void acquire_two(void *arg)
{
  struct counter *t = arg;
  int err = ctx_semaphore_acquire(t->s, t->a, 2);
  EXPECT_INT(err, CTX_CANCELED);
}

static void release(void *arg)
{
  struct counter *t = arg;
  EXPECT_INT(ctx_semaphore_release(t->s, 1), 0);
}

static void cancel_a(void *arg)
{
  struct counter *t = arg;
  ctx_cancel(t->a);
}

static void acquire_release(void)
{
  struct counter *t = new_counter(1);
  together(t, acquire_a, release, NULL);
  EXPECT(ctx_semaphore_try_acquire(t->s, 1));
  end_counter(t);
}

static void acquire_cancel(void)
{
  struct counter *t = new_counter(1);
  together(t, acquire_a, cancel_a, release, NULL);
  EXPECT(ctx_semaphore_try_acquire(t->s, 1));
  end_counter(t);
}

/* The first gives up: who stands behind him must not sleep for ever. */
static void give_up(void)
{
  struct counter *t = new_counter(2);
  together(t, acquire_two, acquire_b, cancel_a, NULL);
  end_counter(t);
}

/* ---- a group ----------------------------------------------------------------- */

static void end_member(void *arg)
{
  struct counter *t = arg;
  ctx_group_done(t->g, NULL);
}

static void wait_and_close(void *arg)
{
  struct counter *t = arg;
  EXPECT_INT(ctx_group_wait(t->g, CTX_NEVER, NULL), 0);
  EXPECT_INT(ctx_group_close(t->g), 0);
}

static void group_end(void)
{
  struct counter *t = new_counter(1);
  t->g = ctx_group_open(t->a, 1);
  EXPECT_INT(ctx_group_add(t->g), 0);
  together(t, end_member, wait_and_close, NULL);
  end_counter(t);
}

const struct scenario semaphore_scenarios[] = {
  {"semaphore-release", "M1 a release wakes who waits", acquire_release, .bound = COMPLETE},
  {"semaphore-cancel", "M2 or a cancel does, and nothing is lost", acquire_cancel, .bound = 3},
  {"semaphore-give-up", "M4 who gives up lets those behind go on", give_up, .bound = 3},
  {"group-end", "L1 the last to end wakes who waits, who may close the group", group_end,
   .bound = COMPLETE},
  {0}};
