#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "convert.h"
#include "error.h"
#include "handle.h"

static const char cookie;    /* its address marks our userdata */
static const char metatable; /* places in the registry */
static const char key_boxes;

static const char *const kind_names[] = {"background", "todo",   "without_cancel",
                                         "value",      "cancel", "deadline"};

/* ---- checking --------------------------------------------------------- */

static int cancel_call(lua_State *L);

static bool is_cancel_function(lua_State *L, int index)
{
  return lua_tocfunction(L, index) == cancel_call;
}

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
  if (lua_type(L, index) != LUA_TUSERDATA) return NULL;
  if (lua_rawlen(L, index) != sizeof(struct handle)) return NULL;
  struct handle *h = lua_touserdata(L, index);
  return h->cookie == &cookie ? h : NULL;
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
  if (ctx_engine_of(h->context) != loop_of(L)->world->engine)
    luaL_argerror(L, arg, "this context is on another clock than the present ctx.run");
  return h;
}

void handle_refuse_cancel(lua_State *L, int arg)
{
  if (!is_cancel_function(L, arg)) return;
  struct handle *before = handle_test(L, arg - 1);
  lua_getupvalue(L, arg, 1);
  if (before != NULL && before == handle_test(L, -1)) luaL_argerror(L, arg, convert_parentheses);
  lua_pop(L, 1);
}

/* ---- new handles ------------------------------------------------------ */

/* Pushes a handle without a context yet; 'parent' is the index of its parent's, or 0. */
static struct handle *push_new(lua_State *L, enum handle_kind kind, int parent, int values)
{
  struct handle *h = lua_newuserdatauv(L, sizeof *h, values);
  *h = (struct handle){&cookie, NULL, kind};
  loop_set_metatable(L, &metatable);
  if (parent != 0) {
    lua_pushvalue(L, parent);
    lua_setiuservalue(L, -2, HANDLE_PARENT);
  }
  return h;
}

/* Puts the context just made, whose reference the handle takes, into it. What lives on a
 * virtual clock is remembered, for who looks for what a test has left. */
static void fill(lua_State *L, struct handle *h, ctx_context *c)
{
  h->context = c;
  if (c == NULL) luaL_error(L, "not enough memory");
  if (loop_of(L)->world->is_virtual) loop_remember(L, h, -1);
}

void handle_push_child(lua_State *L, int parent)
{
  parent = lua_absindex(L, parent);
  struct handle *p = handle_check(L, parent);
  fill(L, push_new(L, HANDLE_CANCEL, parent, HANDLE_EXTRA), ctx_with_cancel(p->context));
}

/* ---- roots ------------------------------------------------------------ */

/* The background of a virtual world can be ended, by who closes the world. */
static void push_new_background(lua_State *L, struct world *w)
{
  struct handle *h = push_new(L, HANDLE_BACKGROUND, 0, HANDLE_PAYLOAD);
  loop_push_value(L, LOOP_WORLD);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  ctx_context *root = ctx_engine_background(w->engine);
  fill(L, h, w->is_virtual ? ctx_with_cancel(root) : ctx_retain(root));
}

static void push_new_todo(lua_State *L)
{
  handle_push_background(L);
  struct handle *background = handle_check(L, -1);
  struct handle *h = push_new(L, HANDLE_TODO, 0, HANDLE_PAYLOAD);
  lua_getiuservalue(L, -2, HANDLE_PAYLOAD);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  fill(L, h, ctx_retain(background->context));
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

void handle_push_current(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->current == NULL) {
    handle_push_background(L);
    return;
  }
  loop_push_anchored(L, l->current);
  lua_getiuservalue(L, -1, WAITER_CONTEXT);
  lua_remove(L, -2);
  if (handle_test(L, -1) == NULL) luaL_error(L, "ctx: a task has been tampered with");
}

ctx_context *handle_implied(lua_State *L, struct waiter *w)
{
  int err = w->context != NULL ? ctx_err(w->context) : 0;
  if (err != 0) error_raise(L, err);
  return w->context;
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

/* ctx.current() -> context */
static int bind_current(lua_State *L)
{
  handle_push_current(L);
  return 1;
}

/* ---- ending ----------------------------------------------------------- */

/* A C cause for the Lua value at 'index'; its data is the address of the handle that keeps
 * the value. NULL: none was given, or there is no memory. */
static ctx_cause *new_cause(lua_State *L, int index, struct handle *h)
{
  char number[64];
  const char *text = number;
  size_t len = 0;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: text = lua_tolstring(L, index, &len); break;
  case LUA_TNUMBER:
    len = (size_t)(lua_isinteger(L, index)
                     ? snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, index))
                     : snprintf(number, sizeof number, LUA_NUMBER_FMT, lua_tonumber(L, index)));
    break;
  default:
    text = error_code(L, index) != 0 ? ctx_strerror(error_code(L, index)) : luaL_typename(L, index);
    len = strlen(text);
  }
  return ctx_cause_new(text, len, 0, h, NULL);
}

/* Pushes the EXTRA table of the handle at 'index', made when there is none. */
static void push_extra(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, HANDLE_EXTRA) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, HANDLE_EXTRA);
}

/* The end comes first: nothing that may fail for want of memory comes before it. */
bool handle_cancel(lua_State *L, int index, int cause)
{
  index = lua_absindex(L, index);
  struct handle *h = handle_check(L, index);
  bool given = cause != 0 && !lua_isnoneornil(L, cause);
  ctx_cause *c_cause = given ? new_cause(L, cause, h) : NULL;
  bool first = ctx_cancel_cause(h->context, c_cause);
  loop_anchor_fired(L);
  if (first && given) {
    push_extra(L, index);
    lua_pushvalue(L, cause);
    lua_rawseti(L, -2, EXTRA_CAUSE);
    lua_pop(L, 1);
    loop_remember(L, h, index);
  }
  return first;
}

/* cancel([cause]) -> true: this was the call that ended it */
static int cancel_call(lua_State *L)
{
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (handle_test(L, 2) == NULL) return luaL_error(L, "ctx: a cancel function was tampered with");
  lua_pushboolean(L, handle_cancel(L, 2, 1));
  return 1;
}

/* The context on top of the stack and the function that cancels it. */
static int with_cancel_function(lua_State *L)
{
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, cancel_call, 1);
  return 2;
}

/* ---- making ----------------------------------------------------------- */

/* ctx.with_cancel(parent) -> context, cancel */
static int bind_with_cancel(lua_State *L)
{
  handle_check_clock(L, 1);
  handle_push_child(L, 1);
  return with_cancel_function(L);
}

/* Pushes an empty handle for a deadline with the cause at 3; gives the C cause, if any. */
static struct handle *push_deadline(lua_State *L, ctx_cause **cause)
{
  *cause = NULL;
  if (lua_isnoneornil(L, 3)) return push_new(L, HANDLE_DEADLINE, 1, HANDLE_EXTRA);
  struct handle *h = push_new(L, HANDLE_DEADLINE, 1, HANDLE_PAYLOAD);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  loop_remember(L, h, -1);
  *cause = new_cause(L, 3, h);
  if (*cause == NULL) luaL_error(L, "not enough memory");
  return h;
}

/* Puts the context into the handle; 'cause' goes with it, or is given back. */
static int fill_deadline(lua_State *L, struct handle *h, ctx_context *c, ctx_cause *cause)
{
  if (c == NULL) ctx_cause_release(cause);
  fill(L, h, c);
  return with_cancel_function(L);
}

/* ctx.with_timeout(parent, seconds [, cause]) -> context, cancel */
static int bind_with_timeout(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  int64_t timeout_ns = convert_timeout(L, 2);
  handle_refuse_cancel(L, 3);
  ctx_cause *cause;
  struct handle *h = push_deadline(L, &cause);
  return fill_deadline(L, h, ctx_with_timeout_cause(parent->context, timeout_ns, cause), cause);
}

/* ctx.with_deadline(parent, when [, cause]) -> context, cancel */
static int bind_with_deadline(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  int64_t now_ns = ctx_engine_now(ctx_engine_of(parent->context));
  int64_t deadline_ns = convert_instant(L, 2, now_ns);
  handle_refuse_cancel(L, 3);
  ctx_cause *cause;
  struct handle *h = push_deadline(L, &cause);
  return fill_deadline(L, h, ctx_with_deadline_cause(parent->context, deadline_ns, cause), cause);
}

/* ctx.without_cancel(parent) -> context */
static int bind_without_cancel(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  struct handle *h = push_new(L, HANDLE_DETACHED, 1, HANDLE_EXTRA);
  fill(L, h, ctx_without_cancel(parent->context));
  return 1;
}

/* ---- values ----------------------------------------------------------- */

static void check_key(lua_State *L, int arg)
{
  handle_refuse_cancel(L, arg);
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
  struct handle *h = push_new(L, HANDLE_VALUE, 1, HANDLE_KEY);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  push_box_made(L, 2);
  const void *box = lua_touserdata(L, -1);
  lua_setiuservalue(L, -2, HANDLE_KEY);
  loop_remember(L, h, -1);
  fill(L, h, ctx_with_value(parent->context, box, h, NULL));
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

/* ---- asking ----------------------------------------------------------- */

/* c:done() -> boolean */
static int bind_done(lua_State *L)
{
  lua_pushboolean(L, ctx_done(handle_check(L, 1)->context));
  return 1;
}

/* c:err() -> ctx.CANCELED, ctx.DEADLINE_EXCEEDED, or nil */
static int bind_err(lua_State *L)
{
  error_push(L, ctx_err(handle_check(L, 1)->context));
  return 1;
}

/* c:check() -> true; raises the err of a done context */
static int bind_check(lua_State *L)
{
  int err = ctx_err(handle_check(L, 1)->context);
  if (err != 0) return error_raise(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* Pushes the Lua value that the handle on top keeps as the cause of an end by 'err', or nil. */
static void push_kept_cause(lua_State *L, struct handle *h, int err)
{
  if (h->kind == HANDLE_DEADLINE && err == CTX_DEADLINE_EXCEEDED) {
    lua_getiuservalue(L, -1, HANDLE_PAYLOAD);
  } else if (lua_getiuservalue(L, -1, HANDLE_EXTRA) == LUA_TTABLE) {
    lua_rawgeti(L, -1, EXTRA_CAUSE);
  }
}

void handle_push_cause(lua_State *L, struct handle *h)
{
  int err = ctx_err(h->context), top = lua_gettop(L);
  const ctx_cause *cause = ctx_cause_of(h->context);
  const void *keeper = cause != NULL ? ctx_cause_data(cause) : NULL;
  if (keeper == NULL) {
    error_push(L, err);
    return;
  }
  loop_push_remembered(L, keeper);
  struct handle *kept = handle_test(L, -1);
  if (kept != NULL) push_kept_cause(L, kept, err);
  if (lua_isnil(L, -1)) {
    size_t len;
    const char *text = ctx_cause_text(cause, &len);
    lua_pushlstring(L, text, len);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* c:cause() -> what the canceler gave, else the err; nil while it lives */
static int bind_cause(lua_State *L)
{
  handle_push_cause(L, handle_check(L, 1));
  return 1;
}

/* c:deadline() -> instant on the clock of ctx.now(), or nil */
static int bind_deadline(lua_State *L)
{
  int64_t deadline_ns = ctx_deadline(handle_check(L, 1)->context);
  if (deadline_ns == CTX_NEVER)
    lua_pushnil(L);
  else
    convert_push_seconds(L, deadline_ns);
  return 1;
}

/* c:timeout() -> seconds left, 0 when there are none, or nil without a deadline */
static int bind_timeout(lua_State *L)
{
  struct handle *h = handle_check(L, 1);
  int64_t deadline_ns = ctx_deadline(h->context);
  int64_t now_ns = ctx_engine_now(ctx_engine_of(h->context));
  if (deadline_ns == CTX_NEVER)
    lua_pushnil(L);
  else
    convert_push_seconds(L, deadline_ns > now_ns ? deadline_ns - now_ns : 0);
  return 1;
}

/* The sequence of all that can still be ended on the clock in front. */
int handle_push_live(lua_State *L)
{
  ctx_engine *e = loop_of(L)->world->engine;
  lua_newtable(L);
  loop_push_memory(L);
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
  lua_getiuservalue(L, 1, HANDLE_PARENT);
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
  ctx_release(h->context);
  h->context = NULL;
  return 0;
}

/* Ends what has an end of its own to give; a value or a root is left alone. */
static int handle_close(lua_State *L)
{
  struct handle *h = handle_test(L, 1);
  if (h != NULL && h->context != NULL && h->kind >= HANDLE_CANCEL) handle_cancel(L, 1, 0);
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

static void make_key_boxes(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "kv");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_boxes);
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
    make_key_boxes(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable);
    lua_replace(L, -2);
  }
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}

const luaL_Reg handle_functions[] = {
  {"background", bind_background}, {"todo", bind_todo}, {"root", bind_background},
  {"current", bind_current},       {NULL, NULL},
};

const luaL_Reg handle_methods[] = {
  {"with_cancel", bind_with_cancel},
  {"with_timeout", bind_with_timeout},
  {"with_deadline", bind_with_deadline},
  {"with_value", bind_with_value},
  {"without_cancel", bind_without_cancel},
  {"done", bind_done},
  {"err", bind_err},
  {"cause", bind_cause},
  {"check", bind_check},
  {"deadline", bind_deadline},
  {"timeout", bind_timeout},
  {"value", bind_value},
  {NULL, NULL},
};
