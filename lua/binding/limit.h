/*
 * limit - how long a wait may last: seconds, or a context
 *
 * A limit lies in an argument of the waiting function, where limit_check puts it in its
 * lasting form: an integer (an instant in nanoseconds), a context, or nil.
 *
 * A wait that is given a context looks at that one alone; one that is given none, or
 * seconds, watches the current context too, and raises its err.
 *
 * Knows convert.h, cancel.h, wait.h.
 */
#ifndef CTX_BINDING_LIMIT_H
#define CTX_BINDING_LIMIT_H

#include "handle.h"
#include "wait.h"

/* Checks the argument 'arg', and that no cancel function follows it. */
void limit_check(lua_State *L, int arg);

/* The instant 'timeout_ns' from now on the clock of the world in front. */
int64_t limit_instant(lua_State *L, int64_t timeout_ns);

/* True when the limit has been reached; limit_push_err pushes the err that goes with it. */
bool limit_is_over(lua_State *L, int arg);
void limit_push_err(lua_State *L, int arg);

/* The context that the wait watches because of its limit: the limit itself, else the current
 * one, whose err is raised when it is done; NULL: none that can end. */
ctx_context *limit_context(lua_State *L, int arg, struct waiter *w);

/* Lets the limit itself wake 'w'. */
void limit_watch(lua_State *L, int arg, struct waiter *w);

/* core.limit(x, arg, name) -> instant in ns or nil, context or nil */
int limit_bind(lua_State *L);

#endif
