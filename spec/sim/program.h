/*
 * program - a string of bytes as a program over ctx.h, run beside the model
 *
 * Each byte, with those after it that it wants, is a call; whatever the bytes are, they are a program.
 * After each call the answers of the engine and of the model are compared. Of four programs one is
 * short of memory: some of its allocations fail, by a chance of its own, and then nothing may have
 * changed. At the end all is given back, and nothing must be left.
 */
#ifndef CTX_SIM_PROGRAM_H
#define CTX_SIM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct outcome {
  bool ok;
  uint64_t calls;    /* of ctx.h */
  uint64_t failures; /* of its allocations */
  size_t used;       /* bytes, up to the failure */
  char failure[200];
};

/* Runs 'size' bytes; prints each call to 'trace', unless that is NULL. */
struct outcome program_run(const uint8_t *bytes, size_t size, FILE *trace);

/* The same, but its allocation number 'at' fails, with 'forever' all from then on, and no other. */
struct outcome program_run_short(const uint8_t *bytes, size_t size, uint64_t at, bool forever);

#endif
