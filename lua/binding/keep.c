#include "keep.h"
#include "block.h"
#include "registry.h"

/* Pushes the table of anchors, and gives the loop; NULL: there is none, or no table, and nothing is
 * pushed. Raises nothing. */
static struct loop *find_anchors(lua_State *L)
{
  struct loop *l = loop_find_value(L, LOOP_ANCHORS);
  if (l == NULL || lua_istable(L, -1)) return l;
  lua_pop(L, 1);
  return NULL;
}

void keep_push_anchors(lua_State *L)
{
  loop_push_value(L, LOOP_ANCHORS);
}

/* ---- by address --------------------------------------------------------- */

void keep_value(lua_State *L, const void *key, int index)
{
  index = lua_absindex(L, index);
  if (find_anchors(L) == NULL) registry_refuse(L);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void keep_drop(lua_State *L, const void *key)
{
  if (find_anchors(L) == NULL) return;
  lua_pushnil(L);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void keep_push_from(lua_State *L, int anchors, const void *key)
{
  if (lua_istable(L, anchors))
    lua_rawgetp(L, anchors, key);
  else
    lua_pushnil(L);
}

void keep_push(lua_State *L, const void *key)
{
  keep_push_anchors(L);
  keep_push_from(L, -1, key);
  lua_remove(L, -2);
}

/* ---- tasks -------------------------------------------------------------- */

/* A place in the table on top, where to put something does not fail any more. A script may have
 * changed the row: then two tasks get one place, and one of them is not found. */
static lua_Integer take_place(lua_State *L, struct loop *l)
{
  lua_Integer place = l->free_place;
  if (place != 0) {
    lua_rawgeti(L, -1, place);
    lua_Integer next = lua_tointeger(L, -1);
    lua_pop(L, 1);
    l->free_place = next > 0 && next < l->places ? next : 0;
    return place;
  }
  place = l->places + 1;
  for (int i = 0; i < 2; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place + i);
  }
  l->places += 2;
  return place;
}

lua_Integer keep_task(lua_State *L)
{
  struct loop *l = find_anchors(L);
  if (l == NULL) registry_refuse(L);
  lua_Integer place = take_place(L, l);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, place);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, place + 1);
  lua_pop(L, 2);
  return place;
}

void keep_drop_task(lua_State *L, lua_Integer place, const void *block)
{
  struct loop *l = find_anchors(L);
  if (l == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, -1, place);
  if (block_test(L, -1, NULL) == block) {
    lua_pushinteger(L, l->free_place);
    lua_rawseti(L, -3, place);
    l->free_place = place;
    if (lua_rawgeti(L, -2, place + 1) != LUA_TNIL) { /* else it would take memory */
      lua_pushboolean(L, 0);
      lua_rawseti(L, -4, place + 1);
    }
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
}

void keep_push_task(lua_State *L, lua_Integer place)
{
  if (find_anchors(L) == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, -1, place);
  lua_remove(L, -2);
}

void keep_push_coroutine(lua_State *L, int anchors, lua_Integer place)
{
  if (lua_istable(L, anchors))
    lua_rawgeti(L, anchors, place + 1);
  else
    lua_pushnil(L);
}

/* ---- what has fired ------------------------------------------------------ */

/* The innermost world in which something has fired, or NULL. */
static struct world *world_fired(struct world *w)
{
  while (w != NULL && list_empty(&w->fired)) w = w->outer;
  return w;
}

void keep_fired(lua_State *L)
{
  struct loop *l = loop_known(L);
  struct world *w;
  if (l != NULL) {
    loop_receive(l);
    if (list_empty(&l->links) && world_fired(l->world) == NULL) return;
  }
  l = loop_find(L);
  if (l == NULL) return;
  loop_receive(l);
  if (!list_empty(&l->links)) l->receive_links(L);
  while ((l = loop_find(L)) != NULL && (w = world_fired(l->world)) != NULL) {
    struct list_link *first = w->fired.first;
    struct entry *e = LIST_ELEMENT(first, struct entry, fired);
    registry_push_remembered(L, e);
    keep_value(L, e, -1); /* here a finalizer may run, and be before us */
    if (w->fired.first == first) list_pop(&w->fired);
    lua_pop(L, 1);
  }
}
