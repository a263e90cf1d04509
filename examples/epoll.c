/*
 * epoll - an event loop drives the engine: no thread of ours
 *
 * The engine has one descriptor, readable when something is due; a context has one, too,
 * readable once it is done. The loop polls both as any others.
 */
#include "ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct work {
  ctx_engine *engine;
  ctx_context *request;
  int ticks;
};

/* A timer, every 10 ms; after the third tick the client has had enough. */
static void tick(ctx_timer *t, void *arg)
{
  struct work *w = arg;
  printf("tick %d\n", ++w->ticks);
  if (w->ticks < 3)
    ctx_timer_arm(t, ctx_engine_now(w->engine) + CTX_MS(10));
  else
    ctx_cancel_cause(w->request, ctx_cause_new("the client has gone", 19, 0, NULL, NULL));
}

static void clean_up(ctx_context *c, void *arg)
{
  (void)arg;
  printf("hook: %s\n", ctx_cause_text(ctx_cause_of(c), NULL));
}

static void watch(int epoll, int fd)
{
  struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};
  if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
    perror("epoll");
    exit(1);
  }
}

/* Until the request is done. */
static void loop(ctx_engine *engine, ctx_context *request)
{
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, ctx_engine_fd(engine));
  watch(epoll, ctx_fd(request));
  for (bool done = false; !done;) {
    struct epoll_event e;
    if (epoll_wait(epoll, &e, 1, -1) < 1) continue;
    if (e.data.fd == ctx_fd(request)) done = true;
    ctx_engine_poll(engine); /* what is due, and hooks of what has just ended */
  }
  close(epoll);
  printf("the request has ended: %s\n", ctx_strerror(ctx_err(request)));
}

int main(void)
{
  ctx_engine *engine = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
  if (engine == NULL) return 1;
  ctx_context *background = ctx_engine_background(engine);

  struct work w = {engine, ctx_with_timeout(background, CTX_SECONDS(60)), 0};
  ctx_hook_release(ctx_after_func(w.request, clean_up, NULL, 0));
  ctx_timer timer;
  ctx_timer_init(&timer, engine, tick, &w);
  ctx_timer_arm(&timer, ctx_engine_now(engine) + CTX_MS(10));
  loop(engine, w.request);
  ctx_release(w.request);

  ctx_context *impatient = ctx_with_timeout(background, CTX_MS(20));
  ctx_hook_release(ctx_after_func(impatient, clean_up, NULL, 0));
  loop(engine, impatient);
  ctx_release(impatient);

  ctx_counters left;
  ctx_engine_counters(engine, &left);
  printf("%d contexts and %d threads are left\n", (int)left.contexts, (int)left.threads);
  return ctx_engine_close(engine);
}
