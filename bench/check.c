/*
 * check - what it costs to ask a context whether it is done (B9)
 *
 *   check [ROUNDS]     lines of peer, workload, metric, value
 *
 * W3: ctx_err of the header, in line, beside a bare atomic load of a word, of a live context, of
 * a canceled one, and of a live one with a deadline, for which the clock is read. Best of 7
 * rounds, in nanoseconds. Nothing is asserted.
 */
#define _GNU_SOURCE 1

#include "ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 7 };

static long loops = 20000000;
static uint32_t word;
static volatile uint32_t sink;

static double now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void load_bare(const ctx_context *c)
{
  (void)c;
  uint32_t sum = 0;
  for (long i = 0; i < loops; i++) sum += __atomic_load_n(&word, __ATOMIC_ACQUIRE);
  sink = sum;
}

static void ask(const ctx_context *c)
{
  uint32_t sum = 0;
  for (long i = 0; i < loops; i++) sum += (uint32_t)ctx_err(c);
  sink = sum;
}

static void measure(const char *peer, const char *workload, void (*f)(const ctx_context *),
                    const ctx_context *c)
{
  double best = 1e300;
  for (int i = 0; i < ROUNDS; i++) {
    double before = now_ns();
    f(c);
    double each = (now_ns() - before) / (double)loops;
    if (each < best) best = each;
  }
  printf("%s\t%s\tns\t%.3f\n", peer, workload, best);
}

int main(int argc, char **argv)
{
  if (argc > 1 && atol(argv[1]) > 0) loops = atol(argv[1]);
  ctx_context *live = ctx_with_cancel(ctx_background()), *done = ctx_with_cancel(live);
  ctx_context *timed = ctx_with_timeout(live, CTX_SECONDS(3600));
  ctx_cancel(done);
  measure("floor", "W3-live", load_bare, NULL);
  measure("ctx", "W3-live", ask, live);
  measure("ctx", "W3-canceled", ask, done);
  measure("ctx", "W3-deadline", ask, timed);
  ctx_release(timed);
  ctx_release(done);
  ctx_release(live);
  return 0;
}
