/*
 * origin - names of contexts, and where an end came from
 *
 * Knows cancel.h, handle.h, convert.h.
 */
#ifndef CTX_BINDING_ORIGIN_H
#define CTX_BINDING_ORIGIN_H

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg origin_methods[]; /* c:origin(), c:name([s]) */

/* Makes the metatable of origins, once per state. */
void origin_open(lua_State *L);

#endif
