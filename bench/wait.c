/*
 * wait - W9: from a cancel in one thread to the return of a wait in another
 */
#include "bench.h"

#include "ctx.h"

#include <pthread.h>
#include <unistd.h>

enum { TIMES = 200 };

static int64_t woken[TIMES];

static void *waiter(void *arg)
{
  ctx_context **all = arg;
  for (int i = 0; i < TIMES; i++) {
    ctx_wait(all[i], CTX_NEVER);
    woken[i] = bench_now();
  }
  return NULL;
}

/* The median. */
static double wake(long n)
{
  (void)n;
  ctx_context *all[TIMES];
  int64_t took[TIMES];
  pthread_t thread;
  for (int i = 0; i < TIMES; i++) all[i] = ctx_with_cancel(ctx_background());
  pthread_create(&thread, NULL, waiter, all);
  for (int i = 0; i < TIMES; i++) {
    usleep(1000); /* it sleeps */
    took[i] = bench_now();
    ctx_cancel(all[i]);
  }
  pthread_join(thread, NULL);
  for (int i = 0; i < TIMES; i++) took[i] = woken[i] - took[i];
  for (int i = 0; i < TIMES; i++) ctx_release(all[i]);
  bench_sort(took, TIMES);
  return (double)took[TIMES / 2];
}

static const struct workload workloads[] = {{"W9", wake, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
