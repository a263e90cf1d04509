#include "registry.h"

static const char memory_key; /* a place in the registry */

int registry_refuse(lua_State *L)
{
  return luaL_error(L, "ctx: the state of the module has been tampered with");
}

void registry_push_table(lua_State *L, const void *key)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) registry_refuse(L);
}

void registry_set_metatable(lua_State *L, const void *key)
{
  registry_push_table(L, key);
  lua_setmetatable(L, -2);
}

void registry_add_weak(lua_State *L, const void *key, const char *mode)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* ---- what is found by its address ---------------------------------------- */

void registry_open(lua_State *L)
{
  registry_add_weak(L, &memory_key, "v");
}

void registry_push_memory(lua_State *L)
{
  registry_push_table(L, &memory_key);
}

void registry_remember(lua_State *L, const void *key, int index)
{
  index = lua_absindex(L, index);
  registry_push_memory(L);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

/* In a finalizer Lua does not say that the collector runs; nor where a script has stopped it. */
void registry_remember_late(lua_State *L, const void *key, int index)
{
  if (lua_gc(L, LUA_GCISRUNNING) != 1) registry_remember(L, key, index);
}

void registry_push_remembered(lua_State *L, const void *key)
{
  registry_push_memory(L);
  lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
}

void registry_finalize_remembered(lua_State *L)
{
  int top = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &memory_key) != LUA_TTABLE) return;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (luaL_getmetafield(L, -1, "__gc") == LUA_TNIL) continue;
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  lua_settop(L, top);
}
