#include <math.h>

#include "cancel.h"
#include "convert.h"
#include "error.h"
#include "limit.h"

/* The context that is the limit at 'arg'; NULL: that is no context. */
static struct handle *limit_handle(lua_State *L, int arg)
{
  return handle_test(L, arg) != NULL ? handle_check(L, arg) : NULL;
}

int64_t limit_instant(lua_State *L, int64_t timeout_ns)
{
  int64_t now_ns = ctx_engine_now(loop_engine(L));
  if (timeout_ns <= 0) return now_ns;
  return timeout_ns > CTX_NEVER - now_ns ? CTX_NEVER : now_ns + timeout_ns;
}

void limit_check(lua_State *L, int arg)
{
  cancel_refuse(L, arg + 1);
  lua_settop(L, arg);
  if (lua_isnil(L, arg)) return;
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_pushinteger(L, limit_instant(L, convert_timeout(L, arg)));
    lua_replace(L, arg);
  } else if (handle_test(L, arg) != NULL) {
    if (!ctx_done(handle_check(L, arg)->context)) handle_check_clock(L, arg);
  } else {
    handle_type_error(L, arg, "seconds or a ctx.context");
  }
}

bool limit_is_over(lua_State *L, int arg)
{
  struct handle *h = limit_handle(L, arg);
  if (h != NULL) return ctx_done(h->context);
  return lua_isinteger(L, arg) && ctx_engine_now(loop_engine(L)) >= lua_tointeger(L, arg);
}

void limit_push_err(lua_State *L, int arg)
{
  struct handle *h = limit_handle(L, arg);
  error_push(L, h != NULL ? ctx_err(h->context) : CTX_DEADLINE_EXCEEDED);
}

ctx_context *limit_context(lua_State *L, int arg, struct waiter *w)
{
  struct handle *h = limit_handle(L, arg);
  return h != NULL ? h->context : handle_implied(L, w);
}

void limit_watch(lua_State *L, int arg, struct waiter *w)
{
  struct handle *h = limit_handle(L, arg);
  if (h != NULL) wait_for_context(L, w, h->context);
  if (lua_isinteger(L, arg)) wait_until(w, lua_tointeger(L, arg));
}

/* For functions written in Lua: the errors tell their argument and name, and blame who calls
 * them. */
int limit_bind(lua_State *L)
{
  struct handle *h = handle_test(L, 1);
  const char *wrong = NULL;
  if (lua_type(L, 1) == LUA_TNUMBER)
    wrong = isnan(lua_tonumber(L, 1)) ? "a time cannot be NaN" : NULL;
  else if (h == NULL && !lua_isnil(L, 1))
    wrong = lua_pushfstring(L, "seconds or a ctx.context expected, got %s%s%s", luaL_typename(L, 1),
                            lua_isfunction(L, 1) ? "; " : "",
                            lua_isfunction(L, 1) ? convert_parentheses : "");
  if (wrong != NULL) {
    luaL_where(L, 2);
    lua_pushfstring(L, "bad argument #%d to '%s' (%s)", (int)luaL_checkinteger(L, 2),
                    luaL_checkstring(L, 3), wrong);
    lua_concat(L, 2);
    return lua_error(L);
  }
  lua_settop(L, 1);
  limit_check(L, 1);
  lua_pushnil(L);
  if (h != NULL) lua_insert(L, 1);
  return 2;
}
