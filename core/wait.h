/*
 * wait - how a thread waits for the end of a context, and for something else
 *
 * The word of a sleeper changes when there is something to look at: the end, an earlier deadline,
 * or whatever somebody else has to give, who adds WAIT_GIVEN and wakes. It is read before the look.
 *
 * Knows hook.h.
 */
#ifndef CTX_WAIT_H
#define CTX_WAIT_H

#include "platform.h"

#include "hook.h"

enum { WAIT_GIVEN = 2 };

/* Lies down on 'c'. False: that is done. Else it is to get up before its memory goes. */
bool wait_lie_down(struct sleeper *s, ctx_context *c);
void wait_get_up(struct sleeper *s);

/* The instant, on the monotonic clock, to look again at 'c', and whether it is 'until_ns'. */
int64_t wait_next_look(const ctx_context *c, int64_t until_ns);

#endif
