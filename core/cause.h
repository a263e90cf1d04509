/*
 * cause - why a context ended: a text, a code, a pointer; counted
 *
 * Knows platform.h and ctx.h.
 */
#ifndef CTX_CAUSE_H
#define CTX_CAUSE_H

#include "ctx.h"

/* The cause that only repeats an err; never written to: retain and release leave it alone. */
ctx_cause *cause_of_err(int err);

/* The place that ctx_cause_new_at was given, or NULL. */
const char *cause_site(const ctx_cause *cause);

#endif
