/*
 * snapshot - the live tree below a context, as it was found
 *
 * Breadth first: the children of one node are copied under its lock, each retained, into
 * room that was made before; where that was too small, once more. So no lock is held while
 * memory is asked for, and none for longer than the children of one node take.
 *
 *     found:  0 | 1 2 3 | 4 5 | 6     the children of each lie together,
 *                                     in the order of their parents
 *
 * Knows annex.h, hook.h, origin.h.
 */
#ifndef CTX_SNAPSHOT_H
#define CTX_SNAPSHOT_H

#include "context.h"

/* The live contexts of a tracking engine, oldest first, without their children. */
ctx_snapshot *snapshot_tracked(ctx_engine *e, size_t most);

#endif
