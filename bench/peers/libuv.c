/*
 * libuv - its timers: W7, the heap alone
 */
#include "../bench.h"

#include <uv.h>

static uv_loop_t loop;

static void nothing(uv_timer_t *t)
{
  (void)t;
}

static uv_timer_t *make(long n)
{
  uv_timer_t *all = bench_need(calloc((size_t)n, sizeof *all));
  uv_loop_init(&loop);
  for (long i = 0; i < n; i++) uv_timer_init(&loop, &all[i]);
  return all;
}

static void arm(uv_timer_t *all, long n)
{
  uint64_t state = 1;
  for (long i = 0; i < n; i++)
    uv_timer_start(&all[i], nothing, (uint64_t)bench_later(&state) / 1000000, 0);
}

static double insert(long n)
{
  uv_timer_t *all = make(n);
  int64_t begun = bench_now();
  arm(all, n);
  return (double)(bench_now() - begun) / (double)n;
}

static double disarm(long n, const uint32_t *order)
{
  uv_timer_t *all = make(n);
  arm(all, n);
  int64_t begun = bench_now();
  for (long i = 0; i < n; i++) uv_timer_stop(&all[order != NULL ? order[i] : i]);
  return (double)(bench_now() - begun) / (double)n;
}

static double in_order(long n)
{
  return disarm(n, NULL);
}

static double at_random(long n)
{
  return disarm(n, bench_shuffle(n));
}

static const struct workload workloads[] = {
  {"W7wi", insert, "ns"}, {"W7wc", in_order, "ns"}, {"W7wr", at_random, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("libuv", workloads, argc, argv);
}
