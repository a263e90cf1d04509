/*
 * join - what a script asks a task: how it stands, and what has become of it
 *
 * Knows task.h, limit.h, report.h.
 */
#ifndef CTX_BINDING_JOIN_H
#define CTX_BINDING_JOIN_H

#include <lauxlib.h>

extern const luaL_Reg join_methods[]; /* t:join, t:status, t:name */

#endif
