/*
 * listener - a context that a signal ends
 *
 * All listeners of the process lie in one list. While one wants a signal, a handler stands in
 * for the disposition that was there before; it only says which signal came, and a thread of the
 * process, started for the first listener, cancels who wants it. So no driver need run.
 *
 * Always true: a listener lies in the list until its end, or its last release; the list holds
 * none of them. The lock of the list comes after all others.
 *
 * Knows context.h.
 */
#ifndef CTX_LISTENER_H
#define CTX_LISTENER_H

#include "platform.h"

#include "context.h"

/* NODE_LISTENER */
struct listener_context {
  struct ctx_context context;
  struct list_link listed; /* under the lock of the list */
  uint64_t signals;        /* the bit of signal n is n - 1; fixed at birth */
  uint64_t number;         /* grows in the list */
};

/* Takes 'l', which has ended or is being freed, out of the list, if it is still there; what nobody
 * listens to any more is as it was before. */
void listener_drop(struct listener_context *l);

/* The same for any context that can end. */
static inline void listener_leave(ctx_context *c)
{
  if (c->node.kind == NODE_LISTENER) listener_drop((struct listener_context *)(void *)c);
}

#endif
