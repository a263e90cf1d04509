#include "platform.h"

#include <errno.h>
#include <string.h>

#include "loop.h"
#include "mailbox.h"
#include "registry.h"

static const char loop_key; /* a place in the registry */

static void loop_destroy(void *p);
static void world_finalize(lua_State *L, void *p);

static void loop_finalize(lua_State *L, void *p);

static const struct block_kind loop_kind = {loop_finalize, loop_destroy};
static const struct block_kind world_kind = {world_finalize, NULL};

/* ---- finding ---------------------------------------------------------- */

static int refuse_closed(lua_State *L)
{
  return luaL_error(L, "the Lua state is being closed: ctx can no longer wait or make anything");
}

static struct loop *push_loop(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  struct loop *l = block_test(L, -1, &loop_kind);
  if (l == NULL && block_is_finalized(L, -1, &loop_kind)) refuse_closed(L);
  if (l == NULL) registry_refuse(L);
  return l;
}

/* The loop that this thread has found last, by the registry of its state. It is right as long as no
 * loop has come or gone since. A task of that loop that runs is known by its coroutine, which is alive
 * as long as it runs: no other state has one at that address. */
static CTX__TLS struct {
  const void *registry;
  const lua_State *running; /* or NULL */
  struct loop *loop;
  int64_t change;
} last;

static ctx__atomic64 changes; /* how many loops have come and gone, in all states */

static void loop_finalize(lua_State *L, void *p)
{
  (void)L;
  (void)p;
  CTX__ADD(&changes, 1);
}

struct loop *loop_known(lua_State *L)
{
  bool same = L == last.running || lua_topointer(L, LUA_REGISTRYINDEX) == last.registry;
  return same && CTX__LOAD(&changes) == last.change ? last.loop : NULL;
}

struct loop *loop_of(lua_State *L)
{
  struct loop *l = loop_known(L);
  if (l != NULL) return l;
  l = push_loop(L);
  lua_pop(L, 1);
  last.registry = lua_topointer(L, LUA_REGISTRYINDEX);
  last.running = NULL;
  last.change = CTX__LOAD(&changes);
  last.loop = l;
  return l;
}

void loop_set_current(struct loop *l, struct waiter *w, lua_State *co)
{
  l->current = w;
  last.running = last.loop == l ? co : NULL;
}

struct loop *loop_find(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  struct loop *l = block_test(L, -1, &loop_kind);
  lua_pop(L, 1);
  return l;
}

struct loop *loop_find_value(lua_State *L, int n)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key);
  struct loop *l = block_test(L, -1, &loop_kind);
  if (l != NULL) {
    lua_getiuservalue(L, -1, n);
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
  }
  return l;
}

struct loop *loop_check(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->world->engine == NULL || l->mailbox == NULL) refuse_closed(L);
  return l;
}

ctx_engine *loop_engine(lua_State *L)
{
  return loop_check(L)->world->engine;
}

struct poller *loop_poller(lua_State *L)
{
  struct loop *l = loop_check(L);
  if (l->poller == NULL) l->poller = poller_new(l->mailbox);
  if (l->poller == NULL) luaL_error(L, "to wait for descriptors: %s", strerror(errno));
  return l->poller;
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
  struct loop *l = push_loop(L);
  if (l->world->engine == NULL) refuse_closed(L);
  lua_getiuservalue(L, -1, LOOP_WORLD);
  if (block_test(L, -1, &world_kind) != l->world) registry_refuse(L);
  lua_remove(L, -2);
}

void world_push_value(lua_State *L, int n)
{
  push_world(L);
  lua_getiuservalue(L, -1, n);
  lua_remove(L, -2);
}

/* ---- letters and errors ------------------------------------------------ */

void loop_receive(struct loop *l)
{
  struct letter *letter;
  while (l->mailbox != NULL && (letter = mailbox_take(l->mailbox)) != NULL) letter->receive(letter);
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

/* Nobody waits any more, and nobody will: the hooks that were to post have been stopped. */
static void close_mailbox(struct loop *l)
{
  if (l->mailbox == NULL) return;
  mailbox_close(l->mailbox);
  loop_receive(l);
  mailbox_release(l->mailbox);
  l->mailbox = NULL;
  ctx_release(l->root);
  l->root = NULL;
}

static void close_loop(lua_State *L, struct loop *l)
{
  close_mailbox(l);
  if (l->receive_links != NULL) l->receive_links(L);
}

/* The state closes. Finalizers of objects older than this one run later, and find it closed. */
static void world_finalize(lua_State *L, void *p)
{
  struct world *w = p;
  if (!list_empty(&w->tasks))
    lua_warning(L, "ctx: the Lua state is closed, and tasks have not ended", 0);
  bool was_made = w->engine != NULL; /* there was memory for it */
  close_world(w);
  if (w->is_virtual || !was_made || loop_find(L) != w->loop) return;
  close_loop(L, w->loop);
  registry_finalize_remembered(L);
}

/* Takes away the world in front, which is closed. */
static void remove_world(struct loop *l)
{
  struct world *w = l->world;
  close_world(w);
  l->world = w->outer;
  w->outer = NULL;
  w->loop = NULL;
  block_release(w);
}

static void loop_destroy(void *p)
{
  struct loop *l = p;
  while (l->world != NULL) remove_world(l);
  poller_free(l->poller);
  close_mailbox(l);
  ctx_cause_release(l->plain.cause);
  block_release(l->main);
}

struct world *world_open(lua_State *L, bool is_virtual)
{
  ctx_engine_options options = {.driver = is_virtual ? CTX_DRIVER_MANUAL : CTX_DRIVER_HOST};
  push_loop(L);
  const void *key = block_push_new(L, &world_kind, sizeof(struct world), WORLD_VALUES);
  registry_remember_late(L, key, -1);
  lua_newtable(L);
  lua_setiuservalue(L, -2, WORLD_ANCHORS);
  struct loop *l = block_test(L, -2, &loop_kind); /* a finalizer may have run */
  struct world *w = block_test(L, -1, &world_kind);
  if (l == NULL || w == NULL) registry_refuse(L);
  w->is_virtual = is_virtual;
  lua_getiuservalue(L, -2, LOOP_WORLD);
  lua_setiuservalue(L, -2, WORLD_OUTER);
  w->engine = ctx_engine_open(&options);
  if (w->engine == NULL) luaL_error(L, "not enough memory");
  lua_setiuservalue(L, -2, LOOP_WORLD);
  lua_pop(L, 1);
  w->loop = l;
  w->outer = l->world;
  l->world = block_hold(w);
  return w;
}

void world_close(lua_State *L)
{
  struct loop *l = push_loop(L);
  if (l->world->outer == NULL) registry_refuse(L); /* never: who has opened it closes it */
  lua_getiuservalue(L, -1, LOOP_WORLD);
  if (block_test(L, -1, &world_kind) == l->world) {
    lua_getiuservalue(L, -1, WORLD_OUTER);
    lua_setiuservalue(L, -3, LOOP_WORLD);
  }
  lua_pop(L, 2);
  remove_world(l);
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

static void make_loop(lua_State *L)
{
  CTX__ADD(&changes, 1); /* one may have gone without a word, where a script has helped */
  registry_open(L);
  block_open(L, &loop_kind);
  block_open(L, &world_kind);
  block_push_new(L, &loop_kind, sizeof(struct loop), LOOP_VALUES);
  lua_newtable(L);
  lua_setiuservalue(L, -2, LOOP_ANCHORS);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loop_key);
  lua_pop(L, 2);
}

/* What there was no memory for has another try. */
void loop_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key) == LUA_TNIL) make_loop(L);
  lua_pop(L, 1);
  struct loop *l = loop_of(L);
  if (l->world == NULL) {
    world_open(L, false);
    lua_pop(L, 1);
  }
  if (l->mailbox != NULL || l->world->engine == NULL) return;
  l->mailbox = mailbox_new();
  if (l->mailbox == NULL) luaL_error(L, "not enough memory");
}
