#include <errno.h>
#include <string.h>

#include "handle.h"
#include "pollable.h"

/* The kernel can tell the end of no other. */
static ctx_context *check(lua_State *L)
{
  ctx_context *c = handle_check(L, 1)->context;
  if (!ctx_engine_is_monotonic(ctx_engine_of(c)))
    luaL_argerror(L, 1, "a poll knows only the real clock, and this context is on a virtual one");
  return c;
}

/* c:pollfd(), c:getfd() -> a descriptor that is readable once c is done; it is the context's */
static int bind_pollfd(lua_State *L)
{
  int fd = ctx_fd(check(L));
  if (fd < 0) return luaL_error(L, "a context to poll: %s", strerror(errno));
  lua_pushinteger(L, fd);
  return 1;
}

/* c:events() -> "r": what to poll that descriptor for */
static int bind_events(lua_State *L)
{
  check(L);
  lua_pushliteral(L, "r");
  return 1;
}

/* c:dirty() -> boolean: it is done, and no poll is needed */
static int bind_dirty(lua_State *L)
{
  lua_pushboolean(L, ctx_done(check(L)));
  return 1;
}

const luaL_Reg pollable_methods[] = {
  {"pollfd", bind_pollfd}, {"getfd", bind_pollfd}, {"events", bind_events},
  {"dirty", bind_dirty},   {NULL, NULL},
};
