/*
 * program - bytes of libFuzzer as programs over ctx.h, beside the model; see sim/program.h
 */
#include "program.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  struct outcome o = program_run(bytes, size, NULL);
  if (o.ok) return 0;
  program_run(bytes, size, stderr);
  fprintf(stderr, "not ok - fuzz: %s\n", o.failure);
  abort();
}
