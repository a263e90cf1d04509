/*
 * pollable - a context in the polls of others: cqueues, and LuaSocket's select
 *
 * cqueues asks an object for pollfd, events and timeout; LuaSocket for getfd and dirty.
 *
 * Knows handle.h.
 */
#ifndef CTX_BINDING_POLLABLE_H
#define CTX_BINDING_POLLABLE_H

#include <lauxlib.h>

extern const luaL_Reg pollable_methods[]; /* c:pollfd, c:getfd, c:events, c:dirty */

#endif
