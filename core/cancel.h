/*
 * cancel - ends a context, and all below it
 *
 * The first to lock a live context ends it. When it has no children that is all;
 * else the walk lock is taken before, and the whole subtree ends under it, so that
 * who comes second can wait for the end of the walk. Hooks run, and what only the walk
 * has kept is freed, when no lock is held any more.
 *
 * A question that comes after the deadline ends the context as well, and so is answered
 * here; it leaves all hooks to the driver.
 *
 * Knows deadline.h, context.h, hook.h.
 */
#ifndef CTX_CANCEL_H
#define CTX_CANCEL_H

#include "platform.h"

#include "context.h"
#include "hook.h"

/* Ends 'd', which the caller keeps alive, by its own deadline, if that is over at 'now_ns'. False:
 * it was done, or its deadline has been moved. */
bool cancel_expired(struct deadline_context *d, int64_t now_ns, enum hook_runner runner);

#endif
