#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "text.h"

void text_init(struct text *t, char *to, size_t size)
{
  *t = (struct text){to, size, 0};
  if (size > 0) *to = '\0';
}

static void put(struct text *t, char c)
{
  if (t->len + 1 < t->size) {
    t->to[t->len] = c;
    t->to[t->len + 1] = '\0';
  }
  t->len++;
}

void text_add(struct text *t, const char *s)
{
  while (*s != '\0') put(t, *s++);
}

static bool is_control(char c)
{
  return (unsigned char)c < ' ' || c == 127;
}

void text_add_line(struct text *t, const char *s)
{
  for (; *s != '\0'; s++) {
    if (is_control(*s))
      put(t, ' ');
    else
      put(t, *s);
  }
}

void text_add_number(struct text *t, uint64_t n)
{
  char digits[24];
  snprintf(digits, sizeof digits, "%" PRIu64, n);
  text_add(t, digits);
}

void text_add_seconds(struct text *t, int64_t ns)
{
  char digits[40];
  uint64_t ms = (ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns) / 1000000;
  snprintf(digits, sizeof digits, "%s%" PRIu64 ".%03u", ns < 0 && ms > 0 ? "-" : "", ms / 1000,
           (unsigned)(ms % 1000));
  text_add(t, digits);
}
