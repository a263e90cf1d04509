#include "tree.h"
#include "convert.h"
#include "handle.h"

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

/* What push_entries reads. NULL: a script has called it, which a debug hook can show to it. */
static _Thread_local const ctx_snapshot *taken;

/* The array of what is in the snapshot. */
static int push_entries(lua_State *L)
{
  const ctx_snapshot *s = taken;
  taken = NULL;
  if (s == NULL) return luaL_error(L, "ctx: a snapshot has been tampered with");
  size_t n = ctx_snapshot_count(s);
  lua_createtable(L, n < 1000 ? (int)n : 1000, 0);
  for (size_t i = 0; i < n; i++) {
    push_entry(L, ctx_snapshot_at(s, i));
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*
 * The snapshot is no value of Lua: finalizers run while it is read, and with the debug library they
 * would find it and free it. So it is freed here, whatever has failed; nothing before lua_pcall
 * raises once it is taken.
 */
int tree_snapshot(lua_State *L)
{
  const struct handle *h = handle_check(L, 1);
  lua_settop(L, 1);
  lua_pushcfunction(L, push_entries);
  ctx_snapshot *s = ctx_snapshot_take(h->context);
  if (s == NULL) return luaL_error(L, "not enough memory");
  taken = s;
  int status = lua_pcall(L, 0, 1, 0);
  taken = NULL;
  ctx_snapshot_free(s);
  return status == LUA_OK ? 1 : lua_error(L);
}

int tree_track(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  ctx_engine_track(loop_engine(L), lua_toboolean(L, 1));
  return 0;
}
