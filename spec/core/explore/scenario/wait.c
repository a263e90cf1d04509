/*
 * wait - a thread that sleeps till the end
 */
#include "scenario.h"

struct bed {
  ctx_engine *engine;
  ctx_context *context;
  int64_t limit_ns;
  ctx__atomic err;
  int fd;
};

enum { LIMIT = 10 };

static struct bed *new_bed(int64_t limit_ns)
{
  struct bed *b = NEW(struct bed);
  b->engine = explore_engine(CTX_DRIVER_HOST);
  b->context = ctx_with_cancel(ctx_engine_background(b->engine));
  b->limit_ns = limit_ns;
  return b;
}

static void end_bed(struct bed *b)
{
  ctx_release(b->context);
  ctx_counters n;
  ctx_engine_counters(b->engine, &n);
  EXPECT_INT(n.hooks, 0);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(b->engine), 0);
  CTX__FREE(b);
}

/* The step is done where the sleeper's stack is gone. */
static void sleep_here(void *arg)
{
  struct bed *b = arg;
  int err = ctx_wait(b->context, b->limit_ns);
  STEP();
  EXPECT(err != 0 || b->limit_ns != CTX_NEVER);
  CTX__STORE(&b->err, (uint32_t)err);
}

static void cancel(void *arg)
{
  struct bed *b = arg;
  EXPECT(ctx_cancel(b->context));
}

static void cancel_if_first(void *arg)
{
  struct bed *b = arg;
  ctx_cancel(b->context);
}

static void time_comes(void *arg)
{
  (void)arg;
  TIME_PASSES(LIMIT);
}

static void woken(void)
{
  struct bed *b = new_bed(CTX_NEVER);
  together(b, sleep_here, cancel, NULL);
  EXPECT_INT(b->err, CTX_CANCELED);
  end_bed(b);
}

static void both_woken(void)
{
  struct bed *b = new_bed(CTX_NEVER);
  together(b, sleep_here, sleep_here, cancel, NULL);
  EXPECT_INT(b->err, CTX_CANCELED);
  end_bed(b);
}

static void woken_in_time(void)
{
  struct bed *b = new_bed(LIMIT);
  together(b, sleep_here, cancel, time_comes, NULL);
  end_bed(b);
}

/* ---- a deadline ------------------------------------------------------------------------- */

static void by_deadline(void)
{
  struct bed *b = new_bed(CTX_NEVER);
  ctx_release(b->context);
  b->context = ctx_with_deadline(ctx_engine_background(b->engine), LIMIT);
  together(b, sleep_here, sleep_here, NULL);
  EXPECT_INT(b->err, CTX_DEADLINE_EXCEEDED);
  EXPECT_INT(CTX__NOW(), LIMIT);
  end_bed(b);
}

static void deadline_or_cancel(void)
{
  struct bed *b = new_bed(CTX_NEVER);
  ctx_release(b->context);
  b->context = ctx_with_deadline(ctx_engine_background(b->engine), LIMIT);
  together(b, sleep_here, cancel_if_first, time_comes, NULL);
  EXPECT_INT(b->err, ctx_err(b->context));
  end_bed(b);
}

/* ---- a descriptor ------------------------------------------------------------------------ */

static void open_fd(void *arg)
{
  struct bed *b = arg;
  int fd = ctx_fd(b->context);
  EXPECT(fd >= 0);
  EXPECT_INT(ctx_fd(b->context), fd);
}

static void polled(void)
{
  struct bed *b = new_bed(0);
  together(b, open_fd, open_fd, cancel, NULL);
  EXPECT(explore_readable(ctx_fd(b->context), "the end"));
  end_bed(b);
}

const struct scenario wait_scenarios[] = {
  {"wait-cancel", "a cancel wakes who sleeps, and then leaves his stack alone", woken,
   .bound = COMPLETE},
  {"wait-cancel-2", "and two of them", both_woken, .bound = COMPLETE},
  {"wait-limit", "a cancel and a limit may meet", woken_in_time, .bound = COMPLETE,
   .time_passes = true},
  {"wait-deadline", "B8 a sleeper wakes at the deadline, with no driver", by_deadline,
   .bound = COMPLETE},
  {"wait-deadline-cancel", "and a cancel may come between", deadline_or_cancel, .bound = COMPLETE,
   .time_passes = true},
  {"fd-cancel", "a descriptor is one, and readable in the end", polled, .bound = COMPLETE},
  {0}};
