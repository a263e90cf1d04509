/*
 * value - W6: a value that lies n layers up; W6c: with a layer of cancel between each two
 */
#include "bench.h"

#include "ctx.h"

static void *volatile sink;
static char value;

/* Asks for the value of the uppermost of n layers. */
static double ask(long n, int cancels)
{
  ctx_context *c = ctx_background();
  const char *keys = bench_need(malloc((size_t)n + 1));
  long times = 20000000 / (n + 5) + 1;
  for (long i = 0; i < n; i++) {
    ctx_context *up = c;
    c = ctx_with_value(up, &keys[i], &value, NULL);
    ctx_release(i > 0 ? up : NULL);
    for (int k = 0; k < cancels; k++) {
      up = c;
      c = ctx_with_cancel(up);
      ctx_release(up);
    }
  }
  int64_t begun = bench_now();
  for (long i = 0; i < times; i++) sink = ctx_value(c, &keys[0]);
  int64_t took = bench_now() - begun;
  ctx_release(c);
  return (double)took / (double)times;
}

static double plain(long n)
{
  return ask(n, 0);
}

static double with_cancels(long n)
{
  return ask(n, 1);
}

static const struct workload workloads[] = {
  {"W6", plain, "ns"}, {"W6c", with_cancels, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
