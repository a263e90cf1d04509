#include <stddef.h>
#include <string.h>

#include "block.h"

/* The userdata. */
struct stand {
  const void *cookie;
  const struct block_kind *kind;
  void *p; /* a reference; NULL: not made yet, or finalized */
};

/* What lies before a block. */
struct head {
  const struct block_kind *kind;
  lua_Alloc allocate;
  void *arg;
  size_t size; /* with the head */
  size_t refs;
  max_align_t block[];
};

static const char cookie; /* its address marks our userdata */

static struct head *head_of(void *p)
{
  return (struct head *)(void *)((char *)p - offsetof(struct head, block));
}

static struct stand *to_stand(lua_State *L, int index)
{
  struct stand *s = lua_touserdata(L, index);
  if (s == NULL || lua_rawlen(L, index) != sizeof *s) return NULL; /* of a light one: 0 */
  return s->cookie == &cookie ? s : NULL;
}

void *block_test(lua_State *L, int index, const struct block_kind *kind)
{
  const struct stand *s = to_stand(L, index);
  return s != NULL && (kind == NULL || s->kind == kind) ? s->p : NULL;
}

bool block_is_finalized(lua_State *L, int index, const struct block_kind *kind)
{
  const struct stand *s = to_stand(L, index);
  return s != NULL && s->kind == kind && s->p == NULL; /* never: who asks has tried block_test */
}

void *block_hold(void *p)
{
  head_of(p)->refs++;
  return p;
}

void block_release(void *p)
{
  if (p == NULL) return;
  struct head *h = head_of(p);
  if (--h->refs != 0) return;
  if (h->kind->destroy != NULL) h->kind->destroy(p);
  h->allocate(h->arg, h, h->size, 0);
}

static void *allocate(lua_State *L, const struct block_kind *kind, size_t size)
{
  void *arg;
  lua_Alloc f = lua_getallocf(L, &arg);
  size += sizeof(struct head);
  struct head *h = f(arg, NULL, LUA_TUSERDATA, size);
  if (h == NULL) {
    luaL_error(L, "not enough memory");
    return NULL;
  }
  memset(h, 0, size);
  *h = (struct head){.kind = kind, .allocate = f, .arg = arg, .size = size, .refs = 1};
  return h->block;
}

void *block_push_new(lua_State *L, const struct block_kind *kind, size_t size, int values)
{
  struct stand *s = lua_newuserdatauv(L, sizeof *s, values);
  *s = (struct stand){&cookie, kind, NULL};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, kind) != LUA_TTABLE)
    luaL_error(L, "ctx: the state of the module has been tampered with");
  lua_setmetatable(L, -2);
  s->p = allocate(L, kind, size);
  return s->p;
}

/* Of all kinds; a script may call it with anything, and at any time. */
static int block_gc(lua_State *L)
{
  struct stand *s = to_stand(L, 1);
  if (s == NULL || s->p == NULL) return 0;
  void *p = s->p;
  s->p = NULL;
  if (s->kind->finalize != NULL) s->kind->finalize(L, p);
  block_release(p);
  return 0;
}

void block_open(lua_State *L, const struct block_kind *kind)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, kind) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 5);
  lua_pushcfunction(L, block_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, kind);
}
