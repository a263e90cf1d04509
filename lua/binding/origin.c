#include <string.h>

#include "cancel.h"
#include "convert.h"
#include "handle.h"
#include "origin.h"

static const char metatable; /* a place in the registry */

enum { NAME_SIZE = 256, LINE_SIZE = 1024 };

static const char *const kinds[] = {"?",      "explicit", "deadline", "signal",
                                    "parent", "member",   "host"};

static void push_name(lua_State *L, ctx_context *c)
{
  char name[NAME_SIZE];
  if (ctx_name(c, name, sizeof name) > 0)
    lua_pushstring(L, name);
  else
    lua_pushnil(L);
}

/* c:name() -> its name, or nil; c:name(s) gives it one -> c */
static int bind_name(lua_State *L)
{
  size_t len;
  struct handle *h = handle_check(L, 1);
  if (lua_isnoneornil(L, 2)) {
    push_name(L, h->context);
    return 1;
  }
  luaL_checktype(L, 2, LUA_TSTRING);
  const char *name = lua_tolstring(L, 2, &len);
  if (strlen(name) != len) return luaL_argerror(L, 2, "a name has no zeros in it");
  if (ctx_set_name(h->context, name) != 0) return luaL_error(L, "not enough memory");
  lua_settop(L, 1);
  return 1;
}

static void set_fields(lua_State *L, const ctx_origin *o)
{
  lua_pushstring(L, kinds[o->kind]);
  lua_setfield(L, -2, "kind");
  push_name(L, o->context);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, (lua_Integer)ctx_id(o->context));
  lua_setfield(L, -2, "id");
  lua_pushstring(L, o->site);
  lua_setfield(L, -2, "site");
  convert_push_seconds(L, o->at_ns);
  lua_setfield(L, -2, "at");
}

/* c:origin() -> {kind, name, id, site, at, cause}; nil while it lives */
static int bind_origin(lua_State *L)
{
  char line[LINE_SIZE];
  ctx_origin o;
  struct handle *h = handle_check(L, 1);
  if (!ctx_origin_of(h->context, &o)) {
    lua_pushnil(L);
    return 1;
  }
  ctx_context *c = h->context; /* the handle lies at 1, and holds it */
  ctx_origin_text(c, line, sizeof line);
  lua_settop(L, 1);
  lua_createtable(L, 0, 7);
  set_fields(L, &o);
  cancel_push_cause(L, handle_check(L, 1));
  lua_setfield(L, -2, "cause");
  lua_pushstring(L, line);
  lua_setfield(L, -2, "text");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  if (lua_istable(L, -1)) lua_setmetatable(L, -2);
  lua_settop(L, 2);
  return 1;
}

const luaL_Reg origin_methods[] = {{"origin", bind_origin}, {"name", bind_name}, {NULL, NULL}};

static int origin_tostring(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "text");
  lua_rawget(L, 1);
  return 1;
}

void origin_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable) == LUA_TNIL) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, origin_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "ctx.origin");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
  }
  lua_pop(L, 1);
}
