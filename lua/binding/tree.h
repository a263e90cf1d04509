/*
 * tree - the live contexts below one, for texts
 *
 * Knows handle.h, convert.h.
 */
#ifndef CTX_BINDING_TREE_H
#define CTX_BINDING_TREE_H

#include <lauxlib.h>
#include <lua.h>

/* core.snapshot(c) -> sequence of {kind, name, id, depth, parent, hooks, waiters, cause,
 * left, age, site} */
int tree_snapshot(lua_State *L);

/* core.track(on): whether contexts that are made from now on are recorded. */
int tree_track(lua_State *L);

#endif
