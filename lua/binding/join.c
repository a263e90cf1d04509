#include "join.h"
#include "limit.h"
#include "report.h"
#include "task.h"

static int join_again(lua_State *L, struct waiter *w)
{
  struct task *t = task_check(L, 1);
  waiter_wake_closed(L, task_waiter(t));
  if (task_ended(t)) return task_push_outcome(L, 1);
  if (w == NULL) w = waiter_current(L);
  ctx_context *c = limit_context(L, 2, w);
  if (limit_is_over(L, 2)) {
    lua_pushnil(L);
    limit_push_err(L, 2);
    return 2;
  }
  w = wait_begin(L, "join");
  wait_for_row(L, w, task_joiners(t));
  if (c != NULL && handle_test(L, 2) == NULL) wait_for_context(L, w, c);
  limit_watch(L, 2, w);
  return wait_park(L, w, join_again);
}

/* t:join([limit]) -> true, results...; false, error; at the limit nil, err */
static int bind_join(lua_State *L)
{
  struct task *t = task_check(L, 1);
  if (task_waiter(t) == waiter_current(L)) luaL_argerror(L, 1, "a task cannot join itself");
  limit_check(L, 2);
  return join_again(L, NULL);
}

/* t:status() -> "ready", "running", "waiting", "done", "failed" or "canceled" */
static int bind_status(lua_State *L)
{
  struct task *t = task_check(L, 1);
  lua_pushstring(L, task_status(L, t));
  return 1;
}

/* t:name() -> its name; t:name(s) gives it another */
static int bind_name(lua_State *L)
{
  struct task *t = task_check(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, WAITER_NAME);
  }
  report_push_name(L, 1, task_waiter(t));
  return 1;
}

const luaL_Reg join_methods[] = {
  {"join", bind_join},
  {"status", bind_status},
  {"name", bind_name},
  {NULL, NULL},
};
