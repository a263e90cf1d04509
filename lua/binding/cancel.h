/*
 * cancel - contexts that can be ended, and why they were
 *
 * The function that cancels is a closure over the handle: who holds it may end the
 * context, and nobody else. A cause may be any Lua value; the handle keeps it, and C
 * is told its text, a code that says what it was, and a link.
 *
 * Another state makes the value again of text and code alone, where they say what it was. It
 * follows no data of a cause, which may be anybody's.
 *
 * Knows handle.h, link.h, keep.h, registry.h, convert.h, error.h, ctx_lua.h (the codes).
 */
#ifndef CTX_BINDING_CANCEL_H
#define CTX_BINDING_CANCEL_H

#include "handle.h"

/* Pushes a new child, to be ended by cancel_context, of the handle at 'parent'. */
void cancel_push_child(lua_State *L, int parent);

/* Ends the context of the handle at 'index', with the cause at 'cause' unless that is 0 or
 * a nil. True: this was the call. A background of a virtual world can be ended, too. */
bool cancel_context(lua_State *L, int index, int cause, ctx_origin_kind by);

/* The handle on top, and on it the function that cancels: what a constructor returns. */
int cancel_push_function(lua_State *L);

/* Pushes the cause of the context of 'h': the value that was given, or the err. */
void cancel_push_cause(lua_State *L, struct handle *h);

/* Raises when 'arg' is the cancel function of the context before it: the tail of
 * f(p:with_cancel()). */
void cancel_refuse(lua_State *L, int arg);

extern const luaL_Reg cancel_functions[]; /* ctx.extend */
extern const luaL_Reg cancel_methods[];   /* with_cancel and the like, cause */

#endif
