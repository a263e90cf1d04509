#include <lauxlib.h>

#include "wait.h"
#include "wrap.h"

static int again(lua_State *L, int status, lua_KContext context);

/* An error ends the coroutine, whose <close> variables run and may put theirs in its place,
 * and goes to the caller. */
static int raise(lua_State *L, lua_State *co)
{
  lua_resetthread(co);
  lua_xmove(co, L, 1);
  return lua_error(L);
}

/* Upvalues of the function that ctx.wrap gives. */
enum { WRAP_CO = 1, WRAP_WAITS };

/* Whether a task waits inside: then nobody else may resume the coroutine. */
static void set_waits(lua_State *L, bool waits)
{
  lua_pushboolean(L, waits);
  lua_replace(L, lua_upvalueindex(WRAP_WAITS));
}

static int resume(lua_State *L, lua_State *co, int arguments)
{
  struct waiter *w = block_hold(waiter_current(L)); /* a script may take its userdata away */
  lua_State *top = w->top;
  int results = 0;
  /* Where the caller could not hand a wait on, the coroutine must not begin one. */
  bool reaches = w->co == NULL || (L == top && lua_isyieldable(L));
  if (reaches) w->top = co;
  int status = lua_resume(co, L, arguments, &results);
  w->top = top;
  bool parked = status == LUA_YIELD && reaches && w->co != NULL && w->parked;
  block_release(w);
  if (parked) {
    lua_pop(co, results);
    set_waits(L, true);
    return lua_yieldk(L, 0, 0, again);
  }
  if (status != LUA_OK && status != LUA_YIELD) return raise(L, co);
  if (!lua_checkstack(L, results)) return luaL_error(L, "too many results");
  lua_xmove(co, L, results);
  return results;
}

static int again(lua_State *L, int status, lua_KContext context)
{
  (void)status, (void)context;
  lua_State *co = lua_tothread(L, lua_upvalueindex(WRAP_CO));
  set_waits(L, false);
  if (co != NULL && lua_status(co) == LUA_YIELD) return resume(L, co, 0);
  struct waiter *w = waiter_current(L);
  w->parked = false;
  wait_let_go(w);
  return luaL_error(L, "the coroutine was closed while it waited");
}

static int call(lua_State *L)
{
  lua_State *co = lua_tothread(L, lua_upvalueindex(WRAP_CO));
  if (co == NULL || co == L) return luaL_error(L, "cannot resume this coroutine");
  if (lua_toboolean(L, lua_upvalueindex(WRAP_WAITS)))
    return luaL_error(L, "cannot resume this coroutine: another task waits in it");
  int arguments = lua_gettop(L), status = lua_status(co);
  bool fresh = status == LUA_OK && lua_gettop(co) == 1; /* the function */
  if (status != LUA_YIELD && !fresh) return luaL_error(L, "cannot resume dead coroutine");
  if (!lua_checkstack(co, arguments)) return luaL_error(L, "too many arguments to resume");
  lua_xmove(L, co, arguments);
  return resume(L, co, arguments);
}

int wrap_bind(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushboolean(L, 0);
  lua_pushcclosure(L, call, 2);
  return 1;
}
