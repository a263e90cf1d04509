/*
 * listen - ctx.with_signal: a context that a signal ends
 *
 * Knows cancel.h, handle.h.
 */
#ifndef CTX_BINDING_LISTEN_H
#define CTX_BINDING_LISTEN_H

#include <lauxlib.h>
#include <lua.h>

/* ctx.with_signal(parent, name, ...) -> context, cancel */
int listen_bind(lua_State *L);

#endif
