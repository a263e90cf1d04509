#include <lauxlib.h>

#include "quota.h"

void quota_check(lua_State *L, const struct quota *q, const char *what)
{
  if (q->most == 0 || q->now < q->most) return;
  size_t most = q->most;
  lua_gc(L, LUA_GCCOLLECT);
  if (q->most == 0 || q->now < q->most) return;
  luaL_error(L, "ctx: no more than %I %s at once are allowed here", (lua_Integer)most, what);
}
