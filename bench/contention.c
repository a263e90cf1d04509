/*
 * contention - W8: two threads that make, cancel and release, over one that does
 *
 * W8p: children of one parent; W8o: each thread has a parent of its own.
 */
#include "bench.h"

#include "ctx.h"

#include <pthread.h>

enum { TIMES = 1000000 };

static void *work(void *parent)
{
  for (int i = 0; i < TIMES; i++) {
    ctx_context *c = ctx_with_cancel(parent);
    ctx_cancel(c);
    ctx_release(c);
  }
  return NULL;
}

static double seconds_of(int threads, ctx_context *parents[])
{
  pthread_t thread[2];
  int64_t begun = bench_now();
  for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, work, parents[i]);
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  return (double)(bench_now() - begun);
}

static double gain(int own)
{
  ctx_context *parents[2] = {ctx_with_cancel(ctx_background()), ctx_with_cancel(ctx_background())};
  double one = seconds_of(1, parents);
  ctx_context *of_two[2] = {parents[0], parents[own]};
  double two = seconds_of(2, of_two);
  ctx_release(parents[0]);
  ctx_release(parents[1]);
  return 2 * one / two;
}

static double one_parent(long n)
{
  (void)n;
  return gain(0);
}

static double own_parents(long n)
{
  (void)n;
  return gain(1);
}

static const struct workload workloads[] = {
  {"W8p", one_parent, "x"}, {"W8o", own_parents, "x"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
