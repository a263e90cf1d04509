/*
 * query - what a script asks a context
 *
 * Knows handle.h, convert.h, error.h.
 */
#ifndef CTX_BINDING_QUERY_H
#define CTX_BINDING_QUERY_H

#include <lauxlib.h>

extern const luaL_Reg query_methods[]; /* done, err, check, deadline, timeout */

#endif
