/*
 * wheel - W7w: the wheel alone, as libev is measured; W7f: a million timers that come due
 */
#include "bench.h"

#include "ctx.h"
#include "wheel.h"

static struct wheel wheel;

static struct wheel_entry *make(long n)
{
  struct wheel_entry *all = bench_need(calloc((size_t)n, sizeof *all));
  wheel_init(&wheel, bench_now());
  for (long i = 0; i < n; i++) wheel_entry_init(&all[i]);
  return all;
}

static void arm_all(struct wheel_entry *all, long n)
{
  uint64_t state = 1;
  int64_t now = bench_now();
  for (long i = 0; i < n; i++) wheel_arm(&wheel, &all[i], now + bench_later(&state));
}

static double insert(long n)
{
  struct wheel_entry *all = make(n);
  int64_t begun = bench_now();
  arm_all(all, n);
  int64_t took = bench_now() - begun;
  free(all);
  return (double)took / (double)n;
}

static double disarm(long n, const uint32_t *order)
{
  struct wheel_entry *all = make(n);
  arm_all(all, n);
  int64_t begun = bench_now();
  for (long i = 0; i < n; i++) wheel_disarm(&wheel, &all[order != NULL ? order[i] : i]);
  int64_t took = bench_now() - begun;
  free(all);
  return (double)took / (double)n;
}

static double in_order(long n)
{
  return disarm(n, NULL);
}

static double at_random(long n)
{
  return disarm(n, bench_shuffle(n));
}

/* ---- W7f ------------------------------------------------------------------------------ */

static int64_t *late;
static long fired;

struct alarm {
  ctx_timer timer;
  int64_t due;
};

static void on_time(ctx_timer *t, void *arg)
{
  (void)arg;
  late[fired++] = bench_now() - ((struct alarm *)(void *)t)->due;
}

/* Timers of the host over the next 2 s, beginning in two seconds. Answers the processor's time
 * for each, and prints how late they were. */
static double fire(long n)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
  struct alarm *all = bench_touched((size_t)n * sizeof *all);
  late = bench_touched((size_t)n * sizeof *late);
  int64_t begun = bench_now() + 2000000000;
  uint64_t state = 1;
  for (long i = 0; i < n; i++) {
    all[i].due = begun + (int64_t)(bench_random(&state) % 2000000000);
    ctx_timer_init(&all[i].timer, e, on_time, NULL);
    ctx_timer_arm(&all[i].timer, all[i].due);
  }
  int64_t cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
  for (int64_t next; (next = ctx_engine_next(e)) != CTX_NEVER;) {
    int64_t rest = next - bench_now();
    if (rest > 0) nanosleep(&(struct timespec){rest / 1000000000, rest % 1000000000}, NULL);
    ctx_engine_poll(e);
  }
  cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  bench_lateness("ctx", late, n);
  ctx_engine_close(e);
  return (double)cpu / (double)n;
}

static const struct workload workloads[] = {{"W7wi", insert, "ns"},
                                            {"W7wc", in_order, "ns"},
                                            {"W7wr", at_random, "ns"},
                                            {"W7f", fire, "ns"},
                                            {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
