/*
 * merge - ctx.merge: a context with several parents
 *
 * Its handle keeps the handles of all parents. A hook on it or below it is anchored in its
 * world, because any of them may be ended.
 *
 * Knows cancel.h, handle.h.
 */
#ifndef CTX_BINDING_MERGE_H
#define CTX_BINDING_MERGE_H

#include <lauxlib.h>
#include <lua.h>

/* ctx.merge(parent, ...) -> context, cancel */
int merge_bind(lua_State *L);

#endif
