/*
 * libev - its timers: W7 (the heap alone) and W7f
 */
#include "../bench.h"

#include <ev.h>

static struct ev_loop *loop;

static void nothing(struct ev_loop *l, ev_timer *t, int events)
{
  (void)l;
  (void)t;
  (void)events;
}

static ev_timer *make(long n)
{
  ev_timer *all = bench_need(calloc((size_t)n, sizeof *all));
  uint64_t state = 1;
  loop = ev_loop_new(0);
  for (long i = 0; i < n; i++)
    ev_timer_init(&all[i], nothing, (double)bench_later(&state) / 1e9, 0);
  return all;
}

static void arm(ev_timer *all, long n)
{
  for (long i = 0; i < n; i++) ev_timer_start(loop, &all[i]);
}

static double insert(long n)
{
  ev_timer *all = make(n);
  int64_t begun = bench_now();
  arm(all, n);
  return (double)(bench_now() - begun) / (double)n;
}

static double disarm(long n, const uint32_t *order)
{
  ev_timer *all = make(n);
  arm(all, n);
  int64_t begun = bench_now();
  for (long i = 0; i < n; i++) ev_timer_stop(loop, &all[order != NULL ? order[i] : i]);
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

static int64_t *late;
static long fired;

struct alarm {
  ev_timer timer;
  int64_t due;
};

static void on_time(struct ev_loop *l, ev_timer *t, int events)
{
  (void)l;
  (void)events;
  late[fired++] = bench_now() - ((struct alarm *)(void *)t)->due;
}

static double fire(long n)
{
  struct alarm *all = bench_touched((size_t)n * sizeof *all);
  late = bench_touched((size_t)n * sizeof *late);
  loop = ev_loop_new(0);
  int64_t begun = bench_now() + 2000000000;
  uint64_t state = 1;
  for (long i = 0; i < n; i++) {
    ev_timer *t = &all[i].timer;
    all[i].due = begun + (int64_t)(bench_random(&state) % 2000000000);
    ev_now_update(loop);
    ev_timer_init(t, on_time, (double)(all[i].due - bench_now()) / 1e9, 0);
    ev_timer_start(loop, t);
  }
  int64_t cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  ev_run(loop, 0);
  cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  bench_lateness("libev", late, n);
  return (double)cpu / (double)n;
}

static const struct workload workloads[] = {{"W7wi", insert, "ns"},
                                            {"W7wc", in_order, "ns"},
                                            {"W7wr", at_random, "ns"},
                                            {"W7f", fire, "ns"},
                                            {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("libev", workloads, argc, argv);
}
