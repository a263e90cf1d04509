#include "sleep.h"
#include "cancel.h"
#include "convert.h"
#include "error.h"
#include "limit.h"
#include "task.h"

/* ---- c:wait ----------------------------------------------------------- */

static int wait_again(lua_State *L, struct waiter *w)
{
  struct handle *c = handle_check(L, 1);
  if (ctx_done(c->context)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (limit_is_over(L, 2)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  handle_check_clock(L, 1);
  w = wait_begin(L, "wait");
  wait_for_context(L, w, c->context);
  limit_watch(L, 2, w);
  return wait_park(L, w, wait_again);
}

/* c:wait([limit]) -> true: done; false: the limit was reached */
static int bind_wait(lua_State *L)
{
  handle_check(L, 1);
  limit_check(L, 2);
  return wait_again(L, NULL);
}

/* ---- sleeping --------------------------------------------------------- */

/* The seconds at 'arg' become an instant; what is not in the future goes: a mere yield. */
static void check_seconds(lua_State *L, int arg)
{
  int64_t timeout_ns = convert_timeout(L, arg);
  cancel_refuse(L, arg + 1);
  lua_settop(L, arg - 1);
  if (timeout_ns > 0) lua_pushinteger(L, limit_instant(L, timeout_ns));
}

/* Parks until the instant at 'arg' or the end of 'c'. Without an instant the waiter is ready
 * again at once, and watches nothing: its step looks at the context when its turn comes. */
static int sleep_more(lua_State *L, struct waiter *w, int arg, ctx_context *c, wait_step *step)
{
  if (!lua_isinteger(L, arg)) {
    w->timed_out = true;
    waiter_yield(w);
    return wait_park(L, w, step);
  }
  if (c != NULL) wait_for_context(L, w, c);
  wait_until(w, lua_tointeger(L, arg));
  return wait_park(L, w, step);
}

static int sleep_again(lua_State *L, struct waiter *w)
{
  struct handle *c = handle_check(L, 1);
  int err = ctx_err(c->context);
  if (err != 0) {
    lua_pushnil(L);
    error_push(L, err);
    return 2;
  }
  if (w != NULL && w->timed_out) {
    lua_pushboolean(L, 1);
    return 1;
  }
  handle_check_clock(L, 1);
  return sleep_more(L, wait_begin(L, "sleep"), 2, c->context, sleep_again);
}

/* c:sleep(seconds) -> true: slept it all; nil, err as soon as c is done */
static int bind_context_sleep(lua_State *L)
{
  handle_check(L, 1);
  check_seconds(L, 2);
  return sleep_again(L, NULL);
}

static int sleep_implied_again(lua_State *L, struct waiter *w)
{
  ctx_context *c = handle_implied(L, w != NULL ? w : waiter_current(L));
  if (w != NULL && w->timed_out) return 0;
  const char *what = lua_isinteger(L, 1) ? "sleep" : "yield";
  return sleep_more(L, wait_begin(L, what), 1, c, sleep_implied_again);
}

/* ctx.sleep(seconds): raises the err of the current context when that is done */
static int bind_sleep(lua_State *L)
{
  check_seconds(L, 1);
  return sleep_implied_again(L, NULL);
}

/* ctx.yield(): lets the others run once; raises as ctx.sleep does */
static int bind_yield(lua_State *L)
{
  lua_settop(L, 0);
  return sleep_implied_again(L, NULL);
}

/* ctx.now() -> seconds on the clock that deadlines are on */
static int bind_now(lua_State *L)
{
  convert_push_seconds(L, ctx_engine_now(loop_engine(L)));
  return 1;
}

/* ---- for waits written in Lua ----------------------------------------- */

/* core.me(what) -> the token of who would wait here, in the function 'what' */
static int bind_me(lua_State *L)
{
  waiter_push_userdata(L, wait_check(L, luaL_checkstring(L, 1), true));
  return 1;
}

/* core.wake(token) */
static int bind_wake(lua_State *L)
{
  struct loop *l = loop_of(L);
  struct task *t = task_test(L, 1);
  if (t != NULL)
    waiter_wake(task_waiter(t));
  else if (block_test(L, 1, NULL) == l->main)
    waiter_wake(l->main);
  return 0;
}

/* core.implied() -> the current context, or nil when it never ends; raises its err */
static int bind_implied(lua_State *L)
{
  if (handle_implied(L, waiter_current(L)) != NULL)
    handle_push_current(L);
  else
    lua_pushnil(L);
  return 1;
}

static int parked(lua_State *L, struct waiter *w)
{
  if (w->world != NULL && w->world->idle == w) w->world->idle = NULL;
  lua_pushboolean(L, w->timed_out);
  return 1;
}

/* core.park(what, instant or nil, context or task...) -> true: the instant has come */
static int bind_park(lua_State *L)
{
  int last = lua_gettop(L);
  const char *what = luaL_checkstring(L, 1);
  for (int i = 3; i <= last; i++) {
    if (task_test(L, i) == NULL) handle_check_clock(L, i);
  }
  struct waiter *w = wait_check(L, what, true);
  size_t n = last > 2 ? (size_t)(last - 2) : 0;
  struct watch_block *block = n > WATCHES ? wait_push_block(L, n) : NULL;
  wait_begin_copied(L, what);
  if (block != NULL) wait_use_block(w, block);
  for (int i = 3; i <= last; i++) {
    struct task *t = task_test(L, i);
    if (t == NULL)
      wait_for_context(L, w, handle_check(L, i)->context);
    else if (task_ended(t))
      waiter_wake(w);
    else
      wait_for_row(L, w, task_joiners(t));
  }
  if (lua_isinteger(L, 2)) wait_until(w, lua_tointeger(L, 2));
  return wait_park(L, w, parked);
}

/* core.settle(): waits until nobody else is ready, and before time moves */
static int bind_settle(lua_State *L)
{
  struct waiter *w = wait_begin(L, "settle");
  w->in_library = true;
  if (w->world->idle != NULL) {
    wait_let_go(w);
    return luaL_error(L, "settle: another task is in it already");
  }
  w->world->idle = w;
  return wait_park(L, w, parked);
}

const luaL_Reg sleep_functions[] = {
  {"sleep", bind_sleep},
  {"yield", bind_yield},
  {"now", bind_now},
  {NULL, NULL},
};

const luaL_Reg sleep_methods[] = {
  {"wait", bind_wait},
  {NULL, NULL},
};

/* c:sleep is not ctx.sleep. */
const luaL_Reg sleep_methods_only[] = {
  {"sleep", bind_context_sleep},
  {NULL, NULL},
};

const luaL_Reg sleep_primitives[] = {
  {"me", bind_me},     {"wake", bind_wake},     {"implied", bind_implied},
  {"park", bind_park}, {"settle", bind_settle}, {"limit", limit_bind},
  {NULL, NULL},
};
