#include "platform.h"

#include <string.h>

#include "key.h"
#include "link.h"
#include "mailbox.h"
#include "registry.h"

/* What a shared link has more; fixed once the link is shared. */
struct share {
  struct letter letter; /* for the way home; its box is held */
  struct link *link;
  struct loop *home; /* for its own thread, while the box is open */
  int type;          /* of Lua */
  union {
    bool boolean;
    lua_Integer integer;
    lua_Number number;
    size_t len; /* of 'text' */
  } copy;
  bool is_integer;
  char text[]; /* a string, or the name of the type */
};

struct link {
  struct key *key;     /* held, or NULL; fixed at birth */
  struct share *share; /* NULL: not shared; set by its home, before others can see the link */
};

static const char pinned; /* a place in the registry: from addresses of links to what they pin */

/* What a link pins is a table. */
enum { PIN_VALUE = 1, PIN_KEY };

/* ---- life ------------------------------------------------------------------ */

struct link *link_new(struct key *key)
{
  struct link *k = CTX__ALLOC(sizeof *k);
  if (k == NULL) return NULL;
  *k = (struct link){.key = key != NULL ? key_retain(key) : NULL};
  return k;
}

static void free_link(struct link *k)
{
  key_release(k->key);
  if (k->share != NULL) mailbox_release(k->share->letter.box);
  CTX__FREE(k->share);
  CTX__FREE(k);
}

void link_drop(void *link)
{
  struct link *k = link;
  if (k->share == NULL || !mailbox_post(&k->share->letter)) free_link(k);
}

/* ---- coming home ------------------------------------------------------------- */

/* Lua cannot be entered here: its letter takes the place in the row of those that are home. */
static void come_home(struct letter *l)
{
  struct share *s = LIST_ELEMENT(l, struct share, letter);
  list_append(&s->home->links, &l->link);
}

static struct link *pop_home(struct loop *l)
{
  struct list_link *k = list_pop(&l->links);
  return k != NULL ? LIST_ELEMENT(k, struct share, letter.link)->link : NULL;
}

/* Unpins and frees those that have come home. */
static void receive(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (list_empty(&l->links)) return;
  bool is_table = lua_rawgetp(L, LUA_REGISTRYINDEX, &pinned) == LUA_TTABLE;
  for (struct link *k; (k = pop_home(l)) != NULL; free_link(k)) {
    lua_pushnil(L);
    if (is_table)
      lua_rawsetp(L, -2, k);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* ---- sharing ----------------------------------------------------------------- */

/* A copy of the value at 'value'. NULL: there is no memory. */
static struct share *copy(lua_State *L, int value)
{
  int type = lua_type(L, value);
  size_t len = 0;
  const char *text = lua_typename(L, type);
  if (type == LUA_TSTRING)
    text = lua_tolstring(L, value, &len);
  else
    len = strlen(text);
  struct share *s = CTX__ALLOC(sizeof *s + len);
  if (s == NULL) return NULL;
  *s = (struct share){.type = type, .is_integer = lua_isinteger(L, value) != 0};
  memcpy(s->text, text, len);
  if (type == LUA_TBOOLEAN)
    s->copy.boolean = lua_toboolean(L, value) != 0;
  else if (s->is_integer)
    s->copy.integer = lua_tointeger(L, value);
  else if (type == LUA_TNUMBER)
    s->copy.number = lua_tonumber(L, value);
  else
    s->copy.len = len;
  return s;
}

/* Puts 'what', which is on top and popped, in the place of 'k'. */
static void set_pin(lua_State *L, const struct link *k)
{
  registry_push_table(L, &pinned);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, k);
  lua_pop(L, 1);
}

static void pin(lua_State *L, const struct link *k, int value, int key)
{
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, PIN_VALUE);
  if (key != 0) {
    lua_pushvalue(L, key);
    lua_rawseti(L, -2, PIN_KEY);
  }
  set_pin(L, k);
}

/* Memory has been asked for, and a finalizer may have run. The share of the link, whose value
 * is pinned, or NULL: the link, or the loop, is no more, or there is no memory. */
static struct share *new_share(lua_State *L, const struct link *k, struct link *const *place,
                               int value)
{
  struct loop *l = loop_find(L);
  bool alive = *place == k && l != NULL && l->mailbox != NULL;
  struct share *s = alive ? copy(L, value) : NULL;
  if (s != NULL) s->home = l;
  return s;
}

void link_share(lua_State *L, struct link *const *place, int value, int key)
{
  struct link *k = *place;
  if (k == NULL || k->share != NULL) return;
  loop_engine(L); /* raises where the box is closed */
  value = lua_absindex(L, value);
  if (key != 0) key = lua_absindex(L, key);
  receive(L);
  pin(L, k, value, key);
  struct share *s = new_share(L, k, place, value);
  if (s == NULL) {
    lua_pushnil(L);
    set_pin(L, k);
    luaL_error(L, "not enough memory");
  }
  s->link = k;
  letter_init(&s->letter, mailbox_retain(s->home->mailbox), come_home);
  k->share = s;
}

/* ---- asking ------------------------------------------------------------------ */

bool link_push_pinned(lua_State *L, const void *link)
{
  registry_push_table(L, &pinned);
  bool found = lua_rawgetp(L, -1, link) == LUA_TTABLE;
  if (found) lua_rawgeti(L, -1, PIN_VALUE);
  lua_replace(L, found ? -3 : -2);
  lua_pop(L, 1);
  return found;
}

void link_push_copy(lua_State *L, const struct link *k)
{
  const struct share *s = k->share;
  if (s == NULL || s->type == LUA_TNIL)
    lua_pushnil(L);
  else if (s->type == LUA_TBOOLEAN)
    lua_pushboolean(L, s->copy.boolean);
  else if (s->is_integer)
    lua_pushinteger(L, s->copy.integer);
  else if (s->type == LUA_TNUMBER)
    lua_pushnumber(L, s->copy.number);
  else
    lua_pushlstring(L, s->text, s->copy.len);
}

/* ---- opening ----------------------------------------------------------------- */

void link_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &pinned) == LUA_TNIL) {
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &pinned);
  }
  lua_pop(L, 1);
  loop_of(L)->receive_links = receive;
}
