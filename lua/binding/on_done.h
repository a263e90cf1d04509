/*
 * on_done - a Lua function that runs once, as a task, after the end of a context
 *
 * The notice of the end puts it in the ready row; the loop makes a task of it when its turn
 * comes. Until then stop() takes it back.
 *
 * Knows cancel.h, anchor.h, registry.h, keep.h, loop.h, notice.h, task.h.
 */
#ifndef CTX_BINDING_ON_DONE_H
#define CTX_BINDING_ON_DONE_H

#include "loop.h"

/* c:on_done(fn) -> stop */
int on_done_bind(lua_State *L);

/* Makes the metatable, once per state. */
void on_done_open(lua_State *L);

#endif
