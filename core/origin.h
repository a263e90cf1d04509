/*
 * origin - who ended a context, where and when; contexts as text
 *
 * Knows annex.h, cause.h, text.h.
 */
#ifndef CTX_ORIGIN_H
#define CTX_ORIGIN_H

#include "context.h"
#include "text.h"

/* Adds the name of 'c', or its number. */
void origin_add_who(struct text *t, ctx_context *c);

#endif
