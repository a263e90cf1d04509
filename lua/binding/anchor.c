#include "anchor.h"
#include "handle.h"
#include "keep.h"

/* Pushes the table 'which' in EXTRA of the handle at 'index'; where there is none, and it is
 * not to be made, nil. */
static void push_set(lua_State *L, int index, int which, bool make)
{
  index = lua_absindex(L, index);
  if (make)
    handle_push_extra(L, index);
  else if (lua_getiuservalue(L, index, HANDLE_EXTRA) != LUA_TTABLE)
    return;
  if (lua_rawgeti(L, -1, which) != LUA_TTABLE && make) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, which);
  }
  lua_remove(L, -2);
}

/* Adds the value at 'value' to a set of the handle at 'index'. True: it was there already. */
static bool add(lua_State *L, int index, int which, int value)
{
  value = lua_absindex(L, value);
  push_set(L, index, which, true);
  lua_pushvalue(L, value);
  bool there = lua_rawget(L, -2) != LUA_TNIL;
  lua_pushvalue(L, value);
  lua_pushboolean(L, 1);
  lua_rawset(L, -4);
  lua_pop(L, 2);
  return there;
}

static void drop(lua_State *L, int index, int which, int value)
{
  value = lua_absindex(L, value);
  push_set(L, index, which, false);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, value);
    lua_pushnil(L);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
}

static bool is_empty(lua_State *L, int index, int which)
{
  push_set(L, index, which, false);
  bool empty = !lua_istable(L, -1);
  if (!empty) {
    lua_pushnil(L);
    empty = lua_next(L, -2) == 0;
    if (!empty) lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return empty;
}

/* Above a root or a detached context nothing can end what lies below. */
static bool can_end(const struct handle *h)
{
  return h != NULL && h->kind >= HANDLE_HOST;
}

/* Whether it can be ended by what Lua does not see. */
static bool ends_unseen(const struct handle *h)
{
  return h->kind >= HANDLE_DEADLINE || h->is_held; /* a merge: by its further parents */
}

/* Anchors the handle on top in its world, or lets it go there: a closed world keeps nothing. */
static void anchor_in_world(lua_State *L, bool keep)
{
  int top = lua_gettop(L);
  struct handle *h = handle_test(L, top);
  const void *key = h;
  lua_pushvalue(L, top);
  while (h != NULL && h->kind > HANDLE_TODO && h->kind != HANDLE_HOST) {
    h = handle_push_parent(L, -1);
    lua_replace(L, -2);
  }
  if (h != NULL && h->kind == HANDLE_HOST) {
    if (keep)
      keep_value(L, key, top);
    else
      keep_drop(L, key);
  } else if (h != NULL && lua_getiuservalue(L, -1, HANDLE_PAYLOAD) == LUA_TUSERDATA &&
             lua_getiuservalue(L, -1, WORLD_ANCHORS) == LUA_TTABLE) {
    if (keep)
      lua_pushvalue(L, top);
    else
      lua_pushnil(L);
    lua_rawsetp(L, -2, key);
  }
  lua_settop(L, top);
}

/* Puts the parent of the handle on top in its place. Its handle, or NULL when no end comes
 * from there. */
static struct handle *climb(lua_State *L)
{
  struct handle *h = handle_push_parent(L, -1);
  lua_replace(L, -2);
  return can_end(h) ? h : NULL;
}

/* hook(handle, hook), protected. Who is among the children of a parent is held by all above. */
static int hook_protected(lua_State *L)
{
  const int handle = 1, hook = 2;
  add(L, handle, EXTRA_HOOKS, hook);
  lua_pushvalue(L, handle);
  struct handle *h = handle_test(L, -1);
  bool known = false;
  while (can_end(h) && !known) {
    if (ends_unseen(h)) anchor_in_world(L, true);
    lua_pushvalue(L, -1);
    h = climb(L);
    if (h != NULL) known = add(L, -1, EXTRA_CHILDREN, -2);
    lua_remove(L, -2);
  }
  return 0;
}

void anchor_hook(lua_State *L, int handle, int hook)
{
  handle = lua_absindex(L, handle);
  hook = lua_absindex(L, hook);
  luaL_checkstack(L, 10, NULL);
  lua_pushcfunction(L, hook_protected);
  lua_pushvalue(L, handle);
  lua_pushvalue(L, hook);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  anchor_release(L, handle, hook);
  lua_error(L);
}

void anchor_release(lua_State *L, int handle, int hook)
{
  luaL_checkstack(L, 10, NULL);
  drop(L, handle, EXTRA_HOOKS, hook);
  lua_pushvalue(L, handle);
  struct handle *h = handle_test(L, -1);
  while (h != NULL && is_empty(L, -1, EXTRA_HOOKS) && is_empty(L, -1, EXTRA_CHILDREN)) {
    if (ends_unseen(h)) anchor_in_world(L, false);
    lua_pushvalue(L, -1);
    h = climb(L);
    if (h != NULL) drop(L, -1, EXTRA_CHILDREN, -2);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}

void anchor_hold(lua_State *L, int index)
{
  struct handle *h = handle_check(L, index);
  luaL_checkstack(L, 10, NULL);
  if (can_end(h) && !(is_empty(L, index, EXTRA_HOOKS) && is_empty(L, index, EXTRA_CHILDREN))) {
    lua_pushvalue(L, index);
    anchor_in_world(L, true);
    lua_pop(L, 1);
  }
  h->is_held = true;
}
