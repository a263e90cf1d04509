/*
 * anchor - what keeps a context with a hook on it from being collected
 *
 * A hook that could still run is kept alive, with its context, by whatever can still
 * end it, and by nothing else:
 *
 *     cancel function --> handle --> hooks             (its user values)
 *                           |------> children that have hooks, or such children
 *     the world, while a deadline is to come --> handle
 *     the world, while C may end it ---------------^
 *
 * So a hook keeps its context's handle in the handle of the parent, and so on
 * upward; each handle on that way with a deadline, of the host, or given to C is
 * anchored in its world; below a context of the host that is the real one.
 *
 * Knows handle.h, keep.h.
 */
#ifndef CTX_BINDING_ANCHOR_H
#define CTX_BINDING_ANCHOR_H

#include <lua.h>

/* Puts the hook at 'hook' on the handle at 'handle', or raises, and nothing has changed; takes
 * it off again. */
void anchor_hook(lua_State *L, int handle, int hook);
void anchor_release(lua_State *L, int handle, int hook);

/* From now on C may end the context of the handle at 'index'. */
void anchor_hold(lua_State *L, int index);

#endif
