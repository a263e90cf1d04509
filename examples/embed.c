/*
 * embed - one request, four threads, two of them with Lua
 *
 * A request has an id and a deadline. Its context goes to two workers in C and two that
 * run a Lua state each. Main cancels it once all are at work, and joins them. Lua is to find the
 * module by LUA_PATH and LUA_CPATH.
 */
#include "ctx.h"
#include "ctx_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char request_key; /* its address is the key of the request's id */

struct worker {
  ctx_context *c;       /* what it works under */
  ctx_context *started; /* canceled by the worker: main waits for that */
  char report[200];
  bool failed;
  pthread_t thread;
};

static int request_id(const ctx_context *c)
{
  return *(const int *)ctx_value(c, &request_key);
}

/* A step with a limit of its own ends by that; the rest of the work ends with the request. */
static void *run_c(void *arg)
{
  struct worker *w = arg;
  ctx_context *step = ctx_with_timeout(w->c, CTX_MS(10));
  int step_err = step != NULL ? ctx_wait(step, CTX_NEVER) : 0;
  ctx_release(step);
  ctx_cancel(w->started);
  int err = ctx_wait(w->c, CTX_NEVER); /* what computes asks ctx_done(w->c) from time to time */
  snprintf(w->report, sizeof w->report, "request %d; %s; then %s: %s", request_id(w->c),
           ctx_strerror(step_err), ctx_strerror(err), ctx_cause_text(ctx_cause_of(w->c), NULL));
  return NULL;
}

static const char script[] = "local ctx = require 'ctx'\n"
                             "local c, started, tasks = ctx.root(), ..., {}\n"
                             "for i = 1, 3 do\n"
                             "  tasks[i] = c:async(function()\n"
                             "    repeat until not c:sleep(0.001)\n"
                             "    return i\n"
                             "  end)\n"
                             "end\n"
                             "started()\n"
                             "c:wait()\n"
                             "local sum = 0\n"
                             "for _, task in ipairs(tasks) do\n"
                             "  sum = sum + select(2, task:join(ctx.background()))\n"
                             "end\n"
                             "return ('request %d; tasks 1 + 2 + 3 = %d; then %s: %s'):format(\n"
                             "  c:value 'request', sum, c:err(), c:cause())\n";

static int started(lua_State *L)
{
  struct worker *w = lua_touserdata(L, lua_upvalueindex(1));
  ctx_cancel(w->started);
  return 0;
}

static void push_id(lua_State *L, void *id)
{
  lua_pushinteger(L, *(const int *)id);
}

/* A Lua state of its own, whose root is the request. */
static void *run_lua(void *arg)
{
  struct worker *w = arg;
  lua_State *L = luaL_newstate();
  if (L == NULL) abort();
  luaL_openlibs(L);
  int status = ctx_lua_open(L, w->c);
  if (status == LUA_OK) status = ctx_lua_set_key(L, "request", &request_key, push_id);
  if (status == LUA_OK) status = luaL_loadstring(L, script);
  if (status == LUA_OK) {
    lua_pushlightuserdata(L, w);
    lua_pushcclosure(L, started, 1);
    status = lua_pcall(L, 1, 1, 0); /* its answer and its error are both a report */
  }
  w->failed = status != LUA_OK;
  snprintf(w->report, sizeof w->report, "%s", lua_tostring(L, -1));
  ctx_cancel(w->started); /* should the script have failed before */
  lua_close(L);
  return NULL;
}

int main(void)
{
  int id = 42;
  ctx_context *root = ctx_with_timeout(ctx_background(), CTX_SECONDS(60));
  ctx_context *c = ctx_with_value(root, &request_key, &id, NULL);
  static const char *const names[] = {"c 1", "c 2", "lua 1", "lua 2"};
  enum { WORKERS = sizeof names / sizeof *names };
  struct worker workers[WORKERS];
  bool failed = false;

  for (int i = 0; i < WORKERS; i++) {
    struct worker *w = &workers[i];
    *w = (struct worker){.c = c, .started = ctx_with_cancel(ctx_background())};
    if (pthread_create(&w->thread, NULL, i < 2 ? run_c : run_lua, w) != 0) abort();
  }
  for (int i = 0; i < WORKERS; i++) ctx_wait(workers[i].started, CTX_NEVER);
  printf("main: four workers are at it; %s\n", ctx_strerror(ctx_err(c)));

  ctx_cancel_cause(root, ctx_cause_new("the client has gone", 19, 0, NULL, NULL));
  for (int i = 0; i < WORKERS; i++) {
    pthread_join(workers[i].thread, NULL);
    printf("%s: %s\n", names[i], workers[i].report);
    failed |= workers[i].failed;
    ctx_release(workers[i].started);
  }
  ctx_release(c);
  ctx_release(root);

  ctx_counters left; /* the engine's thread may just be giving back the last */
  for (int i = 0; i < 1000; i++) {
    ctx_engine_counters(ctx_engine_of(ctx_background()), &left);
    if (left.contexts == 0) break;
    ctx_wait(ctx_background(), CTX_MS(1));
  }
  printf("main: all joined, %d contexts are left\n", (int)left.contexts);
  return failed;
}
