/*
 * glib - GCancellable, which has no tree: W1 without a parent, and W3
 */
#include "../bench.h"

#include <gio/gio.h>

enum { TIMES = 1000000, ASKS = 20000000 };

static double come_and_go(long n)
{
  (void)n;
  int64_t begun = bench_now();
  for (int i = 0; i < TIMES; i++) {
    GCancellable *c = g_cancellable_new();
    g_cancellable_cancel(c);
    g_object_unref(c);
  }
  return (double)(bench_now() - begun) / TIMES;
}

static double ask(long n)
{
  (void)n;
  static volatile int sink;
  GCancellable *c = g_cancellable_new();
  int sum = 0;
  int64_t begun = bench_now();
  for (int i = 0; i < ASKS; i++) sum += g_cancellable_is_cancelled(c);
  sink = sum;
  int64_t took = bench_now() - begun;
  g_object_unref(c);
  return (double)took / ASKS;
}

static const struct workload workloads[] = {
  {"W1", come_and_go, "ns"}, {"W3", ask, "ns"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("GLib", workloads, argc, argv);
}
