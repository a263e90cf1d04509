/*
 * deadline - when a context ends at the latest, and how all below it follow
 *
 * An own deadline is the effective one while none above is earlier or equal. Where one is
 * moved, what lies below follows in a walk that takes nothing out; who sleeps till then looks
 * again, descriptors and entries of the wheel are armed anew. Births look at the deadline of
 * their up in the section in which they are hung up, so none is missed.
 *
 * A merge follows when all above it have: the merges below are counted first, each with the
 * ways that lead to it, and each takes its deadline over when the last of its ways has been
 * walked. So every context is visited a fixed number of times, in whatever shape they hang
 * together.
 *
 * Knows context.h, descriptor.h, hook.h, cause.h.
 */
#ifndef CTX_DEADLINE_H
#define CTX_DEADLINE_H

#include "platform.h"

#include "context.h"

/* The earliest deadline of those that 'c', which can end, hangs on; CTX_NEVER: none. */
int64_t deadline_above(ctx_context *c);

/* The context whose own deadline is the effective one of 'c', which has one. NULL: a deadline
 * is just being moved. */
struct deadline_context *deadline_owner(ctx_context *c);

/* Whether 'd', which is locked and live, has come to its own deadline, which is in force. */
bool deadline_is_over_locked(struct deadline_context *d, int64_t now_ns);

/* Makes the part of 'd' that is about its own deadline. Takes 'cause'. */
void deadline_init(struct deadline_context *d, int64_t own_ns, ctx_cause *cause);

/* Arms the own deadline of 'd', if that is in force, and 'd' has not ended since it was hung up. */
void deadline_arm(struct deadline_context *d);

/* Gives 'c', if it lives, the deadline that follows from those above it. True: it has changed, and
 * so may those below. */
bool deadline_follow(ctx_context *c);

/*
 * deadline_move: gives 'd' this own deadline, and all below it what follows. Call with the
 * walk lock; what is put into 'dead' is to be freed after it is dropped. False: 'd' is done.
 */
bool deadline_move(struct deadline_context *d, int64_t own_ns, struct list *dead);

/* The up of 'g', on which it hangs no longer, has ended at 'at_ns': the rest as above. */
void deadline_spare(struct grace_context *g, int64_t at_ns, struct list *dead);

#endif
