#include "query.h"
#include "convert.h"
#include "error.h"
#include "handle.h"

/* c:done() -> boolean */
static int bind_done(lua_State *L)
{
  lua_pushboolean(L, ctx_done(handle_check(L, 1)->context));
  return 1;
}

/* c:err() -> ctx.CANCELED, ctx.DEADLINE_EXCEEDED, or nil */
static int bind_err(lua_State *L)
{
  error_push(L, ctx_err(handle_check(L, 1)->context));
  return 1;
}

/* c:check() -> true; raises the err of a done context */
static int bind_check(lua_State *L)
{
  int err = ctx_err(handle_check(L, 1)->context);
  if (err != 0) return error_raise(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* c:deadline() -> instant on the clock of ctx.now(), or nil */
static int bind_deadline(lua_State *L)
{
  int64_t deadline_ns = ctx_deadline(handle_check(L, 1)->context);
  if (deadline_ns == CTX_NEVER)
    lua_pushnil(L);
  else
    convert_push_seconds(L, deadline_ns);
  return 1;
}

/* c:timeout() -> seconds left, 0 when there are none, or nil without a deadline */
static int bind_timeout(lua_State *L)
{
  struct handle *h = handle_check(L, 1);
  int64_t deadline_ns = ctx_deadline(h->context);
  int64_t now_ns = ctx_engine_now(ctx_engine_of(h->context));
  if (deadline_ns == CTX_NEVER)
    lua_pushnil(L);
  else
    convert_push_seconds(L, deadline_ns > now_ns ? deadline_ns - now_ns : 0);
  return 1;
}

const luaL_Reg query_methods[] = {
  {"done", bind_done},         {"err", bind_err},         {"check", bind_check},
  {"deadline", bind_deadline}, {"timeout", bind_timeout}, {NULL, NULL},
};
