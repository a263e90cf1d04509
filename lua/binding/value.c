#include <math.h>

#include "cancel.h"
#include "value.h"

static const char key_boxes; /* a place in the registry: from keys to their boxes, weak */

static void check_key(lua_State *L, int arg)
{
  cancel_refuse(L, arg);
  if (lua_isnoneornil(L, arg)) luaL_argerror(L, arg, "a key cannot be nil");
  if (lua_type(L, arg) == LUA_TNUMBER && isnan(lua_tonumber(L, arg)))
    luaL_argerror(L, arg, "a key cannot be NaN");
}

/* Pushes the box of the key at 'arg', or nil. Its address is the key in C. A box lives as
 * long as value contexts with its key do. */
static void push_box(lua_State *L, int arg)
{
  loop_push_table(L, &key_boxes);
  lua_pushvalue(L, arg);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

static void push_box_made(lua_State *L, int arg)
{
  push_box(L, arg);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  loop_push_table(L, &key_boxes);
  lua_newuserdatauv(L, 1, 1);
  lua_pushvalue(L, arg);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, arg);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  lua_remove(L, -2);
}

/* ctx.with_value(parent, key, value) -> context */
static int bind_with_value(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  check_key(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  struct handle *h = handle_push_new(L, HANDLE_VALUE, 1, HANDLE_KEY);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  push_box_made(L, 2);
  const void *box = lua_touserdata(L, -1);
  lua_setiuservalue(L, -2, HANDLE_KEY);
  loop_remember(L, h, -1);
  handle_fill(L, h, ctx_with_value(parent->context, box, h, NULL));
  return 1;
}

/* c:value(key) -> value, or nil */
static int bind_value(lua_State *L)
{
  struct handle *h = handle_check(L, 1);
  check_key(L, 2);
  push_box(L, 2);
  const void *box = lua_touserdata(L, -1);
  const void *holder = box != NULL ? ctx_value(h->context, box) : NULL;
  if (holder == NULL) {
    lua_pushnil(L);
    return 1;
  }
  loop_push_remembered(L, holder);
  struct handle *found = handle_test(L, -1);
  if (found == NULL || found->kind != HANDLE_VALUE) return 0;
  lua_getiuservalue(L, -1, HANDLE_PAYLOAD);
  return 1;
}

static void make_key_boxes(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "kv");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_boxes);
}

void value_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_boxes) == LUA_TNIL) make_key_boxes(L);
  lua_pop(L, 1);
}

const luaL_Reg value_methods[] = {
  {"with_value", bind_with_value},
  {"value", bind_value},
  {NULL, NULL},
};
