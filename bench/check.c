/*
 * check - W3: what it costs to ask a context whether it is done (B9)
 *
 * ctx_err of the header, in line, of a live context; W3c: of a canceled one; W3d: of a live one
 * with a deadline, for which the clock is read. The floor is a bare load of a word.
 */
#include "bench.h"

#include "ctx.h"

static volatile uint32_t sink;

static double ask(const ctx_context *c, long times)
{
  uint32_t sum = 0;
  int64_t begun = bench_now();
  for (long i = 0; i < times; i++) sum += (uint32_t)ctx_err(c);
  sink = sum;
  return (double)(bench_now() - begun) / (double)times;
}

static double live(long n)
{
  (void)n;
  return ask(ctx_with_cancel(ctx_background()), 100000000);
}

static double canceled(long n)
{
  (void)n;
  ctx_context *c = ctx_with_cancel(ctx_background());
  ctx_cancel(c);
  return ask(c, 100000000);
}

static double timed(long n)
{
  (void)n;
  return ask(ctx_with_timeout(ctx_background(), CTX_SECONDS(3600)), 5000000);
}

static const struct workload workloads[] = {
  {"W3", live, "ns"}, {"W3c", canceled, "ns"}, {"W3d", timed, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
