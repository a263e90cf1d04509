/*
 * quota - how many things a script may have at once
 *
 * A host sets it, for scripts that it does not trust (ctx_lua_set_limits). What is counted is counted by who
 * makes and ends it; a quota is a plain pair of numbers in the loop.
 *
 * Knows nothing but Lua.
 */
#ifndef CTX_BINDING_QUOTA_H
#define CTX_BINDING_QUOTA_H

#include <lua.h>
#include <stddef.h>

struct quota {
  size_t most; /* 0: any number */
  size_t now;
};

/* Raises where there are as many of 'what' ("contexts") as there may be, also after garbage has been
 * collected. */
void quota_check(lua_State *L, const struct quota *q, const char *what);

#endif
