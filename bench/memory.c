/*
 * memory - M: bytes of a live child, and of one with a timeout: asked for, and resident
 */
#include "bench.h"

#include "ctx.h"

#include <unistd.h>

enum { MANY = 1000000 };

static size_t asked;

static void *take(void *arg, size_t size)
{
  (void)arg;
  asked += size;
  return malloc(size);
}

static void give(void *arg, void *block, size_t size)
{
  (void)arg;
  asked -= size;
  free(block);
}

static double resident(void)
{
  long pages = 0, all;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%ld %ld", &all, &pages) != 2) pages = 0;
  if (f != NULL) fclose(f);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double bytes(int64_t timeout_ns)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.alloc = take, .free = give});
  ctx_context *parent = ctx_with_cancel(ctx_engine_background(e));
  ctx_context **all = bench_need(calloc(MANY, sizeof *all));
  memset(all, 1, MANY * sizeof *all); /* resident from now on */
  size_t asked_before = asked;
  double before = resident();
  for (long i = 0; i < MANY; i++)
    all[i] = timeout_ns ? ctx_with_timeout(parent, timeout_ns) : ctx_with_cancel(parent);
  bench_line("ctx", "resident", (resident() - before) / MANY);
  double each = (double)(asked - asked_before) / MANY;
  for (long i = 0; i < MANY; i++) ctx_release(all[i]);
  ctx_release(parent);
  ctx_engine_close(e);
  free(all);
  return each;
}

static double of_child(long n)
{
  (void)n;
  return bytes(0);
}

static double of_deadline(long n)
{
  (void)n;
  return bytes(CTX_SECONDS(3600));
}

static const struct workload workloads[] = {
  {"Mc", of_child, "bytes"}, {"Md", of_deadline, "bytes"}, {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("ctx", workloads, argc, argv);
}
