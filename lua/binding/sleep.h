/*
 * sleep - the waits of a script: for a context, for time, and for others
 *
 * Knows wait.h, limit.h, handle.h, task.h.
 */
#ifndef CTX_BINDING_SLEEP_H
#define CTX_BINDING_SLEEP_H

#include <lauxlib.h>

extern const luaL_Reg sleep_functions[];    /* ctx.sleep, ctx.yield, ctx.now */
extern const luaL_Reg sleep_methods[];      /* c:wait */
extern const luaL_Reg sleep_methods_only[]; /* c:sleep, which is not ctx.sleep */
extern const luaL_Reg sleep_primitives[];   /* for what is written in Lua: park, wake, me, ... */

#endif
