/*
 * simulate - random programs over ctx.h, beside a model
 *
 *   simulate [CALLS [SEED]]     until so many calls have been made (10 million); prints its seed
 *   simulate FILE               runs the program in a file, and prints its calls
 *
 * A program that fails is made shorter as long as it fails, and written to simulate.failed.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 3000, SHORT_SIZE = 300 };

static uint64_t draw(uint64_t *seed)
{
  uint64_t x = *seed;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  *seed = x;
  return x * 2685821657736338717u >> 16;
}

/* Leaves out parts, half the size each time, as long as what is left fails. */
static size_t shrink(uint8_t *bytes, size_t size)
{
  static uint8_t shorter[SIZE];
  for (size_t part = size / 2; part > 0; part /= 2) {
    for (size_t at = 0; at + part <= size;) {
      memcpy(shorter, bytes, at);
      memcpy(shorter + at, bytes + at + part, size - at - part);
      if (program_run(shorter, size - part, NULL).ok) {
        at += part;
      } else {
        size -= part;
        memcpy(bytes, shorter, size);
      }
    }
  }
  return size;
}

static int tell(uint8_t *bytes, size_t size)
{
  size = shrink(bytes, size);
  FILE *f = fopen("simulate.failed", "wb");
  if (f != NULL) fwrite(bytes, 1, size, f), fclose(f);
  struct outcome o = program_run(bytes, size, stdout);
  printf("not ok - simulation: %s (simulate.failed, %zu bytes)\n", o.failure, size);
  return 1;
}

static int replay(const char *path)
{
  static uint8_t bytes[1 << 20];
  FILE *f = fopen(path, "rb");
  if (f == NULL) return perror(path), 2;
  size_t size = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  struct outcome o = program_run(bytes, size, stdout);
  printf(o.ok ? "ok - simulation: %s\n" : "not ok - simulation: %s\n", o.ok ? path : o.failure);
  return !o.ok;
}

/* Runs short programs, of which each allocation fails once, and then from then on, until so many
 * have been first to fail. */
static int sweep(uint64_t *state, uint64_t wanted)
{
  static uint8_t bytes[SHORT_SIZE];
  uint64_t points = 0, programs = 0;
  for (; points < wanted; programs++) {
    for (size_t i = 0; i < SHORT_SIZE; i++) bytes[i] = (uint8_t)draw(state);
    bool met = true;
    for (uint64_t at = 1; met; at++) {
      for (int forever = 0; forever < 2; forever++) {
        struct outcome o = program_run_short(bytes, SHORT_SIZE, at, forever);
        met = o.failures > 0;
        points += met;
        if (o.ok) continue;
        printf("not ok - simulation: program %llu, allocation %llu%s: %s\n",
               (unsigned long long)programs, (unsigned long long)at,
               forever ? " and all after it" : "", o.failure);
        return 1;
      }
    }
  }
  printf("# %llu points of failure\n", (unsigned long long)points);
  printf("ok - simulation: C11 nothing is lost where each allocation of %llu programs fails once, "
         "or from then on\n",
         (unsigned long long)programs);
  return 0;
}

int main(int argc, char **argv)
{
  static uint8_t bytes[SIZE];
  char *end = NULL;
  uint64_t wanted = argc > 1 ? strtoull(argv[1], &end, 10) : 10000000, calls = 0, programs = 0;
  uint64_t failures = 0;
  if (end != NULL && *end != '\0') return replay(argv[1]);
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  uint64_t state = seed * 2 + 1;
  printf("# seed %llu\n", (unsigned long long)seed);
  fflush(stdout); /* a crash does not lose it */
  for (; calls < wanted; programs++) {
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (uint8_t)draw(&state);
    struct outcome o = program_run(bytes, SIZE, NULL);
    calls += o.calls;
    failures += o.failures;
    if (o.ok) continue;
    printf("seed %llu, program %llu\n", (unsigned long long)seed, (unsigned long long)programs);
    return tell(bytes, o.used);
  }
  printf("ok - simulation: C11 %llu calls in %llu random programs agree with the model, %llu "
         "allocations "
         "have failed, seed %llu\n",
         (unsigned long long)calls, (unsigned long long)programs, (unsigned long long)failures,
         (unsigned long long)seed);
  return sweep(&state, wanted < 10000000 ? 1 + wanted / 1000 : 10000);
}
