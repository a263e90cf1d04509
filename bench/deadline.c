/*
 * deadline - W2, W7: children with a timeout, alone and among millions; and their ends
 */
#include "bench.h"

#include "ctx.h"

enum { TIMES = 500000 };

static ctx_context **make(long n, ctx_context *parent)
{
  ctx_context **all = bench_need(malloc((size_t)(n + 1) * sizeof(ctx_context *)));
  uint64_t state = 1;
  for (long i = 0; i < n; i++) all[i] = ctx_with_timeout(parent, bench_later(&state));
  return all;
}

/* 'n' others are live meanwhile. */
static double come_and_go(long n)
{
  ctx_context *parent = ctx_with_cancel(ctx_background());
  ctx_context **others = make(n, parent);
  int64_t begun = bench_now();
  for (int i = 0; i < TIMES; i++) {
    ctx_context *c = ctx_with_timeout(parent, CTX_SECONDS(3600));
    ctx_cancel(c);
    ctx_release(c);
  }
  int64_t took = bench_now() - begun;
  for (long i = 0; i < n; i++) ctx_release(others[i]);
  free(others);
  ctx_release(parent);
  return (double)took / TIMES;
}

static double insert(long n)
{
  ctx_context *parent = ctx_with_cancel(ctx_background());
  int64_t begun = bench_now();
  ctx_context **all = make(n, parent);
  int64_t took = bench_now() - begun;
  for (long i = 0; i < n; i++) ctx_release(all[i]);
  free(all);
  ctx_release(parent);
  return (double)took / (double)n;
}

static double cancel(long n, const uint32_t *order)
{
  ctx_context *parent = ctx_with_cancel(ctx_background());
  ctx_context **all = make(n, parent);
  int64_t begun = bench_now();
  for (long i = 0; i < n; i++) {
    ctx_context *c = all[order != NULL ? order[i] : i];
    ctx_cancel(c);
    ctx_release(c);
  }
  int64_t took = bench_now() - begun;
  free(all);
  ctx_release(parent);
  return (double)took / (double)n;
}

static double in_order(long n)
{
  return cancel(n, NULL);
}

static double at_random(long n)
{
  return cancel(n, bench_shuffle(n));
}

static const struct workload workloads[] = {{"W2", come_and_go, "ns"},
                                            {"W7i", insert, "ns"},
                                            {"W7c", in_order, "ns"},
                                            {"W7r", at_random, "ns"},
                                            {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
