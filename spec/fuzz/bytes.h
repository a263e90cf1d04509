/*
 * bytes - what libFuzzer has written, read from front to back
 *
 * Past the end all is 0, so that any string of bytes is a whole input.
 *
 * Knows nothing of ctx.
 */
#ifndef CTX_BYTES_H
#define CTX_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes {
  const uint8_t *at;
  size_t left;
};

static inline uint8_t bytes_u8(struct bytes *b)
{
  if (b->left == 0) return 0;
  b->left--;
  return *b->at++;
}

static inline int64_t bytes_i64(struct bytes *b)
{
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | bytes_u8(b);
  return (int64_t)n;
}

/* Ends the process as libFuzzer wants a failure to end it. */
#define EXPECT(condition, ...) \
  do { \
    if (condition) break; \
    fprintf(stderr, "not ok - %s:%d: ", __FILE__, __LINE__); \
    fprintf(stderr, __VA_ARGS__); \
    fprintf(stderr, "\n"); \
    abort(); \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
