/*
 * module - require "ctx.core": the binding as one table
 *
 * lua/ctx.lua makes the public face of it.
 */
#include "platform.h"

#include <dlfcn.h>

#include "cancel.h"
#include "error.h"
#include "handle.h"
#include "host.h"
#include "join.h"
#include "link.h"
#include "listen.h"
#include "lost.h"
#include "merge.h"
#include "on_done.h"
#include "origin.h"
#include "pollable.h"
#include "query.h"
#include "report.h"
#include "run.h"
#include "scope.h"
#include "sleep.h"
#include "task.h"
#include "tree.h"
#include "value.h"
#include "wait_fd.h"
#include "wrap.h"

/* core.is_context(x), core.is_task(x) -> boolean */
static int is_context(lua_State *L)
{
  lua_pushboolean(L, handle_test(L, 1) != NULL);
  return 1;
}

static int is_task(lua_State *L)
{
  lua_pushboolean(L, task_test(L, 1) != NULL);
  return 1;
}

/* core.argument_error(arg, name, message): for functions written in Lua, about their caller */
static int argument_error(lua_State *L)
{
  luaL_where(L, 2);
  lua_pushfstring(L, "bad argument #%d to '%s' (%s)", (int)luaL_checkinteger(L, 1),
                  luaL_checkstring(L, 2), luaL_checkstring(L, 3));
  lua_concat(L, 2);
  return lua_error(L);
}

/* core.counters() -> contexts, hooks, timers alive on the present clock */
static int counters(lua_State *L)
{
  ctx_counters c;
  ctx_engine_counters(loop_engine(L), &c);
  lua_pushinteger(L, c.contexts);
  lua_pushinteger(L, c.hooks);
  lua_pushinteger(L, c.timers);
  return 3;
}

/* core.unfinished_tasks() -> how many besides the current one, and lines that say where they wait */
static int unfinished_tasks(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)report_push(L, loop_of(L)->world));
  lua_insert(L, -2);
  return 2;
}

static int version(lua_State *L)
{
  lua_pushstring(L, ctx_version());
  return 1;
}

static const luaL_Reg functions[] = {
  {"run", run_bind},
  {"wrap", wrap_bind},
  {"is_canceled", error_is_canceled},
  {"version", version},
  {"is_context", is_context},
  {"is_task", is_task},
  {"claim", task_claim},
  {"argument_error", argument_error},
  {"counters", counters},
  {"live_contexts", handle_push_live},
  {"unfinished_tasks", unfinished_tasks},
  {"describe", handle_describe},
  {"snapshot", tree_snapshot},
  {"track", tree_track},
  {"set_tostring", handle_set_tostring},
  {"use_virtual_clock", run_use_virtual_clock},
  {"closing_fd", wait_fd_closing},
  {NULL, NULL},
};

static const luaL_Reg methods[] = {
  {"on_done", on_done_bind}, {"merge", merge_bind}, {"with_signal", listen_bind},
  {"wait_fd", wait_fd_bind}, {NULL, NULL},
};

/* Both in the table of functions, at 'core', and in that of methods, on top. */
static void add_methods(lua_State *L, int core, const luaL_Reg *list)
{
  lua_pushvalue(L, core);
  luaL_setfuncs(L, list, 0);
  lua_pop(L, 1);
  luaL_setfuncs(L, list, 0);
}

static void open_all(lua_State *L)
{
  origin_open(L);
  error_open(L);
  loop_open(L);
  wait_open(L);
  task_open(L);
  luaL_setfuncs(L, join_methods, 0);
  lua_pop(L, 1);
  on_done_open(L);
  scope_open(L);
  lost_open(L);
  value_open(L);
  link_open(L);
}

/* Keeps this file in memory when the state that loaded it is closed: contexts and threads
 * may outlive it. */
static void pin(void)
{
  Dl_info self;
  if (dladdr((const void *)(uintptr_t)pin, &self) != 0) /* never: this runs, so it is loaded */
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

__attribute__((visibility("default"))) int luaopen_ctx_core(lua_State *L);

int luaopen_ctx_core(lua_State *L)
{
  static ctx__once pinned = CTX__ONCE_INIT;
  luaL_checkversion(L);
  host_claim(L);
  CTX__ONCE(&pinned, pin);
  open_all(L);
  lua_newtable(L);
  int core = lua_gettop(L);
  luaL_setfuncs(L, functions, 0);
  luaL_setfuncs(L, handle_functions, 0);
  luaL_setfuncs(L, cancel_functions, 0);
  luaL_setfuncs(L, sleep_functions, 0);
  luaL_setfuncs(L, sleep_primitives, 0);
  handle_open(L);
  luaL_setfuncs(L, sleep_methods_only, 0);
  luaL_setfuncs(L, pollable_methods, 0);
  add_methods(L, core, cancel_methods);
  add_methods(L, core, value_methods);
  add_methods(L, core, query_methods);
  add_methods(L, core, origin_methods);
  add_methods(L, core, sleep_methods);
  add_methods(L, core, task_functions);
  add_methods(L, core, methods);
  lua_setfield(L, core, "methods");
  error_push(L, CTX_CANCELED);
  lua_setfield(L, core, "CANCELED");
  error_push(L, CTX_DEADLINE_EXCEEDED);
  lua_setfield(L, core, "DEADLINE_EXCEEDED");
  host_open(L);
  return 1;
}
