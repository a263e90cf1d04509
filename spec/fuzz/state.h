/*
 * state - Lua states for the fuzzing of the module, which is linked in
 *
 * The part of a target that is written in Lua lies beside it, as spec/fuzz/NAME.lua; the
 * targets are run from the top of the tree.
 *
 * Knows bytes.h, ctx_lua.h and Lua.
 */
#ifndef CTX_FUZZ_STATE_H
#define CTX_FUZZ_STATE_H

#include <lauxlib.h>
#include <lualib.h>

#include "bytes.h"
#include "ctx_lua.h"

/* byte() -> integer: the next one, 0 past the end. */
static inline int state_byte(lua_State *L)
{
  lua_pushinteger(L, bytes_u8(lua_touserdata(L, lua_upvalueindex(1))));
  return 1;
}

/* bits() -> integer: the next eight bytes. */
static inline int state_bits(lua_State *L)
{
  lua_pushinteger(L, bytes_i64(lua_touserdata(L, lua_upvalueindex(1))));
  return 1;
}

/* left() -> integer: how many bytes there are. */
static inline int state_left(lua_State *L)
{
  struct bytes *b = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushinteger(L, (lua_Integer)b->left);
  return 1;
}

static const luaL_Reg state_readers[] = {
  {"byte", state_byte}, {"bits", state_bits}, {"left", state_left}, {NULL, NULL}};

/* A state with all libraries of Lua, in which require "ctx" works. */
static inline lua_State *state_open(ctx_context *root)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  EXPECT(luaL_dostring(L, "package.path = 'lua/?.lua;spec/fuzz/?.lua'") == LUA_OK, "package");
  EXPECT(ctx_lua_open(L, root) == LUA_OK, "%s", lua_tostring(L, -1));
  return L;
}

/* Pushes what spec/fuzz/NAME.lua is, and its argument: a table with the readers of 'b'. */
static inline void state_load(lua_State *L, const char *file, struct bytes *b)
{
  EXPECT(luaL_loadfile(L, file) == LUA_OK, "%s", lua_tostring(L, -1));
  lua_newtable(L);
  lua_pushlightuserdata(L, b);
  luaL_setfuncs(L, state_readers, 1);
}

#endif
