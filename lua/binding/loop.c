#include <string.h>

#include "loop.h"
#include "mailbox.h"

static const char loop_cookie, world_cookie; /* their addresses mark our userdata */
static const char loop_key, memory_key;      /* places in the registry */

/* ---- finding ---------------------------------------------------------- */

static void *checked(lua_State *L, size_t size, const void *cookie)
{
  void *p = lua_type(L, -1) == LUA_TUSERDATA ? lua_touserdata(L, -1) : NULL;
  if (p == NULL || lua_rawlen(L, -1) != size || *(const void **)p != cookie)
    luaL_error(L, "ctx: the state of the module has been tampered with");
  return p;
}

struct loop *loop_of(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  struct loop *l = checked(L, sizeof *l, &loop_cookie);
  lua_pop(L, 1);
  return l;
}

ctx_engine *loop_engine(lua_State *L)
{
  struct loop *l = loop_of(L);
  ctx_engine *e = l->world->engine;
  if (e == NULL || l->mailbox == NULL)
    luaL_error(L, "the Lua state is being closed: ctx can no longer wait or make anything");
  return e;
}

static void push_loop(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  checked(L, sizeof(struct loop), &loop_cookie);
}

void loop_push_value(lua_State *L, int n)
{
  push_loop(L);
  lua_getiuservalue(L, -1, n);
  lua_remove(L, -2);
}

void loop_set_value(lua_State *L, int n, int index)
{
  lua_pushvalue(L, index);
  push_loop(L);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, n);
  lua_pop(L, 1);
}

static void push_world(lua_State *L)
{
  loop_push_value(L, LOOP_WORLD);
  checked(L, sizeof(struct world), &world_cookie);
}

void world_push_value(lua_State *L, int n)
{
  push_world(L);
  lua_getiuservalue(L, -1, n);
  lua_remove(L, -2);
}

/* ---- anchors and memory ----------------------------------------------- */

static void refuse_tampering(lua_State *L)
{
  luaL_error(L, "ctx: the state of the module has been tampered with");
}

void loop_push_table(lua_State *L, const void *key)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) refuse_tampering(L);
}

void loop_set_metatable(lua_State *L, const void *key)
{
  loop_push_table(L, key);
  lua_setmetatable(L, -2);
}

void loop_push_memory(lua_State *L)
{
  loop_push_table(L, &memory_key);
}

static void push_anchors(lua_State *L)
{
  loop_push_value(L, LOOP_ANCHORS);
  if (!lua_istable(L, -1)) refuse_tampering(L);
}

void loop_anchor(lua_State *L, const void *key, int index)
{
  index = lua_absindex(L, index);
  push_anchors(L);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void loop_unanchor(lua_State *L, const void *key)
{
  push_anchors(L);
  lua_pushnil(L);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void loop_push_anchored(lua_State *L, const void *key)
{
  push_anchors(L);
  lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
}

void loop_remember(lua_State *L, const void *key, int index)
{
  index = lua_absindex(L, index);
  loop_push_memory(L);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

/* In a finalizer Lua does not say that the collector runs; nor where a script has stopped it. */
void loop_remember_late(lua_State *L, const void *key, int index)
{
  if (lua_gc(L, LUA_GCISRUNNING) != 1) loop_remember(L, key, index);
}

void loop_push_remembered(lua_State *L, const void *key)
{
  loop_push_memory(L);
  lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
}

void loop_receive(struct loop *l)
{
  struct letter *letter;
  while (l->mailbox != NULL && (letter = mailbox_take(l->mailbox)) != NULL) letter->receive(letter);
}

void loop_anchor_fired(lua_State *L)
{
  struct loop *l = loop_of(L);
  loop_receive(l);
  if (!list_empty(&l->links)) l->receive_links(L);
  while (!list_empty(&l->fired)) {
    struct entry *e = LIST_ELEMENT(l->fired.first, struct entry, fired);
    loop_push_remembered(L, e);
    loop_anchor(L, e, -1);
    lua_pop(L, 1);
    list_pop(&l->fired);
  }
}

void loop_fail(lua_State *L)
{
  loop_set_value(L, LOOP_ERROR, -1);
  lua_pop(L, 1);
  loop_of(L)->failed = true;
}

/* ---- worlds ----------------------------------------------------------- */

static void close_world(struct world *w)
{
  if (w->engine == NULL) return;
  if (w->loop->disconnect != NULL) w->loop->disconnect(w);
  if (w->loop->drop_hooks != NULL) w->loop->drop_hooks(w);
  ctx_engine_close(w->engine);
  w->engine = NULL;
}

/* Finalizes what is remembered: Lua does not, where that was made while the state closes. */
static void finalize_remembered(lua_State *L)
{
  luaL_checkstack(L, 8, NULL);
  loop_push_memory(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (luaL_getmetafield(L, -1, "__gc") == LUA_TNIL) continue;
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Nobody waits any more, and nobody will: the hooks that were to post have been stopped. */
static void close_loop(lua_State *L, struct loop *l)
{
  if (l->mailbox == NULL) return;
  mailbox_close(l->mailbox);
  loop_receive(l);
  mailbox_release(l->mailbox);
  l->mailbox = NULL;
  ctx_release(l->root);
  l->root = NULL;
  if (l->receive_links != NULL) l->receive_links(L);
}

/* The state closes. Finalizers of objects older than this one run later, and find it closed. */
static int world_gc(lua_State *L)
{
  struct world *w = lua_touserdata(L, 1);
  if (w == NULL || lua_rawlen(L, 1) != sizeof *w || w->cookie != &world_cookie) return 0;
  if (!list_empty(&w->tasks))
    lua_warning(L, "ctx: the Lua state is closed, and tasks have not ended", 0);
  bool was_made = w->engine != NULL; /* there was memory for it */
  close_world(w);
  if (w->is_virtual || !was_made) return 0;
  close_loop(L, w->loop);
  finalize_remembered(L);
  return 0;
}

static void set_gc(lua_State *L, lua_CFunction gc)
{
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

struct world *world_open(lua_State *L, bool is_virtual)
{
  struct loop *l = loop_of(L);
  ctx_engine_options options = {.driver = is_virtual ? CTX_DRIVER_MANUAL : CTX_DRIVER_HOST};
  push_loop(L);
  struct world *w = lua_newuserdatauv(L, sizeof *w, WORLD_VALUES);
  memset(w, 0, sizeof *w);
  w->cookie = &world_cookie;
  w->loop = l;
  w->is_virtual = is_virtual;
  lua_newtable(L);
  lua_setiuservalue(L, -2, WORLD_ANCHORS);
  set_gc(L, world_gc);
  lua_getiuservalue(L, -2, LOOP_WORLD);
  lua_setiuservalue(L, -2, WORLD_OUTER);
  w->engine = ctx_engine_open(&options);
  if (w->engine == NULL) luaL_error(L, "not enough memory");
  lua_setiuservalue(L, -2, LOOP_WORLD);
  lua_pop(L, 1);
  l->world = w;
  return w;
}

void world_close(lua_State *L)
{
  struct loop *l = loop_of(L);
  push_loop(L);
  world_push_value(L, WORLD_OUTER);
  struct world *outer = checked(L, sizeof *outer, &world_cookie);
  lua_setiuservalue(L, -2, LOOP_WORLD);
  lua_pop(L, 1);
  close_world(l->world);
  l->world = outer;
}

void world_make_ready(struct world *w, struct entry *e)
{
  list_append(&w->ready, &e->link);
  w->ready_count++;
  w->progress = true;
}

void world_make_unready(struct world *w, struct entry *e)
{
  list_remove(&w->ready, &e->link);
  w->ready_count--;
}

/* ---- opening ---------------------------------------------------------- */

static void make_memory(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &memory_key);
}

static void make_loop(lua_State *L)
{
  make_memory(L);
  struct loop *l = lua_newuserdatauv(L, sizeof *l, LOOP_VALUES);
  memset(l, 0, sizeof *l);
  l->cookie = &loop_cookie;
  lua_newtable(L);
  lua_setiuservalue(L, -2, LOOP_ANCHORS);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loop_key);
}

/* What there was no memory for has another try. */
void loop_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key) == LUA_TNIL) make_loop(L);
  lua_pop(L, 1);
  struct loop *l = loop_of(L);
  if (l->world == NULL) world_open(L, false);
  if (l->mailbox != NULL || l->world->engine == NULL) return;
  l->mailbox = mailbox_new();
  if (l->mailbox == NULL) luaL_error(L, "not enough memory");
}
