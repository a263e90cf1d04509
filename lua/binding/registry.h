/*
 * registry - what the module keeps in the registry of Lua
 *
 * Tables at addresses of ours: of metatables, of what one file alone needs, and a weak one, by
 * which a userdata is found again by an address that C has of it. A script with the debug library
 * can put anything there: so whoever reads from it tests what he finds.
 *
 * Knows nothing but Lua.
 */
#ifndef CTX_BINDING_REGISTRY_H
#define CTX_BINDING_REGISTRY_H

#include <lauxlib.h>
#include <lua.h>

/* Makes the weak table, once per state. */
void registry_open(lua_State *L);

/* Raises that it has been tampered with. */
int registry_refuse(lua_State *L);

/* Pushes the table that lies in the registry at 'key', or gives it to the userdata on top as
 * its metatable. Raises when a script has put something else there. */
void registry_push_table(lua_State *L, const void *key);
void registry_set_metatable(lua_State *L, const void *key);

/* Puts a new table at 'key', weak as 'mode' says. */
void registry_add_weak(lua_State *L, const void *key, const char *mode);

/* The weak table, from addresses to userdata: finds one again by its address. */
void registry_remember(lua_State *L, const void *key, int index);
void registry_push_remembered(lua_State *L, const void *key);
void registry_push_memory(lua_State *L);

/* Remembers the userdata at 'index' under 'key' where Lua might never finalize it, because it is
 * made while the state closes, in a finalizer: then who closes the loop does. */
void registry_remember_late(lua_State *L, const void *key, int index);

/* Finalizes what is remembered: Lua does not, where that was made while the state closes. A
 * finalizer calls this, and nothing raises. */
void registry_finalize_remembered(lua_State *L);

#endif
