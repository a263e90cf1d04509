#include <lualib.h>

#include "anchor.h"
#include "ctx_lua.h"
#include "error.h"
#include "handle.h"
#include "host.h"
#include "link.h"
#include "registry.h"
#include "value.h"

static const char copy;      /* its address is that of this copy of the library */
static const char open_mark; /* a place in the registry */

/* ---- copies ------------------------------------------------------------------ */

void host_claim(lua_State *L)
{
  int type = lua_getfield(L, LUA_REGISTRYINDEX, "ctx.copy");
  if (type != LUA_TNIL && lua_touserdata(L, -1) != &copy)
    luaL_error(L, "another copy of ctx has been loaded in this Lua state: a program that is linked "
                  "with ctx uses its own, and loads no other");
  lua_pop(L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&copy);
  lua_setfield(L, LUA_REGISTRYINDEX, "ctx.copy");
}

/* 'version' is the text that the library of the caller gives. */
static void check_copy(lua_State *L, const char *version)
{
  if (version == ctx_version()) return;
  luaL_error(L, "a context of another copy of ctx (%s) than that of this Lua state (%s)", version,
             ctx_version());
}

/* ---- opening ----------------------------------------------------------------- */

void host_open(lua_State *L)
{
  lua_pushboolean(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &open_mark);
}

static bool is_open(lua_State *L)
{
  bool open = lua_rawgetp(L, LUA_REGISTRYINDEX, &open_mark) != LUA_TNIL;
  lua_pop(L, 1);
  return open;
}

/* Raises where this state cannot be used: before anything else is touched. */
static struct loop *check_open(lua_State *L)
{
  luaL_checkstack(L, 4, NULL);
  if (!is_open(L)) luaL_error(L, "ctx is not open in this Lua state: call ctx_lua_open first");
  loop_engine(L);
  return loop_of(L);
}

/* Lets require find luaopen_ctx_core. */
static void preload(lua_State *L)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) != LUA_TTABLE)
    luaL_error(L, "ctx needs the library 'package', which this Lua state has not");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_ctx_core);
  lua_setfield(L, -2, "ctx.core");
  lua_pop(L, 3);
}

/* Before anything of the module has run: what fails later finds it set. */
static void set_root(lua_State *L, ctx_context *root)
{
  bool was_open = is_open(L);
  loop_open(L);
  struct loop *l = loop_of(L);
  loop_engine(L);
  if (l->root != root && (was_open || l->root != NULL))
    luaL_error(L, "ctx has been opened in this Lua state already, with another root or none");
  if (l->root == root) return;
  l->root = ctx_retain(root);
  l->outside = true;
}

struct opening {
  ctx_context *root;
  const char *version;
  int abi;
};

/* open(opening), protected */
static int open_protected(lua_State *L)
{
  const struct opening *o = lua_touserdata(L, 1);
  if (o->abi != CTX__LUA_ABI)
    return luaL_error(L, "ctx_lua.h is of another version than the library, which is %s",
                      ctx_version());
  check_copy(L, o->version);
  if (o->root != NULL && !ctx_engine_is_monotonic(ctx_engine_of(o->root)))
    return luaL_error(L, "the engine of the root is not on the monotonic clock");
  host_claim(L);
  preload(L);
  set_root(L, o->root);
  lua_pushcfunction(L, luaopen_ctx_core);
  lua_call(L, 0, 0);
  handle_push_background(L); /* before C can push that of the root's engine */
  return 0;
}

int ctx__lua_open(lua_State *L, ctx_context *root, const char *version, int abi)
{
  struct opening o = {root, version, abi};
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, &o);
  return lua_pcall(L, 1, 0, 0);
}

/* ---- from C to Lua ------------------------------------------------------------- */

void ctx__lua_push(lua_State *L, ctx_context *c, const char *version)
{
  struct loop *l = check_open(L);
  check_copy(L, version);
  if (c == NULL) {
    lua_pushnil(L);
    return;
  }
  handle_push_context(L, c);
  l->outside = true;
}

/* ---- from Lua to C ------------------------------------------------------------- */

/* Shares the links of the handle on top. */
static void share_links(lua_State *L, const struct handle *h)
{
  int top = lua_gettop(L);
  if (h->link != NULL) {
    lua_getiuservalue(L, top, HANDLE_PAYLOAD);
    if (h->kind == HANDLE_VALUE) lua_getiuservalue(L, top, HANDLE_KEY);
    link_share(L, &h->link, top + 1, h->kind == HANDLE_VALUE ? top + 2 : 0);
    lua_settop(L, top);
  }
  if (h->given != NULL && lua_getiuservalue(L, top, HANDLE_EXTRA) == LUA_TTABLE) {
    lua_rawgeti(L, -1, EXTRA_CAUSE);
    link_share(L, &h->given, -1, 0);
  }
  lua_settop(L, top);
}

/* Adds the handle on top, which it pops, to what is to be shared: the table at 'work', which also
 * has it as a key. */
static void add_work(lua_State *L, int work)
{
  const struct handle *h = handle_test(L, -1);
  lua_pushvalue(L, -1);
  bool known = lua_rawget(L, work) != LUA_TNIL;
  lua_pop(L, 1);
  if (h == NULL || h->is_shared || known) {
    lua_pop(L, 1);
    return;
  }
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, work);
  lua_rawseti(L, work, (lua_Integer)lua_rawlen(L, work) + 1);
}

/* The same for all parents of the handle on top. */
static void add_parents(lua_State *L, int work)
{
  int top = lua_gettop(L);
  const struct handle *h = handle_test(L, top);
  handle_push_parent(L, top);
  add_work(L, work);
  if (h->kind == HANDLE_MERGE && lua_getiuservalue(L, top, HANDLE_PAYLOAD) == LUA_TTABLE) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, top + 1, i);
      add_work(L, work);
    }
  }
  lua_settop(L, top);
}

/* Shares all that can be seen from the handle at 'index'. Where that fails, none of them says
 * that it has been done. */
static void share(lua_State *L, int index)
{
  lua_newtable(L);
  int work = lua_gettop(L);
  lua_pushvalue(L, index);
  add_work(L, work);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, work); i++) {
    lua_rawgeti(L, work, i);
    share_links(L, handle_test(L, -1));
    add_parents(L, work);
    lua_pop(L, 1);
  }
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, work); i > 0; i--) {
    lua_rawgeti(L, work, i);
    handle_test(L, -1)->is_shared = true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Gives the context of the handle at 'index' to C, who may keep, show and end it from now on. */
static ctx_context *give(lua_State *L, int index)
{
  struct handle *h = handle_test(L, index);
  if (h->is_held) return h->context;
  luaL_checkstack(L, 10, NULL);
  index = lua_absindex(L, index);
  share(L, index);
  registry_remember(L, h->context, index);
  anchor_hold(L, index);
  loop_of(L)->outside = true;
  return handle_check(L, index)->context;
}

ctx_context *ctx_lua_test(lua_State *L, int arg)
{
  check_open(L);
  return handle_live(L, arg) != NULL ? give(L, arg) : NULL;
}

ctx_context *ctx_lua_check(lua_State *L, int arg)
{
  check_open(L);
  handle_check(L, arg);
  return give(L, arg);
}

int ctx_lua_err(lua_State *L, int index)
{
  return error_code(L, index);
}

/* ---- values of the host ---------------------------------------------------------- */

struct host_key {
  const char *name;
  const void *key;
  ctx_lua_push_fn *push;
};

/* ctx_lua_set_key of a host key, protected */
static int set_key_protected(lua_State *L)
{
  const struct host_key *k = lua_touserdata(L, 1);
  check_open(L);
  lua_pushstring(L, k->name);
  value_set_host_key(L, -1, k->key, k->push);
  return 0;
}

int ctx_lua_set_key(lua_State *L, const char *name, const void *key, ctx_lua_push_fn *push)
{
  struct host_key k = {name, key, push};
  lua_pushcfunction(L, set_key_protected);
  lua_pushlightuserdata(L, &k);
  return lua_pcall(L, 1, 0, 0);
}

/* ---- limits ------------------------------------------------------------------------ */

/* ctx_lua_set_limits, protected */
static int set_limits_protected(lua_State *L)
{
  const ctx_lua_limits *limits = lua_touserdata(L, 1);
  struct loop *l = check_open(L);
  l->contexts.most = limits->contexts;
  l->tasks.most = limits->tasks;
  l->waiting.most = limits->hooks;
  return 0;
}

int ctx_lua_set_limits(lua_State *L, const ctx_lua_limits *limits)
{
  lua_pushcfunction(L, set_limits_protected);
  lua_pushlightuserdata(L, (void *)(uintptr_t)limits);
  return lua_pcall(L, 1, 0, 0);
}
