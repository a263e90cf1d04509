/*
 * manual - a test of what has to happen at an instant, without waiting for it
 *
 * The engine's time passes when the test says so.
 */
#include "ctx.h"

#include <assert.h>
#include <stdio.h>

/* What is tested: tells after a minute without a sign of life that somebody is gone. */
static void gone(ctx_context *c, void *arg)
{
  if (ctx_err(c) == CTX_DEADLINE_EXCEEDED) *(int *)arg += 1;
}

static ctx_context *watch(ctx_context *parent, int *counter)
{
  ctx_context *c = ctx_with_timeout(parent, CTX_SECONDS(60));
  if (c != NULL) ctx_hook_release(ctx_after_func(c, gone, counter, 0));
  return c;
}

static int sign_of_life(ctx_engine *e, ctx_context *c)
{
  return ctx_extend(c, ctx_engine_now(e) + CTX_SECONDS(60));
}

int main(void)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_MANUAL});
  if (e == NULL) return 1;
  int counter = 0;
  ctx_context *c = watch(ctx_engine_background(e), &counter);

  ctx_engine_advance(e, CTX_SECONDS(59)); /* returns when all that is due by then has run */
  assert(counter == 0 && ctx_err(c) == 0);
  assert(sign_of_life(e, c) == 0);
  ctx_engine_advance(e, CTX_SECONDS(60) - 1);
  assert(counter == 0 && ctx_err(c) == 0);
  ctx_engine_advance(e, 1); /* to the nanosecond */
  assert(counter == 1 && ctx_err(c) == CTX_DEADLINE_EXCEEDED);
  ctx_release(c);

  ctx_counters left;
  ctx_engine_counters(e, &left);
  assert(left.contexts == 0 && left.hooks == 0 && left.timers == 0);
  printf("two minutes have been tested\n");
  return ctx_engine_close(e);
}
