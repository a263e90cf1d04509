/*
 * value - the values of a request, under keys of any Lua type
 *
 * C compares keys by address, Lua raw: each key that is in use in this state has a box,
 * which holds its key for C. The value lies in the handle of its context; C has a link to it.
 *
 * Knows handle.h, cancel.h, key.h, link.h, registry.h.
 */
#ifndef CTX_BINDING_VALUE_H
#define CTX_BINDING_VALUE_H

#include <lauxlib.h>

extern const luaL_Reg value_methods[]; /* with_value, value */

/* How a value of the host's becomes one of Lua. */
typedef void value_push_fn(lua_State *L, void *value);

/* Lets the key at 'index' find what the host keeps under the address 'key'. */
void value_set_host_key(lua_State *L, int index, const void *key, value_push_fn *push);

/* Makes the table of boxes, once per state. */
void value_open(lua_State *L);

#endif
