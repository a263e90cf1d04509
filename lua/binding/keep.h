/*
 * keep - what the loop keeps from being collected: its anchors
 *
 * They lie in one table. A value lies there at an address: so do hooks, contexts and the main
 * thread. A task has a place, two numbers in a row, for its userdata and for its coroutine: so a
 * turn of it finds the coroutine without a look at the userdata. A place that is free holds the
 * number of the next one.
 *
 * A script with the debug library may take them away, or change them: what is read there counts
 * where it is what C has put there.
 *
 * Knows loop.h, registry.h and block.h.
 */
#ifndef CTX_BINDING_KEEP_H
#define CTX_BINDING_KEEP_H

#include <lua.h>

#include "loop.h"

/* Keeps the value at 'index' from being collected, under the address 'key'; no longer. */
void keep_value(lua_State *L, const void *key, int index);
void keep_drop(lua_State *L, const void *key);

/* Pushes what is kept under 'key', or nil, or what a script has put there; the second looks into
 * the table of anchors that lies at 'anchors'. */
void keep_push(lua_State *L, const void *key);
void keep_push_from(lua_State *L, int anchors, const void *key);

/* Pushes the table of anchors, or nil; raises where there is no loop. */
void keep_push_anchors(lua_State *L);

/* Keeps the userdata of a task, on top but one, and its coroutine, on top; pops the coroutine.
 * Gives their place, which is not 0; or raises. */
lua_Integer keep_task(lua_State *L);

/* Keeps them no longer, if the userdata there is that of 'block'. Pushes what lies there for the
 * userdata, as does the second. Neither raises. */
void keep_drop_task(lua_State *L, lua_Integer place, const void *block);
void keep_push_task(lua_State *L, lua_Integer place);

/* Pushes what lies at 'place' for the coroutine, in the table of anchors at 'anchors', or nil. */
void keep_push_coroutine(lua_State *L, int anchors, lua_Integer place);

/* Receives what has been posted, as loop_receive, and keeps what has fired until its turn comes:
 * what has kept it may be collected from now on. After everything that may end contexts. */
void keep_fired(lua_State *L);

#endif
