#include <errno.h>
#include <string.h>

#include "cancel.h"
#include "handle.h"
#include "merge.h"

/* Checks the 'n' arguments; pushes room for their contexts. */
static ctx_context **check_parents(lua_State *L, int n)
{
  for (int i = 1; i <= n; i++) {
    if (i > 1) cancel_refuse(L, i);
    handle_check_clock(L, i);
  }
  return lua_newuserdatauv(L, (size_t)n * sizeof(ctx_context *), 0);
}

/* Pushes a handle that keeps those of the arguments 1 to 'n'. */
static struct handle *push_handle(lua_State *L, int n)
{
  struct handle *h = handle_push_new(L, HANDLE_MERGE, 1, HANDLE_PAYLOAD);
  lua_createtable(L, n - 1, 0);
  for (int i = 2; i <= n; i++) {
    const struct handle *p = handle_check(L, i);
    if (p->depth >= h->depth) h->depth = p->depth + 1;
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  return h;
}

int merge_bind(lua_State *L)
{
  int n = lua_gettop(L);
  if (n == 0) handle_check(L, 1);
  luaL_checkstack(L, 8, NULL);
  ctx_context **parents = check_parents(L, n);
  struct handle *h = push_handle(L, n);
  for (int i = 1; i <= n; i++)
    parents[i - 1] = handle_check(L, i)->context; /* nothing raises now */
  ctx_context *c = ctx_merge((size_t)n, parents);
  if (c == NULL && errno == EINVAL)
    return luaL_error(L,
                      "the parents of a merge belong to one engine: that of the host, or the one "
                      "of this Lua state");
  handle_fill(L, h, c);
  return cancel_push_function(L);
}
