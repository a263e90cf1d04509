#include <stdio.h>
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

/* What is known in C, copied before Lua is asked for memory: then a finalizer may run, and the
 * context go. */
struct facts {
  ctx_origin_kind kind;
  int64_t at_ns;
  uint64_t id;
  bool has_site;
  char name[NAME_SIZE], site[NAME_SIZE], line[LINE_SIZE];
};

/* False: the context lives. */
static bool read_facts(const ctx_context *c, struct facts *f)
{
  ctx_origin o;
  if (!ctx_origin_of(c, &o)) return false;
  f->kind = o.kind;
  f->at_ns = o.at_ns;
  f->id = ctx_id(o.context);
  f->has_site = o.site != NULL;
  snprintf(f->site, sizeof f->site, "%s", o.site != NULL ? o.site : "");
  ctx_name(o.context, f->name, sizeof f->name);
  ctx_origin_text(c, f->line, sizeof f->line);
  return true;
}

static void set_text(lua_State *L, const char *field, const char *text)
{
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

static void push_facts(lua_State *L, const struct facts *f)
{
  lua_createtable(L, 0, 7);
  set_text(L, "kind", kinds[f->kind]);
  set_text(L, "text", f->line);
  if (f->name[0] != '\0') set_text(L, "name", f->name);
  if (f->has_site) set_text(L, "site", f->site);
  lua_pushinteger(L, (lua_Integer)f->id);
  lua_setfield(L, -2, "id");
  convert_push_seconds(L, f->at_ns);
  lua_setfield(L, -2, "at");
}

/* c:origin() -> {kind, name, id, site, at, cause}; nil while it lives */
static int bind_origin(lua_State *L)
{
  struct facts facts;
  if (!read_facts(handle_check(L, 1)->context, &facts)) {
    lua_pushnil(L);
    return 1;
  }
  lua_settop(L, 1);
  push_facts(L, &facts);
  cancel_push_cause(L, handle_check(L, 1));
  lua_setfield(L, 2, "cause");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  if (lua_istable(L, -1)) lua_setmetatable(L, 2);
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
