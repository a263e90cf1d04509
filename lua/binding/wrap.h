/*
 * wrap - coroutines inside a task, whose waits reach the loop
 *
 * Knows wait.h.
 */
#ifndef CTX_BINDING_WRAP_H
#define CTX_BINDING_WRAP_H

#include <lua.h>

/* ctx.wrap(fn) -> function; as coroutine.wrap, but a wait inside is a wait of the task that
 * calls, and not a yield to it */
int wrap_bind(lua_State *L);

#endif
