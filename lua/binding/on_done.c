#include "on_done.h"
#include "anchor.h"
#include "cancel.h"
#include "error.h"
#include "handle.h"
#include "task.h"

/* A block. */
struct on_done {
  struct entry entry;  /* in the ready row, once it has fired */
  struct world *world; /* held */
  ctx_hook hook;
};

enum { ON_DONE_FUNCTION = 1, ON_DONE_HANDLE, ON_DONE_SCOPE, ON_DONE_VALUES = ON_DONE_SCOPE };

/* It fires no more. */
static void finalize(lua_State *L, void *p)
{
  (void)L;
  struct on_done *o = p;
  ctx_hook_stop(&o->hook);
  if (list_linked(&o->entry.link)) world_make_unready(o->world, &o->entry);
  if (list_linked(&o->entry.fired)) list_remove(&o->world->fired, &o->entry.fired);
}

static void destroy(void *p)
{
  block_release(((struct on_done *)p)->world);
}

static const struct block_kind kind = {finalize, destroy};

/* ---- firing ----------------------------------------------------------- */

/* The context has ended; Lua cannot be entered here. */
static void on_end(ctx_context *c, void *arg)
{
  (void)c;
  struct on_done *o = arg;
  if (o->world->engine == NULL) return; /* its world is closed: nobody would run it */
  world_make_ready(o->world, &o->entry);
  list_append(&o->world->fired, &o->entry.fired);
}

/* Lets go of what kept the hook at 'index', which has run or been stopped. */
static void release(lua_State *L, int index, struct on_done *o)
{
  index = lua_absindex(L, index);
  lua_getiuservalue(L, index, ON_DONE_HANDLE);
  if (handle_test(L, -1) != NULL) anchor_release(L, lua_gettop(L), index);
  lua_pop(L, 1);
  loop_unanchor(L, &o->entry);
  for (int i = 1; i <= ON_DONE_VALUES; i++) {
    lua_pushnil(L);
    lua_setiuservalue(L, index, i);
  }
}

/* Its turn has come: fn(err, cause) becomes a task of the scope that registered it. */
static void run(lua_State *L, struct entry *e)
{
  struct on_done *o = LIST_ELEMENT(e, struct on_done, entry);
  luaL_checkstack(L, 12, NULL);
  loop_push_anchored(L, e);
  int hook = lua_gettop(L);
  if (block_test(L, hook, &kind) != o) {
    lua_pop(L, 1);
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
  release(L, hook, o);
  task_start_hook(L, hook + 1);
  lua_settop(L, hook - 1);
}

/* ---- registering ------------------------------------------------------ */

/* stop() -> true: the function will never run */
static int stop(lua_State *L)
{
  struct on_done *o = block_test(L, lua_upvalueindex(1), &kind);
  if (o == NULL) return luaL_error(L, "ctx: a stop function was tampered with");
  lua_pushvalue(L, lua_upvalueindex(1));
  bool stopped = ctx_hook_stop(&o->hook);
  if (!stopped && list_linked(&o->entry.link)) {
    world_make_unready(o->world, &o->entry);
    stopped = true;
  }
  if (stopped) release(L, -1, o);
  lua_pushboolean(L, stopped);
  return 1;
}

int on_done_bind(lua_State *L)
{
  handle_check_clock(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  cancel_refuse(L, 3);
  lua_settop(L, 2);
  struct on_done *o = block_push_new(L, &kind, sizeof *o, ON_DONE_VALUES);
  o->entry.run = run;
  o->world = block_hold(loop_of(L)->world);
  ctx_hook_init(&o->hook, on_end, o, CTX_HOOK_INLINE);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, ON_DONE_FUNCTION);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, ON_DONE_HANDLE);
  task_push_scope(L);
  lua_setiuservalue(L, 3, ON_DONE_SCOPE);
  loop_remember(L, &o->entry, 3);
  lua_pushvalue(L, 3);
  lua_pushcclosure(L, stop, 1);
  anchor_hook(L, 1, 3);
  if (ctx_hook_attach(&o->hook, handle_check(L, 1)->context) != 0) {
    release(L, 3, o);
    return luaL_error(L, "the run that this context belongs to has ended");
  }
  loop_anchor_fired(L);
  return 1;
}

void on_done_open(lua_State *L)
{
  block_open(L, &kind);
  lua_pop(L, 1);
}
