#include <string.h>

#include "convert.h"
#include "error.h"
#include "handle.h"
#include "keep.h"
#include "link.h"
#include "registry.h"
#include "stack.h"

static const char cookie;    /* its address marks our userdata */
static const char metatable; /* a place in the registry */

static const char *const kind_names[] = {"background", "todo",   "without_cancel", "host",
                                         "value",      "cancel", "deadline",       "grace",
                                         "signal",     "merge"};

/* ---- checking --------------------------------------------------------- */

/* What has usually gone wrong when the value at 'arg' comes where a context was meant. */
static const char *hint(lua_State *L, int arg)
{
  if (lua_isfunction(L, arg)) return convert_parentheses;
  if (arg == 1 && !lua_isnoneornil(L, arg)) return "did a local named ctx hide the module?";
  return NULL;
}

int handle_type_error(lua_State *L, int arg, const char *expected)
{
  const char *why = hint(L, arg);
  const char *got = luaL_getmetafield(L, arg, "__name") == LUA_TSTRING ? lua_tostring(L, -1)
                                                                       : luaL_typename(L, arg);
  const char *text = why != NULL ? lua_pushfstring(L, "%s expected, got %s; %s", expected, got, why)
                                 : lua_pushfstring(L, "%s expected, got %s", expected, got);
  return luaL_argerror(L, arg, text);
}

struct handle *handle_test(lua_State *L, int index)
{
  struct handle *h = lua_touserdata(L, index);
  if (h == NULL || lua_rawlen(L, index) != sizeof *h) return NULL; /* of a light one: 0 */
  return h->cookie == &cookie ? h : NULL;
}

struct handle *handle_live(lua_State *L, int index)
{
  struct handle *h = handle_test(L, index);
  return h != NULL && h->context != NULL ? h : NULL;
}

struct handle *handle_check(lua_State *L, int arg)
{
  struct handle *h = handle_test(L, arg);
  if (h == NULL) handle_type_error(L, arg, "ctx.context");
  if (h->context == NULL) luaL_argerror(L, arg, "this context has been finalized");
  return h;
}

struct handle *handle_check_clock(lua_State *L, int arg)
{
  struct handle *h = handle_check(L, arg);
  ctx_engine *own = loop_engine(L), *e = ctx_engine_of(h->context);
  if (e != own && !(ctx_engine_is_monotonic(own) && ctx_engine_is_monotonic(e)))
    luaL_argerror(L, arg, "this context is on another clock than the present ctx.run");
  return h;
}

/* ---- new handles ------------------------------------------------------ */

/* Where the child of 'parent' is made that this thread makes next, if that is recorded. */
static void note_site(lua_State *L, const ctx_context *parent)
{
  static _Thread_local char site[STACK_SITE];
  if (!ctx_engine_tracks(ctx_engine_of(parent))) return;
  stack_write_site(L, site);
  ctx_track_site(site);
}

struct handle *handle_push_new(lua_State *L, enum handle_kind kind, int parent, int values)
{
  struct handle *h = lua_newuserdatauv(L, sizeof *h, values);
  *h = (struct handle){.cookie = &cookie, .kind = kind};
  registry_set_metatable(L, &metatable);
  if (parent != 0) {
    const struct handle *p = handle_check(L, parent); /* again: a finalizer may have run */
    note_site(L, p->context);
    h->depth = p->depth + 1;
    lua_pushvalue(L, parent);
    lua_setiuservalue(L, -2, HANDLE_PARENT);
  }
  return h;
}

void handle_fill(lua_State *L, struct handle *h, ctx_context *c)
{
  h->context = c;
  if (c == NULL) luaL_error(L, "not enough memory");
  struct loop *l = loop_of(L);
  if (l->contexts.most != 0) {
    quota_check(L, &l->contexts, "contexts");
    h->is_counted = true;
    l->contexts.now++;
  }
  if (l->world->is_virtual)
    registry_remember(L, h, -1);
  else
    registry_remember_late(L, h, -1);
}

struct handle *handle_push_parent(lua_State *L, int index)
{
  struct handle *h = handle_test(L, index);
  lua_getiuservalue(L, index, HANDLE_PARENT);
  struct handle *p = handle_test(L, -1);
  if (p != NULL && p->depth < h->depth) return p;
  lua_pop(L, 1);
  lua_pushnil(L);
  return NULL;
}

void handle_push_extra(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, HANDLE_EXTRA) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, HANDLE_EXTRA);
}

/* ---- roots ------------------------------------------------------------ */

/* The background of a virtual world can be ended, by who closes the world. */
static void push_new_background(lua_State *L, struct world *w)
{
  struct handle *h = handle_push_new(L, HANDLE_BACKGROUND, 0, HANDLE_PAYLOAD);
  loop_push_value(L, LOOP_WORLD);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  ctx_context *given = loop_of(L)->root;
  bool is_host = !w->is_virtual && given != NULL;
  ctx_engine *e = loop_engine(L);
  ctx_context *root = ctx_engine_background(is_host ? ctx_engine_of(given) : e);
  if (!w->is_virtual) registry_remember(L, root, -1);
  handle_fill(L, h, w->is_virtual ? ctx_with_cancel(root) : ctx_retain(root));
}

static void push_new_todo(lua_State *L)
{
  handle_push_background(L);
  struct handle *h = handle_push_new(L, HANDLE_TODO, 0, HANDLE_PAYLOAD);
  lua_getiuservalue(L, -2, HANDLE_PAYLOAD);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  struct handle *background = handle_live(L, -2); /* a finalizer may have run */
  if (background == NULL) registry_refuse(L);
  ctx_context *c = background->context;
  if (!loop_of(L)->world->is_virtual) {
    c = ctx_engine_todo(ctx_engine_of(c));
    registry_remember(L, c, -1);
  }
  handle_fill(L, h, ctx_retain(c));
  lua_remove(L, -2);
}

/* Pushes the root that lies in the user value 'n' of the world, made when there is none. */
static void push_root(lua_State *L, int n)
{
  luaL_checkstack(L, 8, NULL);
  world_push_value(L, n);
  struct handle *h = handle_test(L, -1);
  if (h != NULL && h->context != NULL) return; /* NULL: a script has finalized it */
  lua_pop(L, 1);
  if (n == WORLD_BACKGROUND)
    push_new_background(L, loop_of(L)->world);
  else
    push_new_todo(L);
  loop_push_value(L, LOOP_WORLD);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, n);
  lua_pop(L, 1);
}

void handle_push_background(lua_State *L)
{
  push_root(L, WORLD_BACKGROUND);
}

void handle_push_context(lua_State *L, ctx_context *c)
{
  luaL_checkstack(L, 8, NULL);
  registry_push_remembered(L, c);
  struct handle *h = handle_test(L, -1);
  if (h != NULL && h->context == c) return;
  lua_pop(L, 1);
  h = handle_push_new(L, HANDLE_HOST, 0, HANDLE_EXTRA);
  h->is_shared = h->is_held = true;
  registry_remember(L, c, -1);
  handle_fill(L, h, ctx_retain(c));
}

/* What the host has given, in front of the real world; else NULL. */
static ctx_context *host_root(const struct loop *l)
{
  return l->world->is_virtual ? NULL : l->root;
}

void handle_push_root(lua_State *L)
{
  ctx_context *root = host_root(loop_of(L));
  if (root == NULL) {
    handle_push_background(L);
    return;
  }
  loop_push_value(L, LOOP_ROOT);
  struct handle *h = handle_test(L, -1);
  if (h != NULL && h->context == root) return;
  lua_pop(L, 1);
  handle_push_context(L, root);
  loop_set_value(L, LOOP_ROOT, -1);
}

void handle_push_current(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->current == NULL) {
    handle_push_root(L);
    return;
  }
  waiter_push_userdata(L, l->current);
  if (block_test(L, -1, NULL) != l->current) luaL_error(L, "ctx: a task has been tampered with");
  lua_getiuservalue(L, -1, WAITER_CONTEXT);
  lua_remove(L, -2);
  if (handle_live(L, -1) == NULL) luaL_error(L, "ctx: a task has been tampered with");
}

ctx_context *handle_implied(lua_State *L, struct waiter *w)
{
  ctx_context *c = w->co != NULL ? w->context : host_root(loop_of(L));
  int err = c != NULL ? ctx_err(c) : 0;
  if (err != 0) error_raise(L, err);
  return c;
}

/* ctx.background() -> context */
static int bind_background(lua_State *L)
{
  handle_push_background(L);
  return 1;
}

/* ctx.todo() -> context */
static int bind_todo(lua_State *L)
{
  push_root(L, WORLD_TODO);
  return 1;
}

/* ctx.root() -> context */
static int bind_root(lua_State *L)
{
  handle_push_root(L);
  return 1;
}

/* ctx.current() -> context */
static int bind_current(lua_State *L)
{
  handle_push_current(L);
  return 1;
}

/* ---- for texts and tests --------------------------------------------- */

/* The sequence of all that can still be ended on the clock in front. */
int handle_push_live(lua_State *L)
{
  ctx_engine *e = loop_engine(L);
  lua_newtable(L);
  registry_push_memory(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    struct handle *h = handle_test(L, -1);
    if (h == NULL || h->context == NULL || h->kind < HANDLE_CANCEL) continue;
    if (ctx_engine_of(h->context) != e || ctx_done(h->context)) continue;
    lua_pushvalue(L, -1);
    lua_rawseti(L, -5, (lua_Integer)lua_rawlen(L, -5) + 1);
  }
  lua_pop(L, 1);
  return 1;
}

int handle_describe(lua_State *L)
{
  struct handle *h = handle_check(L, 1);
  lua_pushstring(L, kind_names[h->kind]);
  handle_push_parent(L, 1);
  if (h->kind != HANDLE_VALUE) return 2;
  if (lua_getiuservalue(L, 1, HANDLE_KEY) == LUA_TUSERDATA) lua_getiuservalue(L, -1, 1);
  lua_getiuservalue(L, 1, HANDLE_PAYLOAD);
  lua_remove(L, -3);
  return 4;
}

/* ---- metatable -------------------------------------------------------- */

static int handle_gc(lua_State *L)
{
  struct handle *h = handle_test(L, 1);
  if (h == NULL) return 0;
  ctx_context *c = h->context;
  struct link *own = c == NULL ? h->link : NULL;
  h->context = NULL;
  h->link = h->given = NULL;
  struct loop *l = h->is_counted ? loop_find(L) : NULL;
  if (l != NULL) l->contexts.now--;
  h->is_counted = false;
  ctx_release(c);
  if (own != NULL) link_drop(own);
  return 0;
}

static bool is_at(const struct plain *p, const struct stack_site *s)
{
  return p->cause != NULL && p->line == s->line && strcmp(p->file, s->file) == 0;
}

/* A cause that says no more than where the cancel was called. What is canceled at one place in a row
 * shares it. NULL: there is no memory. */
static ctx_cause *plain_cause(lua_State *L)
{
  struct stack_site s;
  char site[STACK_SITE];
  stack_find_site(L, &s);
  struct loop *l = loop_known(L);
  if (l != NULL && is_at(&l->plain, &s)) return ctx_cause_retain(l->plain.cause);
  stack_print_site(&s, site);
  ctx_cause *cause = ctx_cause_new_at(NULL, 0, CTX_CANCELED, NULL, NULL, site);
  if (l == NULL || cause == NULL) return cause;
  ctx_cause_release(l->plain.cause);
  l->plain.cause = ctx_cause_retain(cause);
  memcpy(l->plain.file, s.file, sizeof s.file);
  l->plain.line = s.line;
  return cause;
}

bool handle_end(lua_State *L, struct handle *h, ctx_origin_kind by)
{
  ctx_cause *cause = h->was_canceled ? NULL : plain_cause(L); /* a question reads no clock */
  bool first = ctx_cancel_at(h->context, cause, by, NULL);
  h->was_canceled = true;
  keep_fired(L);
  return first;
}

/* Ends what has an end of its own to give; a value or a root is left alone. */
static int handle_close(lua_State *L)
{
  struct handle *h = handle_test(L, 1);
  if (h != NULL && h->context != NULL && h->kind >= HANDLE_CANCEL)
    handle_end(L, h, CTX_ORIGIN_EXPLICIT);
  return 0;
}

static int handle_eq(lua_State *L)
{
  struct handle *a = handle_test(L, 1), *b = handle_test(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && a->context == b->context && a->kind == b->kind);
  return 1;
}

static const luaL_Reg metamethods[] = {
  {"__gc", handle_gc},
  {"__close", handle_close},
  {"__eq", handle_eq},
  {NULL, NULL},
};

static void make_metatable(lua_State *L)
{
  luaL_newlib(L, metamethods);
  lua_pushliteral(L, "ctx.context");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "ctx.context");
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
}

/* core.set_tostring(f): the texts of contexts are made in Lua. */
int handle_set_tostring(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "__tostring");
  return 0;
}

void handle_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable) == LUA_TNIL) {
    make_metatable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
    lua_replace(L, -2);
  }
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}

const luaL_Reg handle_functions[] = {
  {"background", bind_background}, {"todo", bind_todo}, {"root", bind_root},
  {"current", bind_current},       {NULL, NULL},
};
