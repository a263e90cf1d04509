#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "convert.h"
#include "error.h"

/* ---- the cancel function ---------------------------------------------- */

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

/* The end comes first: nothing that may fail for want of memory comes before it. */
bool cancel_context(lua_State *L, int index, int cause)
{
  index = lua_absindex(L, index);
  struct handle *h = handle_check(L, index);
  bool given = cause != 0 && !lua_isnoneornil(L, cause);
  ctx_cause *c_cause = given ? new_cause(L, cause, h) : NULL;
  bool first = ctx_cancel_cause(h->context, c_cause);
  loop_anchor_fired(L);
  if (first && given) {
    handle_push_extra(L, index);
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
  lua_pushboolean(L, cancel_context(L, 2, 1));
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

/* The context on top of the stack and the function that cancels it. */
static int with_cancel_function(lua_State *L)
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
  return with_cancel_function(L);
}

/* Pushes an empty handle for a deadline with the cause at 3; gives the C cause, if any. */
static struct handle *push_deadline(lua_State *L, ctx_cause **cause)
{
  *cause = NULL;
  if (lua_isnoneornil(L, 3)) return handle_push_new(L, HANDLE_DEADLINE, 1, HANDLE_EXTRA);
  struct handle *h = handle_push_new(L, HANDLE_DEADLINE, 1, HANDLE_PAYLOAD);
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
  handle_fill(L, h, c);
  return with_cancel_function(L);
}

/* ctx.with_timeout(parent, seconds [, cause]) -> context, cancel */
static int bind_with_timeout(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  int64_t timeout_ns = convert_timeout(L, 2);
  cancel_refuse(L, 3);
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
  cancel_refuse(L, 3);
  ctx_cause *cause;
  struct handle *h = push_deadline(L, &cause);
  return fill_deadline(L, h, ctx_with_deadline_cause(parent->context, deadline_ns, cause), cause);
}

/* ctx.without_cancel(parent) -> context */
static int bind_without_cancel(lua_State *L)
{
  struct handle *parent = handle_check_clock(L, 1);
  struct handle *h = handle_push_new(L, HANDLE_DETACHED, 1, HANDLE_EXTRA);
  handle_fill(L, h, ctx_without_cancel(parent->context));
  return 1;
}

/* ---- asking why ------------------------------------------------------- */

/* Pushes the Lua value that the handle on top keeps as the cause of an end by 'err', or nil. */
static void push_kept_cause(lua_State *L, struct handle *h, int err)
{
  if (h->kind == HANDLE_DEADLINE && err == CTX_DEADLINE_EXCEEDED) {
    lua_getiuservalue(L, -1, HANDLE_PAYLOAD);
  } else if (lua_getiuservalue(L, -1, HANDLE_EXTRA) == LUA_TTABLE) {
    lua_rawgeti(L, -1, EXTRA_CAUSE);
  }
}

void cancel_push_cause(lua_State *L, struct handle *h)
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
