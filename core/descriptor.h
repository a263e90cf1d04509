/*
 * descriptor - what a poll sees of a context: readable once it has ended
 *
 * Made when it is first asked for, and kept in the context's annex. It is armed in the
 * kernel for the deadline, where the kernel keeps the engine's time, and for the past when
 * the context ends.
 *
 * After a fork the descriptor's number still tells of the parent process, until the child
 * asks for it again.
 *
 * Knows annex.h.
 */
#ifndef CTX_DESCRIPTOR_H
#define CTX_DESCRIPTOR_H

#include "platform.h"

#include "annex.h"

/* The number of the descriptor of 'c', which is no value context; made when there is none. -1
 * with errno where that fails. */
int descriptor_open(ctx_context *c);

/* The deadline of 'c', whose node is locked, has been moved. */
void descriptor_rearm_locked(ctx_context *c);

/* 'c', whose node is locked, is done: its descriptor, if any, becomes readable. */
void descriptor_signal_locked(ctx_context *c);

#endif
