#include <string.h>

#include "ctx.h"
#include "error.h"

struct error {
  const void *cookie;
  int err;
};

/* Its address marks our userdata; the objects lie in the registry at &objects[err]. */
static const char cookie;
static const char objects[CTX_DEADLINE_EXCEEDED + 1];

static struct error *to_error(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct error))
    return NULL;
  struct error *e = lua_touserdata(L, index);
  return e->cookie == &cookie ? e : NULL;
}

void error_push(lua_State *L, int err)
{
  if (err == 0)
    lua_pushnil(L);
  else
    lua_rawgetp(L, LUA_REGISTRYINDEX, &objects[err]);
}

int error_code(lua_State *L, int index)
{
  struct error *e = to_error(L, index);
  return e != NULL ? e->err : 0;
}

int error_raise(lua_State *L, int err)
{
  error_push(L, err);
  return lua_error(L);
}

int error_is_canceled(lua_State *L)
{
  lua_pushboolean(L, error_code(L, 1) != 0);
  return 1;
}

static int error_tostring(lua_State *L)
{
  lua_pushstring(L, ctx_strerror(error_code(L, 1)));
  return 1;
}

/* Puts text in place of an error object, so that '..' has strings to work on. */
static void as_text(lua_State *L, int index)
{
  struct error *e = to_error(L, index);
  if (e == NULL) return;
  lua_pushstring(L, ctx_strerror(e->err));
  lua_replace(L, index);
}

static int error_concat(lua_State *L)
{
  lua_settop(L, 2);
  as_text(L, 1);
  as_text(L, 2);
  lua_concat(L, 2);
  return 1;
}

/* err.timeout, err.temporary: booleans; err.code: "canceled" or "deadline_exceeded" */
static int error_index(lua_State *L)
{
  int err = error_code(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "timeout") == 0 || strcmp(key, "temporary") == 0)
    lua_pushboolean(L, err == CTX_DEADLINE_EXCEEDED);
  else if (strcmp(key, "code") == 0)
    lua_pushstring(L, err == CTX_CANCELED ? "canceled" : "deadline_exceeded");
  else
    lua_pushnil(L);
  return 1;
}

static int error_newindex(lua_State *L)
{
  return luaL_error(L, "the errors of ctx cannot be changed");
}

static const luaL_Reg metamethods[] = {
  {"__tostring", error_tostring},
  {"__concat", error_concat},
  {"__index", error_index},
  {"__newindex", error_newindex},
  {NULL, NULL},
};

static void make(lua_State *L, int err)
{
  struct error *e = lua_newuserdatauv(L, sizeof *e, 0);
  e->cookie = &cookie;
  e->err = err;
  luaL_newlib(L, metamethods);
  lua_pushliteral(L, "ctx.error");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "ctx.error");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &objects[err]);
}

void error_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &objects[CTX_CANCELED]) == LUA_TNIL) {
    make(L, CTX_CANCELED);
    make(L, CTX_DEADLINE_EXCEEDED);
  }
  lua_pop(L, 1);
}
