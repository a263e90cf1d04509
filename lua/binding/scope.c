#include "scope.h"
#include "cancel.h"
#include "handle.h"
#include "registry.h"

static void destroy(void *p)
{
  struct scope *s = p;
  wait_wake_row(&s->joiners);
  block_release(s->outer);
}

static const struct block_kind kind = {NULL, destroy};

struct scope *scope_test(lua_State *L, int index)
{
  return block_test(L, index, &kind);
}

struct scope *scope_check(lua_State *L, int index)
{
  struct scope *s = scope_test(L, index);
  if (s == NULL) luaL_error(L, "ctx: a run has been tampered with");
  return s;
}

bool scope_within(const struct scope *s, const struct scope *outer)
{
  while (s != NULL && s != outer) s = s->outer;
  return s != NULL;
}

void scope_replace_joined(lua_State *L)
{
  struct scope *s;
  while ((s = scope_test(L, -1)) != NULL && s->joined) {
    lua_getiuservalue(L, -1, SCOPE_OUTER);
    lua_replace(L, -2);
    if (scope_test(L, -1) == s->outer) continue;
    lua_pushnil(L);
    lua_replace(L, -2);
  }
}

struct scope *scope_push_new(lua_State *L, int root, int outer)
{
  root = lua_absindex(L, root);
  outer = lua_absindex(L, outer);
  struct scope *s = block_push_new(L, &kind, sizeof *s, SCOPE_VALUES);
  registry_remember_late(L, s, -1);
  lua_pushvalue(L, root);
  lua_setiuservalue(L, -2, SCOPE_ROOT);
  lua_pushvalue(L, outer);
  lua_setiuservalue(L, -2, SCOPE_OUTER);
  s->outer = scope_test(L, outer);
  if (s->outer != NULL) block_hold(s->outer);
  return s;
}

void scope_fail(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  struct scope *s = scope_test(L, index);
  if (!s->failed) {
    s->failed = true;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, SCOPE_ERROR);
    lua_getiuservalue(L, index, SCOPE_ROOT);
    if (handle_live(L, -1) != NULL) cancel_context(L, -1, lua_gettop(L) - 1, CTX_ORIGIN_MEMBER);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void scope_task_ended(struct scope *s)
{
  if (--s->live == 0) wait_wake_row(&s->joiners);
}

void scope_end(lua_State *L, int index)
{
  struct scope *s = scope_test(L, index);
  s->ending = true;
  if (s->owns_world)
    handle_push_background(L);
  else
    lua_getiuservalue(L, index, SCOPE_ROOT);
  if (handle_live(L, -1) != NULL) cancel_context(L, -1, 0, CTX_ORIGIN_PARENT);
  lua_pop(L, 1);
}

void scope_open(lua_State *L)
{
  block_open(L, &kind);
  lua_pop(L, 1);
}
