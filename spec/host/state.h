/*
 * state - Lua states for the tests of hosts
 *
 * Knows check.h, ctx_lua.h and Lua.
 */
#ifndef CTX_STATE_H
#define CTX_STATE_H

#include <lauxlib.h>
#include <lualib.h>

#include "check.h"
#include "ctx_lua.h"

/* Lua warns of an error in a finalizer. None of ours may raise one, whatever happens. */
static inline void state_warn(void *arg, const char *text, int more)
{
  (void)arg;
  (void)more;
  CHECK(strstr(text, "error in ") == NULL);
}

/* Runs 'script' with the value on top of the stack, which it pops, as '...'. */
static inline bool state_call(lua_State *L, const char *script)
{
  if (CHECK_INT(luaL_loadstring(L, script), LUA_OK)) lua_insert(L, -2);
  int status = lua_pcall(L, 1, 0, 0);
  bool ok = CHECK_STR(status == LUA_OK ? "" : luaL_tolstring(L, -1, NULL), "");
  lua_settop(L, 0);
  return ok;
}

static inline bool state_run(lua_State *L, const char *script)
{
  lua_pushnil(L);
  return state_call(L, script);
}

/* The same, with 'c' as '...'. */
static inline bool state_give(lua_State *L, ctx_context *c, const char *script)
{
  ctx_lua_push(L, c);
  return state_call(L, script);
}

/* A state in which 'ctx' is the module, and 'c' is not yet. */
static inline lua_State *state_open(ctx_context *root)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_setwarnf(L, state_warn, NULL);
  int status = ctx_lua_open(L, root);
  CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  state_run(L, "ctx = require 'ctx'");
  return L;
}

/* The context in the global variable 'name', with a reference for the caller. */
static inline ctx_context *state_take(lua_State *L, const char *name)
{
  lua_getglobal(L, name);
  ctx_context *c = ctx_retain(ctx_lua_check(L, -1));
  lua_pop(L, 1);
  return c;
}

/* Nothing of the state is left but what C holds. */
static inline void state_collect(lua_State *L)
{
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
}

#endif
