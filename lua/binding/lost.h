/*
 * lost - cancel functions that nobody holds any more
 *
 * A context that only its cancel function could end, and tasks that run under it for ever: a
 * mistake that makes no noise. While contexts are tracked, each cancel function of
 * ctx.with_cancel has a *token*, which is collected with it. Then a warning (lua -W) names the
 * context, where
 *
 *   - it lives, has no deadline, and nothing above it can end either,
 *   - a task runs under it or below, and
 *   - no local variable of another coroutine has it, which might be one to be closed.
 *
 * That last is as good as can be known: no warning is given where it might be wrong.
 *
 * Knows handle.h, registry.h, wait.h, stack.h.
 */
#ifndef CTX_BINDING_LOST_H
#define CTX_BINDING_LOST_H

#include <lauxlib.h>

/* Pushes a token for the cancel function of the handle on top; nil where that is not tracked. */
void lost_push_token(lua_State *L);

/* Makes the metatable, once per state. */
void lost_open(lua_State *L);

#endif
