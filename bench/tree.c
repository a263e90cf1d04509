/*
 * tree - W1, W4, W5: children that come and go; an end that goes down, wide and deep
 */
#include "bench.h"

#include "ctx.h"

enum { TIMES = 1000000 };

/* 'n' others are live meanwhile. */
static double come_and_go(long n)
{
  ctx_context *parent = ctx_with_cancel(ctx_background());
  for (long i = 0; i < n; i++) bench_need(ctx_with_cancel(parent));
  int64_t begun = bench_now();
  for (int i = 0; i < TIMES; i++) {
    ctx_context *c = ctx_with_cancel(parent);
    ctx_cancel(c);
    ctx_release(c);
  }
  int64_t took = bench_now() - begun;
  ctx_release(parent);
  return (double)took / TIMES;
}

static double end_of(long n, ctx_context **all, ctx_context *(*make)(ctx_context **all, long n))
{
  int64_t took = 0;
  long rounds = bench_rounds(n);
  for (long round = 0; round < rounds; round++) {
    ctx_context *top = make(all, n);
    int64_t begun = bench_now();
    ctx_cancel(top);
    took += bench_now() - begun;
    for (long i = 0; i < n; i++) ctx_release(all[i]);
    ctx_release(top);
  }
  free(all);
  return (double)took / (double)(rounds * n);
}

static ctx_context *make_wide(ctx_context **all, long n)
{
  ctx_context *top = ctx_with_cancel(ctx_background());
  for (long i = 0; i < n; i++) all[i] = ctx_with_cancel(top);
  return top;
}

static ctx_context *make_deep(ctx_context **all, long n)
{
  ctx_context *top = ctx_with_cancel(ctx_background()), *c = top;
  for (long i = 0; i < n; i++) c = all[i] = ctx_with_cancel(c);
  return top;
}

static double wide(long n)
{
  return end_of(n, bench_need(malloc((size_t)n * sizeof(ctx_context *))), make_wide);
}

static double deep(long n)
{
  return end_of(n, bench_need(malloc((size_t)n * sizeof(ctx_context *))), make_deep);
}

static const struct workload workloads[] = {
  {"W1", come_and_go, "ns"}, {"W4", wide, "ns"}, {"W5", deep, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
