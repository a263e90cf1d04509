/*
 * interrupt - what a signal handler has asked to cancel
 *
 * A handler may take no lock and no memory. It retains the context, puts it into a free
 * place of its engine, and wakes the driver, which takes it from there and cancels it.
 *
 * The handlers inside are counted in engine->asking, beside a bit that lets none in: so an
 * engine that closes knows when no handler will fill a place or arm its descriptor any more.
 *
 * Knows context.h.
 */
#ifndef CTX_INTERRUPT_H
#define CTX_INTERRUPT_H

#include "platform.h"

#include "context.h"

/* Takes a context that was asked for, with its reference; NULL: there is none. */
ctx_context *interrupt_take(ctx_engine *e);

/* Lets no handler in from now on, and waits for those inside. */
void interrupt_close(ctx_engine *e);

#endif
