/*
 * bench - what the programs here have in common: a clock, sizes, and lines of results
 *
 * A program is called as 'PROGRAM WORKLOAD', runs that once and prints one line or several,
 *
 *     peer<TAB>workload<TAB>metric<TAB>value
 *
 * One process run is one sample; run.lua has the rounds. A workload is W1 or W4-1M: its number,
 * and a size, in which K is a thousand and M a million.
 */
#ifndef CTX_BENCH_H
#define CTX_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct workload {
  const char *name;      /* up to the size */
  double (*run)(long n); /* n: the size, 0 without one; answers the metric's value */
  const char *metric;    /* "ns": of one operation */
};

static inline int64_t bench_clock(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t bench_now(void)
{
  return bench_clock(CLOCK_MONOTONIC);
}

/* Of memory and objects: there is always some here. */
static inline void *bench_need(void *block)
{
  if (block == NULL) abort();
  return block;
}

/* Memory whose pages are there already. */
static inline void *bench_touched(size_t size)
{
  char *block = bench_need(malloc(size));
  memset(block, 1, size);
  return block;
}

/* The same numbers in each process and for each peer (xorshift64). */
static inline uint64_t bench_random(uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* A random order of 0 .. n-1. */
static inline uint32_t *bench_shuffle(long n)
{
  uint32_t *order = bench_need(malloc((size_t)n * sizeof *order));
  uint64_t state = 88172645463325252u;
  for (long i = 0; i < n; i++) order[i] = (uint32_t)i;
  for (long i = n - 1; i > 0; i--) {
    long k = (long)(bench_random(&state) % (uint64_t)(i + 1));
    uint32_t other = order[k];
    order[k] = order[i];
    order[i] = other;
  }
  return order;
}

static inline int bench_by_size(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static inline void bench_sort(int64_t *samples, long n)
{
  qsort(samples, (size_t)n, sizeof *samples, bench_by_size);
}

/* How often a tree of 'n' is ended: small ones often, so that the clock's own time does not count. */
static inline long bench_rounds(long n)
{
  return n < 100000 ? 200000 / n : 1;
}

/* A deadline of W7: 1 s to 1 h from now. */
static inline int64_t bench_later(uint64_t *state)
{
  return 1000000000 + (int64_t)(bench_random(state) % 3599000000000u);
}

/* The one that is run. */
static const char *bench_workload;

static inline void bench_line(const char *peer, const char *metric, double value)
{
  printf("%s\t%s\t%s\t%.3f\n", peer, bench_workload, metric, value);
}

/* How late 'n' timers were; sorts them. */
static inline void bench_lateness(const char *peer, int64_t *late, long n)
{
  bench_sort(late, n);
  bench_line(peer, "p50 us", (double)late[n / 2] / 1e3);
  bench_line(peer, "p99 us", (double)late[n * 99 / 100] / 1e3);
  bench_line(peer, "max us", (double)late[n - 1] / 1e3);
}

static inline long bench_size(const char *text)
{
  char *end;
  long n = strtol(text, &end, 10);
  if (*end == 'K') n *= 1000;
  if (*end == 'M') n *= 1000000;
  return n;
}

static inline int bench_main(const char *peer, const struct workload *table, int argc, char **argv)
{
  if (argc == 2) {
    bench_workload = argv[1];
    size_t length = strcspn(argv[1], "-");
    for (const struct workload *w = table; w->name != NULL; w++) {
      if (strncmp(w->name, argv[1], length) != 0 || w->name[length] != '\0') continue;
      double value = w->run(argv[1][length] == '-' ? bench_size(argv[1] + length + 1) : 0);
      bench_line(peer, w->metric, value);
      return 0;
    }
  }
  fprintf(stderr, "usage: %s WORKLOAD, one of", argv[0]);
  for (const struct workload *w = table; w->name != NULL; w++) fprintf(stderr, " %s", w->name);
  fprintf(stderr, "\n");
  return 2;
}

#endif
