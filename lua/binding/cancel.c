#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "convert.h"
#include "ctx_lua.h"
#include "error.h"
#include "keep.h"
#include "link.h"
#include "lost.h"
#include "registry.h"
#include "stack.h"

/* ---- causes in C --------------------------------------------------------- */

struct text {
  const char *bytes;
  size_t len;
  char number[64];
};

/* A float whose digits say exactly what it is. */
static void write_float(struct text *t, lua_Number x)
{
  int len = snprintf(t->number, sizeof t->number, LUA_NUMBER_FMT, x);
  if (lua_str2number(t->number, NULL) != x) len = snprintf(t->number, sizeof t->number, "%.17g", x);
  t->len = (size_t)len;
}

/* The text of the Lua value at 'index', and what it says: its code. */
static int describe(lua_State *L, int index, struct text *t)
{
  int err = error_code(L, index);
  t->bytes = err != 0 ? ctx_strerror(err) : luaL_typename(L, index);
  t->len = strlen(t->bytes);
  if (err != 0) return err == CTX_CANCELED ? CTX_LUA_CANCELED : CTX_LUA_DEADLINE_EXCEEDED;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: t->bytes = lua_tolstring(L, index, &t->len); return CTX_LUA_STRING;
  case LUA_TBOOLEAN: return lua_toboolean(L, index) ? CTX_LUA_TRUE : CTX_LUA_FALSE;
  case LUA_TNUMBER: break;
  default: return CTX_LUA_OTHER;
  }
  t->bytes = t->number;
  if (!lua_isinteger(L, index)) {
    write_float(t, lua_tonumber(L, index));
    return CTX_LUA_FLOAT;
  }
  t->len = (size_t)snprintf(t->number, sizeof t->number, LUA_INTEGER_FMT, lua_tointeger(L, index));
  return CTX_LUA_INTEGER;
}

/* A C cause for the Lua value at 'index', to which 'link' is the link. NULL: there is no memory;
 * the link is dropped then. */
static ctx_cause *new_cause(lua_State *L, int index, struct link *link, const char *site)
{
  struct text text;
  int code = describe(L, index, &text);
  ctx_cause *cause = ctx_cause_new_at(text.bytes, text.len, code, link, link_drop, site);
  if (cause == NULL) link_drop(link);
  return cause;
}

/* Pushes what the text of a cause stands for, in a state that is not its home. */
static void push_copy(lua_State *L, const ctx_cause *cause)
{
  size_t len;
  int code = ctx_cause_code(cause);
  const char *text = ctx_cause_text(cause, &len);
  if (code == CTX_LUA_TRUE || code == CTX_LUA_FALSE)
    lua_pushboolean(L, code == CTX_LUA_TRUE);
  else if (code == CTX_LUA_CANCELED || code == CTX_LUA_DEADLINE_EXCEEDED)
    error_push(L, code == CTX_LUA_CANCELED ? CTX_CANCELED : CTX_DEADLINE_EXCEEDED);
  else if (code == CTX_LUA_FLOAT)
    lua_pushnumber(L, (lua_Number)lua_str2number(text, NULL));
  else if (code != CTX_LUA_INTEGER || lua_stringtonumber(L, text) == 0)
    lua_pushlstring(L, text, len);
}

/* ---- the cancel function ---------------------------------------------- */

/* Keeps the cause at 'cause' with the handle at 'index', which it has just ended. */
static void keep_cause(lua_State *L, int index, int cause, struct link *link)
{
  struct handle *h = handle_check(L, index);
  h->given = link;
  handle_push_extra(L, index);
  lua_pushvalue(L, cause);
  lua_rawseti(L, -2, EXTRA_CAUSE);
  lua_pop(L, 1);
  registry_remember(L, link, index);
  if (h->is_shared) link_share(L, &h->given, cause, 0);
}

/* The end comes first: nothing that may fail for want of memory comes before it. */
bool cancel_context(lua_State *L, int index, int cause, ctx_origin_kind by)
{
  char site[STACK_SITE];
  index = lua_absindex(L, index);
  struct handle *h = handle_check(L, index);
  if (cause == 0 || lua_isnoneornil(L, cause) || h->was_canceled) return handle_end(L, h, by);
  struct link *link = link_new(NULL);
  stack_write_site(L, site);
  ctx_cause *c_cause = link != NULL ? new_cause(L, cause, link, site) : NULL;
  bool first = ctx_cancel_at(h->context, c_cause, by, NULL);
  h->was_canceled = true;
  keep_fired(L);
  if (first && c_cause != NULL) keep_cause(L, index, cause, link);
  return first;
}

/* cancel([cause]) -> true: this was the call that ended it */
static int cancel_call(lua_State *L)
{
  struct handle *h = handle_live(L, lua_upvalueindex(1));
  if (h != NULL && lua_isnoneornil(L, 1)) {
    lua_pushboolean(L, handle_end(L, h, CTX_ORIGIN_EXPLICIT));
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (handle_test(L, 2) == NULL) return luaL_error(L, "ctx: a cancel function was tampered with");
  lua_pushboolean(L, cancel_context(L, 2, 1, CTX_ORIGIN_EXPLICIT));
  return 1;
}

static bool is_cancel_function(lua_State *L, int index)
{
  return lua_tocfunction(L, index) == cancel_call;
}

void cancel_refuse(lua_State *L, int arg)
{
  if (!is_cancel_function(L, arg)) return;
  struct handle *before = handle_test(L, arg - 1);
  lua_getupvalue(L, arg, 1);
  if (before != NULL && before == handle_test(L, -1)) luaL_argerror(L, arg, convert_parentheses);
  lua_pop(L, 1);
}

/* ---- making ----------------------------------------------------------- */

int cancel_push_function(lua_State *L)
{
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, cancel_call, 1);
  return 2;
}

void cancel_push_child(lua_State *L, int parent)
{
  parent = lua_absindex(L, parent);
  struct handle *p = handle_check(L, parent);
  struct handle *h = handle_push_new(L, HANDLE_CANCEL, parent, HANDLE_EXTRA);
  handle_fill(L, h, ctx_with_cancel(p->context));
}

/* ctx.with_cancel(parent) -> context, cancel */
static int bind_with_cancel(lua_State *L)
{
  handle_check_clock(L, 1);
  cancel_push_child(L, 1);
  lua_pushvalue(L, -1);
  lost_push_token(L);
  lua_pushcclosure(L, cancel_call, 2);
  return 2;
}

/* Pushes an empty handle for a deadline with the cause at 3; gives the C cause, if any, which has
 * the link of the handle, and the parent at 1: from then on nothing raises until the handle is filled. */
static struct handle *push_deadline(lua_State *L, struct handle **parent, ctx_cause **cause)
{
  *cause = NULL;
  if (lua_isnoneornil(L, 3)) return handle_push_new(L, HANDLE_DEADLINE, 1, HANDLE_EXTRA);
  struct handle *h = handle_push_new(L, HANDLE_DEADLINE, 1, HANDLE_PAYLOAD);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, HANDLE_PAYLOAD);
  h->link = link_new(NULL);
  if (h->link != NULL) registry_remember(L, h->link, -1);
  *parent = handle_check(L, 1); /* again: memory has been asked for */
  struct link *link = h->link;  /* what a finalizer that has run meanwhile has left */
  h->link = NULL;
  *cause = link != NULL ? new_cause(L, 3, link, NULL) : NULL;
  if (*cause == NULL) luaL_error(L, "not enough memory");
  h->link = link;
  return h;
}

/* Puts the context into the handle; 'cause' goes with it, or is given back. */
static int fill_deadline(lua_State *L, struct handle *h, ctx_context *c, ctx_cause *cause)
{
  if (c == NULL) {
    h->link = NULL;
    ctx_cause_release(cause);
  }
  handle_fill(L, h, c);
  return cancel_push_function(L);
}

/* ctx.with_timeout(parent, seconds [, cause]) -> context, cancel */
static int bind_with_timeout(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  int64_t timeout_ns = convert_timeout(L, 2);
  cancel_refuse(L, 3);
  ctx_cause *cause;
  struct handle *h = push_deadline(L, &parent, &cause);
  return fill_deadline(L, h, ctx_with_timeout_cause(parent->context, timeout_ns, cause), cause);
}

/* ctx.with_deadline(parent, when [, cause]) -> context, cancel */
static int bind_with_deadline(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  int64_t now_ns = ctx_engine_now(ctx_engine_of(parent->context));
  int64_t deadline_ns = convert_instant(L, 2, now_ns);
  cancel_refuse(L, 3);
  ctx_cause *cause;
  struct handle *h = push_deadline(L, &parent, &cause);
  return fill_deadline(L, h, ctx_with_deadline_cause(parent->context, deadline_ns, cause), cause);
}

/* The deadline is that of the parent now. */
static int keep_deadline(lua_State *L, struct handle *parent)
{
  struct handle *h = handle_push_new(L, HANDLE_DEADLINE, 1, HANDLE_EXTRA);
  handle_fill(L, h, ctx_without_cancel_keep_deadline(parent->context));
  return cancel_push_function(L);
}

static int with_grace(lua_State *L, struct handle *parent, int64_t grace_ns)
{
  struct handle *h = handle_push_new(L, HANDLE_GRACE, 1, HANDLE_EXTRA);
  handle_fill(L, h, ctx_with_grace(parent->context, grace_ns));
  return cancel_push_function(L);
}

/* Reads the table of options at 2: pushes 'grace', or nil. True: the deadline is to be kept. */
static bool read_options(lua_State *L)
{
  bool keep = false;
  lua_pushnil(L);
  int grace = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
    const char *option = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(option, "deadline") == 0) {
      if (!lua_isboolean(L, -1)) luaL_argerror(L, 2, "option 'deadline' is true or false");
      keep = lua_toboolean(L, -1);
    } else if (strcmp(option, "grace") == 0) {
      lua_copy(L, -1, grace);
    } else {
      luaL_argerror(L, 2,
                    lua_pushfstring(L, "no option '%s'; there are 'deadline' and 'grace'", option));
    }
  }
  return keep;
}

/* ctx.without_cancel(parent [, options]) -> context; with options also cancel */
static int bind_without_cancel(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  if (lua_isnoneornil(L, 2) || lua_isfunction(L, 2)) {
    cancel_refuse(L, 2);
    struct handle *h = handle_push_new(L, HANDLE_DETACHED, 1, HANDLE_EXTRA);
    handle_fill(L, h, ctx_without_cancel(parent->context));
    return 1;
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  bool keep = read_options(L);
  if (keep != lua_isnil(L, 3))
    return luaL_argerror(L, 2, "one of the options is wanted: deadline = true, or grace = seconds");
  return keep ? keep_deadline(L, parent) : with_grace(L, parent, convert_timeout(L, 3));
}

/* ctx.extend(cancel, seconds) -> true; false: the context is done */
static int bind_extend(lua_State *L)
{
  if (!is_cancel_function(L, 1)) return luaL_typeerror(L, 1, "cancel function");
  int64_t timeout_ns = convert_timeout(L, 2);
  lua_settop(L, 2);
  lua_getupvalue(L, 1, 1);
  struct handle *h = handle_check(L, 3);
  if (h->kind != HANDLE_DEADLINE)
    return luaL_argerror(L, 1, "its context is not one of with_timeout or with_deadline");
  int64_t now_ns = ctx_engine_now(ctx_engine_of(h->context));
  bool never = timeout_ns == CTX_NEVER || timeout_ns > CTX_NEVER - now_ns;
  int failed = ctx_extend(h->context, never ? CTX_NEVER : now_ns + timeout_ns);
  if (failed != 0 && failed != ECANCELED) return luaL_error(L, "%s", strerror(failed));
  keep_fired(L);
  lua_pushboolean(L, failed == 0);
  return 1;
}

const luaL_Reg cancel_functions[] = {{"extend", bind_extend}, {NULL, NULL}};

/* ---- asking why ------------------------------------------------------- */

/* Pushes the Lua value that a handle of this state keeps under the link 'data', or that is pinned
 * under it. False: there is none. */
static bool push_kept_cause(lua_State *L, const void *data)
{
  registry_push_remembered(L, data);
  struct handle *h = handle_test(L, -1);
  if (h != NULL && h->given == data && lua_getiuservalue(L, -1, HANDLE_EXTRA) == LUA_TTABLE)
    return lua_rawgeti(L, -1, EXTRA_CAUSE) != LUA_TNIL;
  if (h != NULL && h->kind == HANDLE_DEADLINE && h->link == data)
    return lua_getiuservalue(L, -1, HANDLE_PAYLOAD) != LUA_TNIL;
  return link_push_pinned(L, data);
}

void cancel_push_cause(lua_State *L, struct handle *h)
{
  int err = ctx_err(h->context), top = lua_gettop(L);
  const ctx_cause *cause = ctx_cause_of(h->context);
  bool given = cause != NULL && ctx_cause_text(cause, NULL) != ctx_strerror(err);
  luaL_checkstack(L, 6, NULL);
  if (!given)
    error_push(L, err);
  else if (!push_kept_cause(L, ctx_cause_data(cause)))
    push_copy(L, cause);
  lua_copy(L, -1, top + 1);
  lua_settop(L, top + 1);
}

/* c:cause() -> what the canceler gave, else the err; nil while it lives */
static int bind_cause(lua_State *L)
{
  cancel_push_cause(L, handle_check(L, 1));
  return 1;
}

const luaL_Reg cancel_methods[] = {
  {"with_cancel", bind_with_cancel},
  {"with_timeout", bind_with_timeout},
  {"with_deadline", bind_with_deadline},
  {"without_cancel", bind_without_cancel},
  {"cause", bind_cause},
  {NULL, NULL},
};
