/*
 * value - the values of a request, under keys of any Lua type
 *
 * C compares keys by address, Lua raw: each key has a box, whose address is the key in
 * C. The value lies in the handle of its context, whose address C keeps.
 *
 * Knows handle.h, cancel.h.
 */
#ifndef CTX_BINDING_VALUE_H
#define CTX_BINDING_VALUE_H

#include <lauxlib.h>

extern const luaL_Reg value_methods[]; /* with_value, value */

/* Makes the table of boxes, once per state. */
void value_open(lua_State *L);

#endif
