#include <string.h>

#include "cancel.h"
#include "handle.h"
#include "run.h"
#include "scope.h"
#include "task.h"

/* ---- one run: 1 is its scope, 2 the task of its function ----------------- */

/* In place of the function and its arguments, which are the whole stack. */
static void begin(lua_State *L)
{
  handle_push_current(L);
  cancel_push_child(L, -1);
  lua_replace(L, -2);
  int root = lua_gettop(L);
  task_push_scope(L);
  scope_push_new(L, root, -1);
  lua_remove(L, -2);
  lua_pushvalue(L, root);
  lua_insert(L, 1);
  lua_insert(L, 1);
  lua_insert(L, 4); /* scope, root, function, root, arguments */
  task_push_new(L, 2, 1, TASK_MAIN);
}

/* Raises the first error of the run, or that of its function, or gives the results. */
static int finish(lua_State *L)
{
  struct scope *s = scope_check(L, 1);
  s->joined = true;
  if (s->failed) {
    lua_getiuservalue(L, 1, SCOPE_ERROR);
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
  struct scope *s = scope_check(L, 1);
  if (s->live == 0 && s->ending) return w->co != NULL ? finish(L) : 0;
  w = wait_begin(L, "run");
  if (s->live == 0) {
    scope_end(L, 1);
    waiter_wake(w);
  } else {
    wait_for_row(L, w, &s->joiners);
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
  begin(L);
  struct scope *s = scope_check(L, 1);
  loop_of(L)->begun = s;
  s->owns_world = lua_toboolean(L, lua_upvalueindex(1));
  for (int errors = 0; errors < 2;) {
    lua_pushcfunction(L, join_on_main);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return finish(L);
    errors += !loop_of(L)->was_failure;
    scope_check(L, 1);
    scope_fail(L, 1);
  }
  s = scope_check(L, 1);
  task_abandon(L, loop_of(L)->world, s->owns_world ? NULL : s);
  return finish(L);
}

/* abandon(scope or NULL): ends the tasks that are left, if any. */
static int abandon(lua_State *L)
{
  task_abandon(L, loop_of(L)->world, lua_touserdata(L, 1));
  return 0;
}

/* After the run: nothing is left of it, even where memory failed in the middle. */
static void clean_up(lua_State *L, bool is_virtual, const void *begun)
{
  lua_pushcfunction(L, abandon);
  lua_pushlightuserdata(L, is_virtual ? NULL : (void *)(uintptr_t)begun);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (is_virtual) world_close(L);
}

static int refuse_results(lua_State *L)
{
  lua_settop(L, 0);
  lua_pushliteral(L, "too many results");
  return LUA_ERRRUN;
}

static int call_on_main(lua_State *L, bool is_virtual)
{
  const void *outer = loop_of(L)->begun; /* like 'begun' compared, not followed */
  luaL_checkstack(L, 5, NULL);
  lua_pushboolean(L, is_virtual);
  lua_pushcclosure(L, run_on_main, 1);
  lua_insert(L, 1);
  if (is_virtual) world_open(L, true);
  loop_of(L)->begun = NULL;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (!lua_checkstack(L, 4)) status = refuse_results(L);
  struct loop *l = loop_of(L);
  const void *begun = l->begun;
  l->begun = outer;
  if (is_virtual || (status != LUA_OK && begun != NULL)) clean_up(L, is_virtual, begun);
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
      luaL_argerror(
        L, 1, lua_pushfstring(L, "option 'clock' is \"virtual\" or left out, got '%s'", value));
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
  struct waiter *w = wait_check(L, "run", false);
  if (w->co == NULL) return call_on_main(L, is_virtual);
  if (is_virtual)
    return luaL_error(L, "a run on a virtual clock starts on the main thread, not in a task");
  begin(L);
  return join_all(L, w);
}

int run_use_virtual_clock(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->world->is_virtual) return 0;
  if (l->current != NULL || l->driving)
    return luaL_error(L, "the clock is chosen before anything runs");
  world_open(L, true);
  return 0;
}
