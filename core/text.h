/*
 * text - lines for people, written into the caller's room
 *
 * As snprintf: what does not fit is counted and left out, and there is always a NUL.
 *
 * Knows the standard library alone.
 */
#ifndef CTX_TEXT_H
#define CTX_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
  char *to;
  size_t size;
  size_t len; /* of the whole text, also where that does not fit */
};

void text_init(struct text *t, char *to, size_t size);

/* Adds a text as it is; one in which control characters are blanks, so that it stays on its
 * line; a number; nanoseconds as seconds, to the millisecond. */
void text_add(struct text *t, const char *s);
void text_add_line(struct text *t, const char *s);
void text_add_number(struct text *t, uint64_t n);
void text_add_seconds(struct text *t, int64_t ns);

#endif
