#include <string.h>

#include "cancel.h"
#include "error.h"
#include "handle.h"
#include "report.h"
#include "task.h"

struct task {
  struct waiter waiter; /* first: the loop runs it, others wait for it */
  const void *cookie;
  struct list joiners; /* who waits for its end */
  struct scope *scope; /* kept alive by TASK_SCOPE; NULL: none */
  enum task_status status;
  enum task_outcome outcome;
  int arguments; /* on the coroutine's stack, for its start; -1: it has started */
  bool ok;       /* the body has returned, and not raised */
};

/* User values, after those of a waiter. */
enum { TASK_CO = WAITER_VALUES + 1, TASK_SCOPE, TASK_VALUES = TASK_SCOPE };

static const char cookie;
static const char metatable;

static const char *const status_names[] = {"ready", "running", "waiting",
                                           "done",  "failed",  "canceled"};

/* ---- finding ---------------------------------------------------------- */

struct task *task_test(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct task))
    return NULL;
  struct task *t = lua_touserdata(L, index);
  return t->cookie == &cookie ? t : NULL;
}

struct task *task_check(lua_State *L, int arg)
{
  struct task *t = task_test(L, arg);
  if (t == NULL) luaL_typeerror(L, arg, "ctx.task");
  return t;
}

static struct task *of_waiter(struct waiter *w)
{
  return (struct task *)(void *)w;
}

const char *task_status(struct task *t)
{
  waiter_wake_closed(&t->waiter);
  return t->waiter.ready ? "ready" : status_names[t->status];
}

struct waiter *task_waiter(struct task *t)
{
  return &t->waiter;
}

bool task_ended(const struct task *t)
{
  return t->status >= TASK_DONE;
}

struct list *task_joiners(struct task *t)
{
  return &t->joiners;
}

static void push_value(lua_State *L, const struct task *t, int n)
{
  loop_push_anchored(L, t);
  lua_getiuservalue(L, -1, n);
  lua_remove(L, -2);
}

void task_push_scope(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->current != NULL)
    push_value(L, of_waiter(l->current), TASK_SCOPE);
  else
    lua_pushnil(L);
}

/* ---- the end ---------------------------------------------------------- */

/* The error of a task, on top of the stack and popped, goes to the scope below it, or where
 * there is none to who drives. */
static void report(lua_State *L)
{
  if (scope_test(L, -2) != NULL)
    scope_fail(L, lua_gettop(L) - 1);
  else
    loop_fail(L);
}

/* What the body has come to: its values lie on the stack of its coroutine. */
static enum task_status judge(const struct task *t)
{
  if (t->ok) return TASK_DONE;
  int err = error_code(t->waiter.co, -1);
  return err != 0 && err == ctx_err(t->waiter.context) ? TASK_CANCELED : TASK_FAILED;
}

/* The userdata of 't' is on top. It has ended, whatever fails for want of memory after that. */
static void finish(lua_State *L, struct task *t)
{
  lua_State *co = t->waiter.co;
  struct scope *scope = t->scope;
  if (!t->ok && lua_gettop(co) == 0) lua_pushnil(co);
  t->status = judge(t);
  lua_getiuservalue(L, -1, TASK_SCOPE);
  waiter_disconnect(&t->waiter);
  wait_wake_row(&t->joiners);
  loop_unanchor(L, t);
  if (scope != NULL) scope_task_ended(scope);
  if (t->status == TASK_FAILED && t->outcome != TASK_HELD && lua_checkstack(co, 1)) {
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    report(L);
  }
  lua_pop(L, 1);
}

/* ---- running ---------------------------------------------------------- */

static int body_ended(lua_State *co, int status, lua_KContext context)
{
  struct task *t = of_waiter((struct waiter *)context);
  t->ok = status == LUA_OK || status == LUA_YIELD;
  return lua_gettop(co);
}

/* The function of the coroutine: f(...), protected. */
static int body(lua_State *co)
{
  lua_KContext context = (lua_KContext)waiter_current(co);
  int status = lua_pcallk(co, lua_gettop(co) - 1, LUA_MULTRET, 0, context, body_ended);
  return body_ended(co, status, context);
}

/* Texts short enough for Lua to find them again without memory; task_open keeps them. */
static const char closed_by_stranger[] = "task closed by coroutine.close";
static const char given_up[] = "task given up: nothing could wake it";

/* Its coroutine has been closed: it has no results. */
static void fail(struct task *t, const char *text)
{
  t->ok = false;
  lua_settop(t->waiter.co, 0);
  lua_pushstring(t->waiter.co, text);
}

/* It has come back without parking: a coroutine.yield of its own is a ctx.yield. */
static void came_back(struct task *t, int results)
{
  lua_pop(t->waiter.co, results);
  t->status = TASK_WAITING;
  if (t->waiter.parked || t->waiter.world == NULL) return;
  t->waiter.what = "yield";
  waiter_yield(&t->waiter);
  t->status = TASK_READY;
}

static void resume(lua_State *L, struct task *t)
{
  lua_State *co = t->waiter.co;
  struct loop *l = t->waiter.world->loop;
  bool starts = t->arguments >= 0;
  int arguments = starts ? t->arguments : 0, results = 0;
  bool closed = starts ? lua_gettop(co) != arguments + 1 : lua_status(co) != LUA_YIELD;
  if (closed) {
    fail(t, closed_by_stranger);
    finish(L, t);
    return;
  }
  t->arguments = -1;
  t->status = TASK_RUNNING;
  if (!t->waiter.parked) t->waiter.what = NULL;
  l->current = &t->waiter;
  int status = lua_resume(co, L, arguments, &results);
  l->current = NULL;
  if (status == LUA_YIELD) {
    came_back(t, results);
    return;
  }
  if (status != LUA_OK) { /* outside its protected call: there was no memory for that */
    t->ok = false;
    lua_resetthread(co); /* leaves the error */
  }
  finish(L, t);
}

static void run_entry(lua_State *L, struct entry *e)
{
  struct task *t = (struct task *)(void *)e;
  luaL_checkstack(L, 12, NULL);
  t->waiter.ready = false;
  loop_push_anchored(L, t); /* stays alive while it runs */
  resume(L, t);
  lua_pop(L, 1);
}

/* ---- starting --------------------------------------------------------- */

/* Moves the function and the arguments, from 'base' on, to the coroutine. */
static void load(lua_State *L, struct task *t, int base, int last)
{
  lua_State *co = t->waiter.co;
  int n = last - base + 1;
  luaL_checkstack(L, n + 4, "too many arguments");
  if (!lua_checkstack(co, n + 8)) luaL_error(L, "too many arguments");
  lua_pushcfunction(co, body);
  for (int i = base; i <= last; i++) lua_pushvalue(L, i);
  lua_xmove(L, co, n);
  t->arguments = n;
}

void task_push_new(lua_State *L, int base, int scope, enum task_outcome outcome)
{
  int last = lua_gettop(L);
  struct loop *l = loop_of(L);
  struct task *t = lua_newuserdatauv(L, sizeof *t, TASK_VALUES);
  memset(t, 0, sizeof *t);
  waiter_init(&t->waiter, l->world, NULL);
  t->cookie = &cookie;
  t->outcome = outcome;
  loop_set_metatable(L, &metatable);
  t->waiter.co = t->waiter.top = lua_newthread(L);
  lua_setiuservalue(L, -2, TASK_CO);
  lua_pushvalue(L, base);
  lua_setiuservalue(L, -2, WAITER_CONTEXT);
  lua_pushvalue(L, scope);
  lua_setiuservalue(L, -2, TASK_SCOPE);
  load(L, t, base + 1, last);
  loop_anchor(L, t, -1);

  /* From here on nothing fails. */
  t->scope = scope_test(L, scope);
  if (t->scope != NULL) t->scope->live++;
  t->waiter.context = ctx_retain(handle_test(L, base)->context);
  t->waiter.number = ++l->last_task;
  list_append(&l->world->tasks, &t->waiter.all);
  t->waiter.entry.run = run_entry;
  t->waiter.what = "start";
  waiter_wake(&t->waiter);
  lua_replace(L, base);
  lua_settop(L, base);
}

void task_start_hook(lua_State *L, int base)
{
  lua_pushvalue(L, base);
  scope_replace_joined(L);
  lua_replace(L, base);
  if (scope_test(L, base) != NULL)
    lua_getiuservalue(L, base, SCOPE_ROOT);
  else
    handle_push_root(L);
  if (handle_test(L, -1) == NULL)
    luaL_error(L, "ctx: the state of the module has been tampered with");
  lua_insert(L, base + 1);
  task_push_new(L, base + 1, base, TASK_FATAL);
}

static int start(lua_State *L, enum task_outcome outcome)
{
  handle_check_clock(L, 1);
  cancel_refuse(L, 2);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  lua_insert(L, 3); /* context, function, context, arguments */
  task_push_scope(L);
  lua_insert(L, 1);
  task_push_new(L, 2, 1, outcome);
  return 1;
}

/* c:go(fn, ...) -> task running fn(c, ...); an error in it is the run's */
static int bind_go(lua_State *L)
{
  return start(L, TASK_FATAL);
}

/* c:async(fn, ...) -> task; its outcome is for who joins it */
static int bind_async(lua_State *L)
{
  return start(L, TASK_HELD);
}

/* ---- asking ----------------------------------------------------------- */

int task_push_outcome(lua_State *L, int index)
{
  struct task *t = task_test(L, index);
  lua_State *co = t->waiter.co;
  int n = lua_gettop(co);
  luaL_checkstack(L, n + 2, "too many results");
  if (!lua_checkstack(co, n)) luaL_error(L, "too many results");
  lua_pushboolean(L, t->status == TASK_DONE);
  for (int i = 1; i <= n; i++) lua_pushvalue(co, i);
  lua_xmove(co, L, n);
  return n + 1;
}

/* ---- giving up -------------------------------------------------------- */

/* Closes the coroutine, which runs its <close> variables, without waits. */
static void close_task(lua_State *L, struct task *t)
{
  loop_push_anchored(L, t);
  lua_resetthread(t->waiter.co);
  fail(t, given_up);
  t->outcome = TASK_HELD;
  finish(L, t);
  lua_pop(L, 1);
}

/* The first task of 's', or below, that has not ended; of all, where that is NULL. */
static struct task *first_of(struct world *w, const struct scope *s)
{
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k)) {
    struct task *t = of_waiter(LIST_ELEMENT(k, struct waiter, all));
    if (s == NULL || scope_within(t->scope, s)) return t;
  }
  return NULL;
}

void task_abandon(lua_State *L, struct world *w, const struct scope *s)
{
  for (struct task *t; (t = first_of(w, s)) != NULL;) close_task(L, t);
}

/* ---- metatable -------------------------------------------------------- */

static int task_tostring(lua_State *L)
{
  struct task *t = task_check(L, 1);
  lua_pushliteral(L, "ctx.task: ");
  report_push_name(L, 1, &t->waiter);
  lua_concat(L, 2);
  return 1;
}

const luaL_Reg task_functions[] = {
  {"go", bind_go},
  {"async", bind_async},
  {NULL, NULL},
};

void task_open(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable) == LUA_TNIL) {
    lua_createtable(L, 0, 5);
    lua_pushcfunction(L, task_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "ctx.task");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "ctx.task");
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, closed_by_stranger);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, given_up);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable);
    lua_replace(L, -2);
  }
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}
