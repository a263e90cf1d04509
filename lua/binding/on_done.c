#include "on_done.h"
#include "anchor.h"
#include "cancel.h"
#include "error.h"
#include "handle.h"
#include "keep.h"
#include "notice.h"
#include "registry.h"
#include "task.h"

/* A block. */
struct hook {
  struct entry entry;   /* in the ready row, once it has fired */
  struct world *world;  /* held */
  struct list_link all; /* in the world's hooks, until the notice has come */
  struct notice notice;
  bool dropped; /* by its world, which is closed */
};

enum { ON_DONE_FUNCTION = 1, ON_DONE_HANDLE, ON_DONE_SCOPE, ON_DONE_VALUES = ON_DONE_SCOPE };

static void finalize(lua_State *L, void *p);
static void destroy(void *p);

static const struct block_kind kind = {finalize, destroy};

/* ---- firing ----------------------------------------------------------- */

/* It waits for the end no more. */
static void unlist(struct hook *k)
{
  list_remove(&k->world->hooks, &k->all);
  k->world->loop->waiting.now--;
}

/* The context has ended; Lua cannot be entered here. */
static void on_notice(struct letter *l)
{
  struct hook *k = LIST_ELEMENT(l, struct hook, notice.letter);
  unlist(k);
  world_make_ready(k->world, &k->entry);
  list_append(&k->world->fired, &k->entry.fired);
}

/* True: the notice would have come, and will not. */
static bool withdraw(struct hook *k)
{
  if (!notice_withdraw(&k->notice)) return false;
  unlist(k);
  return true;
}

/* It fires no more. */
static void finalize(lua_State *L, void *p)
{
  (void)L;
  struct hook *k = p;
  if (k->world == NULL) return;
  withdraw(k);
  if (list_linked(&k->entry.link)) world_make_unready(k->world, &k->entry);
  if (list_linked(&k->entry.fired)) list_remove(&k->world->fired, &k->entry.fired);
}

static void destroy(void *p)
{
  block_release(((struct hook *)p)->world);
}

/* Its world is closed: nobody would run them. */
static void drop_all(struct world *w)
{
  while (!list_empty(&w->hooks)) {
    struct hook *k = LIST_ELEMENT(w->hooks.first, struct hook, all);
    k->dropped = withdraw(k);
  }
}

/* Lets go of what kept the hook at 'index', which has run or been stopped. */
static void release(lua_State *L, int index, const struct hook *k)
{
  index = lua_absindex(L, index);
  lua_getiuservalue(L, index, ON_DONE_HANDLE);
  if (handle_test(L, -1) != NULL) anchor_release(L, lua_gettop(L), index);
  lua_pop(L, 1);
  keep_drop(L, &k->entry);
  for (int i = 1; i <= ON_DONE_VALUES; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, index, i);
  }
}

/* Its turn has come: fn(err, cause) becomes a task of the scope that registered it. */
static void run(lua_State *L, struct entry *e)
{
  struct hook *k = LIST_ELEMENT(e, struct hook, entry);
  keep_push_from(L, ENTRY_ANCHORS, e);
  int hook = lua_gettop(L);
  if (block_test(L, hook, &kind) != k) {
    lua_settop(L, hook - 1);
    return;
  }
  lua_getiuservalue(L, hook, ON_DONE_SCOPE);
  lua_getiuservalue(L, hook, ON_DONE_FUNCTION);
  lua_getiuservalue(L, hook, ON_DONE_HANDLE);
  struct handle *h = handle_test(L, -1);
  if (h == NULL || h->context == NULL) {
    lua_settop(L, hook - 1);
    return;
  }
  error_push(L, ctx_err(h->context));
  cancel_push_cause(L, h);
  lua_remove(L, -3);
  release(L, hook, k);
  task_start_hook(L, hook + 1);
  lua_settop(L, hook - 1);
}

/* ---- registering ------------------------------------------------------ */

/* stop() -> true: the function will never run */
static int stop(lua_State *L)
{
  struct hook *k = block_test(L, lua_upvalueindex(1), &kind);
  if (k == NULL) return luaL_error(L, "ctx: a stop function was tampered with");
  lua_pushvalue(L, lua_upvalueindex(1));
  bool stopped = k->dropped || withdraw(k);
  k->dropped = false;
  if (!stopped && list_linked(&k->entry.link)) {
    world_make_unready(k->world, &k->entry);
    stopped = true;
  }
  if (stopped) release(L, -1, k);
  lua_pushboolean(L, stopped);
  return 1;
}

/* Memory has been asked for, and a finalizer may have run: the hook at 'index' again. */
static struct hook *check(lua_State *L, int index)
{
  struct hook *k = block_test(L, index, &kind);
  if (k == NULL) luaL_error(L, "ctx: a hook has been tampered with");
  return k;
}

static void push_new(lua_State *L)
{
  registry_remember_late(L, block_push_new(L, &kind, sizeof(struct hook), ON_DONE_VALUES), -1);
  struct hook *k = check(L, -1);
  loop_engine(L);
  struct loop *l = loop_of(L);
  k->entry.run = run;
  k->world = block_hold(l->world);
  notice_init(&k->notice, l->mailbox, on_notice);
}

int on_done_bind(lua_State *L)
{
  handle_check_clock(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  cancel_refuse(L, 3);
  lua_settop(L, 2);
  quota_check(L, &loop_of(L)->waiting, "hooks of c:on_done");
  task_check_quota(L); /* once it is registered nothing keeps it from running */
  push_new(L);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, ON_DONE_FUNCTION);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, ON_DONE_HANDLE);
  task_push_scope(L);
  lua_setiuservalue(L, 3, ON_DONE_SCOPE);
  registry_remember(L, &check(L, 3)->entry, 3);
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, stop, 1);
  anchor_hook(L, 1, 3);
  struct hook *k = check(L, 3);
  struct handle *h = handle_check_clock(L, 1);
  list_append(&k->world->hooks, &k->all);
  loop_of(L)->waiting.now++;
  int refused = notice_attach(&k->notice, h->context);
  if (refused != 0) {
    unlist(k);
    release(L, 3, k);
    return wait_refuse_context(L, h->context, refused);
  }
  keep_fired(L);
  return 1;
}

void on_done_open(lua_State *L)
{
  loop_of(L)->drop_hooks = drop_all;
  block_open(L, &kind);
  lua_pop(L, 1);
}
