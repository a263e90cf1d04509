/*
 * libuv - the same with libuv: a uv_poll_t on the engine, one on a context
 *
 * No thread of ours: the loop sleeps in the kernel, which knows the next instant.
 */
#define _GNU_SOURCE 1 /* for uv.h */

#include "ctx.h"

#include <stdio.h>
#include <uv.h>

static ctx_engine *engine;
static uv_poll_t engine_poll, request_poll;

static void on_engine(uv_poll_t *p, int status, int events)
{
  (void)p, (void)status, (void)events;
  ctx_engine_poll(engine);
}

static void on_request(uv_poll_t *p, int status, int events)
{
  ctx_context *request = p->data;
  (void)status, (void)events;
  ctx_engine_poll(engine); /* its hooks are due now */
  printf("the request has ended: %s\n", ctx_strerror(ctx_err(request)));
  uv_close((uv_handle_t *)p, NULL);
  uv_close((uv_handle_t *)&engine_poll, NULL); /* and the loop has nothing more to do */
}

/* A timer, every 10 ms; after the third tick the request has no more time than that. */
static void tick(ctx_timer *t, void *arg)
{
  int *ticks = arg;
  int64_t next_ns = ctx_engine_now(engine) + CTX_MS(10);
  printf("tick %d\n", ++*ticks);
  if (*ticks < 3)
    ctx_timer_arm(t, next_ns);
  else
    ctx_extend(request_poll.data, next_ns);
}

static void clean_up(ctx_context *c, void *arg)
{
  (void)arg;
  printf("hook: %s\n", ctx_cause_text(ctx_cause_of(c), NULL));
}

int main(void)
{
  uv_loop_t *loop = uv_default_loop();
  engine = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
  if (engine == NULL) return 1;
  ctx_context *request = ctx_with_timeout(ctx_engine_background(engine), CTX_SECONDS(60));
  ctx_hook_release(ctx_after_func(request, clean_up, NULL, 0));

  int ticks = 0;
  ctx_timer timer;
  ctx_timer_init(&timer, engine, tick, &ticks);
  ctx_timer_arm(&timer, ctx_engine_now(engine) + CTX_MS(10));

  if (uv_poll_init(loop, &engine_poll, ctx_engine_fd(engine)) != 0) return 1;
  if (uv_poll_init(loop, &request_poll, ctx_fd(request)) != 0) return 1;
  request_poll.data = request;
  uv_poll_start(&engine_poll, UV_READABLE, on_engine);
  uv_poll_start(&request_poll, UV_READABLE, on_request);
  uv_run(loop, UV_RUN_DEFAULT);

  ctx_timer_disarm(&timer);
  ctx_release(request);
  uv_loop_close(loop);
  return ctx_engine_close(engine);
}
