/*
 * replay - what libFuzzer has found worth keeping, run again without it
 *
 *   replay-TARGET      (make test builds and calls it, from the top of the tree)
 *
 * Each line of spec/fuzz/corpus/TARGET.txt is an input in hexadecimal digits. One that fails
 * ends the program, and its line is the last that was named.
 */
#include <stdbool.h>
#include <string.h>

#include "bytes.h"

enum { LONGEST = 4096 };

static int digit(int c)
{
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads a line of digits. The number of its bytes; -1: there is no line, or it is none of ours. */
static int read_input(FILE *f, uint8_t bytes[LONGEST])
{
  int c = getc(f), size = 0;
  for (; c != '\n' && c != EOF; c = getc(f)) {
    int high = digit(c), low = digit(getc(f));
    if (high < 0 || low < 0 || size == LONGEST) return -1;
    bytes[size++] = (uint8_t)(high << 4 | low);
  }
  return c == EOF ? -1 : size;
}

int main(int argc, char **argv)
{
  const char *target = argc > 0 ? strrchr(argv[0], '-') : NULL;
  char path[80];
  static uint8_t bytes[LONGEST];
  if (target == NULL) return 2;
  snprintf(path, sizeof path, "spec/fuzz/corpus/%s.txt", ++target);
  FILE *f = fopen(path, "r");
  if (f == NULL) return perror(path), 2;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a crash loses no line */
  int n = 0;
  for (int size; (size = read_input(f, bytes)) >= 0; n++) {
    printf("# %s:%d\n", path, n + 1);
    LLVMFuzzerTestOneInput(bytes, (size_t)size);
  }
  bool whole = feof(f) && n > 0;
  fclose(f);
  printf("%s - fuzz corpus: %d inputs of %s end as they must\n", whole ? "ok" : "not ok", n,
         target);
  return !whole;
}
