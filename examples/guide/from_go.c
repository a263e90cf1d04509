/*
 * from_go - what a Go programmer writes every day, in C
 */
#include "ctx.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* go func() { <-ctx.Done(); ... }() */
static void *worker(void *arg)
{
  ctx_context *c = arg;
  while (ctx_wait(c, CTX_MS(1)) == 0) continue; /* case <-time.After(time.Millisecond): work */
  return NULL;
}

static void after(ctx_context *c, void *name)
{
  printf("%s: %s\n", (const char *)name, ctx_strerror(ctx_err(c)));
}

int main(void)
{
  static const char key; /* type ctxKey struct{} */

  /* ctx, cancel := context.WithCancelCause(context.Background()); defer cancel(nil) */
  ctx_context *c = ctx_with_cancel(ctx_background());
  /* context.WithValue(ctx, key, "request 7") */
  ctx_context *request = ctx_with_value(c, &key, "request 7", NULL);
  /* context.WithTimeout(ctx, 10*time.Millisecond) */
  ctx_context *query = ctx_with_timeout(request, CTX_MS(10));

  ctx_wait(query, CTX_NEVER); /* <-ctx.Done() */
  printf("query: %s, %s\n", (const char *)ctx_value(query, &key), ctx_strerror(ctx_err(query)));

  /* A deadline is true for whoever asks: no timer, thread or loop has to run. */
  ctx_context *quick = ctx_with_timeout(c, CTX_MS(1));
  while (!ctx_done(quick)) continue; /* compute */
  ctx_counters now;
  ctx_engine_counters(ctx_engine_of(c), &now);
  printf("quick: %s, %d threads\n", ctx_strerror(ctx_err(quick)), (int)now.threads);

  /* stop := context.AfterFunc(ctx, f) */
  ctx_hook *hook = ctx_after_func(c, after, "after", CTX_HOOK_INLINE);
  pthread_t thread;
  if (pthread_create(&thread, NULL, worker, request) != 0) return 1;

  const char *why = "enough"; /* cancel(errors.New("enough")) */
  ctx_cancel_cause(c, ctx_cause_new(why, strlen(why), 0, NULL, NULL));
  pthread_join(thread, NULL); /* the worker has seen it, too */
  printf("worker: %s: %s\n", ctx_strerror(ctx_err(request)),
         ctx_cause_text(ctx_cause_of(request), NULL));
  printf("stop: %s\n", ctx_hook_stop(hook) ? "true" : "false"); /* it has run */

  ctx_hook_release(hook);
  ctx_release(quick);
  ctx_release(query);
  ctx_release(request);
  ctx_release(c);
  return 0;
}
