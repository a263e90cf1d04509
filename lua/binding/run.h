/*
 * run - ctx.run: a function, all tasks that come of it, and their first error
 *
 * Knows scope.h, task.h, handle.h, wait.h.
 */
#ifndef CTX_BINDING_RUN_H
#define CTX_BINDING_RUN_H

#include <lua.h>

/* ctx.run([opts,] fn, ...) -> results of fn */
int run_bind(lua_State *L);

/* core.use_virtual_clock(): all that is made from now on is on a virtual clock. */
int run_use_virtual_clock(lua_State *L);

#endif
