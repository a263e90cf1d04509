/*
 * signal - a cancel that a signal handler asks for
 *
 * The handler is a thread here, which is stricter: a real one stops the thread that it
 * interrupts.
 */
#include "scenario.h"

struct post {
  ctx_engine *engine;
  ctx_context *a, *b;
  ctx__atomic asked;
};

static struct post *new_post(ctx_driver driver)
{
  struct post *p = NEW(struct post);
  p->engine = explore_engine(driver);
  p->a = ctx_with_cancel(ctx_engine_background(p->engine));
  EXPECT_INT(ctx_engine_start(p->engine), 0);
  return p;
}

static void end_post(struct post *p)
{
  ctx_release(p->a);
  ctx_release(p->b);
  CTX__FREE(p);
}

static void close_engine(void *arg)
{
  struct post *p = arg;
  EXPECT_INT(ctx_engine_close(p->engine), 0);
}

static void ask_a(void *arg)
{
  struct post *p = arg;
  if (ctx_cancel_from_signal(p->a)) CTX__ADD(&p->asked, 1);
}

static void ask_b(void *arg)
{
  struct post *p = arg;
  EXPECT(ctx_cancel_from_signal(p->b));
}

static void cancel_a(void *arg)
{
  struct post *p = arg;
  ctx_cancel(p->a);
}

static void poll(void *arg)
{
  struct post *p = arg;
  ctx_engine_poll(p->engine);
}

/* ---- the thread ------------------------------------------------------------------------ */

static void heard(void)
{
  struct post *p = new_post(CTX_DRIVER_THREAD);
  EXPECT(ctx_cancel_from_signal(p->a));
  EXPECT_INT(ctx_wait(p->a, CTX_NEVER), CTX_CANCELED);
  close_engine(p);
  end_post(p);
}

static void both_heard(void)
{
  struct post *p = new_post(CTX_DRIVER_THREAD);
  p->b = ctx_with_cancel(ctx_engine_background(p->engine));
  together(p, ask_a, ask_b, NULL);
  EXPECT_INT(p->asked, 1);
  EXPECT_INT(ctx_wait(p->a, CTX_NEVER), CTX_CANCELED);
  EXPECT_INT(ctx_wait(p->b, CTX_NEVER), CTX_CANCELED);
  close_engine(p);
  end_post(p);
}

static void asked_and_canceled(void)
{
  struct post *p = new_post(CTX_DRIVER_THREAD);
  together(p, ask_a, cancel_a, NULL);
  EXPECT_INT(ctx_err(p->a), CTX_CANCELED);
  close_engine(p);
  end_post(p);
}

static void asked_and_closed(void)
{
  struct post *p = new_post(CTX_DRIVER_THREAD);
  together(p, ask_a, close_engine, NULL);
  end_post(p);
}

static void asked_and_closed_by_host(void)
{
  struct post *p = new_post(CTX_DRIVER_HOST);
  EXPECT(ctx_engine_fd(p->engine) >= 0);
  together(p, ask_a, close_engine, NULL);
  end_post(p);
}

/* ---- the host ---------------------------------------------------------------------------- */

/* What is asked is done by this poll, or the descriptor and the next instant tell of it. */
static void told(void)
{
  struct post *p = new_post(CTX_DRIVER_HOST);
  int fd = ctx_engine_fd(p->engine);
  together(p, ask_a, poll, NULL);
  EXPECT_INT(p->asked, 1);
  if (!ctx_done(p->a)) {
    EXPECT(explore_readable(fd, "the host"));
    EXPECT(ctx_engine_next(p->engine) <= CTX__NOW());
    ctx_engine_poll(p->engine);
  }
  EXPECT(ctx_done(p->a));
  close_engine(p);
  end_post(p);
}

static void told_twice(void)
{
  struct post *p = new_post(CTX_DRIVER_HOST);
  p->b = ctx_with_cancel(ctx_engine_background(p->engine));
  together(p, ask_a, ask_b, poll, NULL);
  for (int i = 0; i < 2 && ctx_engine_next(p->engine) <= CTX__NOW(); i++)
    ctx_engine_poll(p->engine);
  EXPECT(ctx_done(p->a));
  EXPECT(ctx_done(p->b));
  close_engine(p);
  end_post(p);
}

const struct scenario signal_scenarios[] = {
  {"signal-thread", "what a handler asks wakes the thread, wherever that is", heard,
   .bound = COMPLETE},
  {"signal-two", "and so from two handlers", both_heard, .bound = 4},
  {"signal-cancel", "an ordinary cancel may come between", asked_and_canceled, .bound = COMPLETE},
  {"signal-close", "and so may a close: nothing is left", asked_and_closed, .bound = COMPLETE},
  {"signal-close-host", "with a descriptor, too", asked_and_closed_by_host, .bound = COMPLETE},
  {"signal-host", "the host does it, or is told to", told, .bound = COMPLETE},
  {"signal-host-2", "and so from two handlers", told_twice, .bound = COMPLETE},
  {0}};
