/*
 * host - what a C program does with the Lua states that it holds: ctx_lua.h
 *
 * What another copy of this library has made is never followed: a state is marked in its
 * registry with the address of its copy, and a context with the text of its version,
 * whose address is that of the copy that the caller is linked with.
 *
 * Knows ctx_lua.h, handle.h, anchor.h, value.h, link.h, registry.h, loop.h.
 */
#ifndef CTX_BINDING_HOST_H
#define CTX_BINDING_HOST_H

#include <lua.h>

/* Raises when the state belongs to another copy of this library; from now on it is ours. */
void host_claim(lua_State *L);

/* From now on the functions of ctx_lua.h can be used: all is made that they need. */
void host_open(lua_State *L);

/* In module.c. */
int luaopen_ctx_core(lua_State *L);

#endif
