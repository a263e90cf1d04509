#include "tree.h"
#include "convert.h"
#include "handle.h"

static const char metatable; /* a place in the registry */

/* A snapshot as userdata, so that it goes whatever fails. */
static int release(lua_State *L)
{
  ctx_snapshot **s = lua_touserdata(L, 1);
  if (s == NULL || lua_rawlen(L, 1) != sizeof *s) return 0;
  ctx_snapshot_free(*s);
  *s = NULL;
  return 0;
}

static ctx_snapshot *take(lua_State *L)
{
  ctx_snapshot **s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = NULL;
  loop_set_metatable(L, &metatable);
  *s = ctx_snapshot_take(handle_check(L, 1)->context);
  if (*s == NULL) luaL_error(L, "not enough memory");
  return *s;
}

static void set_seconds(lua_State *L, const char *field, int64_t ns)
{
  convert_push_seconds(L, ns);
  lua_setfield(L, -2, field);
}

static void set_count(lua_State *L, const char *field, size_t n)
{
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, field);
}

static void push_entry(lua_State *L, const ctx_snapshot_entry *e)
{
  lua_createtable(L, 0, 10);
  lua_pushstring(L, e->kind);
  lua_setfield(L, -2, "kind");
  if (e->name[0] != '\0') {
    lua_pushstring(L, e->name);
    lua_setfield(L, -2, "name");
  }
  if (e->site != NULL) {
    lua_pushstring(L, e->site);
    lua_setfield(L, -2, "site");
  }
  if (e->err != 0) {
    lua_pushstring(L, ctx_cause_text(ctx_cause_of(e->context), NULL));
    lua_setfield(L, -2, "cause");
  }
  set_count(L, "id", (size_t)ctx_id(e->context));
  set_count(L, "depth", e->depth);
  set_count(L, "parent", e->parent + 1);
  set_count(L, "hooks", e->hooks);
  set_count(L, "waiters", e->waiters);
  if (e->left_ns != CTX_NEVER) set_seconds(L, "left", e->left_ns);
  if (e->age_ns >= 0) set_seconds(L, "age", e->age_ns);
}

int tree_snapshot(lua_State *L)
{
  lua_settop(L, 1);
  const ctx_snapshot *s = take(L);
  size_t n = ctx_snapshot_count(s);
  lua_createtable(L, n < 1000 ? (int)n : 1000, 0);
  for (size_t i = 0; i < n; i++) {
    push_entry(L, ctx_snapshot_at(s, i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushcfunction(L, release);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  return 1;
}

int tree_track(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  ctx_engine_track(loop_engine(L), lua_toboolean(L, 1));
  return 0;
}

void tree_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable) == LUA_TNIL) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
  }
  lua_pop(L, 1);
}
