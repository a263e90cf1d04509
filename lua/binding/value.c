#include <math.h>

#include "cancel.h"
#include "key.h"
#include "link.h"
#include "registry.h"
#include "value.h"

/* The box of a key. User values: the key; for a key of the host nothing more. */
struct box {
  const void *cookie;
  struct key *key;      /* held; NULL: of the host, not made yet, or finalized */
  const void *host_key; /* NULL: not of the host, like the next */
  value_push_fn *push;
};

static const char cookie;
static const char metatable;
static const char key_boxes;  /* a place in the registry: from keys to their boxes, weak */
static const char host_boxes; /* those of the host, strong */

/* ---- keys ------------------------------------------------------------------ */

static void check_key(lua_State *L, int arg)
{
  cancel_refuse(L, arg);
  if (lua_isnoneornil(L, arg)) luaL_argerror(L, arg, "a key cannot be nil");
  if (lua_type(L, arg) == LUA_TNUMBER && isnan(lua_tonumber(L, arg)))
    luaL_argerror(L, arg, "a key cannot be NaN");
}

/* A key for the Lua value at 'index'. NULL: there is no memory. */
static struct key *new_key(lua_State *L, int index)
{
  struct key_name name = {.type = 's'};
  lua_Integer integer;
  lua_Number number;
  char boolean;
  int is_integer;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: name.bytes = lua_tolstring(L, index, &name.len); break;
  case LUA_TNUMBER:
    number = lua_tonumber(L, index);
    integer = lua_tointegerx(L, index, &is_integer);
    name = is_integer ? (struct key_name){'i', &integer, sizeof integer}
                      : (struct key_name){'n', &number, sizeof number};
    break;
  case LUA_TBOOLEAN:
    boolean = (char)lua_toboolean(L, index);
    name = (struct key_name){'b', &boolean, sizeof boolean};
    break;
  default: return key_new();
  }
  return key_intern(&name);
}

/* ---- boxes ----------------------------------------------------------------- */

static struct box *to_box(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct box))
    return NULL;
  struct box *b = lua_touserdata(L, index);
  bool alive = b->cookie == &cookie && (b->key != NULL || b->host_key != NULL);
  return alive ? b : NULL;
}

/* Pushes the box of the key at 'arg', or what lies there if there is none: then NULL. */
static struct box *push_box(lua_State *L, int arg)
{
  registry_push_table(L, &key_boxes);
  lua_pushvalue(L, arg);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return to_box(L, -1);
}

/* Pushes a box without a key, for the Lua value at 'arg'. */
static struct box *push_new_box(lua_State *L, int arg)
{
  struct box *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (struct box){.cookie = &cookie};
  registry_set_metatable(L, &metatable);
  lua_pushvalue(L, arg);
  lua_setiuservalue(L, -2, 1);
  return b;
}

/* Puts the box on top into the table 'boxes', for the Lua value at 'arg'. */
static void set_box(lua_State *L, const void *boxes, int arg)
{
  registry_push_table(L, boxes);
  lua_pushvalue(L, arg);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static struct box *push_box_made(lua_State *L, int arg)
{
  struct box *b = push_box(L, arg);
  if (b != NULL) return b;
  lua_pop(L, 1);
  b = push_new_box(L, arg);
  registry_remember_late(L, b, -1);
  b->key = new_key(L, arg);
  if (b->key == NULL) luaL_error(L, "not enough memory");
  set_box(L, &key_boxes, arg);
  return b;
}

static int box_gc(lua_State *L)
{
  struct box *b = to_box(L, 1);
  if (b == NULL) return 0;
  key_release(b->key);
  b->key = NULL;
  b->host_key = NULL;
  return 0;
}

void value_set_host_key(lua_State *L, int index, const void *key, value_push_fn *push)
{
  index = lua_absindex(L, index);
  struct box *b = push_new_box(L, index);
  b->host_key = key;
  b->push = push;
  set_box(L, &host_boxes, index);
  set_box(L, &key_boxes, index);
  lua_pop(L, 1);
}

/* ---- values ---------------------------------------------------------------- */

/* ctx.with_value(parent, key, value) -> context */
static int bind_with_value(lua_State *L)
{
  handle_check_clock(L, 1);
  check_key(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  struct handle *h = handle_push_new(L, HANDLE_VALUE, 1, HANDLE_KEY);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  struct box *b = push_box_made(L, 2);
  if (b->key == NULL) luaL_argerror(L, 2, "the host keeps this key, and scripts can only read it");
  lua_setiuservalue(L, -2, HANDLE_KEY);
  h->link = link_new(b->key);
  if (h->link == NULL) luaL_error(L, "not enough memory");
  registry_remember(L, h->link, -1);
  const struct handle *parent = handle_check(L, 1); /* again: memory has been asked for */
  handle_fill(L, h, ctx_with_value(parent->context, b->key, h->link, link_drop));
  return 1;
}

/* Pushes the Lua value of a link, which is of this state or of another one. */
static void push_value(lua_State *L, struct link *k)
{
  registry_push_remembered(L, k);
  struct handle *h = handle_test(L, -1);
  if (h != NULL && h->kind == HANDLE_VALUE && h->link == k)
    lua_getiuservalue(L, -1, HANDLE_PAYLOAD);
  else if (!link_push_pinned(L, k))
    link_push_copy(L, k);
}

/* A key without a name is of this state: where it has no box, nothing has a value under it. */
static bool has_name(lua_State *L, int index)
{
  int type = lua_type(L, index);
  return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN;
}

/* c:value(key) -> value, or nil */
static int bind_value(lua_State *L)
{
  struct handle *h;
  handle_check(L, 1);
  check_key(L, 2);
  lua_settop(L, 2);
  struct box *b = has_name(L, 2) ? push_box_made(L, 2) : push_box(L, 2);
  const void *key = b == NULL ? NULL : b->key != NULL ? (const void *)b->key : b->host_key;
  h = handle_check(L, 1); /* memory has been asked for, and a finalizer may have run */
  void *held = key != NULL ? ctx_value(h->context, key) : NULL;
  if (held == NULL)
    lua_pushnil(L);
  else if (b->key != NULL)
    push_value(L, held);
  else
    b->push(L, held);
  if (lua_gettop(L) == 3) lua_pushnil(L);
  return 1;
}

/* ---- opening --------------------------------------------------------------- */

static void make_key_boxes(lua_State *L)
{
  registry_add_weak(L, &key_boxes, "kv");
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &host_boxes);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
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
