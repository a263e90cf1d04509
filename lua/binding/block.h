/*
 * block - memory of C that a userdata stands for
 *
 * A script with the debug library can take from any userdata all that keeps it, and its
 * finalizer too: Lua then frees it while C still points to it. So what C follows by pointer
 * does not lie in a userdata. It lies in a block, which lives until its userdata has been
 * finalized and the last in C that holds it has let go. The worst a script can do is to make
 * a block stay.
 *
 * C knows the userdata of a block again by the block: what it reads back from Lua counts
 * only where block_test gives the pointer that C has itself.
 *
 * Knows nothing but Lua. All on the thread of the state.
 */
#ifndef CTX_BINDING_BLOCK_H
#define CTX_BINDING_BLOCK_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Its address marks the userdata, and is the place of their metatable in the registry. */
struct block_kind {
  void (*finalize)(lua_State *L, void *p); /* its userdata goes; may be NULL, raises nothing */
  void (*destroy)(void *p);                /* its memory goes; may be NULL */
};

/* Makes the metatable of a kind, once per state, and pushes it. */
void block_open(lua_State *L, const struct block_kind *kind);

/* Pushes a userdata with as many user values, and gives its block, zeroed. */
void *block_push_new(lua_State *L, const struct block_kind *kind, size_t size, int values);

/* The block of the userdata at 'index', if that is of this kind (NULL: of any), and not
 * finalized; else NULL. */
void *block_test(lua_State *L, int index, const struct block_kind *kind);

/* True: a userdata of this kind that has been finalized. */
bool block_is_finalized(lua_State *L, int index, const struct block_kind *kind);

/* One more that holds 'p', which it gives; one less, of which NULL is none. */
void *block_hold(void *p);
void block_release(void *p);

#endif
