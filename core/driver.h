/*
 * driver - who makes time pass
 *
 * Everything that happens by itself happens here: due contexts end, due timers
 * fire, waiting hooks run, what signal handlers have asked for is canceled; one at a
 * time, each with no lock held.
 *
 * The host drives by ctx_engine_poll, a test by ctx_engine_advance; else it is a thread,
 * which starts when there is first something that only a driver can do: a hook to
 * run, a timer to fire. Deadlines alone need none: who asks learns the truth.
 *
 * Knows cancel.h, interrupt.h.
 */
#ifndef CTX_DRIVER_H
#define CTX_DRIVER_H

#include "platform.h"

#include "engine.h"

/* Sees to it that 'e' has a driver. 0, or EAGAIN: its thread cannot be started; ECANCELED,
 * ECHILD as engine_accepts. */
int driver_start(ctx_engine *e);

/* Waits for the end of the thread, if there is one; 'e' is closed. None will start. */
void driver_stop(ctx_engine *e);

#endif
