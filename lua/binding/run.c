#include <string.h>

#include "handle.h"
#include "run.h"
#include "task.h"

static const char cookie;
static const char metatable;

struct run *run_test(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct run)) return NULL;
  struct run *r = lua_touserdata(L, index);
  return r->cookie == &cookie ? r : NULL;
}

void run_fail(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  struct run *r = run_test(L, index);
  if (!r->failed) {
    r->failed = true;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, RUN_ERROR);
    lua_getiuservalue(L, index, RUN_ROOT);
    if (handle_test(L, -1) != NULL) handle_cancel(L, -1, lua_gettop(L) - 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void run_task_ended(struct run *r)
{
  if (--r->live == 0) wait_wake_row(&r->joiners);
}

/* ---- one run: 1 is the run, 2 the task of its function ----------------- */

/* In place of the function and its arguments, which are the whole stack. */
static void begin(lua_State *L)
{
  struct run *r = lua_newuserdatauv(L, sizeof *r, RUN_VALUES);
  memset(r, 0, sizeof *r);
  r->cookie = &cookie;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  lua_setmetatable(L, -2);
  lua_insert(L, 1);
  handle_push_current(L);
  handle_push_child(L, -1);
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, RUN_ROOT);
  lua_pushvalue(L, -1);
  lua_insert(L, 2);
  lua_insert(L, 4); /* run, root, function, root, arguments */
  task_push_new(L, 2, 1, TASK_MAIN);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, RUN_MAIN);
}

/* Ends what is left of the run's contexts; their hooks take their places in the ready row. */
static void end_contexts(lua_State *L, struct run *r)
{
  r->ending = true;
  if (r->owns_world)
    handle_push_background(L);
  else
    lua_getiuservalue(L, 1, RUN_ROOT);
  if (handle_test(L, -1) != NULL) handle_cancel(L, -1, 0);
  lua_pop(L, 1);
}

/* Raises the first error of the run, or that of its function, or gives the results. */
static int finish(lua_State *L, struct run *r)
{
  if (r->failed) {
    lua_getiuservalue(L, 1, RUN_ERROR);
    return lua_error(L);
  }
  int n = task_push_outcome(L, 2);
  if (lua_toboolean(L, -n)) return n - 1;
  lua_settop(L, lua_gettop(L) - n + 2);
  return lua_error(L);
}

/* Waits until all tasks have ended, and then those that hooks of its root have become. */
static int join_all(lua_State *L, struct waiter *w)
{
  struct run *r = run_test(L, 1);
  if (r->live == 0 && r->ending) return w->co != NULL ? finish(L, r) : 0;
  w = wait_begin(L, "run");
  if (r->live == 0) {
    end_contexts(L, r);
    waiter_wake(w);
  } else {
    wait_for_row(w, &r->joiners);
  }
  return wait_park(L, w, join_all);
}

/* ---- on the main thread ----------------------------------------------- */

static int join_on_main(lua_State *L)
{
  return join_all(L, waiter_current(L));
}

/* An error of the loop itself (interrupted, nothing left to wait for) ends the run as an
 * error of a task does, and the tasks are joined all the same; the second one gives up. */
static int run_on_main(lua_State *L)
{
  struct loop *l = loop_of(L);
  begin(L);
  struct run *r = run_test(L, 1);
  r->owns_world = lua_toboolean(L, lua_upvalueindex(1));
  for (int errors = 0; errors < 2;) {
    lua_pushcfunction(L, join_on_main);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return finish(L, r);
    errors += !l->was_failure;
    run_fail(L, 1);
  }
  task_abandon(L, l->world, r->owns_world ? NULL : r);
  return finish(L, r);
}

static int call_on_main(lua_State *L, bool is_virtual)
{
  if (is_virtual) world_open(L, true);
  lua_pushboolean(L, is_virtual);
  lua_pushcclosure(L, run_on_main, 1);
  lua_insert(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (is_virtual) {
    task_abandon(L, loop_of(L)->world, NULL);
    world_close(L);
  }
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* ---- ctx.run ---------------------------------------------------------- */

/* Reads and removes the table of options, if there is one. True: on a virtual clock. */
static bool take_options(lua_State *L)
{
  if (lua_type(L, 1) != LUA_TTABLE) return false;
  bool is_virtual = false;
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
    const char *option = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1);
    if (strcmp(option, "clock") != 0)
      luaL_argerror(L, 1, lua_pushfstring(L, "no option '%s'; there is 'clock'", option));
    if (strcmp(value, "virtual") != 0)
      luaL_argerror(L, 1, lua_pushfstring(L, "option 'clock' is \"virtual\" or left out, got '%s'", value));
    is_virtual = true;
  }
  lua_remove(L, 1);
  return is_virtual;
}

int run_bind(lua_State *L)
{
  bool has_options = lua_type(L, 1) == LUA_TTABLE;
  bool is_virtual = take_options(L);
  if (!lua_isfunction(L, 1)) return luaL_typeerror(L, has_options ? 2 : 1, "function");
  struct waiter *w = wait_check(L, "run");
  if (w->co == NULL) return call_on_main(L, is_virtual);
  if (is_virtual) return luaL_error(L, "a run on a virtual clock starts on the main thread, not in a task");
  begin(L);
  return join_all(L, w);
}

int run_use_virtual_clock(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->world->is_virtual) return 0;
  if (l->current != NULL || l->driving) return luaL_error(L, "the clock is chosen before anything runs");
  world_open(L, true);
  return 0;
}

void run_open(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
}
