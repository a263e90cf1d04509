/*
 * error - the two errors of a context as Lua values
 *
 * One object each per Lua state, kept in the registry, so that they stay equal
 * when the module is loaded again.
 */
#ifndef CTX_BINDING_ERROR_H
#define CTX_BINDING_ERROR_H

#include <lauxlib.h>
#include <lua.h>

/* Pushes the object of 'err' (CTX_CANCELED or CTX_DEADLINE_EXCEEDED), or nil for 0. */
void error_push(lua_State *L, int err);

/* The err whose object lies at 'index'; 0: it is something else. */
int error_code(lua_State *L, int index);

/* Raises the object of 'err'. */
int error_raise(lua_State *L, int err);

/* ctx.is_canceled(e) -> boolean */
int error_is_canceled(lua_State *L);

/* Makes the two objects, once per state. */
void error_open(lua_State *L);

#endif
