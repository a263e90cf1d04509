/*
 * hook - attached, stopped and awaited while its context ends
 */
#include "scenario.h"

struct trap {
  ctx_engine *engine;
  ctx_context *context;
  ctx_hook *hook;
  struct trap *load; /* freed by who has stopped the hook: its function uses it */
  ctx__atomic ran, stopped, busy;
  unsigned flags;
};

static void spring(ctx_context *c, void *arg)
{
  struct trap *t = arg;
  EXPECT(ctx_done(c));
  CTX__ADD(&t->ran, 1);
}

static struct trap *new_trap(unsigned flags)
{
  struct trap *t = NEW(struct trap);
  t->engine = explore_engine(CTX_DRIVER_HOST);
  t->context = ctx_with_cancel(ctx_engine_background(t->engine));
  t->hook = NEW(ctx_hook);
  t->flags = flags;
  ctx_hook_init(t->hook, spring, t, flags);
  return t;
}

static void end_trap(struct trap *t)
{
  ctx_release(t->context);
  ctx_counters n;
  ctx_engine_counters(t->engine, &n);
  EXPECT_INT(n.hooks, 0);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(t->engine), 0);
  if (t->hook != NULL) CTX__FREE(t->hook);
  CTX__FREE(t);
}

static void cancel(void *arg)
{
  struct trap *t = arg;
  EXPECT(ctx_cancel(t->context));
}

static void poll(void *arg)
{
  struct trap *t = arg;
  ctx_engine_poll(t->engine);
}

static void attach(void *arg)
{
  struct trap *t = arg;
  EXPECT_INT(ctx_hook_attach(t->hook, t->context), 0);
}

/* ---- attach ------------------------------------------------------------------------- */

static void attached(unsigned flags)
{
  struct trap *t = new_trap(flags);
  together(t, attach, cancel, NULL);
  ctx_engine_poll(t->engine);
  EXPECT_INT(t->ran, 1);
  end_trap(t);
}

static void attached_inline(void)
{
  attached(CTX_HOOK_INLINE);
}

static void attached_driven(void)
{
  attached(0);
}

static void attached_polled(void)
{
  struct trap *t = new_trap(0);
  together(t, attach, cancel, poll, NULL);
  ctx_engine_poll(t->engine);
  EXPECT_INT(t->ran, 1);
  end_trap(t);
}

static void attached_below(void)
{
  struct trap *t = new_trap(CTX_HOOK_INLINE);
  ctx_context *parent = t->context;
  ctx_context *child = ctx_with_cancel(parent);
  ctx_context *value = ctx_with_value(child, t, t, NULL);
  t->context = value;
  EXPECT_INT(ctx_hook_attach(t->hook, t->context), 0);
  t->context = parent;
  ctx_release(child);
  together(t, cancel, poll, NULL);
  EXPECT_INT(t->ran, 1);
  ctx_release(value);
  end_trap(t);
}

/* ---- stop ------------------------------------------------------------------------------ */

/* The memory is free to use where the stop says so. */
static void stop(void *arg)
{
  struct trap *t = arg;
  if (!ctx_hook_stop(t->hook)) return;
  CTX__ADD(&t->stopped, 1);
  CTX__FREE(t->hook);
  t->hook = NULL;
}

static void stop_only(void *arg)
{
  struct trap *t = arg;
  if (ctx_hook_stop(t->hook)) CTX__ADD(&t->stopped, 1);
}

static void stopped(unsigned flags)
{
  struct trap *t = new_trap(flags);
  attach(t);
  together(t, stop, cancel, NULL);
  ctx_engine_poll(t->engine);
  EXPECT_INT(t->ran + t->stopped, 1);
  end_trap(t);
}

static void stopped_inline(void)
{
  stopped(CTX_HOOK_INLINE);
}

static void stopped_driven(void)
{
  stopped(0);
}

static void stopped_polled(void)
{
  struct trap *t = new_trap(0);
  attach(t);
  ctx_cancel(t->context);
  together(t, stop, poll, NULL);
  EXPECT_INT(t->ran + t->stopped, 1);
  end_trap(t);
}

static void stopped_twice(void)
{
  struct trap *t = new_trap(CTX_HOOK_INLINE);
  attach(t);
  together(t, stop_only, stop_only, cancel, NULL);
  EXPECT_INT(t->ran + t->stopped, 1);
  end_trap(t);
}

/* ---- a hook on the heap ------------------------------------------------------------------ */

static void release_hook(void *arg)
{
  struct trap *t = arg;
  if (ctx_hook_stop(t->hook)) CTX__ADD(&t->stopped, 1);
  ctx_hook_release(t->hook);
}

static void on_heap(void)
{
  struct trap *t = new_trap(CTX_HOOK_INLINE);
  CTX__FREE(t->hook);
  t->hook = ctx_after_func(t->context, spring, t, t->flags);
  together(t, release_hook, cancel, NULL);
  EXPECT_INT(t->ran + t->stopped, 1);
  t->hook = NULL;
  end_trap(t);
}

/* ---- stop and wait -------------------------------------------------------------------------- */

static void spring_slowly(ctx_context *c, void *arg)
{
  struct trap *t = arg;
  (void)c;
  CTX__STORE(&t->busy, 1);
  STEP();
  CTX__STORE(&t->load->busy, 1);
  CTX__STORE(&t->busy, 0);
  CTX__ADD(&t->ran, 1);
}

static void stop_wait(void *arg)
{
  struct trap *t = arg;
  if (ctx_hook_stop_wait(t->hook)) CTX__ADD(&t->stopped, 1);
  EXPECT_INT(CTX__LOAD(&t->busy), 0);
  CTX__FREE(t->load);
  CTX__FREE(t->hook);
  t->hook = NULL;
}

static void stop_wait_only(void *arg)
{
  struct trap *t = arg;
  if (ctx_hook_stop_wait(t->hook)) CTX__ADD(&t->stopped, 1);
  EXPECT_INT(CTX__LOAD(&t->busy), 0);
}

static void awaited(void)
{
  struct trap *t = new_trap(CTX_HOOK_INLINE);
  t->load = NEW(struct trap);
  ctx_hook_init(t->hook, spring_slowly, t, t->flags);
  attach(t);
  together(t, stop_wait, cancel, NULL);
  EXPECT_INT(t->ran + t->stopped, 1);
  end_trap(t);
}

static void awaited_by_two(void)
{
  struct trap *t = new_trap(CTX_HOOK_INLINE);
  t->load = NEW(struct trap);
  ctx_hook_init(t->hook, spring_slowly, t, t->flags);
  attach(t);
  together(t, stop_wait_only, stop_wait_only, cancel, NULL);
  EXPECT_INT(t->ran + t->stopped, 1);
  CTX__FREE(t->load);
  end_trap(t);
}

const struct scenario hook_scenarios[] = {
  {"hook-attach", "H1 an inline hook runs once, however late it comes", attached_inline,
   .bound = COMPLETE},
  {"hook-attach-driver", "H1 and so by the driver", attached_driven, .bound = COMPLETE},
  {"hook-attach-poll", "H1 while that is at work", attached_polled, .bound = COMPLETE},
  {"hook-below", "H1 a hook on a value below runs by the end above", attached_below,
   .bound = COMPLETE},
  {"hook-stop", "H2 it runs or is stopped, and then its memory is free", stopped_inline,
   .bound = COMPLETE},
  {"hook-stop-driver", "H2 and so on the way to the driver", stopped_driven, .bound = COMPLETE},
  {"hook-stop-poll", "H2 and in the driver's hands", stopped_polled, .bound = COMPLETE},
  {"hook-stop-stop", "H2 one of two stops", stopped_twice, .bound = COMPLETE},
  {"hook-heap", "H2 a hook on the heap goes with the second of two", on_heap, .bound = COMPLETE},
  {"hook-stop-wait", "H6 after it the function runs nowhere", awaited, .bound = COMPLETE},
  {"hook-stop-wait-2", "H6 for both of two", awaited_by_two, .bound = 3},
  {0}};
